"""The benchmark of the training step runs; what it measures is not looked at here."""

import pytest

torch = pytest.importorskip("torch")

from benchmarks import train_step  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("arithmetic", ["float32", "bfloat16"])
def test_it_compares_the_quantized_step_with_the_bare_one(capsys, arithmetic):
    options = ["--model", "resnet20", "--batch", "2", "--size", "8", "--repeats", "1", "--arithmetic", arithmetic]
    train_step.main(options)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"resnet20, batch 2, 8x8, {arithmetic} on a CPU, 1 thread, (8, 6, 4, 2) bits"
    assert lines[1].startswith("bare network") and lines[1].endswith("images/s")
    assert " x " in lines[2] and " x " in lines[3] and len(lines) == 7


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_told():
    with pytest.raises(TqhwError, match=r"torch finds no CUDA device here"):
        train_step.main(["--device", "cuda"])
