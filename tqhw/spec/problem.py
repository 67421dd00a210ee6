"""Problems: a loop nest's dimensions, and how its data spaces project onto them (Timeloop v0.4 ``problem``)."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping as MappingABC
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tqhw.errors import TqhwError, unknown
from tqhw.spec import yamlio
from tqhw.spec.fields import LARGEST, as_flag, as_list, as_name, as_names
from tqhw.spec.sections import check_version, passed_by
from tqhw.spec.yamlio import Map, as_map


@dataclass(frozen=True)
class Term:
    """coefficient * dimension; no coefficient means 1."""

    dimension: str
    coefficient: str | None = None


@dataclass(frozen=True)
class DataSpace:
    """A tensor: each rank (coordinate) is a sum of terms; one without terms stands still (a single word)."""

    name: str
    projection: tuple[tuple[Term, ...], ...]
    read_write: bool = False

    @property
    def dimensions(self) -> tuple[str, ...]:
        """The problem dimensions that this data space is relevant to, in order of first appearance."""
        return tuple(dict.fromkeys(term.dimension for rank in self.projection for term in rank))


@dataclass(frozen=True)
class Shape:
    """What kind of problem: dimensions, coefficients with their defaults, data spaces."""

    name: str
    dimensions: tuple[str, ...]
    coefficients: MappingABC[str, int]
    data_spaces: tuple[DataSpace, ...]

    @property
    def data_space_names(self) -> tuple[str, ...]:
        return tuple(d.name for d in self.data_spaces)


@dataclass(frozen=True)
class Problem:
    """A shape with the bound of every dimension and the value of every coefficient.

    ``notes``: what stood in its file and is read by nobody, with a warning where something else was surely meant.
    """

    shape: Shape
    name: str
    bounds: MappingABC[str, int]
    coefficients: MappingABC[str, int]
    notes: tuple[str, ...] = field(default=(), compare=False)

    @property
    def computes(self) -> int:
        """Multiply-accumulates: the product of all bounds."""
        return math.prod(self.bounds.values())

    def extents(self, data_space: DataSpace) -> tuple[int, ...]:
        """Words along every rank of the whole tensor (holes of strides and dilations included)."""
        return tuple(
            1 + sum(self.coefficient(term) * (self.bounds[term.dimension] - 1) for term in rank)
            for rank in data_space.projection
        )

    def tensor_words(self, data_space: DataSpace) -> int:
        """Words of the whole tensor's box, as Timeloop counts them."""
        return math.prod(self.extents(data_space))

    def coefficient(self, term: Term) -> int:
        return 1 if term.coefficient is None else self.coefficients[term.coefficient]


def _shape(name: str, dims: str, coefficients: MappingABC[str, int], **spaces: str) -> Shape:
    data_spaces = tuple(
        DataSpace(
            space,
            tuple(tuple(Term(*term.split("*")) for term in rank.split("+")) for rank in projection.split()),
            read_write=space == "Outputs",
        )
        for space, projection in spaces.items()
    )
    return Shape(name, tuple(dims.split()), dict(coefficients), data_spaces)


# The shapes of the reference data; W belongs to R and P, H to S and Q. C and M are per group.
CONV2D = _shape(
    "conv2d",
    "C M R S N P Q G",
    {"Wstride": 1, "Hstride": 1, "Wdilation": 1, "Hdilation": 1},
    Weights="C M R S G",
    Inputs="N C R*Wdilation+P*Wstride S*Hdilation+Q*Hstride G",
    Outputs="N M Q P G",
)
# Depth goes with F and T, as the field's own files spell it.
CONV3D = _shape(
    "conv3d",
    "C M R S T N P Q F G",
    {f"{axis}{kind}": 1 for kind in ("stride", "dilation") for axis in "WHD"},
    Weights="C M R S T G",
    Inputs="N C R*Wdilation+P*Wstride S*Hdilation+Q*Hstride T*Ddilation+F*Dstride G",
    Outputs="N M Q P F G",
)
MATMUL = _shape("matmul", "M K N", {}, Weights="K N", Inputs="M K", Outputs="M N")
BMM = _shape("bmm", "B M K N", {}, Weights="B K N", Inputs="B M K", Outputs="B M N")
SHAPES: MappingABC[str, Shape] = {s.name: s for s in (CONV2D, MATMUL, BMM)}


