"""Primitive classes answered by hwcomponents, the successor of Accelergy's plug-ins, where it is installed.

Source: hwcomponents 1.0.114 with hwcomponents-library 1.0.58 and hwcomponents-cacti 1.0.40. It takes the node in m, and
gives J of an action (``ActionCost.energy``), W of leakage and m^2 (the docstrings of its ``ComponentModel`` and
``ActionCost``); what leaks in a cycle is W times the cycle's seconds. Its numbers are not Accelergy's: another scaling
between nodes, quadratic multipliers, registers that cost something to write.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib import metadata
from types import ModuleType
from typing import Any

from tqhw.energy.query import Primitive, Query
from tqhw.energy.technology import cacti_nm
from tqhw.errors import TqhwError

PACKAGES = ("hwcomponents", "hwcomponents-library", "hwcomponents-cacti", "hwcomponents-neurosim")
LEAST_PYTHON = (3, 12)
_LEVER = "pip install 'tqhw[hwcomponents]' with Python 3.12 or later, or set energy.source: packaged"
# Accelergy's class -> the name there, and its attributes by Accelergy's.
_NAMES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "aladdin_adder": ("AladdinAdder", {"width": "width"}),
    "aladdin_register": ("AladdinRegister", {"width": "width"}),
    "aladdin_comparator": ("AladdinComparator", {"width": "width"}),
    "aladdin_counter": ("AladdinCounter", {"width": "width"}),
    "aladdin_multiplier": ("AladdinMultiplier", {"width": "width", "width_a": "width_a", "width_b": "width_b"}),
    "intadder": ("IntAdder", {"width": "width"}),
    "intmultiplier": ("IntMultiplier", {"width": "width"}),
    "intmac": ("IntMAC", {"adder_width": "width", "multiplier_width": "width"}),
    "SRAM": ("SRAM", {"width": "width", "depth": "depth", "n_banks": "n_banks", "n_rw_ports": "n_rw_ports"}),
    "DRAM": ("", {"width": "width"}),
}
_STORED = ("read", "write", "update")
_DYNAMIC = ("add", "compare", "count", "multiply", "compute", *_STORED)
"""What Accelergy's classes call their one action; arithmetic answers to any of them."""
_VERBS = {
    "AladdinAdder": "add",
    "AladdinComparator": "compare",
    "AladdinCounter": "count",
    "AladdinMultiplier": "multiply",
    "IntAdder": "add",
    "IntMultiplier": "multiply",
    "IntMAC": "compute",
}
"""What the models of arithmetic call theirs."""


def versions() -> dict[str, str]:
    """The installed packages. Raises TqhwError where there are none, and where this Python is too old for them."""
    _module()
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _module() -> ModuleType:
    try:
        return importlib.import_module("hwcomponents")
    except ImportError as error:
        if sys.version_info < LEAST_PYTHON:
            python = ".".join(map(str, sys.version_info[:3]))
            raise TqhwError(
                f"hwcomponents needs Python 3.12, this is {python}", place="energy.source", lever=_LEVER
            ) from None
        raise TqhwError(f"hwcomponents is not installed: {error}", place="energy.source", lever=_LEVER) from None


def answer(query: Query, compounds: Iterable[str] = ()) -> Primitive:
    """The class that ``query`` names, as hwcomponents answers it. Raises TqhwError for one that it has no model of."""
    query.check()
    class_ = "SRAM" if query.class_ == "sram" else "DRAM" if query.class_ == "dram" else query.class_
    if class_ not in _NAMES:
        raise TqhwError(
            f"class '{query.class_}' is not asked of hwcomponents",
            place=query.place,
            lever=f"it is asked for {', '.join(_NAMES)}; give `components:` made of these, or energies of your own",
        )
    name, reads = _NAMES[class_]
    actions = _DYNAMIC if name in _VERBS else _STORED
    return Primitive(actions, partial(_energy_j, name, reads), partial(_area_m2, name, reads), reads=(*reads.values(),))


def _energy_j(name: str, reads: Mapping[str, str], query: Query, action: str, arguments: Mapping[str, Any]) -> float:
    model, given = _asked(name, reads, query)
    if action == "leak":
        cycle = float(arguments.get("global_cycle_seconds", query.attributes.get("global_cycle_seconds", 1e-9)))
        return float(_told(query, "leakage", "get_leak_power", model, given)) * cycle
    verb = _VERBS.get(name, "write" if action == "update" else action)
    return float(_told(query, f"energy of a {verb}", "get_action_cost", model, given, verb, {}).energy)


def _area_m2(name: str, reads: Mapping[str, str], query: Query) -> float:
    model, given = _asked(name, reads, query)
    return float(_told(query, "area", "get_area", model, given))


def _asked(name: str, reads: Mapping[str, str], query: Query) -> tuple[str, dict[str, Any]]:
    """The model's name and attributes."""
    given = {theirs: query.whole(ours) for theirs, ours in reads.items() if query.attributes.get(ours) is not None}
    if "width_a" in given or "width_b" in given:
        given.pop("width", None)
    if name == "SRAM" and {"width", "depth"} <= given.keys():
        given["size"] = given["width"] * given["depth"]  # else it compares them with no size, and fails
    if not name:  # a DRAM is a model of its own for every type, at any node
        return str(query.attributes.get("type", "LPDDR4")), given
    technology = query.attributes.get("technology")
    try:
        node = cacti_nm(technology)
    except (TypeError, ValueError):
        message = f"technology '{technology}' is no whole node from 7 to 180 nm"
        raise query.refusal(message, 'write it as "45nm"') from None
    return name, {**given, "tech_node": node / 1e9}


def _told(query: Query, what: str, function: str, model: str, *given: Any) -> Any:
    """What a function of the package answers, or its last word as a TqhwError; it raises errors of many kinds."""
    ask: Callable[..., Any] = getattr(_module(), function)
    try:
        return ask(model, *given)
    except Exception as error:
        said = [line.strip(" |\t") for line in str(error).splitlines() if line.strip(" |\t")]
        first = said[0] if said else type(error).__name__
        why = next((line for line in said if "Error" in line), first)
        lever = "give energies of your own for the whole (energy.ert), or set energy.source: packaged"
        if model == "SRAM":
            lever = f"does its CACTI run here? That program wants glibc 2.38; else {lever}"
        raise query.refusal(f"hwcomponents gives no {what} of {model}: {why[:300]}", lever) from error
