"""Timeloop's own Python front end, where it is importable: it flattens the v0.4 documents itself."""

from __future__ import annotations

import importlib
import threading
from dataclasses import dataclass
from importlib import metadata
from types import ModuleType
from typing import Any

from tqhw.backends.protocol import Design
from tqhw.backends.timeloop.flatten import components_section
from tqhw.backends.timeloop.places import place_in
from tqhw.backends.timeloop.runs import scratch, write_input
from tqhw.errors import TqhwError
from tqhw.spec import MATMUL, Problem, dump_problem, make_problem, yamlio
from tqhw.spec.architecture import STORAGE_CLASSES
from tqhw.spec.yamlio import Map

PACKAGES = ("pytimeloop.timeloopfe", "timeloopfe")
# What the front end raises on a document that it does not like, beside its own ParseError.
_REFUSALS = (ValueError, TypeError, AssertionError, LookupError, AttributeError, RuntimeError, ArithmeticError)
_LOCK = threading.Lock()  # it keeps the specification at work in a global


@dataclass(frozen=True)
class FrontEnd:
    """The package ``name``, imported."""

    name: str
    v4: ModuleType
    calls: ModuleType
    refusals: tuple[type[Exception], ...]

    @property
    def version(self) -> str:
        distribution = self.name.partition(".")[0]
        try:
            return f"{self.name} {metadata.version(distribution)}"
        except metadata.PackageNotFoundError:
            return f"{self.name} (not installed as a package)"

    def architecture(self, design: Design) -> dict[str, Any]:
        """The flattened architecture, without constraints: these depend on the problem."""
        ones = make_problem(MATMUL, dict.fromkeys(MATMUL.dimensions, 1))
        document = yamlio.parse(design.text, design.name)
        document["architecture"]["nodes"] = _bare(document["architecture"]["nodes"])
        flat = self._flatten(design, yamlio.dump(document), ones)
        found: dict[str, Any] = flat["architecture"]
        return found

    def constraint_targets(self, design: Design, problem: Problem) -> list[dict[str, Any]]:
        """The mapper's constraints for a problem."""
        flat = self._flatten(design, design.text, problem)
        targets: list[dict[str, Any]] = flat["architecture_constraints"]["targets"]
        return targets

    def _flatten(self, design: Design, text: str, problem: Problem) -> Map:
        document = yamlio.parse(text, design.name)
        _complete(document["architecture"]["nodes"])
        read = {key: document[key] for key in ("architecture", "variables") if key in document}
        files = {
            "architecture": yamlio.dump(read),
            "components": yamlio.dump({"components": components_section(design)}),
            "problem": dump_problem(problem),
        }
        with _LOCK, scratch("front-end") as folder:
            paths = [str(write_input(folder, content, f"{name}.yaml")) for name, content in files.items()]
            try:
                specification = self.v4.Specification.from_yaml_files(*paths)
                flat = self.calls._specification_to_yaml_string(specification, False)
            except self.refusals as error:
                said = f"unknown name {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
                raise TqhwError(
                    f"Timeloop's front end refuses it: {' '.join(said.split())[:2000]}",
                    place=place_in(said, design),
                    lever=f"mend what it names; without {self.name} on PYTHONPATH the input is rendered here, and"
                    " Timeloop's programs judge it",
                ) from error
        parsed: Map = yamlio.parse(flat, f"{self.name} on {design.name}")
        return parsed


def find() -> FrontEnd | None:
    """The front end, or None where none is importable.

    Raises TqhwError for one of another make: its v4 must hold ``Specification`` and the C++ input writer.
    """
    for name in PACKAGES:
        try:
            v4 = importlib.import_module(f"{name}.v4")
            calls = importlib.import_module(f"{name}.common.backend_calls")
            nodes = importlib.import_module(f"{name}.common.nodes")
        except ImportError:
            continue
        if not hasattr(v4, "Specification") or not hasattr(calls, "_specification_to_yaml_string"):
            raise TqhwError(
                f"the front end {name} at {v4.__file__} is not of the supported make (Timeloop v0.4)",
                lever="update it, or hide it: the programs alone suffice",
            )
        own = getattr(nodes, "ParseError", ValueError)
        return FrontEnd(name, v4, calls, (*_REFUSALS, own))
    return None


def _bare(nodes: list[Any]) -> list[Any]:
    """The nodes without constraints and with the branches of a ``!Parallel`` in a row, which is what they become.

    The front end wants every data space kept in one branch; without constraints none is.
    """
    result: list[Any] = []
    for node in nodes:
        if node.tag == "!Nothing":
            continue
        if node.tag in ("!Parallel", "!Hierarchical"):
            result += _bare(node["nodes"])
            continue
        bare = yamlio.tagged(node.tag, **{key: value for key, value in node.items() if key != "constraints"})
        result.append(bare)
    return result


def _complete(nodes: list[Any]) -> None:
    """pytimeloop's front end wants width and depth of every storage; an empty text is left out again later."""
    for node in nodes:
        if node.tag in ("!Parallel", "!Hierarchical"):
            _complete(node["nodes"])
        elif node.tag == "!Component" and node.get("class") in STORAGE_CLASSES:
            attributes = node.setdefault("attributes", Map())
            for key in ("width", "depth"):
                attributes.setdefault(key, yamlio.Quoted(""))
