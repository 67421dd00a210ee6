"""The checkpoints that a command is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tqhw.cli.common import console
from tqhw.errors import TqhwError

if TYPE_CHECKING:
    from tqhw.train import OpenedData


@dataclass(frozen=True)
class Given:
    """Checkpoints as a command names them: themselves, or by the experiment that joins them."""

    places: Sequence[Path]
    model: str | None
    bits: tuple[int, ...] | None = None
    stored: int = 8
    path: str | None = None

    @property
    def codes(self) -> tuple[int, ...] | None:
        """The precisions that are none of floating point."""
        return None if self.bits is None else tuple(bits for bits in self.bits if bits <= self.stored)


def given(places: Sequence[Path], model: str | None) -> Given:
    """What the places on a command line stand for, found without PyTorch.

    Raises TqhwError for a place that is none, and for an experiment that names no checkpoints.
    """
    for place in places:
        if not place.exists():
            raise TqhwError("there is no such file", place=str(place), lever="name what tqhw train left")
    files = [place for place in places if place.suffix in (".yaml", ".yml")]
    if not files:
        return Given(places, model)
    if len(places) > 1:
        raise TqhwError(
            f"stands beside {len(places) - 1} more, but an experiment says all of it",
            place=str(files[0]),
            lever="name one experiment, or checkpoints",
        )
    from tqhw import experiment

    found = experiment.load(files[0])
    if found.training is None or not found.training.trained:
        raise TqhwError(
            "does not say where its networks are",
            place=f"{files[0]}: training.from",
            lever="name the folders that tqhw train wrote, here or in the experiment: training: {from: [FOLDER]}",
        )
    folders = [Path(folder) for folder in found.training.trained]
    return Given(folders, model or found.model.name, found.bits, found.stored_bits, found.data.path)


def only(places: Sequence[Path]) -> Path:
    """The one checkpoint in them. Raises TqhwError where there are several, or none."""
    from tqhw.train import checkpoints_in

    found = [path for place in places for path in checkpoints_in(place)]
    if len(found) > 1:
        raise TqhwError(
            f"{len(found)} checkpoints are named: {', '.join(map(str, found[:3]))}",
            place=str(places[0]),
            lever="one file holds one network: name one of them",
        )
    return found[0]


def tell_skipped(opened: OpenedData) -> None:
    """Says what of the data could not be read."""
    for skipped in opened.skipped():
        named = ", ".join(map(str, skipped[:10])) + (", ..." if len(skipped) > 10 else "")
        console(stderr=True).print(f"skipped {len(skipped)} corrupt images: {named}", highlight=False)