def parse_shape(value: Any, place: str) -> Shape:
    """A Timeloop ``shape`` mapping; ``value`` may also be the name of a packaged shape."""
    if isinstance(value, str):
        if value not in SHAPES:
            raise unknown("problem shape", value, SHAPES, place)
        return SHAPES[value]
    shape = as_map(value, place, "a problem shape")
    _check_keys(shape, ("name", "version", "dimensions", "coefficients", "data_spaces"))
    dimensions = as_names(_need(shape, "dimensions"), shape.place("dimensions"), "dimensions")
    if not dimensions or len(set(dimensions)) != len(dimensions):
        raise TqhwError(f"dimensions {list(dimensions)} must be named, each once", place=shape.place("dimensions"))
    coefficients: dict[str, int] = {}
    for item in as_list(shape.get("coefficients"), shape.place("coefficients"), "coefficients"):
        entry = as_map(item, shape.place("coefficients"), "a coefficient")
        _check_keys(entry, ("name", "default"))
        key = as_name(_need(entry, "name"), entry.place("name"), "a coefficient")
        if key in (*dimensions, *coefficients):
            raise TqhwError(f"the coefficient '{key}' has the name of another", place=entry.place(), lever="rename it")
        coefficients[key] = _whole(entry.get("default", 1), entry.place("default"), 0)
    items = as_list(_need(shape, "data_spaces"), shape.place("data_spaces"), "data_spaces")
    data_spaces = tuple(_data_space(item, shape, dimensions, coefficients) for item in items)
    if len({d.name for d in data_spaces}) != len(data_spaces) or not data_spaces:
        raise TqhwError("data spaces must be named, each once", place=shape.place("data_spaces"))
    if sum(d.read_write for d in data_spaces) != 1:
        raise TqhwError(
            "exactly one data space must be `read_write: true`",
            place=shape.place("data_spaces"),
            lever="mark the output",
        )
    return Shape(_free_name(shape), dimensions, coefficients, data_spaces)


def _data_space(value: Any, shape: Map, dimensions: tuple[str, ...], coefficients: MappingABC[str, int]) -> DataSpace:
    entry = as_map(value, shape.place("data_spaces"), "a data space")
    _check_keys(entry, ("name", "projection", "read_write"))
    name = as_name(_need(entry, "name"), entry.place("name"), "a data space")
    place = entry.place(f"projection of {name}")
    ranks = []
    for rank in as_list(_need(entry, "projection"), place, "a projection"):
        # A rank is a list of terms [[P, Wstride], [R]]; a bare name is one term.
        terms = [[rank]] if isinstance(rank, str) else as_list(rank, place, "a rank")
        parsed = []
        for term in terms:
            parts = as_names([term] if isinstance(term, str) else term, place, "a term")
            if len(parts) not in (1, 2):
                raise TqhwError(f"term {list(parts)} must be [dimension] or [dimension, coefficient]", place=place)
            if parts[0] not in dimensions:
                raise unknown("dimension", parts[0], dimensions, place)
            if len(parts) == 2 and parts[1] not in coefficients:
                raise unknown("coefficient", parts[1], coefficients, place)
            parsed.append(Term(*parts))
        ranks.append(tuple(parsed))
    if not ranks:
        message = "a data space needs at least one rank, without which Timeloop aborts"
        raise TqhwError(message, place=place, lever="write [[]], a rank without terms, for a single word")
    return DataSpace(name, tuple(ranks), as_flag(entry.get("read_write", False), place, "read_write"))


def make_problem(
    shape: Shape, instance: MappingABC[str, Any], name: str = "problem", place: str = "instance"
) -> Problem:
    """A problem from a shape and Timeloop's ``instance`` (bounds and coefficients in one mapping).

    Keys that the shape does not have are passed by, as in Timeloop, and told in the problem's notes.
    """
    bounds = {}
    for dimension in shape.dimensions:
        if dimension not in instance:
            strangers = [key for key in instance if key not in (*shape.dimensions, *shape.coefficients)]
            for key in difflib.get_close_matches(dimension, strangers, n=1, cutoff=0.5):
                raise unknown("dimension or coefficient", key, (*shape.dimensions, *shape.coefficients), place)
            raise TqhwError(f"dimension {dimension} has no bound", place=place, lever=f"add `{dimension}: ...`")
        bounds[dimension] = _whole(instance[dimension], f"{place}: {dimension}", 1)
    # A coefficient of 0 is legal: the rank stands still along that dimension.
    values = {c: _whole(instance.get(c, default), f"{place}: {c}", 0) for c, default in shape.coefficients.items()}
    return Problem(shape, name, bounds, values, _passed_by(shape, instance, place))


