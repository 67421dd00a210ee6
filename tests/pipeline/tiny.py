"""Networks so small that a whole run takes seconds, and some that cannot run."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Tiny(nn.Module):
    """Two convolutions with batch norm and a classifier, for digits of 8x8 pixels."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(2 * width)
        self.fc = nn.Linear(2 * width * 4, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.bn2(self.conv2(x)))
        logits: Tensor = self.fc(x.flatten(1))
        return logits


def net(width: int = 4) -> nn.Module:
    return Tiny(width)


def raising() -> nn.Module:
    raise RuntimeError("out of paper")


def unquantizable() -> nn.Module:
    return nn.Sequential(nn.ReLU(), nn.BatchNorm2d(1))


def lonely() -> nn.Module:
    return nn.Sequential(nn.ReLU(), nn.Linear(8, 8))


def poisoned() -> nn.Module:
    model = Tiny()
    with torch.no_grad():
        model.conv2.weight[0, 0, 0, 0] = float("nan")
    return model


class Recurrent(nn.Module):
    def __init__(self, linear: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(8, 8) if linear > 1 else nn.Identity()
        self.lstm, self.fc2 = nn.LSTM(8, 8), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.lstm(self.fc1(x))[0])  # type: ignore[no-any-return]


def recurrent(linear: int = 2) -> nn.Module:
    return Recurrent(linear)


def without_norms() -> nn.Module:
    """Two convolutions whose magnitude nothing gives back."""
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3, 2), nn.ReLU(), nn.Conv2d(4, 8, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 10)),
    )
