"""Other tasks than telling pictures apart, from a file of arrays to accuracies on shifted integers."""

import json
import logging
import re
import runpy
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from safetensors.torch import save_file  # noqa: E402
from torch import nn  # noqa: E402

from tests.cli.test_app import refused, tqhw  # noqa: E402
from tests.docs.pages import DOCS, fenced  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.experiment.reader import parse  # noqa: E402
from tqhw.spec import yamlio  # noqa: E402
from tqhw.train import LOSSES, METRICS, Loss, TrainConfig, evaluate_full, load_run, read_recipe, train, train_run  # noqa: E402
from tqhw.train.runs import evaluate_run  # noqa: E402

HERE = "tests.train.test_tasks"


class Tagger(nn.Module):
    """Token ids with a mask to (N, positions, classes), as the networks of transformers give it."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.look = nn.Embedding(20, 16)
        self.mix = nn.LSTM(16, 8, batch_first=True)
        self.fc, self.head = nn.Linear(8, 16), nn.Linear(16, classes)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> dict[str, torch.Tensor]:
        seen, _ = self.mix(self.look(input_ids) * attention_mask[..., None])
        return {"logits": self.head(torch.relu(self.fc(seen)))}


class Regressor(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(10, 16), nn.Linear(16, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 150 + 80 * self.b(torch.relu(self.a(x)))


@pytest.fixture
def words(tmp_path: Path) -> Path:
    drawn, arrays = np.random.default_rng(0), {}
    for part, rows in (("train", 96), ("test", 40)):
        ids = drawn.integers(2, 20, (rows, 6))
        mask = (np.arange(6) < drawn.integers(3, 7, rows)[:, None]).astype(np.int64)
        arrays |= {f"{part}_input_ids": ids * mask, f"{part}_attention_mask": mask, f"{part}_mask": mask}
        arrays[f"{part}_labels"] = ids % 3
    np.savez(tmp_path / "words.npz", **arrays)
    return tmp_path / "words.npz"


def recipe(model, data, **training):
    document = {
        "model": {"name": f"{HERE}:{model}"},
        "data": data,
        "bits": [2, 8],
        "quantization": {"first": None, "last": None, "granularity": "channel", "normalization": {"kind": "linear"}},
        "training": {"epochs": 6, "batch_size": 16, "optimizer": "adamw", "learning_rate": 0.02, **training},
    }
    return read_recipe(document)


def measured(folder, model, found):
    network, _ = load_run(folder, model=f"{HERE}:{model}")
    return {(row.weights, row.bits): row for row in evaluate_run(network, found, (2, 8))}


def test_tokens_with_masks_learn_their_labels(tmp_path, words):
    found = recipe("Tagger", {"name": "samples", "path": str(words)}, validation={"share": 0.2, "keep": "best"})
    (history,) = train_run(found, tmp_path / "out").values()
    assert {record.metric for record in history} == {"token_accuracy"} and history[0].validation
    rows = measured(tmp_path / "out", "Tagger", found)
    shifted = rows["shifted", 2]
    assert shifted.verified and shifted.top1 is None and shifted.metric == "token_accuracy"
    assert shifted.value == rows["requantized", 2].value > 50, "of three labels"
    assert shifted.other.low < shifted.value < shifted.other.high and shifted.samples == 40
    (tmp_path / "out" / "best.safetensors").unlink()
    with pytest.raises(TqhwError, match=r"says that the best network is kept, but there is no best.safetensors"):
        load_run(tmp_path / "out", model=f"{HERE}:Tagger")


def test_numbers_are_learned_and_lower_is_better(tmp_path):
    found = recipe("Regressor", {"name": "diabetes"}, loss="mse", metric="r2")
    train_run(found, tmp_path)
    row = measured(tmp_path, "Regressor", found)["shifted", 8]
    assert row.verified and (row.metric, row.other.lower_is_better) == ("r2", False) and row.value > 0.2
    errors = evaluate_full(load_run(tmp_path, model=f"{HERE}:Regressor")[0], found.open_data())
    assert errors.metric == "rmse" and errors.other.lower_is_better and errors.row["value"] < 75
    assert "top1" not in errors.row


def test_the_commands_take_it(tmp_path, words, monkeypatch, capsys):
    text = f"""
