import copy
import json
import resource
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
from safetensors import safe_open  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from tests.quant.nets import tiny  # noqa: E402
from tqhw.datasets import digits  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.quant import Normalization, QuantConfig, convert  # noqa: E402
from tqhw.train import Checkpoints, TrainConfig, train  # noqa: E402
from tqhw.train.checkpoint import extent_of  # noqa: E402

CONFIG = TrainConfig(epochs=3, batch_size=128, threads=1, warmup_epochs=0.5)
RECIPE = {"model": {"name": "tiny", "options": {"width": 3}}, "training": {"epochs": 3}}


class Killed(Exception):
    pass


def model_of(scheme="truncquant", **options):
    return convert(tiny(), QuantConfig(scheme, (2, 8), last=None, **options))


def run(folder, config=CONFIG, resume=False, die_at=None, model=None, recipe=RECIPE):
    def watch(progress):
        if progress.step == die_at:
            raise Killed

    keep = Checkpoints(folder, recipe)
    return train(model or model_of(), digits(), config, watch, keep=keep, resume=resume)


def same(one, other):
    a, b = one.model.state_dict(), other.model.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("options", [{}, {"optimizer": "adamw", "learning_rate": 0.01}, {"momentum": 0.0}])
@pytest.mark.parametrize("die_at", [5, 10, 17, 30])
def test_a_run_killed_at_any_step_goes_on_bit_for_bit(tmp_path, die_at, options):
    config = replace(CONFIG, **options)
    whole = run(tmp_path / "whole", config)
    with pytest.raises(Killed):
        run(tmp_path / "killed", config, die_at=die_at)
    resumed = run(tmp_path / "killed", config, resume=True)
    assert same(whole, resumed) and whole.history == resumed.history
    for name in ("log.csv", "checkpoint.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes()


@pytest.mark.parametrize(
    ("options", "at", "low", "high"),
    [
        ({"activations": "pact", "alpha": 0.02}, "input_quantizer.alpha", 0, float("inf")),
        ({"activations": "lsq_plus", "activation_bits": None}, "input_quantizer.low", -1024, 0),
        ({"normalization": Normalization("linear", "learned"), "granularity": "channel"}, "share", 0, float("inf")),
    ],
    ids=["alpha", "low", "clip"],
)
def test_what_a_step_moves_beyond_its_bounds_is_inside_in_checkpoints_and_evaluation(options, at, low, high):
    model, beyond = model_of(**options), []

    def watch(progress):
        learned = [p for name, p in model.named_parameters() if name.endswith(at)]
        moved = any(bool(((p < low) | (p > high)).any()) for p in learned)
        if moved:
            beyond.append(progress.step)
            copied = copy.deepcopy(model).eval()
            model_of(**options).load_state_dict(model.state_dict())  # refuses what is no range
            assert all(torch.equal(value, copied.state_dict()[name]) for name, value in model.state_dict().items())
            assert all(bool(((p >= low) & (p <= high)).all()) for name, p in copied.named_parameters() if at in name)

    train(model, digits(), replace(CONFIG, epochs=1, batch_size=64, learning_rate=2.0), watch)
    assert beyond


def test_logs_are_written_again_where_the_run_died_before_them(tmp_path):
    run(tmp_path)
    logs = {name: (tmp_path / name).read_bytes() for name in ("log.csv", "events.out.tfevents.0.tqhw")}
    for name in logs:
        (tmp_path / name).unlink()
    run(tmp_path, resume=True)
    assert {name: (tmp_path / name).read_bytes() for name in logs} == logs


def test_a_loss_that_is_not_finite_keeps_the_last_good_checkpoint(tmp_path):
    def spoil(progress):
        if progress.step == 15:
            model.bn2.bias.data.fill_(float("nan"))

    model = model_of()
    with pytest.raises(TqhwError, match=r"in step 15, through layer 'bn2' .*the last checkpoint is kept"):
        train(model, digits(), CONFIG, spoil, keep=Checkpoints(tmp_path, RECIPE))
    assert same(run(tmp_path, resume=True), run(tmp_path / "whole"))


def test_a_finished_run_resumes_to_itself(tmp_path):
    assert same(run(tmp_path), run(tmp_path, resume=True, die_at=1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"config": replace(CONFIG, epochs=2, learning_rate=0.2), "recipe": {**RECIPE, "training": {"epochs": 2}}},
            "training.epochs is 3 in the checkpoint, 2 here; training.learning_rate is 0.1 in the checkpoint, 0.2 here",
        ),
        (
            {"recipe": {**RECIPE, "model": {"name": "tiny", "options": {}}}},
            "model.options.width is 3 in the checkpoint, not given here",
        ),
        ({"model": "dorefa"}, "quantization.scheme is truncquant in the checkpoint, dorefa here"),
        ({"model": None}, "quantization is a section in the checkpoint, null here"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(tmp_path, change, message):
    run(tmp_path, die_at=None)
    if "model" in change:
        change["model"] = tiny() if change["model"] is None else model_of(change["model"])
    with pytest.raises(TqhwError) as refusal:
        run(tmp_path, resume=True, **change)
    assert refusal.value.message == f"is of another run: {message}", "every difference, once, and nothing else"


def test_a_checkpoint_says_how_far_its_training_is(tmp_path):
    with pytest.raises(Killed):
        run(tmp_path, die_at=25)
    extent = extent_of(tmp_path / "checkpoint.safetensors")
    assert (str(extent), extent.finished) == ("epoch 2 of 3", False)
    run(tmp_path, resume=True)
    extent = extent_of(tmp_path / "checkpoint.safetensors")
    assert (str(extent), extent.finished) == ("epoch 3 of 3", True)


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    run(tmp_path)
    other = tiny()
    other.fc = torch.nn.Linear(16, 11)
    with pytest.raises(TqhwError, match=r"another model: it has \(10,\) as 'fc.bias', the model has \(11,\)"):
        run(tmp_path, resume=True, model=convert(other, QuantConfig("truncquant", (2, 8), last=None)))


def test_another_version_and_other_files_are_refused(tmp_path):
    run(tmp_path)
    path = tmp_path / "checkpoint.safetensors"
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["tqhw"])
    save_file({"x": torch.ones(1)}, path, {"tqhw": json.dumps({**header, "version": 99})})
    with pytest.raises(TqhwError, match=r"has version 99 of the checkpoint format, this is version 1"):
        run(tmp_path, resume=True)
    save_file({"x": torch.ones(1)}, path)
    with pytest.raises(TqhwError, match=r"is no checkpoint of tqhw but another safetensors file"):
        run(tmp_path, resume=True)


def test_a_checkpoint_cut_short_is_refused(tmp_path):
    run(tmp_path)
    path = tmp_path / "checkpoint.safetensors"
    for keep in (0, 5, 100, path.stat().st_size - 1):
        path.write_bytes(path.read_bytes()[:keep])
        with pytest.raises(TqhwError, match=r"is not a whole safetensors file"):
            run(tmp_path, resume=True)


def test_pickles_are_not_read(tmp_path):
    torch.save({"model": tiny().state_dict()}, tmp_path / "checkpoint.safetensors")
    with pytest.raises(TqhwError, match=r"is not a whole safetensors file"):
        run(tmp_path, resume=True)


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path):
    first = replace(CONFIG, epochs=1)
    run(tmp_path, first)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))
    try:
        with pytest.raises(TqhwError, match=r"checkpoint.safetensors: cannot be written: File too large"):
            run(tmp_path, first)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint.safetensors",
        "events.out.tfevents.0.tqhw",
        "log.csv",
    ]


