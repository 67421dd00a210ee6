"""Problems that Timeloop's programs read directly, in the form of version 0.4."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tqhw.errors import TqhwError
from tqhw.frontend.legacy import as_checked, underscored
from tqhw.spec import yamlio
from tqhw.spec.yamlio import Map

CNN_LAYER = """\
name: cnn_layer
dimensions: [R, S, P, Q, C, K, N]
coefficients:
- {name: Wstride, default: 1}
- {name: Hstride, default: 1}
- {name: Wdilation, default: 1}
- {name: Hdilation, default: 1}
data_spaces:
- {name: Weights, projection: [[[C]], [[K]], [[R]], [[S]]]}
- {name: Inputs, projection: [[[N]], [[C]], [[R, Wdilation], [P, Wstride]], [[S, Hdilation], [Q, Hstride]]]}
- {name: Outputs, projection: [[[N]], [[K]], [[Q]], [[P]]], read_write: true}
"""
"""The shape that Timeloop's programs have built in (``problem-shapes/cnn-layer.yaml``)."""


def is_problem(problem: Map) -> bool:
    """Whether a problem has the form of the programs: hyphens, a shape by name, or sizes beside it."""
    shape = problem.get("shape")
    hyphens = isinstance(shape, Map) and any("-" in key for key in _keys(shape))
    return isinstance(shape, str) or hyphens or "instance" not in problem


def _keys(value: Any) -> Iterable[str]:
    if isinstance(value, Map):
        for key, item in value.items():
            yield key
            yield from _keys(item)
    elif isinstance(value, list):
        for item in value:
            yield from _keys(item)


def problem(given: Map) -> Map:
    """A problem of version 0.2 or 0.3 in the form of 0.4."""
    result = as_checked(underscored(given), "problem")
    shape = result.get("shape")
    if "instance" not in result:
        sizes = {key: value for key, value in result.items() if key not in ("shape", "version", "name")}
        ignored = ("databypass", "bypass", "densities")
        instance = Map({key: value for key, value in sizes.items() if key not in ignored})
        instance.source, instance.line, instance.lines = given.source, given.line, given.lines
        result["instance"] = instance
        for key in sizes:
            del result[key]
    if isinstance(shape, str) and shape.replace("-", "_") == "cnn_layer":
        result["shape"] = yamlio.parse(CNN_LAYER, "cnn-layer")
    version = result.pop("version", None)
    if version is not None and str(version) not in ("0.2", "0.3", "0.4"):
        raise TqhwError(f"version {version} is not known", place=given.place("version"), lever="0.2, 0.3 or 0.4")
    return result