name: words
model: {{name: "{HERE}:Tagger"}}
data: {{name: samples, path: "{words}"}}
bits: [2, 8]
quantization: {{first: null, granularity: channel, normalization: {{kind: linear}}}}
training: {{epochs: 1, batch_size: 16, optimizer: adamw, learning_rate: 0.01, validation: {{}}}}
"""
    path = tmp_path / "words.yaml"
    path.write_text(text)
    out = tmp_path / "run"
    result = tqhw("train", str(path), "--out", str(out))
    assert "token accuracy" in result.output and (out / "checkpoint.safetensors").exists()
    answer = json.loads(tqhw("eval", str(out), "--model", f"{HERE}:Tagger", "--json", "-").stdout)
    assert {row["metric"] for row in answer["accuracy"]} == {"token_accuracy"}
    assert "Token accuracy in %" in tqhw("eval", str(out), "--model", f"{HERE}:Tagger").stdout
    tqhw("export", str(out), "--model", f"{HERE}:Tagger", "--out", str(tmp_path / "a.tqhw"))
    if find_spec("onnxruntime") is not None:
        written = tqhw("export", str(out), "--model", f"{HERE}:Tagger", "--out", str(tmp_path / "a.onnx")).output
        assert "2 bits in onnxruntime: 40 of 40 answers as in PyTorch" in written
    message = refused("train", str(path), "--out", str(tmp_path / "b"), "--set", "training.loss=crossentropy")
    assert "'crossentropy' (did you mean 'cross_entropy'" in message
    message = refused("train", str(path), "--out", str(tmp_path / "c"), "--set", "training.loss=mse")
    assert "outputs of shape [2, 6, 3] are not of the targets' shape [2, 6]" in message


def test_loss_and_metric_are_objects_too():
    from tqhw.datasets import open_dataset

    def pinball(outputs, targets):
        return torch.maximum(0.9 * (targets - outputs), 0.1 * (outputs - targets)).mean()

    config = TrainConfig(8, 32, optimizer="adamw", learning_rate=0.05)
    data = open_dataset("diabetes", {})
    high = train(Regressor(), data, config, loss=Loss("pinball", pinball, pinball), metric=METRICS["mae"])
    assert high.history[0].metric == "mae" and high.history[-1].losses[32] < high.history[0].losses[32]
    answers = high.model(data.train_inputs)[:, 0]
    assert (data.train_targets < answers).float().mean() > 0.7, "nine of ten are below"


def test_parts_of_a_batch_weigh_as_much_as_counts_in_them():
    """A batch of masked numbers in four parts has the gradient of the whole."""
    from tqhw.datasets import SampleData

    drawn = torch.Generator().manual_seed(0)
    x, y = torch.randn(16, 3, generator=drawn), torch.randn(16, 4, generator=drawn)
    y[torch.rand(16, 4, generator=drawn) < 0.5] = float("nan")
    data, found = SampleData("masked", 0, x, y, x, y), []
    for accumulation in (1, 4):
        torch.manual_seed(0)
        net = nn.Linear(3, 4)
        config = TrainConfig(2, 16, accumulation=accumulation, loss="mse", learning_rate=0.1)
        found.append((train(net, data, config), net.weight.detach().clone()))
    assert torch.allclose(found[0][1], found[1][1], atol=1e-6)
    assert found[0][0].history[1].losses[32] == pytest.approx(found[1][0].history[1].losses[32], abs=1e-6)


def test_weights_of_another_head_are_refused_with_all_that_differs_and_loaded_where_asked(tmp_path, caplog):
    path = tmp_path / "pretrained.safetensors"
    save_file({**Tagger(7).state_dict(), "pooler": torch.zeros(2)}, path)
    document = {"model": {"name": f"{HERE}:Tagger", "weights": str(path)}, "method": "fp32"}
    with pytest.raises(TqhwError) as found:
        read_recipe(document).plain_model()
    told = (
        "it has (7,) as 'head.bias', the model has (3,); it has (7, 16) as 'head.weight', the model has (3, 16); "
        "it has (2,) as 'pooler', the model has nothing"
    )
    assert str(found.value) == f"{path}: is of another model: {told} (model.partial takes what fits)"
    document["model"]["partial"] = True
    with caplog.at_level(logging.WARNING, "tqhw"):
        model = read_recipe(document).plain_model()
    assert f"{path}: left out, with first weights in their place: {told}" in caplog.text
    assert torch.equal(model.fc.weight, _loaded(path)["fc.weight"])
    assert "partial" not in read_recipe({"model": {"name": "resnet20"}}).json["model"]
    save_file({"other": torch.zeros(1)}, path)
    with pytest.raises(TqhwError, match=r"is of another model: .* .no tensor of it fits"):
        read_recipe(document).plain_model()


def _loaded(path):
    from safetensors.torch import load_file

    return load_file(path)


PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "other-tasks.md"


def test_the_page_is_true(capsys):
    text = PAGE.read_text("utf-8")
    (code,) = re.findall(r"```python\n(?!# \w+\.py\n)(.*?)```", text, flags=re.DOTALL)
    exec(compile(code, "other-tasks.md", "exec"), {})
    assert capsys.readouterr().out == "mae\n"
    documents = [yamlio.parse(part, "page") for part in re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)]
    found = {one.name: one for one in (parse(document) for document in documents)}
    assert {*found} == {"tagger", "diabetes", "after"} and found["after"].quantize.priorities == {2: 16}
    assert found["tagger"].training.validation.keep == "best" and found["diabetes"].training.loss == "mse"
    for name in METRICS:
        assert f"`{name}`" in text
    for name in LOSSES:
        assert f"`{name}`" in text


@pytest.fixture
def of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the files that the page shows, to be in."""
    for block in fenced(DOCS / "how-to" / "other-tasks.md"):
        if block.name:
            (tmp_path / block.name).write_text(block.text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "mynet", raising=False)
    yield tmp_path
    sys.modules.pop("mynet", None)


