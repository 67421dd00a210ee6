"""The engine's public verbs: cost of one mapping, cost of a batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from tqhw.engine.batch import BadMappingError, Batch, RemainderBatch, check_batch, encode, expansion
from tqhw.engine.interpreted import interpreted, pays
from tqhw.engine.jit import Kernel, python
from tqhw.engine.kernel import Counts, Work, evaluate_batch, make_counts, make_work
from tqhw.engine.model import Model, build_model
from tqhw.engine.nest import FANOUT, OVERFLOW, RULES, VALID
from tqhw.engine.remainders import RemainderWork, evaluate_remainders, make_remainder_work
from tqhw.engine.table import MAX_ROWS
from tqhw.errors import TqhwError
from tqhw.spec import (
    ERT,
    DataSpaceStats,
    Hardware,
    Invalid,
    Level,
    LevelStats,
    Mapping,
    Problem,
    Reason,
    Stats,
    forbid_links,
)


def run_batch(model: Model, batch: Batch, detail: bool = False, work: Work | RemainderWork | None = None) -> Counts:
    """Evaluates a batch; without ``detail`` only the totals (rule, level, cycles, energy_pj) have N rows."""
    n_levels, n_spaces, n_dims = len(model.mesh_x), len(model.ranks), len(model.bounds)
    check_batch(batch, n_levels, n_dims, n_spaces)
    out = make_counts(len(batch), n_levels, n_spaces, detail)
    out.computes[:] = np.prod(model.bounds)
    alone = work is None and pays(model, batch)
    compiled = evaluate_remainders if isinstance(batch, RemainderBatch) else evaluate_batch
    kernel: Any = python(compiled) if alone else compiled
    work = make_work(model) if work is None else work
    arrays: Any = work
    if isinstance(batch, RemainderBatch) and isinstance(work, Work):
        arrays = make_remainder_work(work)
    mappings = map(np.ascontiguousarray, vars(batch).values())  # numba compiles anew for every other layout in memory
    with np.errstate(all="ignore"):  # compiled code does not warn
        kernel(*mappings, interpreted(arrays) if alone else arrays, detail, out)
    if (out.rule == OVERFLOW).any():
        raise TqhwError(
            f"a fan-out of a mapping delivers in more than {MAX_ROWS} different ways, which the engine cannot hold",
            lever="use fewer spatial loops over a sliding window",
        )
    return out


def compile_aside(batch: Batch, work: Work) -> None:
    """Has another process compile the engine meanwhile, for batches such as this, where nobody ever has."""
    _, n_levels, n_spaces = batch.keep.shape
    cast(Kernel, evaluate_batch).compile_aside(
        *vars(batch).values(), work, False, make_counts(1, n_levels, n_spaces, False)
    )


def evaluate(problem: Problem, hardware: Hardware, ert: ERT, mapping: Mapping) -> Stats | Invalid:
    """What Timeloop's dense model says of a mapping: counts per instance, cycles, energy in pJ.

    A mapping that does not fit is an answer (:class:`Invalid`), with Timeloop's first failing rule. Raises
    TqhwError for names that problem or ERT do not have.
    """
    hardware = forbid_links(hardware, mapping)
    model = build_model(problem, hardware, ert)
    try:
        batch = encode(problem, hardware, [mapping])
    except BadMappingError as bad:
        return Invalid(bad.reasons)
    counts = run_batch(model, batch, detail=True)
    if counts.rule[0] != VALID:
        return invalid(problem, hardware, batch, counts)
    return statistics(problem, hardware, model, batch, counts)


def statistics(problem: Problem, hardware: Hardware, model: Model, batch: Batch, counts: Counts) -> Stats:
    """The first mapping of a batch, which is valid, by the names of levels and data spaces. ``counts``: with detail."""
    names = problem.shape.data_space_names
    cycles = int(counts.cycles[0])
    computes = int(counts.computes[0])
    levels: dict[str, LevelStats] = {}
    compute = hardware.compute
    used = math.prod(expansion(batch, -1))
    levels[compute.name] = LevelStats(
        "compute", compute.instances, computes * model.compute_pj, 0.0, int(counts.compute_cycles[0]), used, {}
    )
    for i, level in enumerate(hardware.levels):
        if level.kind != "storage":
            continue
        spaces = {
            name: DataSpaceStats(
                tile_words=int(counts.tile[0, i, s]),
                utilized_instances=int(counts.used[0, i]),
                reads=int(counts.reads[0, i, s]),
                fills=int(counts.fills[0, i, s]),
                updates=int(counts.updates[0, i, s]),
                energy_pj=float(counts.ds_energy_pj[0, i, s]),
            )
            for s, name in enumerate(names)
            if batch.keep[0, i, s]
        }
        levels[level.name] = LevelStats(
            "storage",
            level.instances,
            float(sum(d.energy_pj for d in spaces.values())),
            float(counts.leak_pj[0, i]),
            int(counts.level_cycles[0, i]),
            int(counts.used[0, i]),
            spaces,
        )
    utilization = computes / compute.instances / cycles
    return Stats(cycles, computes, utilization, float(counts.energy_pj[0]), levels)


def invalid(problem: Problem, hardware: Hardware, batch: Batch, counts: Counts) -> Invalid:
    """Why the first mapping of a batch does not fit: demand against bound at the first failing level.

    Where capacity and mesh fail in the same level, both are told.
    """
    rule, at = int(counts.rule[0]), int(counts.level[0])
    if rule == RULES.index("bypass_all"):
        kept = batch.keep[0].any(axis=0)
        lost = [n for n, k in zip(problem.shape.data_space_names, kept, strict=True) if not k]
        return Invalid(
            tuple(
                Reason(hardware.compute.name, "bypass_all", 0, 1, f"{name} is bypassed in all storage levels")
                for name in lost
            )
        )
    reasons = []
    name, mesh = hardware.compute.name, hardware.compute
    if at >= 0:
        level = hardware.levels[at]
        name = level.name
        demand, bound, unit = tile_demand(level, [int(words) for words in counts.tile[0, at]])
        if bound is not None and demand > bound:
            message = f"{name}: the tiles need {demand} {unit}, the capacity is {bound}"
            reasons.append(Reason(name, "capacity", demand, bound, message))
    x, y = expansion(batch, at)
    bounds = hardware.levels[at] if at >= 0 else mesh
    for what, demand, bound in (
        ("instances", x * y, bounds.instances),
        ("columns (X)", x, bounds.meshX),
        ("rows (Y)", y, bounds.meshY),
    ):
        if demand > bound:
            message = f"{name}: the mapping uses {demand} {what}, there are {bound}"
            reasons.append(Reason(name, RULES[FANOUT], demand, bound, message))
            break
    return Invalid(tuple(reasons))


def tile_demand(level: Level, words: Sequence[int]) -> tuple[int, int | None, str]:
    """What tiles of so many words per data space (0: not kept) need of a level, what it has, and the unit of both."""
    if level.packing is None:
        return sum(words), level.effective_size, "words"
    rows = (-(-w * space.rows // space.words) for w, space in zip(words, level.packing.spaces, strict=True))
    return sum(rows), level.packing.rows, f"rows of {level.packing.row_bits} bits"
