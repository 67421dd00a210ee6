"""Energies and areas by the real Accelergy, refused where they are none."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqhw.backends.protocol import Design, Target
from tqhw.backends.timeloop.identity import accelergy_identity
from tqhw.backends.timeloop.places import place_in
from tqhw.backends.timeloop.programs import ACCELERGY_FILES, check_accelergy
from tqhw.backends.timeloop.render import Renderer
from tqhw.backends.timeloop.runs import RunFolders, run_key, write_input
from tqhw.backends.words import with_operands
from tqhw.energy import own_components
from tqhw.errors import TqhwError
from tqhw.spec import ART, ERT, load_art, load_ert, yamlio
from tqhw.spec.tables import short_name
from tqhw.system.programs import Children, Ended

BUDGET_S = 300.0  # seconds after which Accelergy is given up
PREFIX = "timeloop."
DUMMY = "dummy"  # the plug-in that answers 1 pJ for everything


def run_accelergy(
    program: Path, design: Design, text: str, folder: Path, children: Children, budget_s: float | None
) -> Target:
    """The design with Accelergy's tables; ``text`` is its input. Raises TqhwError where they cannot be used."""
    write_input(folder, text, "accelergy.yaml")
    log = folder / "accelergy.log"
    arguments = [str(program), "accelergy.yaml", "-o", ".", "--oprefix", PREFIX]
    ended = children.run(arguments, folder, log, budget_s)
    # The exit code says little: what counts is whether the tables are there.
    if ended.timed_out or not all(path.is_file() and path.stat().st_size for path in _files(folder).values()):
        raise _failed(ended, design, log, budget_s)
    return read_tables(design, folder)


def read_tables(design: Design, folder: Path) -> Target:
    """The design with the tables that a run in ``folder`` wrote, checked."""
    files = _files(folder)
    ert, art = load_ert(files["ERT"]), load_art(files["ART"])
    check_tables(ert, art, design, str(files["ERT"]))
    check_estimators(yamlio.load(files["ERT_summary"]), design, str(files["ERT_summary"]))
    source = f"accelergy on {design.name}"
    # Named anew: the folder may be gone when somebody asks.
    named = ERT(ert.energies, ert.full_names, source), ART(art.areas, art.full_names, source)
    return Target(design, *named, _notes(ert, design), source)


def _files(folder: Path) -> dict[str, Path]:
    return {kind: folder / f"{PREFIX}{kind}.yaml" for kind in ("ERT", "ART", "ERT_summary")}


def check_tables(ert: ERT, art: ART, design: Design, place: str) -> None:
    """Raises TqhwError for a component without energies, or with a zero where work is never free."""
    for component in design.architecture.components():
        name = component.name
        if not ert.energies.get(name):
            raise TqhwError(
                f"the ERT has no energies for '{name}' ({component.place})",
                place=place,
                lever=f"does class '{component.energy_class}' have the actions read, write, update or compute?",
            )
        if name not in art.areas:
            raise TqhwError(f"the ART has no area for '{name}' ({component.place})", place=place)
        action = "compute" if component.is_compute else "read"
        if ert.energy_pj(name, action) == 0 and not _free(design, component.energy_class, action):
            raise TqhwError(
                f"the ERT says that a {action} of '{name}' costs nothing ({component.place})",
                place=place,
                lever=f"give class '{component.energy_class}' subcomponents that an estimator knows",
            )


def _free(design: Design, class_: str, action: str) -> bool:
    """Whether a class that the design brings along says that the action does nothing: its part is free."""
    found = (own_components(design.components_text, design.name) or {}).get(class_)
    return found is not None and action in found.actions and not found.actions[action].steps


def check_estimators(summary: Any, design: Design, place: str) -> None:
    """Raises TqhwError for a component that the dummy estimator answered for."""
    known = {component.name: component for component in design.architecture.components()}
    try:
        answered = [
            (
                short_name(table["name"]),
                [p["name"] for p in table.get("primitive_estimation(s)", []) if p["estimator"] == DUMMY],
            )
            for table in summary["ERT_summary"]["table_summary"]
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise TqhwError(f"not what Accelergy 0.4 writes: {error}", place=place, lever="use Accelergy 0.4") from None
    for name, parts in answered:
        if name in known and parts:
            raise TqhwError(
                f"'{name}' is estimated by Accelergy's dummy, which answers 1 pJ for everything: {', '.join(parts)} "
                f"({known[name].place})",
                place=place,
                lever="give it a `technology`, such as 45nm (-1 asks for the dummy), and a class that is estimated",
            )


def _notes(ert: ERT, design: Design) -> tuple[str, ...]:
    return tuple(
        f"{component.name}: a write costs nothing, says Accelergy"
        for component in design.architecture.components()
        if not component.is_compute and ert.energy_pj(component.name, "write") == 0
    )


def _failed(ended: Ended, design: Design, log: Path, budget_s: float | None) -> TqhwError:
    if ended.timed_out:
        return TqhwError(f"accelergy did not end within {budget_s} s", place=str(log), lever="raise model_budget_s")
    message = _said(ended.log)
    return TqhwError(
        f"accelergy wrote no tables (exit code {ended.returncode}): {message}",
        place=f"{place_in(message, design)} (log: {log})",
        lever="mend the component's class or attributes; `accelergy --list-components` names what is known",
    )


def _said(log: str) -> str:
    """Accelergy's own words: of the exception that it died of, else its lines of level ERROR, else its last line."""
    if crash := re.search(r"^\|\| \w*(?:Error|Exception): (.+(?:\n\|\| \S.*)*)", log, flags=re.MULTILINE):
        said = [line.removeprefix("|| ").strip() for line in crash[1].splitlines()]
    else:
        lines = [re.sub(r"^\S+ \S+ ERROR +", "", line).strip() for line in log.splitlines() if " ERROR " in line]
        # What follows the first line are the answers of every estimator that was asked, introduced by "|".
        said = [line for line in lines if re.match(r"\w", line)] or log.strip().splitlines()[-1:]
    return "; ".join(said[:3])[:1000] or "it said nothing"


def accelergy_targets(
    designs: Sequence[Design], kept: Path | None = None, done: Callable[[int], None] | None = None
) -> list[Target]:
    """The designs with the tables of the accelergy on PATH, which needs no Timeloop.

    Finished ones are taken from ``kept``. Raises TqhwError
    where there is no accelergy of the supported version, or its tables cannot be used.
    """
    found = shutil.which("accelergy")
    if found is None:
        lever = "install Accelergy and its plug-ins, or set energy.source: packaged"
        raise TqhwError("accelergy not found on PATH", place="energy.source", lever=lever)
    version, digest = accelergy_identity(Path(found))
    check_accelergy(version)
    renderer, folders, children, targets = Renderer(False), RunFolders(kept), Children(), []
    for number, design in enumerate(designs):
        text = renderer.accelergy(design)
        run = run_key(text, {"accelergy": version, ACCELERGY_FILES: f"sha256 {digest}"})
        finished = folders.finished(run)
        if finished is not None:
            target = read_tables(design, finished[0])
        else:
            with folders.open(run, "accelergy") as folder:
                target = run_accelergy(Path(found), design, text, folder, children, BUDGET_S)
                folders.finish(folder, 0.0)
        source = f"accelergy {version} (files {digest[:16]}) on {design.name}"
        targets.append(with_operands(replace(target, table_source=source)))
        if done is not None:
            done(number)
    return targets