def test_the_tagger_of_the_page_learns_its_words(of_the_page: Path) -> None:
    runpy.run_path(str(of_the_page / "words.py"))
    assert tqhw("train", "tagger.yaml", "--out", "runs/tagger", "--trust").exit_code == 0
    answer = json.loads(tqhw("eval", "runs/tagger", "--model", "mynet:Tagger", "--json", "-").stdout)
    best = {row["bits"]: row["value"] for row in answer["accuracy"] if row["weights"] == "shifted"}
    assert {row["metric"] for row in answer["accuracy"]} == {"token_accuracy"}
    assert {*best} == {2, 4, 8} and best[8] > 60.0, "a third is what guessing gives"
    assert all(row["verified"] for row in answer["accuracy"] if row["weights"] == "shifted")


def test_the_regressor_of_the_page_is_better_than_the_mean(of_the_page: Path) -> None:
    told = tqhw("train", "diabetes.yaml", "--out", "runs/d", "--trust", "--set", "training.seeds=1")
    assert told.exit_code == 0, told.output
    answer = json.loads(tqhw("eval", "runs/d", "--model", "mynet:Regressor", "--json", "-").stdout)
    found = {row["bits"]: row["value"] for row in answer["accuracy"] if row["weights"] == "shifted"}
    assert {row["metric"] for row in answer["accuracy"]} == {"rmse"} and found[8] < 77.0
