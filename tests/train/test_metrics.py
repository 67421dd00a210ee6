import pytest

torch = pytest.importorskip("torch")
np = pytest.importorskip("numpy")

from tqhw.datasets import IGNORED  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.train import METRICS, TrainConfig  # noqa: E402
from tqhw.train.interval import bootstrap  # noqa: E402
from tqhw.train.metrics import metric_of, metric_of_targets  # noqa: E402


def value(name, outputs, targets):
    metric = METRICS[name]
    return metric.value(metric.sums(outputs, targets))


def test_each_against_its_formula():
    found, wanted = torch.tensor([1.0, 2.0, 4.0]), torch.tensor([1.0, 4.0, 1.0])
    errors = (found - wanted).double()
    assert value("rmse", found, wanted) == pytest.approx(float(errors.square().mean().sqrt()))
    assert value("mae", found, wanted) == pytest.approx(float(errors.abs().mean()))
    from sklearn.metrics import r2_score

    assert value("r2", found, wanted) == pytest.approx(r2_score(wanted, found))
    logits = torch.tensor([[2.0, 1.0], [0.0, 3.0], [1.0, 0.0]])
    assert value("accuracy", logits, torch.tensor([0, 1, 1])) == pytest.approx(200 / 3)
    assert value("label_accuracy", logits - 1, torch.tensor([[1.0, 0], [0, 1], [1, 0]])) == pytest.approx(500 / 6)


def test_what_is_masked_does_not_count():
    logits = torch.eye(3).expand(2, 3, 3)
    labels = torch.tensor([[0, 1, IGNORED], [1, IGNORED, IGNORED]])
    assert value("token_accuracy", logits, labels) == pytest.approx(200 / 3)
    assert value("rmse", torch.zeros(3), torch.tensor([3.0, float("nan"), 4.0])) == pytest.approx(12.5**0.5)


def test_directions():
    assert {name for name, metric in METRICS.items() if metric.lower_is_better} == {"rmse", "mae"}
    assert METRICS["rmse"].better(1.0, 2.0) and METRICS["r2"].better(0.9, 0.5) and not METRICS["accuracy"].better(1, 2)


def test_the_metric_goes_with_loss_and_targets():
    labels, tokens, numbers = torch.zeros(2).long(), torch.zeros(2, 3).long(), torch.zeros(2)
    assert metric_of(TrainConfig(), labels).name == "accuracy"
    assert metric_of(TrainConfig(), tokens).name == "token_accuracy"
    assert metric_of(TrainConfig(loss="mse"), numbers).name == "rmse"
    assert metric_of(TrainConfig(loss="mse", metric="r2"), numbers).name == "r2"
    names = [metric_of_targets(targets).name for targets in (labels, tokens, numbers)]
    assert names == ["accuracy", "token_accuracy", "rmse"]
    with pytest.raises(TqhwError, match=r"training.metric: unknown metric 'acuracy' \(did you mean 'accuracy'\?"):
        metric_of(TrainConfig(metric="acuracy"), labels)
    with pytest.raises(TqhwError, match=r"accuracy is of labels, but the targets are numbers .use rmse, mae or r2"):
        metric_of(TrainConfig(loss="mse", metric="accuracy"), numbers)
    with pytest.raises(TqhwError, match=r"training.metric: r2 is of numbers, but cross_entropy learns labels .use acc"):
        metric_of(TrainConfig(metric="r2"), labels)
    assert metric_of(TrainConfig(loss="mse"), labels).name == "rmse", "ratings, say"
    with pytest.raises(
        TqhwError, match=r"accuracy is of one label per sample, these are of shape \[2, 3\] .use token_ac"
    ):
        METRICS["accuracy"].sums(torch.zeros(2, 3, 4), tokens)


def test_intervals_cover_what_they_should_and_are_always_the_same():
    drawn = torch.Generator().manual_seed(0)
    metric, inside = METRICS["rmse"], 0
    for _ in range(60):
        errors = torch.randn(120, generator=drawn)
        rows = metric.sums(errors, torch.zeros(120))
        low, high = metric.interval(rows)
        assert low < metric.value(rows) < high and (low, high) == metric.interval(rows)
        inside += low < 1.0 < high
    assert 52 <= inside <= 60, "of 95 % intervals of a deviation of 1"


def test_positions_of_one_sample_stay_together():
    """Ten samples whose ten positions are all right or all wrong know as much as ten numbers, not as a hundred."""
    metric, right = METRICS["token_accuracy"], torch.tensor([1.0] * 5 + [0.0] * 5)
    rows = torch.stack([10 * right, torch.full((10,), 10.0)], dim=1).double()
    low, high = bootstrap(rows, metric.of)
    assert high - low >= 50
