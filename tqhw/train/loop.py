"""The training loop: all precisions in every step, higher ones first."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from itertools import islice

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from tqhw.datasets import example
from tqhw.datasets.base import Batch, Data, Inputs, counting
from tqhw.errors import TqhwError
from tqhw.options import TrainConfig
from tqhw.quant import FULL, is_quantized, quantization_of, refuse_held, set_bits, shared_normalization
from tqhw.quant.calls import called, first_tensor, in_parts, moved
from tqhw.system.signals import noted
from tqhw.train import checkpoint
from tqhw.train.calibrate import start_inputs
from tqhw.train.checkpoint import Checkpoints, EpochRecord, Within
from tqhw.train.distributed import SharedStatistics, Team, losing_nobody, team
from tqhw.train.health import check_fit, first_broken_layer
from tqhw.train.logs import write_logs
from tqhw.train.losses import Loss, loss_of
from tqhw.train.metrics import ACCURACY, METRICS, Metric, metric_of
from tqhw.train.optimizer import make_optimizer, set_learning_rate
from tqhw.train.reproducible import random_states, reproducible, usable
from tqhw.train.validation import Validated, split


@dataclass(frozen=True)
class Goal:
    """What a training makes small, and what says how good it is."""

    loss: Loss
    metric: Metric


@dataclass(frozen=True)
class Progress:
    """Where a run is: steps done of all, and of the epoch so far mean loss and metric by precision."""

    epoch: int
    step: int
    steps: int
    losses: dict[int, float]
    scores: dict[int, float]
    metric: Metric


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
    loss: Loss | None = None,
    metric: Metric | None = None,
) -> TrainResult:
    """Trains ``model`` in place, jointly at all its precisions where it is quantized.

    A step runs every precision, the highest first and on the targets; with ``distillation: recursive`` each
    lower one learns from the outputs of the next higher one. The gradients add up, then the weights move.
    ``keep``: a checkpoint and logs after every epoch, after so many steps where ``config`` says so, and before the
    process ends by a signal; ``resume`` goes on from it, where it exists, to the same weights bit for bit. ``loss`` and
    ``metric``: others than those that ``config`` names. Under torchrun the batch is shared by all processes. With
    ``config.validation`` a part of the training data is held out; test data are never read.

    Raises TqhwError for a model that computes with stored codes or does not fit the data or the loss, a batch that
    cannot be filled or shared, a clamp that would drop negative activations, a loss that is not finite, a checkpoint of
    another run or that cannot be written, and another process that was lost.
    """
    refuse_held(model, "training would move weights that it does not read", "train the network it was exported from")
    if loss is not None:
        config = replace(config, loss=loss.name)
    if metric is not None:
        config = replace(config, metric=metric.name)
    members = team()
    device = usable(config.device)
    data, held = split(data, config)
    given = loss or loss_of(config)
    check_fit(model, data, given)
    goal = Goal(given, metric or metric_of(config, example(data)[1], given))
    if keep is not None and members.leads:
        keep.prepare()
    per_epoch = _steps_per_epoch(data, config, members)
    model.to(device).train()
    optimizer = make_optimizer(model, config)
    history: list[EpochRecord] = []
    within: Within | None = None
    if resume and keep is not None and keep.path.exists():
        history, within = checkpoint.restore(keep, model, optimizer, config)
        if members.leads and history:
            write_logs(keep.folder, history)  # the run may have died between checkpoint and logs
    start_inputs(model, data, config.batch_size, seed=config.seed, threads=config.threads)
    falling = falling_precisions(model)
    validated = None if held is None else Validated(held, config, goal.metric, falling[::-1], keep)
    heeding: AbstractContextManager[list[int]] = noted() if keep is not None and members.size == 1 else nullcontext([])
    with heeding as asked:
        run = _Run(
            model, members.wrap(model), optimizer, config, members, goal, keep, progress, per_epoch, history, asked
        )
        while len(history) < config.epochs and not asked:
            if not run.epoch(data, within):
                break  # a signal came, and is raised again
            within = None
            if validated is not None:
                validated.measure(model, history, writes=members.leads)
            run.save()
            members.wait()
    if validated is not None:
        validated.restore_best(model, history)
    return TrainResult(model, tuple(history))


@dataclass
class _Run:
    """A training on its way: ``history`` are the epochs that are done, ``asked`` names a signal that came."""

    model: nn.Module
    runner: nn.Module
    optimizer: torch.optim.Optimizer
    config: TrainConfig
    members: Team
    goal: Goal
    keep: Checkpoints | None
    progress: Callable[[Progress], None] | None
    per_epoch: int
    history: list[EpochRecord]
    asked: list[int]

    def epoch(self, data: Data, within: Within | None) -> bool:
        """The next epoch, from where it was left; whether it came to its end, and so into the history."""
        config, members, number = self.config, self.members, len(self.history)
        first = 0 if within is None else within.steps
        sums = torch.zeros(()) if within is None else within.sums
        rate = config.learning_rate if within is None else within.rate
        random = () if within is None else within.random
        batches = data.train_batches(config.batch_size, config.seed, number, members.rank, members.size)
        with reproducible(config.seed * 1_000_003 + number, config.threads, random), losing_nobody(members):
            for done, (inputs, targets) in enumerate(islice(batches, first, None), start=first + 1):
                step = number * self.per_epoch + done - 1
                rate = set_learning_rate(self.optimizer, config, step, self.per_epoch)
                sums = sums + self.step(inputs, targets, step)
                if self.progress is not None:
                    self._tell(self.progress, self._record(rate, sums, done), step)
                if done < self.per_epoch and self._due(done):
                    self.save(Within(done, sums, rate, random_states()))
                if done < self.per_epoch and self.asked:
                    return False
        self.history.append(self._record(rate, sums, self.per_epoch))
        return True

    def step(self, inputs: Inputs, targets: torch.Tensor, number: int) -> torch.Tensor:
        """One move of the weights; what :func:`joint_step` found. Raises TqhwError for a loss that is not finite."""
        device = next(self.model.parameters()).device
        batch = moved(inputs, device), targets.to(device)
        self.optimizer.zero_grad()
        found = joint_step(self.runner, self.model, batch, self.config, self.members, self.goal)
        if not torch.isfinite(found[0]).all():
            raise _broken(self.model, batch[0], found[0], falling_precisions(self.model), number)
        self.optimizer.step()
        return found

    def save(self, within: Within | None = None) -> None:
        """A checkpoint, of an epoch's end with the logs; one process of all writes."""
        if self.keep is None or not self.members.leads:
            return
        checkpoint.save(self.keep, self.model, self.optimizer, self.config, self.history, within)
        if within is None:
            write_logs(self.keep.folder, self.history)

    def _due(self, done: int) -> bool:
        every = self.config.checkpoint_steps
        return bool(self.asked) or (every is not None and done % every == 0)

    def _tell(self, progress: Callable[[Progress], None], now: EpochRecord, step: int) -> None:
        steps = self.config.epochs * self.per_epoch
        progress(Progress(now.epoch, step + 1, steps, now.losses, now.scores, self.goal.metric))

    def _record(self, rate: float, sums: torch.Tensor, steps: int) -> EpochRecord:
        metric, falling = self.goal.metric, falling_precisions(self.model)
        values = ((sums[0] / steps).tolist(), metric.of(sums[1:].T).tolist())
        losses, scores = (dict(sorted(zip(falling, row, strict=True))) for row in values)
        return EpochRecord(len(self.history), rate, losses, scores, metric.name)


