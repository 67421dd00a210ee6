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


class Paired(nn.Module):
    """A bilinear form, which no problem is made of, between linear layers."""

    def __init__(self, linear: int) -> None:
        super().__init__()
        self.fc1 = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(1)) if linear > 1 else nn.Identity()
        self.pair, self.fc2 = nn.Bilinear(8, 8, 8), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc1(x)
        return self.fc2(self.pair(x, x))  # type: ignore[no-any-return]


def bilinear(linear: int = 2) -> nn.Module:
    return Paired(linear)


class Asked(nn.Module):
    """Words and a mask; a part of it depends on neither."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.fc1, self.fc2 = nn.Embedding(20, 8), nn.Linear(8, 8), nn.Linear(8, 4)
        self.side = nn.Linear(3, 8)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        x = self.words(ids) * mask[..., None] + self.side(torch.ones(3))
        return self.fc2(self.fc1(x).relu())  # type: ignore[no-any-return]


def asked(device: str = "cpu") -> nn.Module:
    with torch.device(device):
        return Asked()


def without_norms() -> nn.Module:
    """Two convolutions whose magnitude nothing gives back."""
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3, 2), nn.ReLU(), nn.Conv2d(4, 8, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 10)),
    )


class Writing(nn.Module):
    """One layer of a model that writes text, with a KV cache: eight tokens of eight numbers, two heads."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(16, 8)
        self.query, self.key, self.value, self.out = (nn.Linear(8, 8, bias=False) for _ in range(4))

    def forward(self, ids: Tensor, past_key_values: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, object]:
        x = self.embedding(ids)
        query, key, value = (layer(x).unflatten(-1, (2, 4)).transpose(1, 2) for layer in self._projections())
        if past_key_values is not None:
            key = torch.cat([past_key_values[0], key], 2)
            value = torch.cat([past_key_values[1], value], 2)
        weights = (query @ key.mT).softmax(-1)
        return self.out((weights @ value).transpose(1, 2).flatten(2)), (key, value)

    def _projections(self) -> tuple[nn.Linear, ...]:
        return self.query, self.key, self.value


def writing() -> nn.Module:
    return Writing()
