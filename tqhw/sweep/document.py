"""The sweep file: an experiment, and what is to be varied in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from tqhw.errors import TqhwError
from tqhw.options import DocumentSection, apply_setting, read, section
from tqhw.options.section import Positive
from tqhw.spec import yamlio


@section
class RandomPoints:
    """Points drawn at random."""

    keys: dict[str, Any]
    """What each key is drawn from: a list, or a range such as {from: 8, to: 64}, of magnitudes with log: true."""
    samples: Positive = 100
    """How many points are drawn; equal ones count once."""
    seed: Annotated[int, Field(strict=True, ge=0)] = 0
    """The same seed draws the same points, on any machine."""


class SweepDocument(DocumentSection):
    """A sweep. Every block varies keys of its own, and every choice of one goes with every choice of the others."""

    experiment: str | dict[str, Any]
    """A file, relative to the sweep's, or the experiment itself."""
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "sweep"
    """Names the folder."""
    grid: dict[str, Any] = Field(default_factory=dict)
    """Values by key, each with each: a list, or a range {from: 1, to: 9, step: 2}, {from: 8, to: 64, times: 2}."""
    zip: dict[str, Any] = Field(default_factory=dict)
    """Lists of one length by key: the first of each together, then the second of each."""
    list: tuple[dict[str, Any], ...] = ()
    """Points one by one, each as values by key."""
    random: RandomPoints | None = None
    """Points drawn at random."""
    derive: dict[str, str] = Field(default_factory=dict)
    """Keys computed from the others, in this order: {architecture.params.psum_glb_rows: glb_rows // 2}."""
    where: tuple[str, ...] = ()
    """Expressions that must be true of a point, or it is left out."""


def read_sweep(path: str | Path, settings: Sequence[str] = ()) -> tuple[SweepDocument, yamlio.Map]:
    """A sweep file, and its experiment as a document; ``settings`` change keys of that.

    Raises TqhwError with line, nearest known key and rule for whatever does not fit.
    """
    top = yamlio.as_map(yamlio.load(path), str(path), "a sweep")
    for shorthand in (key for key in ("where",) if isinstance(top.get(key), str)):
        top[shorthand] = [top[shorthand]]
    sweep = read(SweepDocument, top, str(path))
    if isinstance(sweep.experiment, str):
        base = yamlio.as_map(yamlio.load(Path(path).parent / sweep.experiment), sweep.experiment, "an experiment")
    else:
        base = yamlio.as_map(top["experiment"], f"{path}: experiment", "an experiment")
    for setting in settings:
        apply_setting(base, setting)
    _check_blocks(sweep, top)
    _check_settings(sweep, settings)
    return sweep, base


def varied(sweep: SweepDocument) -> Iterator[tuple[str, str]]:
    """Every key that the sweep sets, with the block that does."""
    for block, keys in _blocks(sweep):
        yield from ((key, block) for key in keys)


def _blocks(sweep: SweepDocument) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield "grid", sweep.grid
    yield "zip", sweep.zip
    yield "list", dict.fromkeys(key for row in sweep.list for key in row)
    yield "random", {} if sweep.random is None else sweep.random.keys
    yield "derive", sweep.derive


def _check_settings(sweep: SweepDocument, settings: Sequence[str]) -> None:
    """Raises TqhwError for a setting that no point would see, since the sweep varies its key at every one."""
    for key in (setting.partition("=")[0].strip() for setting in settings):
        for known, block in varied(sweep):
            everywhere = block != "list" or all(known in row for row in sweep.list)
            if everywhere and f"{key}.".startswith(f"{known}."):
                lever = f"change the file, or leave {known} out of {block}"
                raise TqhwError(f"the sweep varies {known} ({block})", place=f"--set {key}", lever=lever)


def _check_blocks(sweep: SweepDocument, top: yamlio.Map) -> None:
    seen: dict[str, str] = {}
    for key, block in varied(sweep):
        if key in seen:
            raise TqhwError(f"{key} is in {seen[key]}, too", place=top.place(block), lever="vary it in one block")
        for inner in (known for known in seen if known.startswith(f"{key}.")):
            message = f"{key} would take back {inner}, of {seen[inner]}"
            raise TqhwError(
                message, place=top.place(block), lever=f"name {inner} below {key}, or give keys of one depth"
            )
        seen[key] = block
    if not {*seen.values()} - {"derive"}:
        raise TqhwError("nothing is varied", place=top.source, lever="give grid, zip, list or random")
