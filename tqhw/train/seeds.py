"""Runs that differ in their seed alone, and are measured together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from tqhw.errors import TqhwError
from tqhw.train.checkpoint import CHECKPOINT
from tqhw.train.differences import differences
from tqhw.train.recipe import Recipe


def checkpoints_in(place: Path) -> list[Path]:
    """The checkpoint of a file or folder, or all those in the folders below it."""
    if place.is_file():
        return [place]
    own = place / CHECKPOINT
    found = [own] if own.is_file() else sorted(place.glob(f"**/{CHECKPOINT}"))
    if not found:
        raise TqhwError("holds no checkpoint" if place.exists() else "there is no such file", place=str(place))
    return found


def check_seeds(runs: Iterable[tuple[Path, Recipe]]) -> None:
    """Refuses to take a mean over runs of one method that differ in more than their seed, or not even in that.

    The networks of a method that trains one per precision are compared with those of the same precision.
    """
    groups: dict[tuple[str, tuple[int, ...]], dict[int, tuple[Path, Recipe]]] = {}
    for path, recipe in runs:
        own_bits = recipe.bits if recipe.way.training == "separate" else ()
        group = groups.setdefault((recipe.method, own_bits), {})
        seed = recipe.training.seed
        for other, first in group.values():
            alike = replace(recipe, training=replace(recipe.training, seed=first.training.seed))
            if alike != first:
                told = "; ".join(
                    f"{key} is {here}, not {there.removeprefix('not ')}"
                    for key, (here, there) in differences(alike.json, first.json).items()
                )
                raise TqhwError(
                    f"is no other seed of {other}: {told}",
                    place=str(path),
                    lever="measure them one by one",
                )
        if seed in group:
            raise TqhwError(f"has seed {seed}, as {group[seed][0]} has", place=str(path), lever="name each run once")
        group[seed] = path, recipe
