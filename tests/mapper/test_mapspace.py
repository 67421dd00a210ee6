"""The mapspace is Timeloop's: sizes it printed, mappings it found, constraints it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.mapper.brute import mappings
from tests.mapper.places import conv, machine, recorded
from tqhw.engine import build_model, encode
from tqhw.errors import TqhwError
from tqhw.mapper.space.mapspace import build_mapspace, loop_orders, splits
from tqhw.mapper.space.slots import Slot
from tqhw.spec import MATMUL, Constraints, LoopConstraint, make_problem, parse_mapping

LAYER = conv(C=64, M=64, R=3, S=3, P=28, Q=28)


def constrained(name, level, **loops):
    """An architecture with another constraint on one level."""
    hardware, _ = machine(name)
    levels = tuple(
        replace(v, constraints=replace(v.constraints, **loops)) if v.node == level else v for v in hardware.levels
    )
    return replace(hardware, levels=levels)


# Printed by timeloop-mapper for these two layers (reference data set, raw/mapper_*/stdout.log).
@pytest.mark.parametrize(
    "name, problem, sizes",
    [
        ("eyeriss_like", LAYER, (17146080, 518400, 1, 1)),
        (
            "eyeriss_split_w6a8",
            conv(C=64, M=64, R=3, S=3, P=14, Q=14),
            (4792539720969, 72220413630873600000000, 81, 1),
        ),
    ],
)
def test_sizes_are_those_that_timeloop_prints(name, problem, sizes):
    assert tuple(build_mapspace(problem, machine(name)[0]).sizes.values()) == sizes


def test_bypass_choices():
    assert build_mapspace(LAYER, machine("eyeriss_like_free")[0]).sizes["DatatypeBypass"] == 8
    masks = list(build_mapspace(LAYER, machine("eyeriss_like_free")[0]).masks())
    assert len(masks) == 8
    assert all(mask[-1] == (True, True, True) for mask in masks)
    # The outermost of two memories keeps what its constraint says, and nothing else.
    (mask,) = build_mapspace(LAYER, machine("eyeriss_split_w6a8")[0]).masks()
    assert mask[-1] == (True, False, False)
    assert mask[-2] == (False, True, True)


@pytest.mark.parametrize("file", ["searches.jsonl", "searches_long.jsonl"])
def test_holds_every_mapping_that_timeloop_found(file):
    for problem, record in recorded(file):
        hardware, _ = machine(record["architecture"])
        space = build_mapspace(problem, hardware)
        batch = encode(problem, hardware, [parse_mapping(record["mapping"])])
        for slot in space.slots:
            factors = (batch.spatial if slot.spatial else batch.temporal)[0, slot.level]
            order = (batch.spatial_order if slot.spatial else batch.temporal_order)[0, slot.level]
            present = frozenset(np.flatnonzero(factors > 1).tolist())
            live = tuple(int(d) for d in order if d in present)
            assert all(f in slot.factors[d] for d, f in enumerate(factors.tolist()))
            assert live in set(loop_orders(slot, present))
            if slot.spatial:
                along_x = sum(d in present for d in order[: batch.split[0, slot.level]])
                assert along_x in splits(slot, present)


def test_enumeration_covers_the_factorizations():
    hardware, ert = machine("two_level")
    problem = conv(P=4)
    space = build_mapspace(problem, hardware)
    build_model(problem, hardware, ert)
    shapes = {row[0].tobytes() for row in mappings(space)}
    assert len(shapes) == space.sizes["IndexFactorization"] == 3


@pytest.mark.parametrize(
    "split, present, allowed",
    [
        (0, {0, 1}, [0]),
        (999, {0, 1}, [2]),
        (None, {0, 1}, [0, 1, 2]),
        (1, {0, 1}, [0]),  # the first position is taken by dimension 3, a loop of bound 1
        (2, {0, 1}, [0, 1]),  # then dimension 2 may stand before or behind the others
        (3, {0, 1}, [1, 2]),
        (2, {0, 1, 2}, [1]),
    ],
)
def test_a_given_split_counts_loops_of_bound_one(split, present, allowed):
    every = ((1, 2),) * 4
    slot = Slot(0, True, every, (False,) * 4, prefix=(3,), free=(0, 1, 2), suffix=(), split=split)
    assert list(splits(slot, frozenset(present))) == allowed


def test_prefix_free_and_suffix():
    slot = Slot(0, False, ((1, 2),) * 4, (False,) * 4, prefix=(3,), free=(0, 2), suffix=(1,))
    orders = set(loop_orders(slot, frozenset({0, 1, 2, 3})))
    assert orders == {(3, 0, 2, 1), (3, 2, 0, 1)}


def test_factor_zero_is_the_whole_dimension():
    loops = LoopConstraint(factors={"P": 0})
    space = build_mapspace(conv(P=6), constrained("two_level", "buffer", temporal=loops))
    slot = next(s for s in space.slots if s.name(space.hardware) == "buffer")
    assert slot.factors[MATCH_P] == (6,)


MATCH_P = LAYER.shape.dimensions.index("P")


def test_factor_above_the_bound_is_ignored_with_a_warning():
    loops = LoopConstraint(factors={"P": 16})
    space = build_mapspace(conv(P=6), constrained("two_level", "buffer", temporal=loops))
    assert space.warnings == ("constraints of buffer: P=16 exceeds the problem's P=6 and is ignored",)
    slot = next(s for s in space.slots if s.name(space.hardware) == "buffer")
    assert slot.factors[MATCH_P] == (1, 2, 3, 6)


def test_at_most_and_at_least():
    loops = LoopConstraint(at_most={"P": 6}, at_least={"P": 3})
    space = build_mapspace(conv(P=12), constrained("two_level", "buffer", temporal=loops))
    slot = next(s for s in space.slots if s.name(space.hardware) == "buffer")
    assert slot.factors[MATCH_P] == (3, 4, 6)


@pytest.mark.parametrize(
    "loops, message",
    [
        (LoopConstraint(factors={"P": 4}), r"factor P=4 does not divide P=6 .*1, 2, 3, 6.*imperfect"),
        (LoopConstraint(factors={"P": 6}, at_most={"P": 2}), "no factor of P=6 satisfies P=6 and P<=2"),
        (LoopConstraint(at_least={"P": 7}), "no factor of P=6 satisfies P>=7"),
        (LoopConstraint(at_most={"P": 0}), "factor P<=0 must be at least 1"),
        (LoopConstraint(factors={"K": 2}), "unknown dimension 'K'"),
        (LoopConstraint(permutation=("P", "X")), "unknown dimension 'X'"),
        (LoopConstraint(permutation=("P", "Q", "P")), "permutation P, Q, P names a dimension twice"),
        (LoopConstraint(not_over=("Weight",)), "unknown data space 'Weight'.*did you mean 'Weights'"),
        (LoopConstraint(factors={"C": 2}, not_over=("Weights",)), "factor C=2 contradicts"),
    ],
)
def test_refuses(loops, message):
    with pytest.raises(TqhwError, match=message):
        build_mapspace(conv(P=6, C=2), constrained("two_level", "buffer", temporal=loops))


def test_refuses_fixed_factors_that_miss_the_bound():
    hardware = constrained("two_level", "buffer", temporal=LoopConstraint(factors={"P": 2}))
    levels = tuple(
        replace(v, constraints=Constraints(temporal=LoopConstraint(factors={"P": 2}))) if v.node == "DRAM" else v
        for v in hardware.levels
    )
    with pytest.raises(TqhwError, match=r"no factors of P multiply to 8.*buffer: P=2, DRAM: P=2.*leave P free"):
        build_mapspace(conv(P=8), replace(hardware, levels=levels))


def test_refuses_constraints_of_another_shape():
    with pytest.raises(TqhwError, match="unknown dimension 'C'"):
        build_mapspace(make_problem(MATMUL, {"M": 4, "K": 4, "N": 4}), machine("eyeriss_like")[0])


def test_refuses_a_data_space_that_no_level_keeps():
    hardware, _ = machine("two_level")
    nowhere = Constraints(bypass=("Weights",))
    levels = tuple(replace(v, constraints=nowhere) if v.kind == "storage" else v for v in hardware.levels)
    with pytest.raises(TqhwError, match="Weights is bypassed in every storage level"):
        build_mapspace(conv(P=4), replace(hardware, levels=levels))