def test_a_place_that_cannot_be_written_is_refused_before_the_first_step(tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(TqhwError, match=r"file.*: cannot be written: .*choose another place"):
            run(place, die_at=1)
    run(tmp_path / "new" / "folder", replace(CONFIG, epochs=1))


def test_weights_that_became_nan_are_not_kept(tmp_path):
    def spoil(progress):
        if progress.step == 20:
            model.fc.bias.data.fill_(float("nan"))

    model = model_of()
    with pytest.raises(TqhwError, match=r"'fc.bias' holds NaN or infinity after epoch 2"):
        train(model, digits(), CONFIG, spoil, keep=Checkpoints(tmp_path, RECIPE))
    assert len(run(tmp_path, resume=True).history) == 3


@pytest.mark.parametrize("change", [{"train": None}, {"history": 3}, {"history": [{"epoch": 0}]}, {"quantization": 8}])
def test_a_header_that_does_not_say_how_it_was_trained_is_refused(tmp_path, change):
    run(tmp_path)
    path = tmp_path / "checkpoint.safetensors"
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["tqhw"])
    save_file({"x": torch.ones(1)}, path, {"tqhw": json.dumps({**header, **change})})
    for read in (lambda: extent_of(path), lambda: run(tmp_path, resume=True)):
        with pytest.raises(TqhwError, match=r"is damaged: its header does not say how it was trained"):
            read()
