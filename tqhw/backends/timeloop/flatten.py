"""From our objects to the flattened input that Timeloop's C++ programs and Accelergy read, without a front end.

Source of the form: Timeloop's front end (timeloopfe v4 ``arch.py``, ``version_transpilers/v4_to_v3.py``); the test
compares with inputs that it wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tqhw import energy
from tqhw.backends.protocol import Design
from tqhw.energy.tables import COMPUTE_ACTIONS, STORAGE_ACTIONS, STORAGE_DEFAULTS
from tqhw.spec import Component, Compute, Container, Hierarchical, Level, Parallel, Problem, yamlio
from tqhw.spec.architecture import Node

VERSION = yamlio.Quoted("0.4")
_UNGATED: Mapping[str, Any] = {"has_power_gating": False}
# The pseudo level of a fan-out; technology -1 asks Accelergy for a placeholder, which no action of it uses.
_PSEUDO: Mapping[str, Any] = {"width": 1, "depth": 1, "datawidth": 1, "technology": -1}


def architecture_section(design: Design) -> dict[str, Any]:
    """The value of ``architecture``: one list of components, outermost first, with all they inherit."""
    variables = dict(design.architecture.variables)
    name = "top_level"
    first = _first(design.architecture.nodes[0])
    if first is not None:
        name = f"{first.name}_top_level"
        variables.update(first.attributes)
    attributes = {"version": VERSION, **variables, **_UNGATED, "power_gated_at": None}
    hardware = design.hardware
    levels: list[Level | Compute] = [*reversed(hardware.levels), hardware.compute]
    local = [_component(level) for level in levels]
    return {"version": VERSION, "subtree": [{"name": name, "attributes": attributes, "local": local}]}


def _first(node: Node) -> Container | None:
    """The first node of the tree if it is a container: the front end names the whole after it."""
    while isinstance(node, Hierarchical | Parallel):
        node = node.nodes[0]
    return node if isinstance(node, Container) and not isinstance(node, Component) else None


def _component(level: Level | Compute) -> dict[str, Any]:
    component = level.component
    entry: dict[str, Any] = {"name": f"{level.name}[1..{level.instances}]"}
    mesh = {"meshX": level.meshX, "meshY": level.meshY}
    if component is None:
        entry["class"] = "dummy_storage"
        attributes = {**_PSEUDO, **_UNGATED, **STORAGE_DEFAULTS, **mesh}
        return {**entry, "attributes": {**attributes, "power_gated_at": None}, "enabled": True}
    entry["class"] = component.class_
    if component.subclass is not None:
        entry["subclass"] = component.subclass
    for key in ("energy_scale", "area_scale"):
        if getattr(component, key) != 1.0:
            entry[key] = getattr(component, key)
    defaults = _UNGATED if component.is_compute else {**_UNGATED, **STORAGE_DEFAULTS}
    attributes = {**component.attributes, **defaults, **component.own, **mesh}
    entry["attributes"] = {**attributes, "power_gated_at": None}
    entry["required_actions"] = list(COMPUTE_ACTIONS if component.is_compute else STORAGE_ACTIONS)
    return {**entry, "enabled": True}


def components_section(design: Design) -> dict[str, Any]:
    """The value of ``compound_components``: the packaged classes, and the design's own, which win."""
    texts = [("packaged components", energy.packaged_components_text())]
    if design.components_text:
        texts.append((f"components of {design.name}", design.components_text))
    meant = energy.packaged_components()
    for component in design.architecture.components():
        meant = energy.without_hidden_primitive(component.energy_class, component.attributes, meant)
    classes: dict[str, Any] = {}
    for source, text in texts:
        document = yamlio.parse(text, source)
        body = document.get("components", document.get("compound_components"))
        entries = {entry["name"]: entry for entry in body["classes"]}
        classes.update(entries if classes else {name: entry for name, entry in entries.items() if name in meant})
    return {"version": VERSION, "classes": list(classes.values())}


def problem_section(problem: Problem) -> dict[str, Any]:
    """The value of ``problem``; every term a list of its own, as the C++ reader wants it."""
    shape = problem.shape
    spaces = [
        {
            "name": space.name,
            "projection": [
                [[term.dimension, *([term.coefficient] if term.coefficient else [])] for term in rank]
                for rank in space.projection
            ],
            "read_write": space.read_write,
        }
        for space in shape.data_spaces
    ]
    return {
        "version": VERSION,
        "instance": {**problem.bounds, **problem.coefficients},
        "shape": {
            "name": shape.name,
            "dimensions": list(shape.dimensions),
            "coefficients": [{"name": n, "default": v} for n, v in shape.coefficients.items()],
            "data_spaces": spaces,
        },
    }
