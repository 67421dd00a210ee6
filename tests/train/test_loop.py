import pytest

torch = pytest.importorskip("torch")

from tests.quant.nets import tiny  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.quant import FULL, QuantConfig, convert  # noqa: E402
from tqhw.train import TensorData, TrainConfig, digits, evaluate_requantized, train  # noqa: E402
from tqhw.train.loop import cosine  # noqa: E402

QUICK = TrainConfig(epochs=1, batch_size=64, threads=1)


def trained(config=QUICK, scheme="truncquant", precisions=(2, 8), progress=None):
    model = convert(tiny(), QuantConfig(scheme, precisions, first=None, last=None))
    return train(model, digits(), config, progress)


def weights(result):
    return result.model.state_dict()


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_training_teaches_every_precision():
    result = trained(TrainConfig(epochs=6, batch_size=32, threads=1), precisions=(2, 4, FULL))
    assert [sorted(epoch) for epoch in result.losses] == [[2, 4, FULL]] * 6
    for accuracy in evaluate_requantized(result.model, digits(), (2, 4, FULL)):
        assert accuracy.top1 > 80, accuracy


def test_same_seed_same_weights_whatever_else():
    torch.manual_seed(11)
    torch.set_num_threads(1)
    first = trained(TrainConfig(epochs=1, batch_size=64, threads=2))
    torch.rand(5)
    torch.set_num_threads(2)
    second = trained(TrainConfig(epochs=1, batch_size=64, threads=2))
    assert equal(weights(first), weights(second)) and first.losses == second.losses
    assert torch.get_num_threads() == 2
    assert not equal(weights(first), weights(trained(TrainConfig(1, 64, seed=1, threads=2))))


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": 0.2},
        {"momentum": 0.5},
        {"weight_decay": 0.1},
        {"distillation": "none"},
        {"batch_size": 32},
    ],
)
def test_every_option_changes_the_result(change):
    options = {"epochs": 1, "batch_size": 64, "threads": 1, **change}
    assert not equal(weights(trained()), weights(trained(TrainConfig(**options))))


def test_gradient_and_scheme_change_the_result():
    models = [
        train(convert(tiny(), QuantConfig(scheme, (2, 8), gradient=gradient)), digits(), QUICK).model
        for scheme, gradient in (("truncquant", "paper"), ("truncquant", "plain"), ("dorefa", None))
    ]
    states = [model.state_dict() for model in models]
    assert not equal(states[0], states[1]) and not equal(states[1], states[2])


def test_progress_is_told_after_every_step():
    seen = []
    trained(progress=seen.append)
    assert [p.step for p in seen] == list(range(1, 22))
    assert {p.steps for p in seen} == {21} and set(seen[0].losses) == {2, 8}


def test_a_plain_model_trains_too():
    result = train(tiny(), digits(), QUICK)
    assert list(result.losses[0]) == [FULL]


def test_cosine_falls_from_the_peak_to_zero():
    assert cosine(0.1, 0, 10) == 0.1
    assert cosine(0.1, 5, 10) == pytest.approx(0.05)
    assert cosine(0.1, 10, 10) == pytest.approx(0)


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(TqhwError, match=r"1347 training images do not fill a batch of 2000 \(use at most 1347\)"):
        train(tiny(), digits(), TrainConfig(batch_size=2000))


def test_a_loss_that_is_not_finite_stops_the_run():
    x, y = torch.full((8, 1, 8, 8), float("nan")), torch.zeros(8, dtype=torch.int64)
    with pytest.raises(TqhwError, match=r"the loss is .*nan.* in step 0"):
        train(tiny(), TensorData("broken", 10, x, y, x, y), TrainConfig(epochs=1, batch_size=8))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs: 0 is not a positive number"),
        ({"learning_rate": -1.0}, "learning_rate: -1.0 is not a positive number"),
        ({"distillation": "recursiv"}, "did you mean 'recursive'"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(TqhwError, match=message):
        TrainConfig(**options)
