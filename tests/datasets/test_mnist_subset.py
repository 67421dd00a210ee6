import pytest

pytest.importorskip("torch")

import torch

from tqhw.datasets.mnist_subset import mnist_subset
from tqhw.errors import TqhwError


def test_it_is_split_evenly_and_anew_by_number():
    found, other = mnist_subset(14), mnist_subset(14, split=1)
    assert (found.train_size, found.classes, found.input_shape) == (4000, 10, (1, 14, 14))
    assert torch.bincount(found.test_labels).tolist() == [100] * 10
    assert not torch.equal(found.test_images, other.test_images)
    assert torch.equal(found.test_images, mnist_subset(14).test_images)
    assert found.train_images.min() == -1 and found.train_images.max() <= 1


def test_smaller_pictures_are_means_of_pixels():
    whole, half = mnist_subset(), mnist_subset(14)
    assert torch.allclose(half.test_images[0, 0, 3, 5], whole.test_images[0, 0, 6:8, 10:12].mean())
    for size in (16, 29, 4):
        with pytest.raises(TqhwError, match=f"size: pictures of 28x28 pixels do not become {size}x{size} .use 28, 14"):
            mnist_subset(size)
