"""Counts of random small nests against the literal walk of oracle.py, and totals that are worked out by hand."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.machines import batch, energies, hardware, levels_of, problem, unlinked
from tests.engine.oracle import Block, Space, evaluate
from tests.sampling import fewer
from tqhw.engine import build_model, run_batch

DIMS = "ABCD"


@st.composite
def spaces(draw: st.DrawFn) -> list[Space]:
    """One to three data spaces; ranks of up to three terms, dimensions in several ranks, coefficients 1 to 3."""
    found = []
    for s in range(draw(st.integers(1, 3))):
        ranks = draw(
            st.lists(
                st.lists(
                    st.tuples(st.integers(1, 3), st.sampled_from(DIMS)),
                    min_size=1,
                    max_size=3,
                    unique_by=lambda t: t[1],
                ),
                min_size=1,
                max_size=3,
            )
        )
        found.append(Space(ranks, read_write=draw(st.booleans()) and s == 0))
    return found


@st.composite
def loops(draw: st.DrawFn, most: int, largest: int) -> list[tuple[str, int]]:
    dims = draw(st.lists(st.sampled_from(DIMS), max_size=most, unique=True))
    return [(d, draw(st.integers(2, largest))) for d in dims]


@st.composite
def nests(draw: st.DrawFn) -> list[Block]:
    """Two to four levels; units anywhere, also directly above the MACs, on meshes narrower or wider than mapped."""
    blocks = []
    for _ in range(draw(st.integers(2, 4))):
        x: list[tuple[str, int]] = []
        y: list[tuple[str, int]] = []
        if draw(st.booleans()):
            x = draw(loops(2, 3))
            y = [(d, b) for d, b in draw(loops(1, 3)) if d not in dict(x)]
        fanout = (draw(st.integers(1, 6)), draw(st.integers(1, 4)))
        if (x or y) and fanout == (1, 1):
            fanout = (2, 1)
        blocks.append(Block(x, y, draw(loops(3, 3)), *(fanout if x or y else (1, 1))))
    return blocks


def bounds_of(blocks: list[Block]) -> dict[str, int]:
    bounds = dict.fromkeys(DIMS, 1)
    for block in blocks:
        for d, b in (*block.x, *block.y, *block.temporal):
            bounds[d] *= b
    return bounds


@settings(
    max_examples=fewer(400),
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(nests(), spaces(), st.integers(0, 2**12 - 1), st.integers(0, 2**13 - 1))
def test_counts_are_those_of_the_literal_walk(blocks: list[Block], shape: list[Space], kept: int, cut: int) -> None:
    blocks = unlinked(blocks, cut)
    mapped = np.prod([b for block in blocks for _, b in (*block.x, *block.y)])
    visits = 2 ** sum(len(block.temporal) for block in blocks)
    if mapped > 64 or visits > 256:
        return
    keep = [[bool(kept >> (level * 3 + s) & 1) for s in range(len(shape))] for level in range(len(blocks))]
    for s in range(len(shape)):
        keep[-1 - kept % len(blocks)][s] = True
    bounds = bounds_of(blocks)
    machine = hardware(*levels_of(blocks, len(shape)))
    model = build_model(problem(bounds, shape), machine, energies(machine))
    counts = run_batch(model, batch(list(DIMS), [blocks], keep), detail=True)
    expected = evaluate(blocks, shape, keep)
    assert counts.rule[0] == 0
    assert counts.compute_cycles[0] == expected["cycles"]
    for field in ("tile", "partition", "updates", "reads", "fills"):
        assert getattr(counts, field)[0].tolist() == expected[field], field
