"""Training, measuring and exporting from the command line."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

from tests.cli.test_app import refused, tqhw
from tqhw.errors import TqhwError
from tqhw.quant import load

PART = r"(?:^|codes |scales |norms |quantized |\) )([\d,]+\d|\d)"

OWN = ("--model", "tests.pipeline.tiny:net")  # what the checkpoints below are of

RECIPE = """\
method: truncquant
bits: [2, 8]
model: {name: 'tests.pipeline.tiny:net'}
data: {name: digits}
quantization: {first: null}
training: {epochs: 1, threads: 1}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training")
    (folder / "recipe.yaml").write_text(RECIPE)
    found = tqhw("train", folder / "recipe.yaml", "--out", folder / "out")
    assert found.exit_code == 0, found.output
    assert "Trained at [2, 8] bits" in found.stdout
    assert re.search(r"\d % of the weights switch their bits \([\d,]+ of [\d,]+\)", " ".join(found.stdout.split()))
    return folder / "out"


def test_it_does_not_train_over_a_checkpoint(trained: Path) -> None:
    before = (trained / "checkpoint.safetensors").read_bytes()
    recipe = trained.parent / "recipe.yaml"
    assert "holds a checkpoint already (add --resume" in refused("train", recipe, "--out", trained)
    assert tqhw("train", recipe, "--out", trained, "--resume").exit_code == 0
    assert (trained / "checkpoint.safetensors").read_bytes() == before


def test_a_refused_resume_names_what_differs(trained: Path) -> None:
    recipe = trained.parent / "recipe.yaml"
    message = refused("train", recipe, "--out", trained, "--resume", "--set", "training.epochs=2", "--set", "bits=[8]")
    told = "bits is [2, 8] in the checkpoint, [8] here; training.epochs is 1 in the checkpoint, 2 here"
    assert f"is of another run: {told} (" in message


def test_where_nobody_watches_every_epoch_is_a_line(trained: Path, tmp_path: Path) -> None:
    recipe = trained.parent / "recipe.yaml"
    found = tqhw("train", recipe, "--out", tmp_path / "a", "--set", "training.epochs=3")
    epoch = (
        r"epoch %d of 3: 2 bits loss \d+\.\d\d top-1 \d+ %%, 8 bits loss \d+\.\d\d top-1 \d+ %%; \d+\.\d s, %s s left"
    )
    lines = [re.compile("training: " + epoch % (n, left)) for n, left in ((1, r"\d+"), (2, r"\d+"), (3, "0"))]
    shown = found.stderr.splitlines()
    assert len(shown) == 4 and all(line.fullmatch(text) for line, text in zip(lines, shown, strict=False)), shown
    again = tqhw("train", recipe, "--out", tmp_path / "a", "--set", "training.epochs=3", "--resume")
    assert "epoch" not in again.stderr, "nothing was trained"


def test_a_table_says_what_it_trains_and_when_all_of_it_is_done(trained: Path, tmp_path: Path) -> None:
    found = tqhw("table", trained.parent / "recipe.yaml", "--out", tmp_path, "--seeds", 1, "--methods", "single,dorefa")
    shown = [line.split(" loss")[0] for line in found.stderr.splitlines() if "epoch" in line]
    assert shown == [
        "single, seed 0, 2 bits: epoch 1 of 1: 2 bits",
        "single, seed 0, 8 bits: epoch 1 of 1: 8 bits",
        "dorefa, seed 0: epoch 1 of 1: 2 bits",
    ]
    assert [line.endswith(" 0 s left") for line in found.stderr.splitlines() if "epoch" in line][-1]


def test_the_seeds_of_a_table_start_at_the_recipes(trained: Path, tmp_path: Path) -> None:
    some = ("--seeds", 2, "--methods", "dorefa", "--set", "training.seed=5")
    assert tqhw("table", trained.parent / "recipe.yaml", "--out", tmp_path, *some).exit_code == 0
    assert sorted(path.name for path in (tmp_path / "dorefa").iterdir()) == ["seed5", "seed6"]


