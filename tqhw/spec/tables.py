"""Accelergy's energy and area reference tables (ERT, ART), as Timeloop reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqhw.errors import TqhwError, unknown
from tqhw.spec import yamlio
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
    source: str = "ERT"

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
    source: str = "ART"


def _tables(document: Any, kind: str, source: str) -> list[yamlio.Map]:
    top = as_map(document, source, f"an {kind} file")
    if kind not in top:
        raise TqhwError(f"there is no '{kind}' in the file", place=source, lever=f"is it an {kind} file of Accelergy?")
    body = as_map(top[kind], top.place(kind), kind)
    tables = body.get("tables")
    if not isinstance(tables, list) or not tables:
        raise TqhwError(f"the {kind} holds no tables", place=body.place("tables"), lever="did Accelergy fail?")
    return [as_map(t, body.place("tables"), "a table") for t in tables]


def parse_ert(document: Any, source: str = "ERT") -> ERT:
    """An ``ERT`` document. Raises TqhwError where it is empty or an energy is no number of at least 0."""
    energies: dict[str, dict[str, float]] = {}
    names: dict[str, str] = {}
    for table in _tables(document, "ERT", source):
        full = str(table.get("name"))
        actions: dict[str, float] = {}
        for item in table.get("actions") or []:
            action = as_map(item, table.place("actions"), "an action")
            actions[str(action.get("name"))] = _number(action.get("energy"), action.place(f"energy of {full}"))
        name = short_name(full)
        energies[name], names[name] = actions, full
    return ERT(energies, names, source)


def parse_art(document: Any, source: str = "ART") -> ART:
    """An ``ART`` document."""
    areas, names = {}, {}
    for table in _tables(document, "ART", source):
        full = str(table.get("name"))
        name = short_name(full)
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
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise TqhwError(f"'{value}' must be a number of at least 0", place=place)
    return float(value)
