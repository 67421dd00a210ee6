import os
import signal
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from tests.quant.nets import tiny  # noqa: E402
from tqhw.datasets import SampleData, digits, open_dataset  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.options.training import Validation  # noqa: E402
from tqhw.quant import QuantConfig, convert  # noqa: E402
from tqhw.train import METRICS, Checkpoints, TrainConfig, evaluate_full, evaluate_requantized, extent_of, split, train  # noqa: E402
from tqhw.train.checkpoint import EpochRecord  # noqa: E402
from tqhw.train.validation import best_of, check_best  # noqa: E402

CONFIG = TrainConfig(epochs=3, batch_size=64, threads=1, validation=Validation(0.2, keep="best"))


class Dropping(nn.Module):
    """Digits with dropout, so that what is drawn in an epoch decides what comes after it."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.drop, self.b = nn.Linear(64, 24), nn.Dropout(0.3), nn.Linear(24, 10)

    def forward(self, x):
        return self.b(self.drop(torch.relu(self.a(x.flatten(1)))))


def dropping():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return convert(Dropping(), QuantConfig(precisions=(2, 8), first=None, last=None))


class NoTest:
    """A data set whose test part must not be read."""

    def __init__(self, data):
        self._data = data

    def __getattr__(self, name):
        if name.startswith("test"):
            raise AssertionError(f"{name} was read in training")
        return getattr(self._data, name)

    def part(self, train, test):
        return self._data.part(train, test)


def same(one, other):
    a, b = one.model.state_dict(), other.model.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_every_epoch_is_measured_on_what_is_held_out_and_test_data_are_never_read():
    result = train(tiny(), NoTest(digits()), replace(CONFIG, validation=Validation(0.2, every=2)))
    assert [sorted(record.validation) for record in result.history] == [[], [32], [32]]
    _, held = split(digits(), CONFIG)
    (value,) = [METRICS["accuracy"].value(_rows(result.model, held))]
    assert result.history[-1].validation[32] == value


def _rows(model, data):
    from tqhw.train.evaluate import answers_of, rows_of

    return rows_of(METRICS["accuracy"], answers_of(model, data, 256))


def test_validation_does_not_change_what_is_trained_on_the_rest():
    rest, _ = split(digits(), CONFIG)
    measured = train(dropping(), digits(), replace(CONFIG, validation=Validation(0.2)))
    assert same(measured, train(dropping(), rest, replace(CONFIG, validation=None)))


@pytest.mark.parametrize("kept", [True, False])
def test_the_best_epoch_is_kept_where_that_is_asked(tmp_path, kept):
    rising = replace(CONFIG, epochs=4, learning_rate=8.0, schedule="step", milestones=(0.9,))  # too much: it falls back
    keep = Checkpoints(tmp_path, {}) if kept else None
    best = train(dropping(), digits(), rising, keep=keep)
    number = best_of(best.history, METRICS["accuracy"])
    means = [sum(record.validation.values()) for record in best.history]
    assert means[number] == max(means) and number == means.index(max(means))
    _, held = split(digits(), rising)
    again = {row.bits: row.top1 for row in evaluate_requantized(best.model, held, (2, 8))}
    assert again == best.history[number].validation
    last = train(dropping(), digits(), replace(rising, validation=Validation(0.2)))
    assert same(best, last) == (number == 3)
    if kept:
        assert same(best, train(dropping(), digits(), rising, keep=keep, resume=True))


def record(*values):
    return EpochRecord(0, 0.1, {}, {}, validation=dict(enumerate(values, start=2)))


def test_the_best_is_that_of_the_metrics_direction_and_of_equal_ones_the_first():
    history = [record(3.0, 5.0), record(), record(4.0, 2.0), record(2.0, 4.0)]
    assert best_of(history, METRICS["accuracy"]) == 0
    assert best_of(history, METRICS["rmse"]) == 2
    nan = float("nan")
    assert best_of([record(nan), record(1.0), record(nan)], METRICS["accuracy"]) == 1


@pytest.mark.parametrize("die_at", [3, 10, 21, 25])
def test_a_run_killed_inside_an_epoch_goes_on_bit_for_bit(tmp_path, die_at):
    """Dropout, order and sums go on from the last step that was kept, not from the epoch's start."""

    class Killed(Exception):
        pass

    def watch(progress):
        if progress.step == die_at:
            raise Killed

    config, steps = replace(CONFIG, checkpoint_steps=4), []
    whole = train(dropping(), digits(), config, keep=Checkpoints(tmp_path / "whole", {}))
    keep = Checkpoints(tmp_path / "killed", {})
    with pytest.raises(Killed):
        train(dropping(), digits(), config, watch, keep=keep)
    resumed = train(dropping(), digits(), config, lambda p: steps.append(p.step), keep=keep, resume=True)
    per_epoch = 1078 // 64
    kept = (die_at - 1) // per_epoch * per_epoch + (die_at - 1) % per_epoch // 4 * 4
    assert steps[0] == kept + 1, "the steps after the checkpoint are done again, no more"
    assert same(whole, resumed) and whole.history == resumed.history
    for name in ("log.csv", "checkpoint.safetensors", "best.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_a_checkpoint_of_the_step_and_comes_through(tmp_path, number):
    class Ended(Exception):
        pass

    def ended(*_):
        raise Ended

    def watch(progress):
        if progress.step == 6:
            os.kill(os.getpid(), number)

    config, keep = replace(CONFIG, validation=None), Checkpoints(tmp_path / "a", {})
    whole = train(dropping(), digits(), config)
    before = signal.signal(number, ended)
    try:
        with pytest.raises(Ended):
            train(dropping(), digits(), config, watch, keep=keep)
        assert signal.getsignal(number) is ended
    finally:
        signal.signal(number, before)
    assert str(extent_of(keep.path)) == "epoch 0 of 3 and 6 steps"
    resumed = train(dropping(), digits(), config, keep=keep, resume=True)
    assert same(whole, resumed) and whole.history == resumed.history


def test_a_share_that_leaves_nothing_is_refused():
    with pytest.raises(TqhwError, match=r"share: 1.5 must be less than 1 \(Of the training samples"):
        Validation(share=1.5)
    few = SampleData("few", 0, torch.zeros(4, 2), torch.zeros(4), torch.zeros(4, 2), torch.zeros(4))
    with pytest.raises(TqhwError, match="leaves one side empty"):
        train(nn.Linear(2, 1), few, TrainConfig(1, 2, loss="mse", validation=Validation(0.01)))


def test_regression_learns_and_its_best_is_the_lowest():
    data = open_dataset("diabetes", {})
    net = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 1))
    config = TrainConfig(
        20, 32, optimizer="adamw", learning_rate=0.3, loss="mse", validation=Validation(0.2, keep="best"), threads=1
    )
    result = train(net, data, config)
    assert {record.metric for record in result.history} == {"rmse"}
    values = [record.validation[32] for record in result.history]
    assert best_of(result.history, METRICS["rmse"]) == values.index(min(values)) and min(values) < 75


