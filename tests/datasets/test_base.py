import pytest

torch = pytest.importorskip("torch")

from tqhw.datasets import TensorData, digits  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402


def numbered(count=10, augment=None):
    pictures = torch.arange(count, dtype=torch.float32).reshape(count, 1, 1, 1)
    labels = torch.arange(count) % 3
    return TensorData("numbered", 3, pictures, labels, pictures[:4], labels[:4], augment)


def order(data, seed=0, epoch=0):
    return [int(x) for images, _ in data.train_batches(3, seed, epoch) for x in images]


def test_digits_are_split_and_scaled():
    data = digits()
    assert (data.classes, data.input_shape, data.train_size) == (10, (1, 8, 8), 1347)
    assert sum(len(labels) for _, labels in data.test_batches(100)) == 450
    assert data.train_images.min() == -1 and data.train_images.max() == 1
    assert data.test_labels.bincount().min() >= 43, "the classes are spread alike over both parts"


def test_digits_can_be_enlarged():
    assert digits(16).input_shape == (1, 16, 16)
    assert digits(16).test_images.mean() == pytest.approx(float(digits().test_images.mean()), abs=0.02)
    with pytest.raises(TqhwError, match=r"digits of 7x7 pixels lose what they show"):
        digits(7)


def test_seed_and_epoch_decide_the_order():
    data = numbered()
    torch.manual_seed(0)
    first = order(data)
    torch.manual_seed(1)
    assert order(data) == first
    assert order(data, epoch=1) != first
    assert order(data, seed=1) != first
    assert len(set(first)) == 9, "each picture at most once, the incomplete batch dropped"


def test_labels_stay_with_their_images_and_augmentation_is_seeded():
    data = numbered(augment=lambda x, generator: x + 100 * torch.rand(len(x), 1, 1, 1, generator=generator).round())
    batches = list(data.train_batches(3, 0, 0))
    assert all(torch.equal(images.flatten().long() % 100 % 3, labels) for images, labels in batches)
    assert any((images >= 100).any() for images, _ in batches)
    assert all(torch.equal(one[0], other[0]) for one, other in zip(batches, data.train_batches(3, 0, 0), strict=True))


def test_the_test_part_is_whole_and_in_order():
    assert [len(labels) for _, labels in numbered().test_batches(3)] == [3, 1]


def test_labels_out_of_range_and_misfitting_shapes_are_refused():
    x, y = torch.zeros(4, 1, 2, 2), torch.tensor([0, 1, 2, 3])
    with pytest.raises(TqhwError, match=r"shop: the training labels go from 0 to 3, but there are 3 classes"):
        TensorData("shop", 3, x, y, x, y)
    with pytest.raises(TqhwError, match=r"the test labels go from -1 to 3"):
        TensorData("shop", 4, x, y, x, torch.tensor([0, 1, -1, 3]))
    with pytest.raises(TqhwError, match=r"shapes \(4, 1, 2, 2\) and \(3,\) are no test set"):
        TensorData("shop", 4, x, y, x, y[:3])
