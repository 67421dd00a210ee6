"""442 patients with diabetes (Efron et al., Annals of Statistics 32, 2004), which scikit-learn carries."""

from __future__ import annotations

import torch

from tqhw.datasets.samples import SampleData


def diabetes(split: int = 0) -> SampleData:
    """Ten numbers of each, scaled to a deviation of 1, and how far the disease came within a year: from 25 to 346.

    A quarter tests, and ``split`` alone decides which.
    """
    from sklearn.datasets import load_diabetes
    from sklearn.model_selection import train_test_split

    rows, targets = load_diabetes(return_X_y=True)
    parts = train_test_split(rows * len(rows) ** 0.5, targets, test_size=0.25, random_state=split)
    train_x, test_x, train_y, test_y = (torch.as_tensor(part, dtype=torch.float32) for part in parts)
    return SampleData("diabetes", 0, train_x, train_y, test_x, test_y)
