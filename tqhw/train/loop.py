"""The training loop: all precisions in every step, higher ones first."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from tqhw.datasets.base import Batch, Data
from tqhw.errors import TqhwError
from tqhw.options import TrainConfig
from tqhw.quant import FULL, is_quantized, quantization_of, refuse_held, set_bits, shared_normalization
from tqhw.train import checkpoint
from tqhw.train.calibrate import start_inputs
from tqhw.train.checkpoint import Checkpoints, EpochRecord
from tqhw.train.distributed import SharedStatistics, Team, losing_nobody, team
from tqhw.train.health import check_fit, first_broken_layer
from tqhw.train.logs import write_logs
from tqhw.train.optimizer import make_optimizer, set_learning_rate
from tqhw.train.reproducible import reproducible, usable


@dataclass(frozen=True)
class Progress:
    """Where a run is: steps done of all, and of the epoch so far mean loss and accuracy (percent) by precision."""

    epoch: int
    step: int
    steps: int
    losses: dict[int, float]
    top1: dict[int, float]


@dataclass(frozen=True)
class TrainResult:
    """The trained model (the one that was given) and a record of every epoch."""

    model: nn.Module
    history: tuple[EpochRecord, ...]


def train(
    model: nn.Module,
    data: Data,
    config: TrainConfig,
    progress: Callable[[Progress], None] | None = None,
    *,
    keep: Checkpoints | None = None,
    resume: bool = False,
) -> TrainResult:
    """Trains ``model`` in place, jointly at all its precisions where it is quantized.

    A step runs every precision, the highest first and on the labels; with ``distillation: recursive`` each
    lower one learns from the outputs of the next higher one. The gradients add up, then the weights move.
    ``keep``: a checkpoint and logs after every epoch; ``resume`` goes on from it, where it exists, to the same weights
    bit for bit. Under torchrun the batch is shared by all processes.

    Raises TqhwError for a model that computes with stored codes or does not fit the data, a batch that cannot be
    filled or shared, a clamp that would drop negative activations, a loss that is not finite, a checkpoint of another
    run or that cannot be written, and another process that was lost.
    """
    refuse_held(model, "training would move weights that it does not read", "train the network it was exported from")
    members = team()
    device = usable(config.device)
    check_fit(model, data)
    if keep is not None and members.leads:
        keep.prepare()
    per_epoch = _steps_per_epoch(data, config, members)
    model.to(device).train()
    optimizer = make_optimizer(model, config)
    history: list[EpochRecord] = []
    if resume and keep is not None and keep.path.exists():
        history = checkpoint.restore(keep, model, optimizer, config)
        if members.leads:
            write_logs(keep.folder, history)  # the run may have died between checkpoint and logs
    start_inputs(model, data, config.batch_size, seed=config.seed, threads=config.threads)
    runner = members.wrap(model)
    falling = falling_precisions(model)
    for epoch in range(len(history), config.epochs):
        sums = torch.zeros(2, len(falling))
        rate = config.learning_rate
        batches = data.train_batches(config.batch_size, config.seed, epoch, members.rank, members.size)
        with reproducible(config.seed * 1_000_003 + epoch, config.threads), losing_nobody(members):
            for index, (images, labels) in enumerate(batches):
                step = epoch * per_epoch + index
                rate = set_learning_rate(optimizer, config, step, per_epoch)
                optimizer.zero_grad()
                found = joint_step(runner, model, (images.to(device), labels.to(device)), config, members)
                sums += found
                if not torch.isfinite(found).all():
                    if is_quantized(model):
                        set_bits(model, falling[int(torch.isfinite(found).all(dim=0).int().argmin())])
                    where = first_broken_layer(model, images.to(device))
                    raise TqhwError(
                        f"the loss became {found[0].tolist()} at {list(falling)} bits in step {step}, through {where}",
                        place="train",
                        lever="try a lower learning rate or a warm-up; the last checkpoint is kept",
                    )
                optimizer.step()
                if progress is not None:
                    record = _record(epoch, rate, sums, falling, index + 1, config)
                    progress(Progress(epoch, step + 1, config.epochs * per_epoch, record.losses, record.top1))
        history.append(_record(epoch, rate, sums, falling, per_epoch, config))
        if keep is not None and members.leads:
            checkpoint.save(keep, model, optimizer, config, history)
            write_logs(keep.folder, history)
        members.wait()
    return TrainResult(model, tuple(history))


def joint_step(runner: nn.Module, model: nn.Module, batch: Batch, config: TrainConfig, members: Team) -> torch.Tensor:
    """Adds up the gradients of one batch over all precisions of ``model``, which ``runner`` runs.

    Returns, over all processes, a row of mean losses and one of right answers, by falling precision.
    """
    falling = falling_precisions(model)
    size = len(batch[1]) * members.size
    found = torch.zeros(2, len(falling), device=batch[1].device)
    parts = zip(*(tensor.chunk(config.accumulation) for tensor in batch), strict=True)
    with ExitStack() as stack:
        stack.enter_context(shared_normalization(model))
        if members.size > 1:
            stack.enter_context(SharedStatistics(members))
        for number, (images, labels) in enumerate(parts, start=1):
            teacher = None
            for at, bits in enumerate(falling):
                if is_quantized(model):
                    set_bits(model, bits)
                with ExitStack() as inner:
                    if number < config.accumulation and isinstance(runner, DistributedDataParallel):
                        inner.enter_context(runner.no_sync())
                    with torch.autocast(images.device.type, torch.bfloat16, config.arithmetic == "bfloat16"):
                        logits = runner(images).float()
                    if teacher is None:
                        loss = functional.cross_entropy(logits, labels, label_smoothing=config.label_smoothing)
                    else:
                        loss = functional.cross_entropy(logits, teacher)
                    (loss / config.accumulation).backward()  # type: ignore[no-untyped-call]
                found[0, at] += loss.detach() * len(labels) / size
                found[1, at] += (logits.argmax(dim=1) == labels).sum()
                if config.distillation == "recursive":
                    teacher = logits.detach().softmax(dim=1)
    return members.sum(found).cpu()


def falling_precisions(model: nn.Module) -> tuple[int, ...]:
    """The precisions of ``model``, the highest first; 32 for one that is not quantized."""
    return quantization_of(model).precisions[::-1] if is_quantized(model) else (FULL,)


def _steps_per_epoch(data: Data, config: TrainConfig, members: Team) -> int:
    share = config.accumulation * members.size
    if config.batch_size % share:
        raise TqhwError(
            f"{config.batch_size} images cannot be shared by {members.size} processes in {config.accumulation} parts",
            place="batch_size",
            lever=f"use a multiple of {share}",
        )
    if data.train_size < config.batch_size:
        raise TqhwError(
            f"{data.train_size} training images do not fill a batch of {config.batch_size}",
            place="batch_size",
            lever=f"use at most {data.train_size}",
        )
    return data.train_size // config.batch_size


def _record(
    epoch: int, rate: float, sums: torch.Tensor, falling: tuple[int, ...], steps: int, config: TrainConfig
) -> EpochRecord:
    rows = (sums / steps).tolist()
    losses, right = (dict(sorted(zip(falling, row, strict=True))) for row in rows)
    top1 = {bits: 100 * share / config.batch_size for bits, share in right.items()}
    return EpochRecord(epoch, rate, losses, top1)
