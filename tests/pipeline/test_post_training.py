"""A network that is quantized after its training, in an experiment: its accuracies beside its energies."""

import pytest

torch = pytest.importorskip("torch")
from safetensors.torch import save_file  # noqa: E402
from torch import nn  # noqa: E402

from tqhw.datasets import SampleData, calibrating, open_dataset  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.experiment import Experiment  # noqa: E402
from tqhw.options import read  # noqa: E402
from tqhw.pipeline import accuracy, networks  # noqa: E402
from tqhw.pipeline.run import run  # noqa: E402
from tqhw.system.progress import unwatched  # noqa: E402
from tqhw.train import TrainConfig, train  # noqa: E402

HERE = "tests.pipeline.test_post_training"


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(10, 32), nn.Linear(32, 32), nn.Linear(32, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 150 + 80 * self.c(torch.relu(self.b(torch.relu(self.a(x)))))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    config = TrainConfig(6, 32, optimizer="adamw", learning_rate=0.01, loss="mse")
    net = train(Net(), open_dataset("diabetes", {}), config).model
    path = tmp_path_factory.mktemp("float") / "net.safetensors"
    save_file(net.state_dict(), path)
    return path


def asked(weights, **changes):
    document = {
        "name": "after",
        "model": {"name": f"{HERE}:Net", "weights": str(weights)},
        "data": {"name": "diabetes"},
        "bits": [2, 4, 8],
        "quantize": {"samples": 128},
        "methods": ["truncquant", "fixed"],
        "spad_models": ["smartbuffer_rf"],
    }
    return read(Experiment, document | changes, "experiment")


def measured(asked):
    with accuracy.measuring(asked, None, 1) as pending:
        return {(row.scheme, row.bits): row for row in pending.rows(unwatched)}


def test_it_stands_beside_the_energies(weights):
    found = run(asked(weights))
    rows = {(row.scheme, row.bits): row for row in found.accuracy}
    assert {*rows} == {("truncquant", 2), ("truncquant", 4), ("truncquant", 8), ("fp32", 32)}
    assert {row.metric for row in found.accuracy} == {"rmse"} and {row.bits for row in found.energy} == {2, 4, 8}
    assert rows["truncquant", 8].value == pytest.approx(rows["fp32", 32].value, rel=0.02)
    assert rows["truncquant", 4].value < 1.25 * rows["fp32", 32].value
    assert any("no network was trained here" in note for note in found.notes)
    assert found.experiment["quantize"]["samples"] == 128 and found.experiment["data"]["name"] == "diabetes"


def test_every_choice_changes_something(weights):
    first = measured(asked(weights))
    for changed in ({"samples": 32}, {"data_free": True}, {"priorities": {2: 1000.0}}):
        assert measured(asked(weights, quantize=changed)) != first, changed
    other = measured(asked(weights, quantize={"samples": 128, "metric": "r2"}))
    assert {row.metric for row in other.values()} == {"r2"}
    assert measured(asked(weights)) == first, "twice the same"


def test_test_data_calibrate_nothing(weights, monkeypatch):
    calls = []
    whole = SampleData.test_batches
    monkeypatch.setattr(SampleData, "test_batches", lambda self, size: calls.append(size) or whole(self, size))
    batches = calibrating(open_dataset("diabetes", {}), 64, 16).batches
    assert [len(batch) for batch in batches] == [16] * 4 and not calls


def test_what_suits_a_trained_network_unless_it_is_said(weights):
    assert asked(weights).quantization.normalization.scales == "own" and asked(weights).quantization.last is None
    said = asked(weights, quantization={"granularity": "tensor"})
    assert said.quantization.granularity == "tensor" and said.quantization.normalization.kind == "linear"
    assert "quantize" not in read(Experiment, {"name": "x"}, "experiment").model_dump(mode="json")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training": {"epochs": 1}}, r"quantize: quantizes what is trained already, but there is a training"),
        ({"quantize": {"samples": 0}}, r"quantize.samples: 0 must be at least 1"),
        ({"quantize": {"priorities": {2: 0}}}, r"quantize.priorities.*0 must be more than 0"),
        ({"quantize": {"sample": 3}}, r"quantize.sample: unknown key 'sample' \(did you mean 'samples'"),
        ({"quantize": {"metric": "rsme"}}, r"quantize.metric: unknown metric 'rsme' \(did you mean 'rmse'"),
        ({"quantize": {"priorities": {3: 1.0}}}, r"priorities: the model has no 3 bits .it has 2, 4, 8"),
        ({"model": {"name": "resnet8"}}, r"quantize: resnet8 has random weights .name trained ones in model.weights"),
        ({"stored_bits": 4, "bits": [2]}, r"stored_bits: codes are made at 8 bits, not at 4"),
    ],
)
def test_what_does_not_fit_is_said(weights, changes, message):
    with pytest.raises(TqhwError, match=message):
        measured(asked(weights, **changes))


def test_nothing_is_trained_of_it(weights):
    with pytest.raises(TqhwError, match=r"quantize: quantizes without a training .tqhw run measures it"):
        networks.networks(asked(weights))


@pytest.mark.parametrize(
    ("inputs", "targets", "message"),
    [
        (torch.full((8, 10), float("nan")), torch.zeros(8), "NaN or infinite"),
        (torch.rand(8, 10), torch.ones(8, dtype=torch.int64), "all 8 samples are of class 1"),
    ],
)
def test_data_that_do_not_calibrate(inputs, targets, message):
    class Given:
        name, classes, train_size = "given", 2, 8

        def train_batches(self, size, seed, epoch):
            yield inputs[:size], targets[:size]

    with pytest.raises(TqhwError, match=f"data given: .*{message}"):
        calibrating(Given(), 8, 4)
