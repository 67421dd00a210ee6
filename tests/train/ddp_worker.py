"""What a process of the tests of several processes does: folder, the rank that dies in the second epoch, and after how
many steps there is a checkpoint inside an epoch, 0 for none."""

import json
import os
import signal
import sys
from pathlib import Path

import torch

from tests.quant.nets import tiny
from tqhw.datasets import TensorData
from tqhw.errors import TqhwError
from tqhw.quant import QuantConfig, convert
from tqhw.train import Checkpoints, TrainConfig, joined, train


def noisy() -> TensorData:
    """Ten patterns under noise: as many as there are digits, whose package every process would take seconds to load."""
    generator = torch.Generator().manual_seed(0)
    patterns = torch.randn(10, 1, 8, 8, generator=generator)
    labels = torch.arange(1347) % 10
    images = patterns[labels] + torch.randn(1347, 1, 8, 8, generator=generator)
    return TensorData("noisy", 10, images, labels, images[:450], labels[:450])


def main(folder: Path, victim: int, every: int) -> int:
    def watch(progress):
        losses.append([progress.losses[bits] for bits in sorted(progress.losses)])
        if progress.step == 15 and int(os.environ.get("RANK", "0")) == victim:
            os._exit(9)

    losses = []
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun's, while the message is being written
    config = TrainConfig(
        epochs=2, batch_size=120, threads=1, learning_rate=0.05, accumulation=2, checkpoint_steps=every or None
    )
    model = convert(tiny(), QuantConfig(precisions=(2, 8), last=None))
    try:
        with joined("cpu") as team:
            train(model, noisy(), config, watch, keep=Checkpoints(folder, {}), resume=True)
            if team.leads:
                (folder / "losses.json").write_text(json.dumps(losses))
    except TqhwError as error:
        (folder / "error.txt").write_text(str(error))
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
