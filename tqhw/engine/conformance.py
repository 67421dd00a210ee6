"""The engine against recorded runs of Timeloop: a folder with arch/, ert/, problem_shapes.yaml and cases/*.jsonl."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from tqhw.engine.batch import BadMappingError, encode
from tqhw.engine.evaluation import invalid, run_batch
from tqhw.engine.model import build_model
from tqhw.engine.nest import VALID
from tqhw.engine.recorded import Deviation, compare
from tqhw.errors import TqhwError, unknown
from tqhw.spec import (
    ERT,
    Hardware,
    Shape,
    flatten,
    forbid_links,
    load_architecture,
    load_ert,
    make_problem,
    parse_mapping,
    parse_shape,
)
from tqhw.spec.yamlio import as_map, load, read_text
from tqhw.system.json_files import checked, parse_json


@dataclass(frozen=True)
class Conformance:
    """The outcome for a folder: number of cases per architecture, and every difference."""

    valid: dict[str, int]
    invalid: dict[str, int]
    differences: tuple[Deviation, ...]

    @property
    def cases(self) -> int:
        return sum(self.valid.values()) + sum(self.invalid.values())

    def as_json(self) -> dict[str, Any]:
        return {
            "cases": self.cases,
            "valid": self.valid,
            "invalid": self.invalid,
            "failed_cases": len({d.case for d in self.differences}),
            "differences": [vars(d) for d in self.differences],
        }


_Numbers = bool | int | float | None | list[bool | int | float]  # None: not recorded
_LEVER = "see the reference's case schema"


class _CaseLevel(BaseModel):
    """What is recorded of a level: numbers, or one per data space. What is missing is told where it is needed."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, _Numbers]

    name: str


class _ComputeLevel(_CaseLevel):
    """The compute level, likewise."""


class _Expected(BaseModel):
    """What is recorded of a valid mapping."""

    cycles: int | float = 0
    computes: int | float = 0
    utilization: int | float = 0
    energy: int | float = 0
    compute_level: _ComputeLevel | None = None
    levels: list[_CaseLevel]


def check_folder(folder: str | Path, progress: Callable[[str, int], None] | None = None) -> Conformance:
    """Evaluates every case and compares every field of every level.

    ``progress`` is called with an architecture's name and its number of cases when they are done. Raises TqhwError
    where the folder is not of the format, or holds no case.
    """
    root = Path(folder)
    files = sorted((root / "cases").glob("*.jsonl"))
    if not files:
        raise TqhwError(
            "no cases/*.jsonl in the folder", place=str(root), lever="name a folder with arch/, ert/ and cases/"
        )
    place = str(root / "problem_shapes.yaml")
    shapes = {
        name: parse_shape(value, place)
        for name, value in as_map(as_map(load(place), place, "the document").get("shapes"), place, "shapes").items()
    }
    counts: tuple[dict[str, int], dict[str, int]] = ({}, {})
    differences: list[Deviation] = []
    for file in files:
        hardware = flatten(load_architecture(root / f"arch/{file.stem}.yaml"))
        ert = load_ert(root / f"ert/{file.stem}.ERT.yaml")
        n = [0, 0]
        for case, at in _cases(file):
            try:
                differences += check_case(_checked(case, at), hardware, ert, shapes)
                n[not case["valid"]] += 1
            except KeyError as error:
                raise TqhwError(f"the case has no {error}", place=at, lever=_LEVER) from None
        counts[0][file.stem], counts[1][file.stem] = n
        if progress is not None:
            progress(file.stem, sum(n))
    return Conformance(*counts, tuple(differences))


def _cases(file: Path) -> Iterator[tuple[Any, str]]:
    """Every line's JSON value and where it stands."""
    empty = True
    for number, line in enumerate(read_text(file).splitlines(), 1):
        if line.strip():
            empty = False
            at = f"{file}:{number}"
            yield parse_json(line, at), at
    if empty:
        raise TqhwError("the file holds no case", place=str(file))


def _checked(case: Any, place: str) -> dict[str, Any]:
    """The case, if its parts are of the kinds that the reference's schema names."""
    if not isinstance(case, dict):
        raise TqhwError("a case must be a JSON object", place=place)
    parts: dict[str, tuple[Any, type, str]] = {
        "id": (case["id"], str, "text"),
        "valid": (case["valid"], bool, "true or false"),
        "mapping": (case["mapping"], list, "a list of directives"),
        "problem": (case["problem"], dict, "a map"),
    }
    if case["valid"]:
        parts["expected"] = (case["expected"], dict, "a map")
    else:
        parts["kind"] = (case["kind"], str, "text")
    for name, (value, kind, wanted) in parts.items():
        if not isinstance(value, kind):
            raise TqhwError(f"the case's {name} must be {wanted}", place=place)
    if case["valid"]:
        levels = case["expected"]["levels"]
        if not isinstance(levels, list) or not all(isinstance(level, dict) for level in levels):
            raise TqhwError("the case's expected.levels must be a list of maps", place=place)
        checked(_Expected, case["expected"], place, _LEVER, "what a case expects")
    if not isinstance(case["problem"]["instance"], dict):
        raise TqhwError("the case's problem.instance must be a map", place=place)
    return case


def check_case(case: dict[str, Any], hardware: Hardware, ert: ERT, shapes: dict[str, Shape]) -> list[Deviation]:
    """Differences between the engine and one recorded case (none: it conforms)."""
    name = case["id"]
    entry = case["problem"]
    shape = shapes.get(str(entry["shape"]))
    if shape is None:
        raise unknown("problem shape", str(entry["shape"]), shapes, name)
    problem = make_problem(shape, entry["instance"])
    mapping = parse_mapping(case["mapping"], name)
    hardware = forbid_links(hardware, mapping)
    model = build_model(problem, hardware, ert)
    try:
        batch = encode(problem, hardware, [mapping])
    except BadMappingError as bad:
        return _refused(case, {reason.rule for reason in bad.reasons})
    counts = run_batch(model, batch, detail=True)
    if counts.rule[0] != VALID:
        return _refused(case, {reason.rule for reason in invalid(problem, hardware, batch, counts).reasons})
    if not case["valid"]:
        return [Deviation(name, "valid", True, f"False ({case['kind']})")]
    return list(compare(case, problem, hardware, model, batch, counts))


def _refused(case: dict[str, Any], rules: set[str]) -> list[Deviation]:
    if case["valid"]:
        return [Deviation(case["id"], "valid", f"False ({', '.join(sorted(rules))})", True)]
    return [] if case["kind"] in rules else [Deviation(case["id"], "kind", sorted(rules), case["kind"])]
