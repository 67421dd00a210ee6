"""Textures of our own, and a network like MobileNetV2 for them: something beside digits to allocate bits on.

    python benchmarks/textures.py --out out/textures
    tqhw allocate out/textures/experiment.yaml --out out/textures/allocated

Eight kinds of pattern (stripes of three directions, checks, dots, rings, blobs, noise) of drawn wavelength, phase,
colours and noise, as an image folder with ``train`` and ``val``, and the experiment beside them. The same seed gives
the same pictures.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor, nn

from tqhw.models.mobilenet import InvertedResidual, conv_norm_relu
from tqhw.models.resnet import initialize

KINDS = ("horizontal", "vertical", "diagonal", "checks", "dots", "rings", "blobs", "noise")
SIZE = 32
STAGES = ((1, 8, 1, 1), (4, 16, 2, 2), (4, 24, 2, 2), (4, 32, 2, 2))
"""As those of MobileNetV2: expansion, channels, blocks, first stride."""

EXPERIMENT = """\
# Written by benchmarks/textures.py.
name: textures
model: {{name: "benchmarks.textures:network"}}
bits: [2, 3, 4, 6, 8]
quantization: {{first: 8, last: 8, normalization: {{kind: auto}}}}
data: {{name: imagefolder, path: {folder}, size: {size}}}
training: {{epochs: {epochs}, batch_size: 64, learning_rate: 0.1, schemes: [truncquant]}}
spad_models: [smartbuffer_rf]
"""


class SmallMobileNet(nn.Module):
    """Takes ``[N, in_channels, H, W]``, 32x32 say, gives logits ``[N, num_classes]``."""

    def __init__(self, in_channels: int = 3, num_classes: int = len(KINDS)) -> None:
        super().__init__()
        blocks: list[nn.Module] = [conv_norm_relu(in_channels, 16, 3, stride=2)]
        inputs = 16
        for expansion, outputs, depth, first_stride in STAGES:
            for index in range(depth):
                blocks.append(InvertedResidual(inputs, outputs, first_stride if index == 0 else 1, expansion))
                inputs = outputs
        self.features = nn.Sequential(*blocks, conv_norm_relu(inputs, 96, 1))
        self.classifier = nn.Linear(96, num_classes)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(x).mean(dim=(2, 3)))
        return logits


def network(in_channels: int = 3, num_classes: int = len(KINDS)) -> nn.Module:
    """The network of the experiment."""
    return SmallMobileNet(in_channels, num_classes)


def pattern(kind: str, drawn: np.random.Generator) -> np.ndarray:
    """A picture of (32, 32) numbers around 0, about -1 to 1."""
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    waves, phase = drawn.uniform(2, 5), drawn.uniform(0, 2 * np.pi, 2)
    if kind in ("horizontal", "vertical", "diagonal"):
        along = {"horizontal": y, "vertical": x, "diagonal": (x + y) / np.sqrt(2)}[kind]
        return np.sin(2 * np.pi * waves * along + phase[0])
    if kind in ("checks", "dots"):
        both = np.sin(2 * np.pi * waves * x + phase[0]) * np.sin(2 * np.pi * waves * y + phase[1])
        return np.sign(both) if kind == "checks" else 2.0 * (both > 0.6) - 1
    if kind == "rings":
        middle = drawn.uniform(0.2, 0.8, 2)
        return np.sin(2 * np.pi * waves * np.hypot(x - middle[0], y - middle[1]) + phase[0])
    grain = drawn.normal(size=(SIZE, SIZE))
    if kind == "noise":
        return grain
    spectrum = np.fft.fft2(grain)
    rows, columns = np.fft.fftfreq(SIZE)[:, None], np.fft.fftfreq(SIZE)[None]
    smooth = np.real(np.fft.ifft2(spectrum * np.exp(-(rows**2 + columns**2) * 300)))
    return smooth / np.abs(smooth).max()


def picture(kind: str, drawn: np.random.Generator, noise: float) -> Image.Image:
    """The pattern between two drawn colours, with noise."""
    light = (pattern(kind, drawn).clip(-1, 1) + 1) / 2
    first, second = drawn.uniform(0, 1, (2, 3))
    colours = first + light[..., None] * (second - first) + drawn.normal(0, noise, (SIZE, SIZE, 3))
    return Image.fromarray((colours.clip(0, 1) * 255).astype(np.uint8))


def write(folder: Path, train: int, test: int, noise: float, seed: int, epochs: int) -> None:
    """So many pictures of each kind, and the experiment."""
    for part, count in (("train", train), ("val", test)):
        for number, kind in enumerate(KINDS):
            place = folder / part / kind
            place.mkdir(parents=True, exist_ok=True)
            drawn = np.random.default_rng([seed, number, part == "val"])
            for index in range(count):
                picture(kind, drawn, noise).save(place / f"{index:04d}.png")
    text = EXPERIMENT.format(folder=folder.resolve(), size=SIZE, epochs=epochs)
    (folder / "experiment.yaml").write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--train", type=int, default=300, help="training pictures of each kind")
    parser.add_argument("--test", type=int, default=125, help="test pictures of each kind")
    parser.add_argument("--noise", type=float, default=0.15)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    write(given.out, given.train, given.test, given.noise, given.seed, given.epochs)
    print(f"{len(KINDS) * (given.train + given.test)} pictures and experiment.yaml are in {given.out}")


if __name__ == "__main__":
    main()
