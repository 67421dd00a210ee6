"""The networks that an allocation is measured on, one per seed: trained, and asked layer by layer, side by side."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from tqhw.allocation.measure import MeasuredTop1, measure, of_rows
from tqhw.allocation.sensitivity import calibration, sensitivities
from tqhw.datasets import example
from tqhw.errors import TqhwError
from tqhw.pipeline.training import AccuracyTask, Tell, check_can_be_sent
from tqhw.system.files import write_text
from tqhw.system.json_files import read_json
from tqhw.system.progress import Watcher
from tqhw.system.workers import aside
from tqhw.train.losses import LOSSES
from tqhw.train.metrics import Metric, metric_of

T = TypeVar("T")
Bits = tuple[int, ...]


@dataclass(frozen=True)
class SeedNetwork:
    """One of them: how it is trained or where it was, the file that its measurements are kept in, and its layers."""

    task: AccuracyTask
    kept: Path
    names: tuple[str, ...]
    widths: Bits
    stored: int

    @property
    def seed(self) -> int:
        """Of its training."""
        return self.task.recipe.training.seed

    def losses(self, tell: Tell, images: int) -> dict[str, dict[str, float]]:
        """What truncating one layer adds to the loss, by layer and width; trained before where it is not yet."""
        data, kept = self.task.opened(), _KeptMeasurements.read(self.kept)
        recipe, model = next(iter(self.task.networks(data, tell)))
        batches = calibration(data, images, self.seed)
        widths = [*map(str, self.widths)]
        known = {name: [row[width] for width in widths if width in row] for name, row in kept.losses.items()}
        done = self.task.steps

        def told(name: str, row: list[float]) -> None:
            nonlocal done
            kept.losses[name] = {**kept.losses.get(name, {}), **dict(zip(widths, row, strict=True))}
            kept.write()
            done += 1
            tell(done)

        loss = LOSSES.named(recipe.training.loss, "training.loss")
        sensitivities(model, batches, self.names, self.widths, self.stored, known, told, loss)
        return kept.losses

    def accuracies(self, tell: Tell, asked: Sequence[Bits]) -> dict[Bits, MeasuredTop1]:
        """What each allocation measures."""
        data, kept = self.task.opened(), _KeptMeasurements.read(self.kept)
        recipe, model = next(iter(self.task.networks(data, lambda _: None)))
        metric = metric_of(recipe.training, example(data)[1])
        found = {}
        for number, bits in enumerate(asked, start=1):
            by_name = dict(zip(self.names, bits, strict=True))
            key = ",".join(f"{name}={width}" for name, width in by_name.items())
            if (known := _unpacked(kept.measured.get(key), metric)) is None:
                known = measure(model, data, by_name, self.stored, metric=metric)
                kept.measured[key] = _packed(known)
                kept.write()
            found[bits] = known
            tell(number)
        return found

    def metric(self) -> Metric:
        """That of its training."""
        return metric_of(self.task.recipe.training, example(self.task.opened())[1])


def each(
    networks: Sequence[SeedNetwork],
    ask: Callable[[SeedNetwork, Tell], T],
    stage: str,
    steps: int,
    watch: Watcher,
    jobs: int,
) -> list[T]:
    """What ``ask`` finds of each network, so many at a time in processes of their own; ``steps``: of one.

    Answers are the same for any number of jobs.
    """
    with watch(stage, steps * len(networks)) as tick:
        if jobs == 1 or len(networks) == 1:
            return _in_turn(tick, networks, ask, steps)
        check_can_be_sent([one.task for one in networks])
        lanes = [networks[start::jobs] for start in range(min(jobs, len(networks)))]
        with aside(_in_turn, [(lane, ask, steps) for lane in lanes]) as others:
            found = others.results(tick)
    return [found[i % len(lanes)][i // len(lanes)] for i in range(len(networks))]


def _in_turn(tell: Tell, networks: Sequence[SeedNetwork], ask: Callable[[SeedNetwork, Tell], T], steps: int) -> list[T]:
    return [ask(one, lambda done, before=i * steps: tell(before + done)) for i, one in enumerate(networks)]  # type: ignore[misc]


@dataclass
class _KeptMeasurements:
    """What was measured, kept in a file as it comes: losses by layer and width, answers by allocation."""

    path: Path
    losses: dict[str, dict[str, float]] = field(default_factory=dict)
    measured: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> _KeptMeasurements:
        """What is there of an earlier run; a file that is none of ours is begun anew."""
        try:
            found = read_json(path) if path.exists() else {}
            losses = {name: dict(row) for name, row in found.get("losses", {}).items()}
            return cls(path, losses, dict(found.get("measured", {})))
        except (TqhwError, TypeError, ValueError, AttributeError):
            return cls(path)

    def write(self) -> None:
        write_text(self.path, json.dumps({"losses": self.losses, "measured": self.measured}, indent=1))


def _packed(one: MeasuredTop1) -> dict[str, Any]:
    text = base64.b64encode(zlib.compress(one.rows.tobytes())).decode()
    return {"verified": one.verified, "shape": list(one.rows.shape), "rows": text}


def _unpacked(kept: Mapping[str, Any] | None, metric: Metric) -> MeasuredTop1 | None:
    """None where it is not what :func:`_packed` made."""
    if kept is None:
        return None
    try:
        numbers = np.frombuffer(zlib.decompress(base64.b64decode(kept["rows"])), float).reshape(kept["shape"])
        return of_rows(torch.from_numpy(numbers.copy()), bool(kept["verified"]), metric)
    except (KeyError, TypeError, ValueError, zlib.error):
        return None
