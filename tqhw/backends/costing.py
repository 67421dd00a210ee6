"""Energies and areas of designs by the source that a user chose, with the user's own numbers before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqhw.backends.embedded import Embedded
from tqhw.backends.protocol import Backend, Design, Target
from tqhw.errors import TqhwError, unknown
from tqhw.options import EnergyOptions
from tqhw.spec import ART, ERT, load_art, load_ert, parse_art, parse_ert, yamlio

AREA = "area"
"""In a table of one's own, beside the actions: um^2 of one instance."""
STORAGE, COMPUTE = ("read", "write", "update", "leak", AREA), ("compute", "leak", AREA)


def costed(
    engine: Backend,
    designs: Sequence[Design],
    options: EnergyOptions | None = None,
    done: Callable[[int], None] | None = None,
    kept: Path | None = None,
) -> list[Target]:
    """The designs with their tables; without ``options`` by the engine's own estimator.

    Where no source is chosen, a design whose text has an ERT has its tables, as in Timeloop. ``kept``: where the
    answers of the accelergy program are kept. Raises TqhwError for whatever the source refuses, and for a component or
    action of a table that a design does not have.
    """
    options = options or EnergyOptions()
    if options.source is None and all(written := [own_tables(design) for design in designs]):
        targets = [target for target in written if target is not None]
    elif options.source == "accelergy":
        from tqhw.backends.timeloop import Timeloop
        from tqhw.backends.timeloop.accelergy import accelergy_targets

        targets = (
            engine.targets(designs, done) if isinstance(engine, Timeloop) else accelergy_targets(designs, kept, done)
        )
    elif options.source == "hwcomponents":
        from tqhw.backends.hwcomponents import hwcomponents_targets

        targets = hwcomponents_targets(designs, kept, done)
    elif options.source == "file":
        targets = [_from_files(design, options) for design in designs]
    elif options.source == "packaged" or isinstance(engine, Embedded):
        targets = Embedded(options.adder).targets(designs, done)
    else:
        if options.adder != "aladdin":
            raise TqhwError(
                f"the engine {engine.name} asks its own Accelergy, which picks the adder itself",
                place="energy.adder",
                lever="leave it out, or set energy.source: packaged",
            )
        targets = engine.targets(designs, done)
    return [overlaid(_told(target), options.table) for target in targets]


def _from_files(design: Design, options: EnergyOptions) -> Target:
    assert options.ert is not None
    return _with_tables(design, load_ert(options.ert), ART({}) if options.art is None else load_art(options.art))


def own_tables(design: Design) -> Target | None:
    """The design with the tables that its own text has; None where there are none."""
    if "ERT:" not in design.text:
        return None
    document = yamlio.parse(design.text, design.name)
    if "ERT" not in document:
        return None
    source = f"the ERT of {design.name}"
    art = parse_art(document, f"the ART of {design.name}") if "ART" in document else ART({})
    found = _with_tables(design, parse_ert(document, source), art)
    note = "energies are those of the ERT in the architecture's files; energy.source: packaged takes others"
    if design.operands:
        note += "; the multiplier's does not follow word_bits"
    return replace(found, notes=(note,))


def _told(target: Target) -> Target:
    """Says where areas in an architecture's files are not taken: as in Timeloop, they go with energies only."""
    design = target.design
    if "ART:" not in design.text or "ERT:" in design.text or "ART" not in yamlio.parse(design.text, design.name):
        return target
    note = "the ART in the architecture's files is not read, as in Timeloop: there is no ERT beside it"
    return replace(target, notes=(*target.notes, note))


def _with_tables(design: Design, ert: ERT, art: ART) -> Target:
    for component in design.architecture.components():
        if component.name not in ert.energies:
            raise unknown("component in the ERT", component.name, ert.energies, ert.source)
    return Target(design, ert, art, (), ert.source)


def overlaid(target: Target, table: Mapping[str, Mapping[str, float]], place: str = "energy.table") -> Target:
    """The target with the numbers of ``table`` (component -> action or "area" -> pJ or um^2) in place of its own."""
    if not table:
        return target
    components = {component.name: component for component in target.design.architecture.components()}
    energies = {name: dict(actions) for name, actions in target.ert.energies.items()}
    areas = dict(target.art.areas)
    for name, numbers in table.items():
        if name not in components:
            raise unknown("component", name, components, place)
        for action, number in numbers.items():
            known = COMPUTE if components[name].is_compute else STORAGE
            if action not in known:
                raise unknown("action", action, known, f"{place}.{name}")
            if action == AREA:
                areas[name] = float(number)
            else:
                energies.setdefault(name, {})[action] = float(number)
    source = f"{target.table_source}, with your own {', '.join(table)}"
    told = ", ".join(f"{name} ({', '.join(numbers)})" for name, numbers in table.items())
    note = f"{place}: numbers of your own: {told}"
    return replace(
        target,
        ert=ERT(energies, target.ert.full_names, source),
        art=ART(areas, target.art.full_names, source),
        notes=(*target.notes, note),
        table_source=source,
    )


def load_table(path: str | Path) -> dict[str, dict[str, Any]]:
    """A table of one's own in a YAML file, for :class:`EnergyOptions`, which checks its numbers."""
    document = yamlio.as_map(yamlio.load(path), str(path), "a table of energies")
    return {
        name: dict(yamlio.as_map(numbers, document.place(name), f"the numbers of {name}"))
        for name, numbers in document.items()
    }
