"""Accelergy's energy and area reference tables (ERT, ART), as Timeloop reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tqhw.errors import TqhwError, unknown
from tqhw.spec import yamlio
from tqhw.spec.fields import as_list, as_name, is_number
from tqhw.spec.yamlio import as_map

_RANGE = re.compile(r"\[\d+\.\.\d+\]")


def short_name(name: str) -> str:
    """``system_top_level.PE.mac[1..168]`` -> ``mac``."""
    return _RANGE.sub("", name).rpartition(".")[2]


@dataclass(frozen=True)
class ERT:
    """Energy per action in pJ: component -> action -> energy. ``full_names`` are Accelergy's."""

    energies: Mapping[str, Mapping[str, float]]
    full_names: Mapping[str, str] = field(default_factory=dict)
    source: str = field(default="ERT", compare=False)

    def energy_pj(self, component: str, action: str) -> float:
        """pJ of one action; ``update`` falls back to ``write``, a missing ``leak`` is 0 (Timeloop's rule)."""
        if component not in self.energies:
            raise unknown("component in the ERT", component, self.energies, self.source)
        actions = self.energies[component]
        if action == "update" and action not in actions:
            action = "write"
        if action == "leak" and action not in actions:
            return 0.0
        if action not in actions:
            raise TqhwError(
                f"the ERT has no action '{action}' for '{component}'",
                place=self.source,
                lever=f"it has {', '.join(actions) or 'none'}; add the missing one",
            )
        return actions[action]


@dataclass(frozen=True)
class ART:
    """Area in um^2 of one instance of each component."""

    areas: Mapping[str, float]
    full_names: Mapping[str, str] = field(default_factory=dict)
    source: str = field(default="ART", compare=False)


def _tables(document: Any, kind: str, source: str) -> Iterator[tuple[str, str, yamlio.Map]]:
    """(short name, full name, table) of every component."""
    top = as_map(document, source, f"an {kind} file")
    if kind not in top:
        raise TqhwError(f"there is no '{kind}' in the file", place=source, lever=f"is it an {kind} file of Accelergy?")
    body = as_map(top[kind], top.place(kind), kind)
    tables = as_list(body.get("tables"), body.place("tables"), "tables")
    if not tables:
        raise TqhwError(f"the {kind} holds no tables", place=body.place("tables"), lever="did Accelergy fail?")
    seen: dict[str, str] = {}
    for item in tables:
        table = as_map(item, body.place("tables"), "a table")
        full = table.get("name")
        name = as_name(short_name(full) if isinstance(full, str) else full, table.place("name"), "a component")
        if name in seen:
            raise TqhwError(f"two tables for '{name}': {seen[name]} and {full}", place=table.place(), lever="keep one")
        seen[name] = str(full)
        yield name, str(full), table


MOST: Final = 1e100
"""The largest energy of an action in pJ, or area: products of all accesses, and of energy and delay, have room."""


def parse_ert(document: Any, source: str = "ERT") -> ERT:
    """An ``ERT`` document; of several energies of an action the largest counts, as in Timeloop.

    Raises TqhwError where it is empty or an energy is no number of at least 0.
    """
    energies: dict[str, dict[str, float]] = {}
    names: dict[str, str] = {}
    for name, full, table in _tables(document, "ERT", source):
        actions: dict[str, float] = {}
        for item in as_list(table.get("actions"), table.place("actions"), f"the actions of {full}"):
            action = as_map(item, table.place("actions"), "an action")
            key = as_name(action.get("name"), action.place("name"), "an action")
            energy = _number(action.get("energy"), action.place(f"energy of {full}"))
            actions[key] = max(energy, actions.get(key, 0.0))  # one for each combination of its arguments
        energies[name], names[name] = actions, full
    return ERT(energies, names, source)


def parse_art(document: Any, source: str = "ART") -> ART:
    """An ``ART`` document."""
    areas, names = {}, {}
    for name, full, table in _tables(document, "ART", source):
        areas[name], names[name] = _number(table.get("area"), table.place(f"area of {full}")), full
    return ART(areas, names, source)


def load_ert(path: str | Path) -> ERT:
    """The ERT in a file that Accelergy or tqhw wrote."""
    return parse_ert(yamlio.load(path), str(path))


def load_art(path: str | Path) -> ART:
    """The ART in a file that Accelergy or tqhw wrote."""
    return parse_art(yamlio.load(path), str(path))


def dump_ert(ert: ERT) -> str:
    """The ERT as Timeloop reads it."""
    tables = [
        {
            "name": ert.full_names.get(component, component),
            "actions": [{"name": a, "arguments": {}, "energy": e} for a, e in actions.items()],
        }
        for component, actions in ert.energies.items()
    ]
    return yamlio.dump({"ERT": {"version": "0.4", "tables": tables}})


def dump_art(art: ART) -> str:
    """The ART as Timeloop reads it."""
    tables = [{"name": art.full_names.get(c, c), "area": a} for c, a in art.areas.items()]
    return yamlio.dump({"ART": {"version": "0.4", "tables": tables}})


def _number(value: Any, place: str) -> float:
    if not is_number(value) or value < 0:
        raise TqhwError(f"'{value}' must be a number of at least 0", place=place)
    if value > MOST:
        raise TqhwError(f"'{value}' is more than the {MOST:g} whose sums are still numbers", place=place)
    return float(value) + 0.0  # not -0.0
