"""Problems that Timeloop's programs read directly, in the form of version 0.4."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tqhw.errors import TqhwError, unknown
from tqhw.frontend.legacy import as_checked, underscored
from tqhw.spec import SHAPES, yamlio
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
GEMM_ABZ = """\
name: gemm_ABZ
dimensions: [M, N, K]
data_spaces:
- {name: A, projection: [[[M]], [[K]]]}
- {name: B, projection: [[[N]], [[K]]]}
- {name: Z, projection: [[[M]], [[N]]], read_write: true}
"""
GEMM = """\
name: gemm
dimensions: [M, N, K]
data_spaces:
- {name: A, projection: [[[M]], [[K]]]}
- {name: B, projection: [[[N]], [[K]]]}
- {name: C, projection: [[[M]], [[N]]]}
- {name: D, projection: [[[M]], [[N]]], read_write: true}
"""
BUILT_IN = {"cnn_layer": CNN_LAYER, "gemm_ABZ": GEMM_ABZ, "gemm": GEMM}
"""The shapes that Timeloop's programs have in ``problem-shapes``, by name; older ones wrote hyphens."""

DEFAULT = "cnn_layer"
FOLDERS = ("TIMELOOP_PROBLEM_SHAPE_DIR", "TIMELOOP_PROBLEM_SHAPE_DIRS")
"""Environment variables with folders (colons between) where the programs look for a shape's file first."""


def is_problem(problem: Map) -> bool:
    """Whether a problem has the form of the programs: hyphens, a shape by name or none, or sizes beside it."""
    shape = problem.get("shape")
    hyphens = isinstance(shape, Map) and any("-" in key for key in _keys(shape))
    return isinstance(shape, str) or hyphens or "instance" not in problem or has_no_shape(problem)


def has_no_shape(problem: Map) -> bool:
    """Whether the programs would take their default shape; version 0.4 needs one."""
    return "shape" not in problem and str(problem.get("version")) != "0.4"


def default_note(given: Map) -> str:
    """What the programs say of a problem without a shape."""
    return f"{given.place()}: no shape is given: {DEFAULT}, as in Timeloop; write `shape: {DEFAULT}` if it is meant"


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
    if shape is None:
        result["shape"] = yamlio.parse(BUILT_IN[DEFAULT], DEFAULT)
    elif isinstance(shape, str) and shape not in SHAPES:
        result["shape"] = _named(shape, given.place("shape"))
    version = result.pop("version", None)
    if version is not None and str(version) not in ("0.2", "0.3", "0.4"):
        raise TqhwError(f"version {version} is not known", place=given.place("version"), lever="0.2, 0.3 or 0.4")
    return result


def _named(name: str, place: str) -> Any:
    """A shape by name: from the folders of :data:`FOLDERS`, then built in. Raises TqhwError for an unknown one."""
    plain = name.removesuffix(".yaml").removesuffix(".yml")
    folders = [folder for variable in FOLDERS for folder in os.environ.get(variable, "").split(":") if folder]
    for folder in folders if Path(name).name == name else ():
        file = Path(folder) / (name if name != plain else f"{name}.yaml")
        if file.is_file():
            top = underscored(as_checked(yamlio.load(file), "a file with a shape"))
            if "shape" not in top:
                raise TqhwError("no 'shape' in the file of a shape", place=str(file), lever="write `shape:`")
            return top["shape"]
    if plain.replace("-", "_") in BUILT_IN:
        return yamlio.parse(BUILT_IN[plain.replace("-", "_")], plain)
    known = (*BUILT_IN, *SHAPES)
    error = unknown("problem shape", name, known, place)
    lever = f"put the folder of its file {plain}.yaml into {FOLDERS[0]}, as for Timeloop, or write the shape out"
    raise TqhwError(error.message, place=error.place, lever="; ".join(filter(None, (error.lever, lever))))
