"""Mappings with remainders: drawn nests against the literal walk, figures by hand, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine import remainder_oracle
from tests.engine.machines import batch, energies, hardware, levels_of, problem, unlinked
from tests.engine.oracle import Block, Space
from tests.engine.test_kernel import DIMS, nests, spaces
from tests.sampling import fewer
from tqhw.engine import Batch, build_model, evaluate, run_batch
from tqhw.engine.batch import RemainderBatch
from tqhw.spec import MATMUL, Invalid, Stats, make_problem, parse_mapping

Rests = dict[tuple[int, str, str], int]


def uneven(found: Batch, rests: Rests) -> RemainderBatch:
    """The one mapping of a batch, with remainders."""
    kinds = {"T": found.temporal.copy(), "S": found.spatial.copy()}
    for (level, kind, d), rest in rests.items():
        kinds[kind][0, level, DIMS.index(d)] = rest
    return RemainderBatch(**vars(found), temporal_rest=kinds["T"], spatial_rest=kinds["S"])


def sizes(blocks: list[Block], rests: Rests) -> dict[str, int]:
    """What the passes of every dimension add up to, from the outside in."""
    last = dict.fromkeys(DIMS, 0)
    for level in reversed(range(len(blocks))):
        block = blocks[level]
        for kind, loops in (("T", block.temporal), ("S", (*block.x, *block.y))):
            for d, bound in loops:
                last[d] = last[d] * bound + rests.get((level, kind, d), bound) - 1
    return {d: n + 1 for d, n in last.items()}


def rests_of(blocks: list[Block], draw: st.DrawFn) -> Rests:
    """A remainder for some loops that have another one over their dimension outside."""
    seen: set[str] = set()
    found: Rests = {}
    for level in reversed(range(len(blocks))):
        block = blocks[level]
        for kind, loops in (("T", block.temporal), ("S", (*block.x, *block.y))):
            for d, bound in reversed(loops):
                if d in seen and bound > 1 and draw(st.booleans()):
                    found[level, kind, d] = draw(st.integers(1, bound))
                seen.add(d)
    return found


@st.composite
def uneven_nests(draw: st.DrawFn) -> tuple[list[Block], Rests]:
    blocks = draw(nests())
    return blocks, rests_of(blocks, draw)


@settings(
    max_examples=fewer(500),
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(uneven_nests(), spaces(), st.integers(0, 2**12 - 1), st.integers(0, 2**13 - 1))
def test_counts_are_those_of_the_literal_walk(
    drawn: tuple[list[Block], Rests], shape: list[Space], kept: int, cut: int
) -> None:
    blocks, rests = unlinked(drawn[0], cut), drawn[1]
    mapped = math.prod(b for block in blocks for _, b in (*block.x, *block.y))
    if mapped > 64 or sum(len(block.temporal) for block in blocks) > 7:
        return
    keep = [[bool(kept >> (level * 3 + s) & 1) for s in range(len(shape))] for level in range(len(blocks))]
    for s in range(len(shape)):
        keep[-1 - kept % len(blocks)][s] = True
    machine = hardware(*levels_of(blocks, len(shape)))
    model = build_model(problem(sizes(blocks, rests), shape), machine, energies(machine))
    counts = run_batch(model, uneven(batch(list(DIMS), [blocks], keep), rests), detail=True)
    expected = remainder_oracle.evaluate(blocks, shape, keep, rests)
    assert counts.rule[0] == 0
    assert counts.computes[0] == expected["computes"]
    assert counts.used[0].tolist() == expected["used"]
    for field in ("tile", "partition", "updates", "reads", "fills"):
        assert getattr(counts, field)[0].tolist() == expected[field], field


@settings(max_examples=60, derandomize=True)
@given(nests(), spaces())
def test_without_remainders_both_kernels_say_the_same(blocks: list[Block], shape: list[Space]) -> None:
    if math.prod(b for block in blocks for _, b in (*block.x, *block.y)) > 64:
        return
    keep = [[True] * len(shape)] * len(blocks)
    machine = hardware(*levels_of(blocks, len(shape)))
    model = build_model(problem(sizes(blocks, {}), shape), machine, energies(machine, leak=0.5))
    plain = batch(list(DIMS), [blocks], keep)
    ours, theirs = run_batch(model, uneven(plain, {}), detail=True), run_batch(model, plain, detail=True)
    for field in ("tile", "partition", "reads", "fills", "updates", "used", "cycles", "computes", "level_cycles"):
        assert np.array_equal(getattr(ours, field), getattr(theirs, field)), field
    assert ours.energy_pj[0] == pytest.approx(theirs.energy_pj[0], rel=1e-12)
    assert ours.whole_cycles[0] == theirs.cycles[0]


TEXT = [
    {"target": "L0", "type": "temporal", "factors": "M1 K3 N1", "permutation": "KMN"},
    {"target": "L1", "type": "spatial", "factors": "M4,3 K1 N1", "permutation": "MKN", "split": 3},
    {"target": "L1", "type": "temporal", "factors": "M2 K1 N2", "permutation": "MNK"},
]
MACHINE = hardware({}, {"fanoutX": 4}, mesh=(4, 1))
ROWS = make_problem(MATMUL, {"M": 7, "K": 3, "N": 2})


def test_seven_rows_on_four_columns_by_hand() -> None:
    """Two passes, of four rows and of three: 3.5 columns on average, of which Timeloop counts 3."""
    stats = evaluate(ROWS, MACHINE, energies(MACHINE), parse_mapping(TEXT))
    assert isinstance(stats, Stats)
    assert stats.cycles == 12  # K3 M2 N2
    assert stats.computes == 12 * 3  # not 42: an average unit's, times the units in use cut to 3
    assert stats.levels["mac"].utilized_instances == 4 and stats.levels["L0"].utilized_instances == 3
    inputs = stats.levels["L1"].dataspaces["Inputs"]
    assert inputs.reads == 2 * (4 + 3) * 3  # every row's K words, anew for every N
    assert stats.levels["L0"].dataspaces["Inputs"].fills == inputs.reads // 4  # spread over four units, and cut


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("M4,3", "M4,2", "the factors of dimension M with their remainders make 6, the problem's bound is 7"),
        (
            "M2 K1 N2",
            "M1 K1 N2",
            "L1: spatial factor M=4,3 has a remainder, but no loop over M outside (write M=3, or put",
        ),
        ("M4,3", "M4", "multiply to 8, the problem's bound is 7"),
    ],
)
def test_remainders_that_do_not_add_up(old: str, new: str, message: str) -> None:
    text = [{**step, "factors": str(step["factors"]).replace(old, new)} for step in TEXT]
    answer = evaluate(ROWS, MACHINE, energies(MACHINE), parse_mapping(text))
    assert isinstance(answer, Invalid) and {reason.rule for reason in answer.reasons} == {"factors"}
    assert message in "; ".join(reason.message for reason in answer.reasons)


def test_an_outermost_loop_makes_its_last_pass_alone() -> None:
    """As Timeloop has it: K4,3 outermost over time makes three iterations, and counts four cycles."""
    text = [{**step, "factors": str(step["factors"]).replace("K3", "K4,3")} for step in TEXT]
    stats = evaluate(ROWS, MACHINE, energies(MACHINE), parse_mapping(text))
    assert isinstance(stats, Stats) and (stats.cycles, stats.computes) == (16, 36)
