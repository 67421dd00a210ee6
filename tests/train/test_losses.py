import math
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
from torch.nn import functional  # noqa: E402

from tqhw.datasets import IGNORED  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.train import LOSSES, Loss, TrainConfig  # noqa: E402
from tqhw.train.losses import alike, by_label, loss_of  # noqa: E402

NAMES = ("cross_entropy", "mse", "l1", "huber", "bce_with_logits")


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_names_and_the_metrics_that_go_with_them():
    assert {name: LOSSES[name].metric for name in NAMES} == {
        "cross_entropy": "accuracy",
        "mse": "rmse",
        "l1": "mae",
        "huber": "rmse",
        "bce_with_logits": "label_accuracy",
    }


@pytest.mark.parametrize("shape", [(6, 3), (4, 5, 3)])
def test_cross_entropy_is_that_of_every_position(shape):
    outputs, labels = drawn(*shape), torch.arange(math.prod(shape[:-1])).reshape(shape[:-1]) % 3
    wanted = functional.cross_entropy(outputs.reshape(-1, 3), labels.reshape(-1))
    assert torch.equal(LOSSES["cross_entropy"](outputs, labels), wanted)


def test_classes_are_the_last_axis_of_sequences_and_the_second_of_pictures():
    square = drawn(2, 4, 4)  # four positions of four classes: the last axis are the classes
    rows, labels = by_label(square, torch.zeros(2, 4, dtype=torch.int64))
    assert torch.equal(rows, square.reshape(8, 4)) and labels.shape == (8,)
    rows, _ = by_label(drawn(2, 3, 5, 5), torch.zeros(2, 5, 5, dtype=torch.int64))
    assert rows.shape == (50, 3)
    sequence = drawn(2, 7, 5)
    rows, _ = by_label(sequence, torch.zeros(2, 5, dtype=torch.int64))  # as PyTorch has it
    assert torch.equal(rows, sequence.movedim(1, -1).reshape(10, 7))


def test_what_is_masked_does_not_count():
    outputs, labels = drawn(2, 3, 4), torch.tensor([[0, 1, IGNORED], [2, IGNORED, IGNORED]])
    counted = torch.stack([outputs[0, 0], outputs[0, 1], outputs[1, 0]])
    assert torch.equal(
        LOSSES["cross_entropy"](outputs, labels), functional.cross_entropy(counted, torch.tensor([0, 1, 2]))
    )
    numbers = torch.tensor([1.0, float("nan"), 3.0])
    assert LOSSES["mse"](torch.zeros(3), numbers).item() == 5.0
    nothing = LOSSES["cross_entropy"](outputs.requires_grad_(), torch.full((2, 3), IGNORED))
    nothing.backward()
    assert nothing.item() == 0.0 and not outputs.grad.any()


def test_a_column_and_a_row_are_not_broadcast():
    """(N, 1) against (N,) would be N x N differences, silently."""
    outputs, targets = drawn(5, 1), drawn(5, seed=1)
    assert torch.equal(LOSSES["mse"](outputs, targets), functional.mse_loss(outputs[:, 0], targets))
    with pytest.raises(
        TqhwError, match=r"loss: outputs of shape \[5, 2\] are not of the targets' shape \[5\] .let the"
    ):
        alike(drawn(5, 2), targets)


@pytest.mark.parametrize("name", NAMES)
def test_a_lower_precision_learns_from_the_next_higher_one(name):
    loss = LOSSES[name]
    labels = torch.tensor([0, 1, 2, 0]) if loss.reads == "labels" else torch.rand(4, 3)
    teacher, student = drawn(4, 3), drawn(4, 3, seed=1).requires_grad_()
    loss.from_teacher(student, teacher, labels).backward()
    assert student.grad.abs().sum() > 0
    same = teacher.clone().requires_grad_()
    loss.from_teacher(same, teacher, labels).backward()
    assert same.grad.abs().max() < 1e-6, "who answers as the teacher has nothing to learn"


def test_an_object_that_learns_from_targets_alone_says_so():
    mine = Loss("mine", lambda outputs, targets: (outputs - targets).abs().max())
    assert mine(torch.tensor([1.0, 5.0]), torch.tensor([2.0, 2.0])).item() == 3.0
    with pytest.raises(TqhwError, match=r"training.distillation: loss mine does not say how one precision learns from"):
        mine.from_teacher(torch.zeros(2), torch.zeros(2), torch.zeros(2))


def test_the_sum_is_that_of_what_counts():
    outputs, labels = drawn(3, 4).double(), torch.tensor([1, IGNORED, 2])
    total, count = LOSSES["cross_entropy"].total(outputs, labels)
    assert count == 2 and torch.equal(total, functional.cross_entropy(outputs[[0, 2]], labels[[0, 2]], reduction="sum"))
    mine = Loss("mine", lambda found, wanted: (found - wanted).square().mean())
    assert mine.total(torch.tensor([1.0, 3.0]), torch.zeros(2)) == (10.0, 2)


def test_smoothing_is_of_labels():
    smoothed = loss_of(TrainConfig(label_smoothing=0.2))
    outputs, labels = drawn(4, 3), torch.tensor([0, 1, 2, 0])
    assert torch.equal(smoothed(outputs, labels), functional.cross_entropy(outputs, labels, label_smoothing=0.2))
    with pytest.raises(TqhwError, match=r"label_smoothing: loss mse has no labels to smooth .leave it out"):
        replace(TrainConfig(label_smoothing=0.2), loss="mse")


def test_an_unknown_loss_is_answered_with_the_nearest():
    with pytest.raises(
        TqhwError, match=r"training.loss: unknown loss 'cross_entropi' \(did you mean 'cross_entropy'\?"
    ):
        loss_of(TrainConfig(loss="cross_entropi"))


@pytest.mark.parametrize(
    ("name", "outputs", "targets", "classes", "message"),
    [
        ("cross_entropy", drawn(4, 3), torch.rand(4), 0, r"learns labels, but the targets are numbers .use loss mse"),
        ("cross_entropy", drawn(4, 6, 2), torch.zeros(4, 6).long(), 3, r"4 samples with \(4, 6, 2\), but there are 3"),
        ("cross_entropy", drawn(4), torch.zeros(4).long(), 3, r"shape \[4\] are no classes of labels of shape \[4\]"),
        ("mse", drawn(4, 2), torch.rand(4, 3), 0, r"outputs of shape \[4, 2\] are not of the targets' shape \[4, 3\]"),
        ("bce_with_logits", drawn(4), torch.tensor([0.0, 1, 2, 3]), 0, "targets from 0 to 1, these go from 0 to 3"),
    ],
)
def test_what_does_not_fit_is_said(name, outputs, targets, classes, message):
    with pytest.raises(TqhwError, match=f"^data x: .*{message}"):
        LOSSES[name].check(outputs, targets, classes, "data x")
