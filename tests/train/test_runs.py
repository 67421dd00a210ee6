import json
import sys
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
from safetensors import safe_open  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from tests.quant.nets import TinyNet  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.quant import load  # noqa: E402
from tqhw.train.methods import method_named  # noqa: E402
from tqhw.train.recipe import read_recipe  # noqa: E402
from tqhw.train.runs import evaluate_run, export_run, load_run, train_run  # noqa: E402
from tqhw.train.table import accuracy_table  # noqa: E402

TINY = "tests.quant.nets:TinyNet"


def recipe(method="truncquant", bits=(2, 8), **training):
    return read_recipe(
        {
            "method": method,
            "bits": list(bits),
            "model": {"name": TINY},
            "training": {"epochs": 4, "batch_size": 32, "threads": 1, **training},
        }
    )


@pytest.mark.parametrize("method", ["truncquant", "dorefa", "any_precision", "post_training"])
def test_a_checkpoint_is_all_that_an_evaluation_needs(tmp_path, method):
    watched = []
    histories = train_run(recipe(method), tmp_path, watch=lambda bits, progress: watched.append(bits))
    assert list(histories) == [(2, 8)] and set(watched) == {(2, 8)}
    model, found = load_run(tmp_path, model=TINY)
    assert found == recipe(method)
    rows = {(a.weights, a.bits): a for a in evaluate_run(model, found, (2, 8))}
    assert rows["shifted", 8].verified and rows["shifted", 8].top1 > 60
    assert rows["shifted", 2].verified == (method == "truncquant")


def test_separate_training_leaves_a_network_per_precision(tmp_path):
    histories = train_run(recipe("single", epochs=1), tmp_path)
    assert list(histories) == [(2,), (8,)]
    model, found = load_run(tmp_path / "2bit", model=TINY)
    assert found.bits == (2,)
    assert [a.bits for a in evaluate_run(model, found, (2,))] == [2, 2]


def test_precisions_that_were_not_trained_are_calibrated(tmp_path):
    train_run(recipe(), tmp_path)
    model, found = load_run(tmp_path / "checkpoint.safetensors", model=TINY)
    rows = [a for a in evaluate_run(model, found, (2, 3, 5, 8), stored=5) if a.weights == "shifted"]
    assert [a.bits for a in rows] == [2, 3, 5] and all(a.verified for a in rows)
    assert all(a.top1 > 60 for a in rows)


def test_exports_carry_their_recipe(tmp_path):
    train_run(recipe(epochs=1), tmp_path)
    model, found = load_run(tmp_path, model=TINY)
    export_run(model, found, tmp_path / "m.safetensors")
    assert read_recipe(load(tmp_path / "m.safetensors", 2).recipe) == found
    pytest.importorskip("onnx")
    assert export_run(model, found, tmp_path / "m.onnx") == (tmp_path / "m.onnx").stat().st_size


def test_a_checkpoint_without_a_recipe_that_fits_is_refused(tmp_path):
    train_run(recipe(epochs=1), tmp_path)
    with safe_open(tmp_path / "checkpoint.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()["tqhw"])["recipe"]["method"] == "truncquant"
    with pytest.raises(TqhwError, match=r"nothing: there is no such file"):
        load_run(tmp_path / "nothing")


def test_the_table_has_the_papers_rows_over_the_seeds(tmp_path):
    rows = {}
    for method in ("dorefa", "truncquant"):
        for seed in (0, 1):
            folder = tmp_path / f"{method}{seed}"
            train_run(recipe(method, epochs=1, seed=seed), folder)
            rows.setdefault(method_named(method).label, []).extend(evaluate_run(*load_run(folder, model=TINY), (2, 8)))
    table = accuracy_table(rows)
    assert list(table) == [
        "Ordinary QAT, re-quantized",
        "Ordinary QAT, truncated",
        "TruncQuant, re-quantized",
        "TruncQuant, truncated",
    ]
    cell = table["TruncQuant, truncated"][2]
    values = [a.top1 for a in rows["TruncQuant"] if (a.bits, a.weights) == (2, "shifted")]
    assert cell.runs == 2 and cell.verified and cell.mean == pytest.approx(sum(values) / 2)
    assert cell.deviation == pytest.approx(abs(values[0] - values[1]) / 2**0.5)
    assert not table["Ordinary QAT, truncated"][2].verified


def changed(path, **recipe):
    """The checkpoint ``path`` with other entries in its recipe."""
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["tqhw"])
    save_file(load_file(path), path, {"tqhw": json.dumps({**header, "recipe": {**header["recipe"], **recipe}})})


def test_a_checkpoint_cannot_have_any_code_run(tmp_path, monkeypatch):
    """Not a function, not one that is annotated to return a module, not the top level of a module."""
    train_run(recipe(epochs=1), tmp_path)
    path, ran = tmp_path / "checkpoint.safetensors", tmp_path / "ran"
    (tmp_path / "wipes.py").write_text(f"open({str(ran)!r}, 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    graph = {"body": {"_code": "def forward(self, x): return x"}, "import_block": f"open({str(ran)!r}, 'w').close()"}
    for name, options in (
        ("os:mkdir", {"path": str(ran)}),
        ("torch.fx.graph_module:reduce_graph_module", graph),
        ("wipes:main", {}),
        (TINY, {}),
    ):
        changed(path, model={"name": name, "options": options})
        with pytest.raises(
            TqhwError, match=rf"is of model '{name}', which is not one of .* --model {name}, or load_run"
        ):
            load_run(tmp_path)
        assert not ran.exists() and "wipes" not in sys.modules
    with pytest.raises(TqhwError, match=rf"is of model '{TINY}', not of 'os:mkdir'"):
        load_run(tmp_path, model="os:mkdir")
    assert load_run(tmp_path, model=TINY)


def test_a_checkpoint_without_a_recipe_is_refused(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    save_file({"model/x": torch.zeros(1)}, path, {"tqhw": '{"kind": "checkpoint", "version": 1, "recipe": {}}'})
    with pytest.raises(TqhwError, match=r"does not say what recipe it comes from"):
        load_run(tmp_path)


def test_the_weights_that_a_run_started_from_are_not_needed_afterwards(tmp_path):
    train_run(recipe(epochs=1), tmp_path / "first")
    pretrained = tmp_path / "weights.safetensors"
    save_file(TinyNet().state_dict(), pretrained)
    started = recipe(epochs=1)
    started = replace(started, model=replace(started.model, weights=str(pretrained)))
    train_run(started, tmp_path / "second")
    pretrained.unlink()
    model, found = load_run(tmp_path / "second", model=TINY)
    assert found == started
    assert torch.equal(
        model.state_dict()["fc.bias"], load_file(tmp_path / "second/checkpoint.safetensors")["model/fc.bias"]
    )


def test_a_learned_clip_is_part_of_the_checkpoint(tmp_path):
    how = {"last": None, "granularity": "channel", "normalization": {"kind": "linear", "clip": "learned"}}
    learned = read_recipe({**recipe(epochs=2).json, "quantization": how})
    train_run(learned, tmp_path)
    model, found = load_run(tmp_path, model=TINY)
    assert found == learned and found.quantization.normalization.clip == "learned"
    share = model.fc.parametrizations.weight[0].share
    assert share.requires_grad and share.unique().numel() > 5, "learned away from the shares that are searched"
    assert all(row.verified for row in evaluate_run(model, found, (2, 4, 8)) if row.weights == "shifted")
