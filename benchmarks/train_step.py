"""What quantization adds to a training step: joint training at 4 precisions against the bare network.

    python benchmarks/train_step.py [--device cpu|cuda] [--batch 128] [--repeats 15] [--model resnet20] [--size 32]

The bare network runs as many forward and backward passes (cross entropy, no quantizer, one batch norm). The two
alternate, so that whatever else the machine does falls on both; the ratio is the median over the pairs. On a CPU
the processor time of this process is taken, which other processes disturb less; on a GPU, the time that passes.
Images are random: only the time is measured.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable

import torch
from torch.nn import functional

from tqhw import models
from tqhw.quant import QuantConfig, convert
from tqhw.train import TrainConfig
from tqhw.train.distributed import Team
from tqhw.train.loop import joint_step
from tqhw.train.optimizer import make_optimizer

PRECISIONS = (2, 4, 6, 8)


def seconds(run: Callable[[], None], device: str) -> float:
    if device == "cpu":
        start = time.process_time()
        run()
        return time.process_time() - start
    torch.cuda.synchronize()
    start = time.perf_counter()
    run()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--model", default="resnet20", choices=["resnet20", "resnet18", "resnet50", "mobilenet_v2"])
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(0)
    bare = models.build(chosen.model).to(chosen.device)
    ours = convert(copy.deepcopy(bare), QuantConfig(precisions=PRECISIONS, first=None, last=None)).to(chosen.device)
    config = TrainConfig(batch_size=chosen.batch, device=chosen.device)
    optimizer = make_optimizer(ours, config)
    images = torch.randn(chosen.batch, 3, chosen.size, chosen.size, device=chosen.device)
    labels = torch.randint(0, 10, (chosen.batch,), device=chosen.device)

    def bare_passes() -> None:
        bare.zero_grad()
        for _ in PRECISIONS:
            functional.cross_entropy(bare(images), labels).backward()

    def our_passes() -> None:
        optimizer.zero_grad()
        joint_step(ours, ours, (images, labels), config, Team())

    def our_step() -> None:
        our_passes()
        optimizer.step()

    for _ in range(2):
        bare_passes(), our_step()
    times = [
        [seconds(run, chosen.device) for run in (bare_passes, our_passes, our_step)] for _ in range(chosen.repeats)
    ]
    plain, passes, step = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"{chosen.model}, batch {chosen.batch}, {chosen.size}x{chosen.size}, {chosen.device}, {PRECISIONS} bits")
    print(f"bare network, 4 forward and backward passes  {1e3 * plain:8.1f} ms")
    for name, column, took in (("quantized, the same passes", 1, passes), ("quantized, whole step", 2, step)):
        ratio = statistics.median(row[column] / row[0] for row in times)
        print(f"{name:44} {1e3 * took:8.1f} ms   ratio {ratio:.3f}   {chosen.batch / took:8.0f} images/s")


if __name__ == "__main__":
    main()