def joint_step(
    runner: nn.Module, model: nn.Module, batch: Batch, config: TrainConfig, members: Team, goal: Goal | None = None
) -> torch.Tensor:
    """Adds up the gradients of one batch over all precisions of ``model``, which ``runner`` runs.

    Returns, over all processes, a row of mean losses and the rows of the metric's sums, by falling precision. Parts
    weigh as much as there are targets in them that count. ``goal``: None for the loss of ``config`` and accuracy.
    """
    goal = goal or Goal(loss_of(config), METRICS[ACCURACY])
    falling = falling_precisions(model)
    inputs, targets = batch
    size = len(targets) * members.size
    columns: list[list[torch.Tensor]] = [[] for _ in falling]
    parts = list(zip(in_parts(inputs, config.accumulation), targets.chunk(config.accumulation), strict=True))
    weights = _weights([wanted for _, wanted in parts])
    with ExitStack() as stack:
        switching = stack.enter_context(shared_normalization(model))
        if members.size > 1:
            stack.enter_context(SharedStatistics(members))
        for number, ((given, wanted), weight) in enumerate(zip(parts, weights, strict=True), start=1):
            teacher = None
            for at, bits in enumerate(falling):
                if is_quantized(model):
                    switching.set_bits(bits)
                with ExitStack() as inner:
                    if number < config.accumulation and isinstance(runner, DistributedDataParallel):
                        inner.enter_context(runner.no_sync())
                    with torch.autocast(wanted.device.type, torch.bfloat16, config.arithmetic == "bfloat16"):
                        outputs = first_tensor(called(runner, given)).float()
                    if teacher is None:
                        loss = goal.loss(outputs, wanted)
                    else:
                        loss = goal.loss.from_teacher(outputs, teacher, wanted)
                    (loss / config.accumulation if weight is None else loss * weight).backward()  # type: ignore[no-untyped-call]
                seen = outputs.detach()
                mean = loss.detach() * (len(wanted) / size if weight is None else weight / members.size)
                columns[at].append(torch.cat([mean[None].double(), goal.metric.sums(seen, wanted).sum(dim=0)]))
                if config.distillation == "recursive":
                    teacher = seen
    found = torch.stack([torch.stack(column).sum(dim=0) for column in columns], dim=1)
    return members.sum(found).cpu()


