"""What quantization adds to a training step: joint training at 4 precisions against the bare network.

    python benchmarks/train_step.py [--device cpu|cuda] [--arithmetic float32|bfloat16] [--repeats 15]
                                    [--model resnet20 --batch 128 --size 32] [--activations lsq]

The bare network runs as many forward and backward passes (cross entropy, no quantizer, one batch norm). The two
alternate, so that whatever else the machine does falls on both; the ratio is the median over the pairs. On a CPU
the processor time of this process is taken, which other processes disturb less; on a GPU, the time that passes.
The parts are timed by themselves: they are what the ratio cannot fall below. Without --model a CPU runs ResNet-20
as for CIFAR-10, a GPU that and ResNet-50 as for ImageNet. Images are random numbers: only the time is measured.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from tqhw import models
from tqhw.quant import PrecisionSwitch, QuantConfig, convert, shared_normalization
from tqhw.train import TrainConfig
from tqhw.train.distributed import Team
from tqhw.train.loop import joint_step
from tqhw.train.optimizer import make_optimizer
from tqhw.train.reproducible import usable

PRECISIONS = (8, 6, 4, 2)
VIT = "benchmarks.vit:vit"
SHAPES = {
    "resnet20": (128, 32),
    "resnet18": (64, 224),
    "resnet50": (64, 224),
    "mobilenet_v2": (64, 224),
    VIT: (128, 32),
}
"""Batch and pixels by model, where the options do not say otherwise."""


@dataclass(frozen=True)
class Clock:
    """Seconds of a call: of this process on a CPU, of the wall clock on a GPU."""

    device: torch.device

    def __call__(self, run: Callable[[], object]) -> float:
        now = time.process_time if self.device.type == "cpu" else time.perf_counter
        self._settle()
        start = now()
        run()
        self._settle()
        return now() - start

    def _settle(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def measure(name: str, batch: int, size: int, config: TrainConfig, repeats: int, activations: str = "full") -> None:
    device = usable(config.device)
    clock = Clock(device)
    options = {"size": size, "patch": 4, "in_channels": 3} if name == VIT else {}
    bare = models.build(name, **options).to(device)
    how = {"normalization": {"kind": "auto"}, "activations": activations}
    ours = convert(copy.deepcopy(bare), QuantConfig(precisions=PRECISIONS, first=None, last=None, **how)).to(device)
    optimizer, switching = make_optimizer(ours, config), PrecisionSwitch(ours)
    images = torch.randn(batch, 3, size, size, device=device)
    labels = torch.randint(0, 10, (batch,), device=device)

    def bare_passes() -> None:
        bare.zero_grad()
        for _ in PRECISIONS:
            with torch.autocast(device.type, torch.bfloat16, config.arithmetic == "bfloat16"):
                logits = bare(images)
            functional.cross_entropy(logits.float(), labels).backward()

    def our_passes() -> None:
        optimizer.zero_grad()
        joint_step(ours, ours, (images, labels), config, Team())

    def our_step() -> None:
        our_passes()
        optimizer.step()

    for _ in range(2):
        bare_passes(), our_step()
    times = [[clock(run) for run in (bare_passes, our_passes, our_step)] for _ in range(repeats)]
    plain, passes, step = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"{name}, batch {batch}, {size}x{size}, {config.arithmetic} on {described(device)}, {PRECISIONS} bits")
    print(f"{'bare network, 4 forward and backward passes':44} {1e3 * plain:8.1f} ms {batch / plain:19,.0f} images/s")
    for label, column, took in (("quantized, the same passes", 1, passes), ("quantized, whole step", 2, step)):
        ratio = statistics.median(row[column] / row[0] for row in times)
        print(f"{label:44} {1e3 * took:8.1f} ms  x {ratio:.3f} {batch / took:10,.0f} images/s")
    for label, part in (
        ("  of it: weights quantized, and gradients", lambda: quantize_all(ours)),
        ("  of it: switching precisions", lambda: [switching.set_bits(bits) for bits in PRECISIONS]),
        ("  of it: the optimizer", optimizer.step),
    ):
        took = statistics.median(clock(part) for _ in range(repeats))
        print(f"{label:44} {1e3 * took:8.1f} ms  + {took / plain:.3f}")


def quantize_all(model: nn.Module) -> None:
    """All that a step does to weights: normalised once, then codes, real weights and gradients per precision."""
    with shared_normalization(model) as switching:
        for bits in PRECISIONS:
            switching.set_bits(bits)
            weights = [layer.module.weight for layer in switching.layers]
            torch.autograd.backward(weights, [torch.ones_like(weight) for weight in weights])


def described(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"a CPU, {torch.get_num_threads()} thread{'s' if torch.get_num_threads() > 1 else ''}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--arithmetic", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--model", choices=SHAPES)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--size", type=int)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--activations", default="full", help="as of an experiment; full, dorefa, pact, lsq or lsq_plus"
    )
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(0)
    names = [chosen.model] if chosen.model else ["resnet20", "resnet50"] if chosen.device == "cuda" else ["resnet20"]
    for name in names:
        batch, size = chosen.batch or SHAPES[name][0], chosen.size or SHAPES[name][1]
        config = TrainConfig(batch_size=batch, device=chosen.device, arithmetic=chosen.arithmetic)
        measure(name, batch, size, config, chosen.repeats, chosen.activations)


if __name__ == "__main__":
    main()
