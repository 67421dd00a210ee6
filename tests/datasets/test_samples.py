import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tqhw.datasets import IGNORED, SampleData, TensorData, calibration, digits, example, held_out, open_dataset  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402


def written(folder, **arrays):
    path = folder / "x.npz"
    np.savez(path, **arrays)
    return path


def tagged(rows=6, positions=4, **changes):
    found = {}
    for part, count in (("train", rows), ("test", 3)):
        ids = np.arange(count * positions).reshape(count, positions)
        found |= {f"{part}_input_ids": ids, f"{part}_attention_mask": np.ones_like(ids), f"{part}_labels": ids % 5}
    return found | changes


def opened(folder, **changes):
    arrays = {name: array for name, array in tagged(**changes).items() if array is not None}
    return open_dataset("samples", {"path": written(folder, **arrays)})


def test_token_ids_with_masks(tmp_path):
    data = opened(tmp_path, train_mask=np.tile([1, 1, 1, 0], (6, 1)))
    assert (data.classes, data.train_size, data.input_shape) == (5, 6, ())
    inputs, targets = next(data.train_batches(4, 0, 0))
    assert {name: (x.shape, x.dtype) for name, x in inputs.items()} == {
        "input_ids": ((4, 4), torch.int64),
        "attention_mask": ((4, 4), torch.int64),
    }
    assert (targets[:, 3] == IGNORED).all() and (targets[:, :3] == inputs["input_ids"][:, :3] % 5).all()
    assert [len(targets) for _, targets in data.test_batches(2)] == [2, 1]


def test_one_array_alone_is_the_models_input(tmp_path):
    rows = np.random.default_rng(0).random((5, 3))
    path = written(tmp_path, train_x=rows, train_y=rows[:, 0], test_x=rows[:2], test_targets=rows[:2, 0])
    data = open_dataset("samples", {"path": path})
    inputs, targets = example(data, 7)
    assert (inputs.shape, inputs.dtype, targets.dtype, data.classes) == ((7, 3), torch.float32, torch.float32, 0)
    calibrated = calibration(f"samples:{path}", samples=4)
    assert calibrated.samples == 4 and calibrated.batches[0].shape == (4, 3)


def test_the_order_is_the_seeds_and_the_epochs():
    data = open_dataset("diabetes", {"split": 1})
    orders = [[y.tolist() for _, y in data.train_batches(8, *key)] for key in ((0, 0), (0, 0), (0, 1), (1, 0))]
    assert orders[0] == orders[1] != orders[2] != orders[3]
    shares = [[y.tolist() for _, y in data.train_batches(8, 0, 0, rank, 2)] for rank in range(2)]
    assert [a[::2] for a in orders[0]] == shares[0] and [a[1::2] for a in orders[0]] == shares[1]


def test_the_diabetes_data_are_scikit_learns():
    data = open_dataset("diabetes", {})
    both = torch.cat([data.train_targets, data.test_targets])
    assert (len(data.train_targets), len(data.test_targets), both.min(), both.max()) == (331, 111, 25, 346)
    scaled = torch.cat([data.train_inputs, data.test_inputs])
    assert scaled.std(dim=0, correction=0).allclose(torch.ones(10), atol=1e-5)
    assert not torch.equal(data.test_targets, open_dataset("diabetes", {"split": 1}).test_targets)


@pytest.mark.parametrize("name", ["images", "samples"])
def test_what_is_held_out_is_trained_on_no_more_and_tests_nothing(name):
    data = digits() if name == "images" else open_dataset("diabetes", {})
    rest, held = held_out(data, 0.25, seed=3)
    count = round(0.25 * data.train_size)
    assert (rest.train_size, held.train_size) == (data.train_size - count, count)

    def rows(batches):
        return {(*x.flatten().tolist(), float(y)) for xs, ys in batches for x, y in zip(xs, ys, strict=True)}

    trained, validated = rows(rest.train_batches(1, 0, 0)), rows(held.test_batches(16))
    assert trained | validated == rows(data.train_batches(1, 0, 0)) and not trained & validated
    again = [rows(held_out(data, 0.25, seed)[1].test_batches(16)) for seed in (3, 4)]
    assert again[0] == validated != again[1]


def test_a_data_set_that_cannot_be_split_is_refused():
    class Bare:
        name, classes, train_size, input_shape = "bare", 2, 8, (1, 2, 2)

    with pytest.raises(TqhwError, match=r"training.validation: data set bare cannot be split .give it a method part"):
        held_out(Bare(), 0.5, 0)
    x, y = torch.zeros(4, 1, 2, 2), torch.zeros(4).long()
    with pytest.raises(
        TqhwError, match=r"validation.share: a share of 0.1 of 4 training samples leaves one side empty"
    ):
        held_out(TensorData("few", 2, x, y, x, y), 0.1, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"train_mask": np.ones((6, 3))},
            r"train_mask: a mask of shape \[6, 3\] does not say which targets of shape \[6, 4\]",
        ),
        ({"train_mask": np.full((6, 4), 2)}, r"train_mask: holds something else than 0 and 1"),
        ({"train_mask": np.zeros((6, 4), int)}, r"no label counts: every one is masked"),
        (
            {"test_attention_mask": np.ones((3, 5), int)},
            r"inputs attention_mask: a mask of shape \[3, 5\] fits no other input",
        ),
        ({"train_labels": None}, r"holds no array 'train_labels' \(or label, targets, target, y\)"),
        ({"train_y": np.zeros(6)}, r"holds several targets: labels, y"),
        (
            {"train_labels": np.full((6, 4), -1)},
            r"labels go from -1 to -1, but there are 5 classes .number them from 0",
        ),
        ({"train_labels": np.zeros((5, 4), int)}, r"an input of shape \[6, 4\] does not belong to 5 targets"),
        ({"train_attention_mask": None}, r"training and test samples differ"),
        ({"train_input_ids": np.full((6, 4), np.nan)}, r"24 of 24 numbers are NaN or infinite"),
        (
            {"train_labels": np.full(6, np.nan), "test_labels": np.zeros(3)},
            r"train_labels: targets are NaN .say by train_mask",
        ),
        (
            {"train_labels": np.full((6, 4), "a")},
            r"train_labels: an array of <U1 and shape \[6, 4\] holds no numbers .give whole or real numbers",
        ),
    ],
)
def test_what_does_not_fit_together_is_said(tmp_path, changes, message):
    with pytest.raises(TqhwError, match=message):
        opened(tmp_path, **changes)


def test_more_classes_may_be_said_than_there_are_and_fewer_not(tmp_path):
    path = written(tmp_path, **tagged())
    assert open_dataset("samples", {"path": path, "classes": 9}).classes == 9
    with pytest.raises(TqhwError, match=r"labels go from 0 to 4, but there are 3 classes"):
        open_dataset("samples", {"path": path, "classes": 3})


def test_arrays_of_the_other_byte_order_are_read(tmp_path):
    swapped = {name: array.astype(array.dtype.newbyteorder()) for name, array in tagged().items()}
    one, other = opened(tmp_path, **swapped), opened(tmp_path)
    assert torch.equal(next(one.test_batches(8))[1], next(other.test_batches(8))[1])


def test_nothing_is_no_data_set(tmp_path):
    x = torch.zeros(0, 3)
    with pytest.raises(TqhwError, match="does not belong to 0 targets"):
        SampleData("empty", 0, x, torch.zeros(0), x, torch.zeros(0))
    with pytest.raises(TqhwError, match=r"no\.npz: cannot be read: No such file"):
        open_dataset("samples", {"path": tmp_path / "no.npz"})
