import pytest

torch = pytest.importorskip("torch")

from tqhw.train import TrainConfig  # noqa: E402
from tqhw.train.optimizer import learning_rate, make_optimizer, set_learning_rate  # noqa: E402


def rates(config, per_epoch=10):
    return [learning_rate(config, step, per_epoch) for step in range(config.epochs * per_epoch)]


def test_cosine_falls_from_the_peak_towards_zero():
    curve = rates(TrainConfig(epochs=2, learning_rate=0.1))
    assert curve[0] == 0.1 and curve[10] == pytest.approx(0.05) and 0 < curve[-1] < 0.001
    assert curve == sorted(curve, reverse=True)


def test_steps_divide_by_ten_at_the_milestones():
    curve = rates(TrainConfig(epochs=4, learning_rate=1.0, schedule="step", milestones=(0.5, 0.75)))
    assert curve[19:21] == pytest.approx([1.0, 0.1]) and curve[29:31] == pytest.approx([0.1, 0.01])


def test_warm_up_rises_to_the_peak_and_leaves_the_rest_to_the_schedule():
    curve = rates(TrainConfig(epochs=2, learning_rate=1.0, warmup_epochs=0.5))
    assert curve[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert curve[5] == 1.0 and curve[6] < 1


def test_the_optimizer_is_the_one_that_was_asked_for():
    model = torch.nn.Linear(1, 1)
    sgd = make_optimizer(model, TrainConfig(momentum=0.7, weight_decay=0.2))
    assert isinstance(sgd, torch.optim.SGD) and sgd.defaults["momentum"] == 0.7
    adamw = make_optimizer(model, TrainConfig(optimizer="adamw", momentum=0.7, weight_decay=0.2))
    assert isinstance(adamw, torch.optim.AdamW) and adamw.defaults["betas"] == (0.7, 0.999)
    assert sgd.defaults["weight_decay"] == adamw.defaults["weight_decay"] == 0.2
    assert set_learning_rate(sgd, TrainConfig(), 0, 10) == sgd.param_groups[0]["lr"] == 0.1