_FILLERS = ("H", "W", "Hpad", "Wpad", "densities")  # public files have these beside what the shape reads


def _passed_by(shape: Shape, instance: MappingABC[str, Any], place: str) -> tuple[str, ...]:
    """What is told of the keys of an instance that are neither dimensions nor coefficients."""
    known = {_folded(name): name for name in (*shape.dimensions, *shape.coefficients)}
    ignored, notes = [], []
    for key in instance:
        if key in known.values():
            continue
        meant = next(iter(difflib.get_close_matches(_folded(key), known, n=1, cutoff=0.75)), None)
        if meant is None or key in _FILLERS:
            ignored.append(key)
            continue
        name = known[meant]
        used = f"{name}={instance[name]}, as given" if name in instance else _default(shape, name)
        notes.append(f"{place}: Timeloop ignores '{key}', and so does tqhw: {used}; was '{name}' meant?")
    if ignored:
        names = ", ".join(shape.dimensions)
        notes.append(f"{place}: ignored, as in Timeloop: {', '.join(ignored)}; the shape has {names}")
    return tuple(notes)


def _folded(name: str) -> str:
    """``HStride`` and ``h_stride`` alike."""
    return re.sub(r"[\W_]", "", name).lower()


def _default(shape: Shape, name: str) -> str:
    return f"{name} is {shape.coefficients[name]}" if name in shape.coefficients else f"{name} has no bound"


def parse_problem(document: Any, source: str, name: str | None = None) -> Problem:
    """A Timeloop v0.4 document ``{problem: {shape, instance}}`` (the ``problem`` key may be left out)."""
    top = as_map(document, source, "a problem file")
    body = as_map(top["problem"], top.place("problem"), "problem") if "problem" in top else top
    notes = passed_by(top, ("problem",)) if "problem" in top else ()
    check_version(body)
    _check_keys(body, ("version", "shape", "instance", "name"))
    shape = parse_shape(_need(body, "shape"), body.place("shape"))
    instance = as_map(_need(body, "instance"), body.place("instance"), "instance")
    given = body.get("name")
    if given is not None and not isinstance(given, str):
        raise TqhwError(f"name '{given}' must be a text", place=body.place("name"), lever="put it in quotes")
    problem = make_problem(shape, instance, str(given or name or shape.name), instance.place("instance"))
    return replace(problem, notes=(*notes, *problem.notes))


def load_problem(path: str | Path) -> Problem:
    """The problem in a YAML file. Raises TqhwError for anything that Timeloop could not take."""
    return parse_problem(yamlio.load(path), str(path), Path(path).stem)


def dump_problem(problem: Problem) -> str:
    """The problem as Timeloop v0.4 YAML; :func:`load_problem` reads it back unchanged."""
    shape = problem.shape
    body = {
        "problem": {
            "version": "0.4",
            "shape": {
                "name": shape.name,
                "dimensions": list(shape.dimensions),
                "coefficients": [{"name": n, "default": v} for n, v in shape.coefficients.items()],
                "data_spaces": [
                    {
                        "name": d.name,
                        "projection": [
                            [[t.dimension, *([t.coefficient] if t.coefficient else [])] for t in rank]
                            for rank in d.projection
                        ],
                        **({"read_write": True} if d.read_write else {}),
                    }
                    for d in shape.data_spaces
                ],
            },
            "instance": {**problem.bounds, **problem.coefficients},
        }
    }
    return yamlio.dump(body)


def _free_name(shape: Map) -> str:
    """A shape's name, which is free text for Timeloop (``3d_conv``)."""
    name = shape.get("name", "problem")
    if not isinstance(name, str | int | float) or not str(name).strip() or not str(name).isprintable():
        raise TqhwError(f"a shape's name must be a text, found {str(name)[:60]!r}", place=shape.place("name"))
    return str(name)


def _need(mapping: Map, key: str) -> Any:
    if key not in mapping or mapping[key] is None:
        raise TqhwError(f"'{key}' is missing", place=mapping.place(), lever=f"add `{key}:`")
    return mapping[key]


def _check_keys(mapping: Map, known: tuple[str, ...]) -> None:
    for key in mapping:
        if key not in known:
            raise unknown("key", key, known, mapping.place())


def _whole(value: Any, place: str, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise TqhwError(f"'{value}' must be a whole number of at least {least}", place=place)
    if value > LARGEST:
        raise TqhwError(f"{value} is more than the {LARGEST} that can be counted exactly", place=place)
    return value
