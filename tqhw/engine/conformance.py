"""The engine against recorded runs of Timeloop: a folder with arch/, ert/, problem_shapes.yaml and cases/*.jsonl."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tqhw.engine.batch import BadMappingError, Batch, encode
from tqhw.engine.evaluate import invalid, run_batch
from tqhw.engine.kernel import Counts
from tqhw.engine.model import Model, build_model
from tqhw.engine.nest import VALID
from tqhw.errors import TqhwError
from tqhw.spec import (
    ERT,
    Hardware,
    Problem,
    Shape,
    flatten,
    load_architecture,
    load_ert,
    make_problem,
    parse_mapping,
    parse_shape,
)
from tqhw.spec.yamlio import as_map, load, read_text

ENERGY_TOLERANCE = 1e-9  # relative


@dataclass(frozen=True)
class Difference:
    """One value that is not what Timeloop recorded."""

    case: str
    field: str
    ours: Any
    theirs: Any


@dataclass(frozen=True)
class Conformance:
    """The outcome for a folder: number of cases per architecture, and every difference."""

    valid: dict[str, int]
    invalid: dict[str, int]
    differences: tuple[Difference, ...]

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
        name: parse_shape(value, place) for name, value in as_map(load(place).get("shapes"), place, "shapes").items()
    }
    counts: tuple[dict[str, int], dict[str, int]] = ({}, {})
    differences: list[Difference] = []
    for file in files:
        hardware = flatten(load_architecture(root / f"arch/{file.stem}.yaml"))
        ert = load_ert(root / f"ert/{file.stem}.ERT.yaml")
        n = [0, 0]
        for case, at in _cases(file):
            try:
                differences += check_case(case, hardware, ert, shapes)
                n[not case["valid"]] += 1
            except KeyError as error:
                raise TqhwError(f"the case has no {error}", place=at, lever="see the reference's case schema") from None
        counts[0][file.stem], counts[1][file.stem] = n
        if progress is not None:
            progress(file.stem, sum(n))
    return Conformance(*counts, tuple(differences))


def _cases(file: Path) -> Iterator[tuple[dict[str, Any], str]]:
    for number, line in enumerate(read_text(file).splitlines(), 1):
        if line.strip():
            at = f"{file}:{number}"
            try:
                case = json.loads(line)
            except json.JSONDecodeError as error:
                raise TqhwError(f"not valid JSON: {error.msg}", place=f"{at}:{error.colno}") from None
            if not isinstance(case, dict):
                raise TqhwError("a case must be a JSON object", place=at)
            yield case, at


def check_case(case: dict[str, Any], hardware: Hardware, ert: ERT, shapes: dict[str, Shape]) -> list[Difference]:
    """Differences between the engine and one recorded case (none: it conforms)."""
    name = case["id"]
    entry = case["problem"]
    shape = shapes.get(entry["shape"])
    problem = make_problem(parse_shape(entry["shape"], name) if shape is None else shape, entry["instance"])
    model = build_model(problem, hardware, ert)
    try:
        batch = encode(problem, hardware, [parse_mapping(case["mapping"], name)])
    except BadMappingError as bad:
        return _refused(case, {reason.rule for reason in bad.reasons})
    counts = run_batch(model, batch, detail=True)
    if counts.rule[0] != VALID:
        return _refused(case, {reason.rule for reason in invalid(problem, hardware, batch, counts).reasons})
    if not case["valid"]:
        return [Difference(name, "valid", True, f"False ({case['kind']})")]
    return list(_compare(case, problem, hardware, model, batch, counts))


def _refused(case: dict[str, Any], rules: set[str]) -> list[Difference]:
    if case["valid"]:
        return [Difference(case["id"], "valid", f"False ({', '.join(sorted(rules))})", True)]
    return [] if case["kind"] in rules else [Difference(case["id"], "kind", sorted(rules), case["kind"])]


def _compare(
    case: dict[str, Any], problem: Problem, hardware: Hardware, model: Model, batch: Batch, counts: Counts
) -> Iterator[Difference]:
    expected = case["expected"]
    ours: dict[str, Any] = {
        "cycles": int(counts.cycles[0]),
        "computes": problem.computes,
        "utilization": problem.computes / hardware.compute.instances / int(counts.cycles[0]),
        "energy": float(counts.energy_pj[0]),
    }
    for field, value in ours.items():
        yield from _differ(case["id"], field, value, expected[field])
    level_index = {name: i for i, name in enumerate(hardware.level_names)}
    for recorded in expected["levels"]:
        i = level_index[recorded["name"]]
        for field, value in level_fields(model, batch, counts, i).items():
            if field in recorded:
                yield from _differ(case["id"], f"{recorded['name']}.{field}", value, recorded[field])


def level_fields(model: Model, batch: Batch, counts: Counts, i: int) -> dict[str, Any]:
    """Everything the reference records of a level, from the first mapping of a batch; lists are per data space."""
    keep = batch.keep[0, i]
    reads, fills, updates = counts.reads[0, i], counts.fills[0, i], counts.updates[0, i]
    read_write = model.read_write
    spaces = len(keep)
    x = y = 1
    for level in range(i + 1, batch.spatial.shape[1]):
        for position, d in enumerate(batch.spatial_order[0, level]):
            factor = int(batch.spatial[0, level, d])
            x, y = (x * factor, y) if position < batch.split[0, level] else (x, y * factor)
    used = x * y
    clusters = min(float(used), model.instances[i] / model.cluster_size[i])
    energy = counts.ds_energy_pj[0, i]
    compute_cycles, slowdown = int(counts.compute_cycles[0]), counts.slowdown[0, i]
    block = model.block_size[i]
    return {
        "keep": keep.astype(int).tolist(),
        "tile_size": counts.tile[0, i].tolist(),
        "utilized_capacity": counts.tile[0, i].tolist(),
        "partition_size": counts.partition[0, i].tolist(),
        "utilized_instances": [used] * spaces,
        "utilized_x_expansion": [x] * spaces,
        "utilized_y_expansion": [y] * spaces,
        "utilized_clusters": [clusters] * spaces,
        "reads": reads.tolist(),
        "fills": fills.tolist(),
        "updates": updates.tolist(),
        "temporal_reductions": np.where(read_write, reads, 0).tolist(),
        "address_generations": np.where(read_write, updates + fills, reads + fills).tolist(),
        "vector_reads": (-(-reads // block)).tolist(),
        "vector_fills": (-(-fills // block)).tolist(),
        "vector_updates": (-(-updates // block)).tolist(),
        "energy_per_instance": (energy / used).tolist(),
        "energy": energy.tolist(),
        "read_bandwidth": (reads / compute_cycles * slowdown).tolist(),
        "write_bandwidth": ((fills + updates) / compute_cycles * slowdown).tolist(),
        "leakage_energy": float(counts.leak_pj[0, i]),
        "leaks_per_cycle": max(1, used),
        "slowdown": float(slowdown),
        "cycles": int(counts.level_cycles[0, i]),
        "energy_total": float(energy.sum() + counts.leak_pj[0, i]),
    }


def _differ(case: str, field: str, ours: Any, theirs: Any) -> Iterator[Difference]:
    """Integers must be equal, floating-point numbers equal to ENERGY_TOLERANCE."""
    mine, recorded = (v if isinstance(v, list) else [v] for v in (ours, theirs))
    same = len(mine) == len(recorded) and all(
        a == b or (isinstance(a, float) and math.isclose(a, b, rel_tol=ENERGY_TOLERANCE, abs_tol=0.0))
        for a, b in zip(mine, recorded, strict=True)
    )
    if not same:
        yield Difference(case, field, ours, theirs)