def test_an_unfinished_training_is_called_so(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    recipe = trained.parent / "recipe.yaml"
    with monkeypatch.context() as patch:
        patch.setattr("tqhw.train.loop.write_logs", killed)  # between the checkpoint of epoch 1 and its logs
        stopped = tqhw("train", recipe, "--out", tmp_path / "a", "--set", "training.epochs=3")
    assert stopped.exit_code == 130
    note = f"{tmp_path / 'a'} is not trained to its end: epoch 1 of 3 (tqhw train with --resume goes on)"
    shown = tqhw("eval", *OWN, tmp_path / "a", "--json", tmp_path / "a.json")
    assert note in shown.stdout.splitlines()
    rows = json.loads((tmp_path / "a.json").read_text())["accuracy"]
    assert {(row["epoch"], row["epochs"]) for row in rows} == {(1, 3)}
    piped = tqhw("eval", *OWN, tmp_path / "a", "--json", "-")
    assert json.loads(piped.stdout)["accuracy"] == rows and note in piped.stderr.splitlines()
    assert note in tqhw("export", *OWN, tmp_path / "a", "--out", tmp_path / "m").stdout.splitlines()
    assert (
        "not trained"
        not in tqhw("eval", *OWN, trained).output + tqhw("export", *OWN, trained, "--out", tmp_path / "m").output
    )


def test_settings_go_over_the_recipe(trained: Path, tmp_path: Path) -> None:
    recipe = trained.parent / "recipe.yaml"
    assert tqhw("train", recipe, "--out", tmp_path, "--set", "training.epochs=2").exit_code == 0
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 3
    message = refused("train", recipe, "--out", tmp_path / "b", "--set", "training.epoch=2")
    assert "unknown key 'epoch' (did you mean 'epochs'?" in message


def test_accuracies_are_verified(trained: Path, tmp_path: Path) -> None:
    found = tqhw("eval", *OWN, trained, "--json", "-")
    rows = json.loads(found.stdout)["accuracy"]
    assert {(row["bits"], row["weights"]) for row in rows} == {
        (bits, weights) for bits in (2, 8) for weights in ("shifted", "requantized")
    }
    assert all(row["verified"] for row in rows if row["weights"] == "shifted")
    shown = tqhw("eval", *OWN, trained, "--bits", "1-2,8", "--json", tmp_path / "a.json")
    assert "TruncQuant, truncated" in shown.stdout
    assert "1 bit " in shown.stdout and "1 bits" not in shown.stdout and "2 bits" in shown.stdout
    measured = json.loads((tmp_path / "a.json").read_text())["accuracy"]
    assert {row["bits"] for row in measured} == {1, 2, 8}


def test_code_that_only_a_file_names_is_not_run(trained: Path, tmp_path: Path) -> None:
    for command in (("eval", trained), ("export", trained, "--out", tmp_path / "m")):
        message = refused(*command)
        assert "is of model 'tests.pipeline.tiny:net', which is not one of tqhw's: no code is run" in message
        assert "--model tests.pipeline.tiny:net" in message
        assert "not of 'resnet20'" in refused(*command, "--model", "resnet20")


def test_several_checkpoints_give_mean_and_deviation(trained: Path, tmp_path: Path) -> None:
    other = tqhw("train", trained.parent / "recipe.yaml", "--out", tmp_path, "--set", "training.seed=1")
    assert other.exit_code == 0
    shown = tqhw("eval", *OWN, trained, tmp_path, "--json", tmp_path / "a.json").stdout
    assert shown.count("±") == 4
    assert len(json.loads((tmp_path / "a.json").read_text())["accuracy"]) == 8


def test_what_is_no_other_seed_is_refused(trained: Path, tmp_path: Path) -> None:
    recipe = trained.parent / "recipe.yaml"
    assert tqhw("train", recipe, "--out", tmp_path, "--set", "training.batch_size=64").exit_code == 0
    assert "is no other seed of" in refused("eval", *OWN, trained, tmp_path)


def test_every_method_trains_and_is_measured(trained: Path, tmp_path: Path) -> None:
    recipe = trained.parent / "recipe.yaml"
    for method in ("any_precision", "single", "post_training"):
        found = tqhw(
            "train", recipe, "--out", tmp_path / method, "--set", f"method={method}", "--set", "quantization={}"
        )
        assert found.exit_code == 0, found.output
    shown = tqhw("eval", *OWN, tmp_path, trained, "--json", tmp_path / "a.json").stdout
    rows = json.loads((tmp_path / "a.json").read_text())["accuracy"]
    assert {row["method"] for row in rows} == {"any_precision", "single", "post_training", "truncquant"}
    assert [(row["bits"], row["weights"]) for row in rows if row["method"] == "single"] == [
        (2, "requantized"),
        (2, "shifted"),
        (8, "requantized"),
        (8, "shifted"),
    ]
    for label in (
        "Any-Precision, re-quantized",
        "Single, truncated",
        "Post-training, truncated",
        "TruncQuant, truncated",
    ):
        assert label in shown
    assert "networks of one precision each, [2, 8] bits" in refused("eval", *OWN, tmp_path / "single", "--bits", "2")


def test_the_papers_table_is_one_command_that_keeps_what_is_done(trained: Path, tmp_path: Path) -> None:
    arguments = (
        "table",
        trained.parent / "recipe.yaml",
        "--out",
        tmp_path,
        "--seeds",
        2,
        "--json",
        tmp_path / "a.json",
    )
    shown = tqhw(*arguments)
    assert shown.exit_code == 0, shown.output
    for row in (
        "Ordinary QAT, re-quantized",
        "Ordinary QAT, truncated",
        "TruncQuant, re-quantized",
        "TruncQuant, truncated",
    ):
        assert row in shown.stdout
    assert shown.stdout.count("±") == 8
    places = [tmp_path / method / f"seed{seed}" for method in ("dorefa", "truncquant") for seed in (0, 1)]
    before = [(place / "checkpoint.safetensors").stat() for place in places]
    rows = json.loads((tmp_path / "a.json").read_text())
    assert tqhw(*arguments).exit_code == 0
    assert json.loads((tmp_path / "a.json").read_text()) == rows
    after = [(place / "checkpoint.safetensors").stat() for place in places]
    assert [s.st_ino for s in after] == [s.st_ino for s in before], "finished runs are not trained again"
    assert "unknown method 'dorefaa'" in refused(*arguments, "--methods", "dorefaa")


def test_bad_bits_are_refused(trained: Path) -> None:
    assert "--bits: 'two' is neither a number nor a range" in refused("eval", *OWN, trained, "--bits", "two")
    assert "--bits: '8-1' is neither a number nor a range" in refused("eval", *OWN, trained, "--bits", "8-1")
    assert "9 bits cannot be had" in refused("eval", *OWN, trained, "--bits", "9")
    assert "no such file" in refused("eval", *OWN, trained / "nowhere")


def test_the_exported_model_is_one_file_for_all_precisions(trained: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.tqhw"
    found = tqhw("export", *OWN, trained, "--out", path)
    assert found.exit_code == 0
    size, *parts, rest = (int(number.replace(",", "")) for number in re.findall(PART, found.stdout.splitlines()[0]))
    assert size == path.stat().st_size == sum(parts) + rest
    with path.open("rb") as file:
        header = 8 + int.from_bytes(file.read(8), "little")
    counters, padding = 8 * 2 * 2, 8  # two norms of two precisions; every plane is whole bytes
    assert header + counters <= rest <= header + counters + padding
    fp32, without = (
        int(number.replace(",", ""))
        for number in re.findall(r"(?:takes|times the) ([\d,]*\d)", found.stdout.splitlines()[1])
    )
    assert without == sum(parts)
    assert f": {fp32 / without:.2f} times the {without:,} without the rest" in found.stdout
    assert f"{fp32 / size:.2f} times the file" in found.stdout
    assert load(path, bits=2).bytes_read < load(path, bits=8).bytes_read


def test_a_precision_that_was_not_trained_is_exported_with_norms_of_its_own(trained: Path, tmp_path: Path) -> None:
    assert tqhw("export", *OWN, trained, "--out", tmp_path / "m", "--bits", "1-8").exit_code == 0
    assert load(tmp_path / "m", bits=5).bits == 5
    assert tqhw("export", *OWN, trained, "--out", tmp_path / "n").exit_code == 0
    with pytest.raises(TqhwError, match="no batch norms for 5 bits"):
        load(tmp_path / "n", bits=5)


@pytest.mark.parametrize("norms", ["switchable", "shared"])
def test_the_file_serves_the_given_bits_alone(trained: Path, tmp_path: Path, norms: str) -> None:
    recipe = trained.parent / "recipe.yaml"
    found = tqhw("train", recipe, "--out", tmp_path / "out", "--set", f"quantization.norms={norms}")
    assert found.exit_code == 0, found.output
    assert tqhw("export", *OWN, tmp_path / "out", "--out", tmp_path / "all").exit_code == 0
    for bits, others in ((2, (8, 5)), (8, (2,)), (5, (2, 8))):
        shown = tqhw("export", *OWN, tmp_path / "out", "--out", tmp_path / "m", "--bits", bits)
        assert shown.exit_code == 0, shown.output
        assert load(tmp_path / "m", bits).quantization.precisions == (bits,)
        for other in others:
            with pytest.raises(TqhwError, match=f"no batch norms for {other} bits .use one of {bits}."):
                load(tmp_path / "m", other)
        if norms == "switchable":
            assert (tmp_path / "m").stat().st_size < (tmp_path / "all").stat().st_size
    pytest.importorskip("onnxruntime")
    shown = tqhw("export", *OWN, tmp_path / "out", "--out", tmp_path / "m.onnx", "--bits", 2)
    assert shown.exit_code == 0 and "2 bits in onnxruntime" in shown.stdout and "8 bits in" not in shown.stdout


def test_bits_that_the_stored_ones_do_not_serve_are_refused(trained: Path, tmp_path: Path) -> None:
    for out in (tmp_path / "m", tmp_path / "m.onnx"):
        message = refused("export", *OWN, trained, "--out", out, "--bits", "2,8", "--stored", "4")
        assert "--bits: 8 bits cannot be had: the codes are stored at 4 bits (use 1 to 4)" in message
        assert "none of the precisions [2, 8] can be had" in refused(
            "export", *OWN, trained, "--out", out, "--stored", "1"
        )


def test_an_onnx_file_is_compared_with_pytorch(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    found = tqhw("export", *OWN, trained, "--out", tmp_path / "m.onnx")
    assert found.exit_code == 0
    for bits in (2, 8):
        assert f"{bits} bits in onnxruntime: 450 of 450 answers as in PyTorch" in found.stdout
    monkeypatch.setattr("tqhw.train.onnx_check.TOLERANCE", -1.0)
    assert tqhw("export", *OWN, trained, "--out", tmp_path / "m.onnx").exit_code == 1


def test_what_is_missing_for_onnx_can_be_pasted_into_a_shell(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    message = refused("export", *OWN, trained, "--out", tmp_path / "m.onnx")
    assert message.endswith("export: ONNX is not installed (pip install 'tqhw[onnx]')")


def test_corrupt_images_that_are_skipped_are_named(tmp_path: Path) -> None:
    pictures = pytest.importorskip("PIL.Image")
    for part in ("train", "val"):
        for name in ("apple", "pear"):
            (tmp_path / part / name).mkdir(parents=True)
            for number in range(3):
                pictures.new("RGB", (9, 9), (90 * number, 10, 10)).save(tmp_path / part / name / f"{number}.png")
    bad = {part: tmp_path / part / "pear" / "1.png" for part in ("train", "val")}
    for path in bad.values():
        path.write_bytes(path.read_bytes()[:50])
    (tmp_path / "recipe.yaml").write_text(
        "{bits: [2], model: {name: resnet20, options: {num_classes: 2}},"
        " training: {epochs: 1, batch_size: 6, threads: 1},"
        f" data: {{name: imagefolder, path: '{tmp_path}', size: 8}}}}"
    )
    arguments = ("train", tmp_path / "recipe.yaml", "--out", tmp_path / "out")
    assert f"{bad['train']}: cannot be read as an image" in refused(*arguments)
    skipping = tqhw(*arguments, "--set", "data.skip_corrupt=true")
    assert f"skipped 1 corrupt images: {bad['train']}" in skipping.stderr
    assert f"skipped 1 corrupt images: {bad['val']}" in tqhw("eval", tmp_path / "out").stderr


def test_layers_that_lose_their_magnitude_are_named_once(trained: Path, tmp_path: Path) -> None:
    recipe, model = trained.parent / "recipe.yaml", "model.name=tests.pipeline.tiny:without_norms"
    found = tqhw("table", recipe, "--out", tmp_path / "out", "--set", model, "--seeds", 1)
    assert found.exit_code == 0, found.output
    (told,) = [line for line in found.stderr.splitlines() if "magnitude" in line]
    assert told.startswith("tqhw: warning: 2 of 2 quantized layers lose their magnitude: ")
    assert told.endswith(" The layers: 0, 2")
    assert "magnitude" not in tqhw("train", recipe, "--out", tmp_path / "other").output
