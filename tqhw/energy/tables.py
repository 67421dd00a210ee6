"""The ERT and ART of an architecture, from the packaged tables: what Accelergy would have printed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from tqhw.energy import hwcomponents
from tqhw.energy.build import Answer, build, without_hidden_primitive
from tqhw.energy.components import PACKAGED, Components, CompoundClass, packaged_components
from tqhw.energy.neurosim import ADDERS
from tqhw.energy.operands import Operands, narrowed
from tqhw.energy.part import Part
from tqhw.energy.primitives import primitive
from tqhw.energy.query import Note, with_component
from tqhw.energy.spads import costed_as
from tqhw.errors import TqhwError, unknown
from tqhw.spec import ART, ERT, Architecture, Component, Compute, Hierarchical, Level, Nothing, Parallel, flatten
from tqhw.spec.architecture import Node

# What Timeloop's front end adds to a component before Accelergy sees it (timeloopfe v4, commit 5603893). Its
# n_banks of 2 counts wherever a class reads an attribute of that name that the architecture does not set.
STORAGE_DEFAULTS: Mapping[str, Any] = {
    "n_banks": 2,
    "cluster_size": 1,
    "reduction_supported": True,
    "multiple_buffering": 1,
    "min_utilization": 0,
    "allow_overbooking": False,
}
STORAGE_ACTIONS = ("read", "write", "update", "leak")
COMPUTE_ACTIONS = ("compute",)
ESTIMATORS = ("packaged", "hwcomponents")
"""Who says what primitive classes cost: the packaged tables, or the package of that name where it is installed."""


@dataclass(frozen=True)
class EnergyTables:
    """Energies in pJ per action (leak: per cycle and instance), areas in um^2 per instance, and what to know.

    A note of kind "interpolated" marks a component whose numbers are an estimate between tabulated sizes; one
    of kind "caution" a number that is Accelergy's own but doubtful.
    """

    ert: ERT
    art: ART
    notes: tuple[Note, ...] = ()

    @property
    def interpolated(self) -> tuple[str, ...]:
        """The components whose numbers are interpolated."""
        return tuple(dict.fromkeys(note.component for note in self.notes if note.kind == "interpolated"))


@dataclass(frozen=True)
class Costs:
    """What one component costs: pJ by action, um^2, notes."""

    energies_pj: Mapping[str, float]
    area_um2: float
    notes: tuple[Note, ...]


def tables(
    architecture: Architecture,
    components: Components | None = None,
    *,
    spad_model: str | None = None,
    adder: str = ADDERS[0],
    operands: Operands | None = None,
    estimator: str = ESTIMATORS[0],
) -> EnergyTables:
    """The tables of every component of ``architecture``, rounded to the 6 digits that Timeloop reads.

    ``components`` are compound classes on top of the packaged ones. ``spad_model`` (see ``spads.SPAD_CLASSES``)
    costs every packaged scratchpad by that model, whichever of them the architecture names. ``adder`` (see
    ``neurosim.ADDERS``) answers for integer adders with `n_bits`. ``operands`` are the widths of the multiplier's
    factors, where they are not as the architecture says. ``estimator`` (see ``ESTIMATORS``) answers for the primitive
    classes. Names and order are those of Timeloop's front end and
    Accelergy. Raises TqhwError for what cannot be costed, with its component.
    """
    known = {**packaged_components(), **(components or {})}
    answer = _answer(estimator, adder)
    hardware = flatten(architecture)
    top = _top_level(architecture)
    energies: dict[str, Mapping[str, float]] = {}
    areas: dict[str, float] = {}
    names: dict[str, str] = {}
    notes: list[Note] = []
    levels: list[Level | Compute] = [*reversed(hardware.levels), hardware.compute]
    # Accelergy prints primitives before compounds; the pseudo level of a fan-out is a primitive of area 1.
    for level in sorted(levels, key=lambda level: _is_compound(level, known)):
        names[level.name] = f"{top}.{level.name}[1..{level.instances}]"
        if level.component is None:
            areas[level.name] = 1.0
            continue
        asked = operands if level.component.is_compute else None
        costs = _level_costs(level.component, level, architecture.variables, known, spad_model, answer, asked)
        energies[level.name], areas[level.name] = costs.energies_pj, costs.area_um2
        notes.extend(with_component(note, level.name) for note in costs.notes)
    source = f"{'packaged tables' if estimator == ESTIMATORS[0] else estimator} for {architecture.name}"
    ert = ERT(energies, {name: names[name] for name in energies}, source)
    return EnergyTables(ert, ART(areas, names, source), tuple(notes))


def component_costs(
    class_: str,
    attributes: Mapping[str, Any],
    actions: tuple[str, ...] = STORAGE_ACTIONS,
    components: Components | None = None,
    place: str = "component",
    adder: str = ADDERS[0],
) -> Costs:
    """One component on its own, rounded like :func:`tables`: ``actions`` are those it must have.

    ``attributes`` need ``technology`` and ``global_cycle_seconds``. A compound class gives all of its actions.
    """
    known: Components = {**packaged_components(), **(components or {})}
    known = without_hidden_primitive(class_, attributes, known)
    return _costs(build(class_, attributes, known, place, answer=_answer(ESTIMATORS[0], adder)), actions, place)


def _answer(estimator: str, adder: str) -> Answer:
    if estimator not in ESTIMATORS:
        raise unknown("estimator", estimator, ESTIMATORS, "energy.source")
    return hwcomponents.answer if estimator == "hwcomponents" else partial(primitive, adder=adder)


def _is_compound(level: Level | Compute, known: Components) -> bool:
    return level.component is not None and level.component.energy_class in known


def _level_costs(
    component: Component,
    level: Level | Compute,
    variables: Mapping[str, Any],
    known: Components,
    spad_model: str | None,
    answer: Answer,
    operands: Operands | None,
) -> Costs:
    given = (
        variables,
        component.attributes,
        {} if component.is_compute else STORAGE_DEFAULTS,  # they hide what a container sets
        component.own,
        {"meshX": level.meshX, "meshY": level.meshY},
    )
    attributes = {key: value for part in given for key, value in part.items() if value is not None}
    class_ = costed_as(component.energy_class, spad_model)
    known = without_hidden_primitive(class_, attributes, known)
    try:
        scales = component.energy_scale, component.area_scale
        part = build(class_, attributes, known, component.place, *scales, answer)
        adder_of = answer if answer is hwcomponents.answer else primitive  # of NeuroSim's there is no `intmac`
        part, notes = (part, ()) if operands is None else narrowed(part, operands, adder_of)
        costs = _costs(part, COMPUTE_ACTIONS if component.is_compute else STORAGE_ACTIONS, component.place)
        return replace(costs, notes=(*costs.notes, *notes))
    except TqhwError as error:
        ours = (error.place or "").startswith(PACKAGED)  # nobody can mend a line of the package
        message = f"component '{component.name}': {error.message}"
        raise TqhwError(message, place=component.place if ours else error.place, lever=error.lever) from error


def _costs(part: Part, required: tuple[str, ...], place: str) -> Costs:
    if part.compound is not None:
        _check_actions(part.compound, required, place)
    actions = required if part.compound is None else tuple(part.compound.actions)
    energies = {action: rounded(part.highest_energy_pj(action, place)) for action in actions}
    return Costs(energies, rounded(part.area_um2()), tuple(dict.fromkeys(part.notes())))


def _check_actions(compound: CompoundClass, required: tuple[str, ...], place: str) -> None:
    """Raises TqhwError for a class without an action that Timeloop asks for; classes of older versions lack some."""
    missing = [action for action in required if action not in compound.actions]
    if missing:
        wrong = unknown(f"action of class '{compound.name}'", missing[0], compound.actions)
        lever = f"Timeloop asks for {', '.join(required)}: give the class its own {', '.join(missing)}; {wrong.lever}"
        raise TqhwError(wrong.message, place=place, lever=lever)


def rounded(value: float) -> float:
    """To 6 significant digits, as Accelergy prints."""
    return round(value, 5 - math.floor(math.log10(abs(value)))) if value else 0.0


def _top_level(architecture: Architecture) -> str:
    """The prefix of all names: ``NAME_top_level`` after the first node if that is a container."""
    node: Node = architecture.nodes[0]
    while isinstance(node, Hierarchical | Parallel):
        node = node.nodes[0]
    return "top_level" if isinstance(node, Component | Nothing) else f"{node.name}_top_level"
