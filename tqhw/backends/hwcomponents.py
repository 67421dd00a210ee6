"""Energies and areas by the Python package hwcomponents, where it is installed, kept like Accelergy's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tqhw import energy
from tqhw.backends.protocol import Design, Target
from tqhw.backends.timeloop.runs import RunFolders, run_key, write_input
from tqhw.energy import hwcomponents
from tqhw.spec import dump_art, dump_ert, load_art, load_ert

_ERT, _ART = "ERT.yaml", "ART.yaml"


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
        text = f"{design.text}\n{design.components_text}\n{design.operands}"
        key = run_key(text, versions)
        source = f"{said} on {design.name}"
        finished = folders.finished(key)
        if finished is not None:
            place = finished[0]
            targets.append(Target(design, load_ert(place / _ERT), load_art(place / _ART), (), source))
        else:
            own = energy.own_components(design.components_text, design.name)
            found = energy.tables(design.architecture, own, operands=design.operands, estimator="hwcomponents")
            with folders.open(key, "hwcomponents") as folder:
                write_input(folder, dump_ert(found.ert), _ERT)
                write_input(folder, dump_art(found.art), _ART)
                folders.finish(folder, 0.0)
            targets.append(Target(design, found.ert, found.art, (), source))
        if done is not None:
            done(number)
    return targets
