"""How far trainings are: a bar for each on a terminal, a line per epoch anywhere else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tqhw.report import labels

if TYPE_CHECKING:
    from rich.console import Console

    from tqhw.datasets import Data
    from tqhw.train import Progress, Recipe
    from tqhw.train.runs import Watch


class Epochs:
    """Watches trainings one after the other, of ``total`` epochs together.

    The time left is that of all of them: what an epoch took on average since the start, times the epochs to come.
    """

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._total = total
        self._begun = 0
        self._seen = 0
        self._started = time.perf_counter()

    @contextmanager
    def watch(self, stage: str, recipe: Recipe, data: Data) -> Iterator[Watch]:
        """What a training of ``recipe`` is to be told, named ``stage``."""
        from tqhw.system.progress import bars
        from tqhw.train import split

        networks, epochs = recipe.way.networks(recipe.bits), recipe.training.epochs
        per_epoch = split(data, recipe.training)[0].train_size // recipe.training.batch_size
        before = self._begun
        self._begun += epochs * len(networks)
        last = time.perf_counter()
        with bars(self._console)(stage, epochs * per_epoch * len(networks)) as tick:

            def told(bits: tuple[int, ...], progress: Progress) -> None:
                nonlocal last
                at = networks.index(bits)
                tick(at * epochs * per_epoch + progress.step, _losses(progress))
                if progress.step % per_epoch == 0 and not self._console.is_terminal:
                    now, last = time.perf_counter() - last, time.perf_counter()
                    name = stage if len(networks) == 1 else f"{stage}, {labels.bits(bits[0])}"
                    done = before + at * epochs + progress.epoch + 1
                    text = f"{name}: epoch {progress.epoch + 1} of {epochs}: {_losses(progress)}; {now:.1f} s"
                    self._console.print(f"{text}, {self._left(done)} left", highlight=False, soft_wrap=True)

            yield told

    def _left(self, done: int) -> str:
        self._seen += 1
        seconds = (self._total - done) * (time.perf_counter() - self._started) / self._seen
        return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _losses(progress: Progress) -> str:
    metric = progress.metric

    def score(value: float) -> str:
        return f"{metric.label} {value:z.0f} %" if metric.unit == "%" else f"{metric.label} {value:z.4g}"

    losses = progress.losses
    return ", ".join(f"{labels.bits(b)} loss {losses[b]:z.2f} {score(progress.scores[b])}" for b in losses)