def _weights(parts: list[torch.Tensor]) -> list[float | None]:
    """The share of each part in what counts; None where every target does, and parts are alike."""
    counts = [int(counting(part).sum()) for part in parts] if len(parts) > 1 else [1]
    if len({*counts}) == 1:
        return [None] * len(parts)
    return [count / sum(counts) for count in counts]


def falling_precisions(model: nn.Module) -> tuple[int, ...]:
    """The precisions of ``model``, the highest first; 32 for one that is not quantized."""
    return quantization_of(model).precisions[::-1] if is_quantized(model) else (FULL,)


def _broken(model: nn.Module, inputs: Inputs, losses: torch.Tensor, falling: tuple[int, ...], step: int) -> TqhwError:
    if is_quantized(model):
        set_bits(model, falling[int(torch.isfinite(losses).int().argmin())])
    where = first_broken_layer(model, inputs)
    return TqhwError(
        f"the loss became {losses.tolist()} at {list(falling)} bits in step {step}, through {where}",
        place="train",
        lever="try a lower learning rate or a warm-up; the last checkpoint is kept",
    )


def _steps_per_epoch(data: Data, config: TrainConfig, members: Team) -> int:
    share = config.accumulation * members.size
    what = "images" if len(data.input_shape) == 3 else "samples"
    if config.batch_size % share:
        raise TqhwError(
            f"{config.batch_size} {what} cannot be shared by {members.size} processes in {config.accumulation} parts",
            place="batch_size",
            lever=f"use a multiple of {share}",
        )
    if data.train_size < config.batch_size:
        raise TqhwError(
            f"{data.train_size} training {what} do not fill a batch of {config.batch_size}",
            place="batch_size",
            lever=f"use at most {data.train_size}",
        )
    return data.train_size // config.batch_size