def test_a_signal_at_an_epochs_last_step_leaves_the_whole_epoch(tmp_path):
    class Ended(Exception):
        pass

    def ended(*_):
        raise Ended

    def watch(progress):
        if progress.step == 1078 // 64:
            os.kill(os.getpid(), signal.SIGTERM)

    keep = Checkpoints(tmp_path, {})
    before = signal.signal(signal.SIGTERM, ended)
    try:
        with pytest.raises(Ended):
            train(dropping(), digits(), CONFIG, watch, keep=keep)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert str(extent_of(keep.path)) == "epoch 1 of 3" and keep.best.exists()
    assert same(train(dropping(), digits(), CONFIG, keep=keep, resume=True), train(dropping(), digits(), CONFIG))


def test_how_often_a_checkpoint_is_written_may_change_and_nothing_else(tmp_path):
    class Killed(Exception):
        pass

    def watch(progress):
        if progress.step == 20:
            raise Killed

    keep = Checkpoints(tmp_path, {})
    with pytest.raises(Killed):
        train(dropping(), digits(), CONFIG, watch, keep=keep)
    with pytest.raises(
        TqhwError, match=r"is of another run: training.validation.share is 0.2 in the checkpoint, 0.3 here"
    ):
        train(dropping(), digits(), replace(CONFIG, validation=Validation(0.3, keep="best")), keep=keep, resume=True)
    often = replace(CONFIG, checkpoint_steps=3)
    assert same(train(dropping(), digits(), often, keep=keep, resume=True), train(dropping(), digits(), CONFIG))


def test_the_best_of_another_training_is_refused(tmp_path):
    for name, seed in (("one", 0), ("other", 1)):
        train(dropping(), digits(), replace(CONFIG, seed=seed), keep=Checkpoints(tmp_path / name, {}))
    best = tmp_path / "one" / "best.safetensors"
    check_best(best, tmp_path / "one" / "checkpoint.safetensors")
    with pytest.raises(TqhwError, match=r"best.safetensors: is of another training, or of another epoch than the best"):
        check_best(best, tmp_path / "other" / "checkpoint.safetensors")


def test_a_metric_without_a_value_is_said():
    x = torch.randn(8, 10, generator=torch.Generator().manual_seed(0))
    alike = SampleData("alike", 0, x, torch.ones(8), x, torch.ones(8))
    with pytest.raises(TqhwError, match=r"training.metric: the r2 of these test samples is -inf .use another metric"):
        evaluate_full(nn.Linear(10, 1), alike, metric=METRICS["r2"])


def test_what_is_masked_is_no_sample_of_an_accuracy():
    labels = torch.tensor([0, 1, -100, -100])
    data = SampleData("masked", 2, torch.eye(4), labels, torch.eye(4), labels)
    assert evaluate_full(nn.Linear(4, 2), data).samples == 2
