"""Energies and areas by the Python package hwcomponents, where it is installed, kept like Accelergy's."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from tqhw import energy
from tqhw.backends.protocol import Design, Target
from tqhw.backends.timeloop.runs import RunFolders, run_key, write_input
from tqhw.energy import hwcomponents
from tqhw.spec import dump_art, dump_ert, load_art, load_ert
from tqhw.version import __version__

_ERT, _ART, _NOTES = "ERT.yaml", "ART.yaml", "notes.json"


def hwcomponents_targets(
    designs: Sequence[Design], kept: Path | None = None, done: Callable[[int], None] | None = None
) -> list[Target]:
    """The designs with tables of hwcomponents, which answers for their primitive classes.

    Finished ones are taken from ``kept``. Raises TqhwError where it is not installed, and for what it does not answer.
    """
    versions = hwcomponents.versions()
    said = ", ".join(f"{name} {version}" for name, version in versions.items())
    folders, targets = RunFolders(kept), []
    for number, design in enumerate(designs):
        key = _key(design, versions)
        finished = folders.finished(key)
        if finished is not None:
            target = _read(design, finished[0])
        else:
            target = _asked(design)
            with folders.open(key, "hwcomponents") as folder:
                write_input(folder, dump_ert(target.ert), _ERT)
                write_input(folder, dump_art(target.art), _ART)
                write_input(folder, json.dumps(target.notes), _NOTES)
                folders.finish(folder, 0.0)
        targets.append(replace(target, table_source=f"{said} on {design.name}"))
        if done is not None:
            done(number)
    return targets


def _key(design: Design, versions: dict[str, str]) -> str:
    """Compound classes are not the package's: tqhw composes them, its own and those that the design brings along."""
    classes = [energy.packaged_components_text(), design.components_text]
    return run_key(json.dumps([design.text, classes, repr(design.operands)]), {**versions, "tqhw": __version__})


def _asked(design: Design) -> Target:
    own = energy.own_components(design.components_text, design.name)
    found = energy.tables(design.architecture, own, operands=design.operands, estimator="hwcomponents")
    return Target(design, found.ert, found.art, tuple(f"{note.component}: {note.text}" for note in found.notes))


def _read(design: Design, place: Path) -> Target:
    notes = json.loads((place / _NOTES).read_text(encoding="utf-8"))
    return Target(design, load_ert(place / _ERT), load_art(place / _ART), tuple(notes))
