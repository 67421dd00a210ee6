import pytest

torch = pytest.importorskip("torch")

from tests.quant.nets import tiny  # noqa: E402
from tqhw.datasets import TensorData, digits  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.quant import FULL, QuantConfig, convert  # noqa: E402
from tqhw.train import TrainConfig, evaluate_requantized, train  # noqa: E402

LINEAR = QuantConfig(precisions=(2, 8), first=None, last=None)
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
    assert [sorted(epoch.losses) for epoch in result.history] == [[2, 4, FULL]] * 6
    for accuracy in evaluate_requantized(result.model, digits(), (2, 4, FULL)):
        assert accuracy.top1 > 80, accuracy


def test_same_seed_same_weights_whatever_else():
    torch.manual_seed(11)
    torch.set_num_threads(1)
    first = trained(TrainConfig(epochs=1, batch_size=64, threads=2))
    torch.rand(5)
    torch.set_num_threads(2)
    second = trained(TrainConfig(epochs=1, batch_size=64, threads=2))
    assert equal(weights(first), weights(second)) and first.history == second.history
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
        {"accumulation": 2},
        {"optimizer": "adamw"},
        {"schedule": "step", "milestones": (0.5,)},
        {"warmup_epochs": 0.3},
        {"label_smoothing": 0.1},
        {"arithmetic": "bfloat16"},
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
    assert list(result.history[0].losses) == [FULL]


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(TqhwError, match=r"1347 training images do not fill a batch of 2000 \(use at most 1347\)"):
        train(tiny(), digits(), TrainConfig(batch_size=2000))


def test_a_batch_that_cannot_be_shared_is_refused():
    with pytest.raises(TqhwError, match=r"64 images cannot be shared by 1 processes in 3 parts \(use a multiple of 3"):
        train(tiny(), digits(), TrainConfig(batch_size=64, accumulation=3))


def test_accumulation_adds_up_to_the_whole_batch():
    """Without batch norms the parts of a batch have the gradient of the whole."""

    def after(accumulation):
        model = convert(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10)), LINEAR)
        config = TrainConfig(epochs=1, batch_size=60, accumulation=accumulation, threads=1)
        return train(model, digits(), config)

    with torch.random.fork_rng():
        torch.manual_seed(0)
        whole = after(1)
        torch.manual_seed(0)
        parts = after(4)
    for bits in (2, 8):
        assert whole.history[0].losses[bits] == pytest.approx(parts.history[0].losses[bits], abs=1e-4)
        assert whole.history[0].top1[bits] == pytest.approx(parts.history[0].top1[bits], abs=0.2)


def test_a_loss_that_is_not_finite_names_where_it_came_from():
    x, y = torch.full((8, 1, 8, 8), float("nan")), torch.zeros(8, dtype=torch.int64)
    with pytest.raises(TqhwError, match=r"became \[nan\] at \[32\] bits in step 0, through the input images"):
        train(tiny(), TensorData("broken", 10, x, y, x, y), TrainConfig(epochs=1, batch_size=8))
    model = convert(tiny(), LINEAR)
    model.bn2.bias.data[0] = float("nan")
    with pytest.raises(TqhwError, match=r"became \[nan, nan\] at \[8, 2\] bits in step 0, through layer 'bn2'"):
        train(model, digits(), QUICK)
    model = convert(tiny(), QuantConfig(last=None))
    model.conv2.parametrizations.weight.original.data[0] = float("inf")
    with pytest.raises(TqhwError, match=r"through layer 'conv2' .try a lower learning rate"):
        train(model, digits(), QUICK)
