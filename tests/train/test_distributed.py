import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

torch = pytest.importorskip("torch")
from safetensors.torch import load_file  # noqa: E402
from torch.nn import functional  # noqa: E402

from tqhw.errors import TqhwError  # noqa: E402
from tqhw.train.distributed import SharedStatistics, Team, joined  # noqa: E402


def run(folder, processes, victim=-1, every=0):
    """Starts the worker as a user would: by torchrun for two processes, plainly for one."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [
        sys.executable,
        *(launcher if processes > 1 else []),
        "-m",
        "tests.train.ddp_worker",
        str(folder),
        str(victim),
        str(every),
    ]
    folder.mkdir(exist_ok=True)
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a run of two processes that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    result = run(folder, 2)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.mark.slow
def test_two_processes_have_the_loss_curve_of_one(tmp_path, whole):
    result = run(tmp_path, 1)
    assert result.returncode == 0, result.stderr
    one, two = (torch.tensor(json.loads((folder / "losses.json").read_text())) for folder in (tmp_path, whole))
    assert one.shape == (22, 2)
    assert (one - two).abs().max() < 1e-4


@pytest.mark.slow
def test_the_death_of_one_process_is_told_and_the_others_go_on_from_the_checkpoint(tmp_path, whole):
    result = run(tmp_path, 2, victim=1)
    assert result.returncode != 0
    message = (tmp_path / "error.txt").read_text()
    assert re.match(r"process 0: (was stopped: )?another of the 2 processes was lost", message)
    assert "start the run again with --resume" in message
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 2, "one epoch was done"
    result = run(tmp_path, 2)
    assert result.returncode == 0, result.stderr
    for name in ("checkpoint.safetensors", "log.csv"):
        assert (tmp_path / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.slow
def test_two_processes_go_on_inside_an_epoch_bit_for_bit(tmp_path, whole):
    """11 steps are an epoch and the 15th is the last: the checkpoint of the 14th is gone on from."""
    assert run(tmp_path, 2, victim=1, every=3).returncode != 0
    result = run(tmp_path, 2, every=3)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "log.csv").read_bytes() == (whole / "log.csv").read_bytes()
    assert len(json.loads((tmp_path / "losses.json").read_text())) == 22 - 14
    found, expected = (load_file(folder / "checkpoint.safetensors") for folder in (tmp_path, whole))
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_being_stopped_by_torchrun_is_told(monkeypatch):
    """As it stops the others when one has died: by SIGTERM, before they may have noticed."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(torch.distributed, "init_process_group", lambda _: None)
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: None)
    monkeypatch.setattr("tqhw.train.distributed.team", lambda: Team(0, 2))
    before = signal.getsignal(signal.SIGTERM)
    with (
        pytest.raises(TqhwError, match=r"process 0: was stopped: another of the 2 processes was lost.*--resume"),
        joined("cpu"),
    ):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    assert signal.getsignal(signal.SIGTERM) == before


def test_one_process_is_a_team_of_itself():
    alone, model = Team(), torch.nn.Linear(1, 1)
    assert alone.leads and alone.wrap(model) is model
    values = torch.ones(2)
    assert alone.sum(values) is values
    with SharedStatistics(alone):
        x = torch.randn(4, 2)
        torch.testing.assert_close(functional.batch_norm(x, None, None, training=True).mean(), torch.tensor(0.0))


def test_shared_statistics_of_bfloat16_are_float32(monkeypatch):
    """One process that believes it is of two gives what torch's own norm does: values, statistics and gradients."""
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 1)
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda values: None)
    own, shared = torch.nn.BatchNorm2d(3), torch.nn.BatchNorm2d(3)
    given = (torch.randn(64, 3, 9, 9, generator=torch.Generator().manual_seed(0)) + 5).bfloat16()
    inputs = [given.clone().requires_grad_() for _ in range(2)]
    results = [own(inputs[0])]
    with SharedStatistics(Team(0, 2)):
        results.append(shared(inputs[1]))
    for result in results:
        assert result.dtype == torch.bfloat16
        (result.float() * torch.arange(9)).square().sum().backward()
    torch.testing.assert_close(results[1], results[0])
    torch.testing.assert_close(inputs[1].grad, inputs[0].grad, rtol=0.02, atol=0.5)
    for name in ("running_mean", "running_var"):
        torch.testing.assert_close(getattr(shared, name), getattr(own, name), rtol=1e-5, atol=1e-6)
