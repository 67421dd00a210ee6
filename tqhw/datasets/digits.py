"""The embedded data set: scikit-learn's 1,797 handwritten digits of 8x8 pixels, 10 classes."""

from __future__ import annotations

import torch
from torch.nn import functional

from tqhw.datasets.base import TensorData
from tqhw.errors import TqhwError

LARGEST = 512


def digits(size: int = 8, test_share: float = 0.25, seed: int = 0) -> TensorData:
    """Digits of (1, size, size), scaled from 0..16 to [-1, 1], a quarter of them for testing.

    The split is stratified and depends on ``seed`` alone. Other sizes than 8 are interpolated bilinearly.
    """
    if size > LARGEST:
        raise TqhwError(
            f"digits of {size}x{size} pixels have no more to show than those of 8x8",
            place="size",
            lever=f"use {LARGEST} or less",
        )
    if size < 8:
        raise TqhwError(f"digits of {size}x{size} pixels lose what they show", place="size", lever="use 8 or more")
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(
        images, labels, test_size=test_share, random_state=seed, stratify=labels
    )

    def pixels(flat: object) -> torch.Tensor:
        square = torch.as_tensor(flat, dtype=torch.float32).reshape(-1, 1, 8, 8) / 8 - 1
        if size == 8:
            return square
        return functional.interpolate(square, size=(size, size), mode="bilinear", align_corners=False)

    def classes(numbers: object) -> torch.Tensor:
        return torch.as_tensor(numbers, dtype=torch.int64)

    return TensorData("digits", 10, pixels(train_x), classes(train_y), pixels(test_x), classes(test_y))
