from __future__ import annotations

from dataclasses import replace

import pytest

from tests.mapper.places import conv, machine
from tqhw.errors import TqhwError
from tqhw.mapper.space.slots import Slot, spatial_slot, temporal_slot
from tqhw.spec import Level, LoopConstraint

PROBLEM = conv(C=6, M=4, P=3)
DIMS = PROBLEM.shape.dimensions


def level(spatial: bool, **constraint: object) -> Level:
    found = next(
        v
        for v in machine("two_level_array")[0].levels
        if (v.fanout > 1) == spatial and (spatial or v.kind == "storage")
    )
    kind = "spatial" if spatial else "temporal"
    return replace(found, constraints=replace(found.constraints, **{kind: LoopConstraint(**constraint)}))


def temporal(innermost: bool = False, **constraint: object) -> tuple[Slot, list[str]]:
    warnings: list[str] = []
    return temporal_slot(PROBLEM, level(False, **constraint), 0, "here", warnings, innermost), warnings


def test_factors_are_the_divisors_that_the_constraint_leaves() -> None:
    slot, warnings = temporal(factors={"C": 0, "M": 2}, at_most={"P": 1})
    allowed = dict(zip(DIMS, slot.factors, strict=True))
    assert (allowed["C"], allowed["M"], allowed["P"], allowed["R"]) == ((6,), (2,), (1,), (1,))
    assert {d for d, narrowed in zip(DIMS, slot.constrained, strict=True) if narrowed} == {"C", "M", "P"}
    assert not warnings


def test_a_factor_above_the_bound_is_ignored_with_a_warning() -> None:
    slot, warnings = temporal(factors={"M": 8})
    assert slot.factors[DIMS.index("M")] == (1, 2, 4)
    assert warnings == ["here: M=8 exceeds the problem's M=4 and is ignored"]


def test_a_permutation_is_innermost_and_a_suffix_outermost() -> None:
    slot, _ = temporal(permutation=("P", "C"), suffix=("M",))
    inner = [DIMS[d] for d in slot.prefix]
    assert inner[-2:] == ["P", "C"]
    assert set(inner[:-2]) == {d for d in DIMS if PROBLEM.bounds[d] == 1}  # the front end puts these in front
    assert slot.suffix == (DIMS.index("M"),)
    assert not slot.free


def test_loops_right_above_the_compute_units_are_never_permuted() -> None:
    slot, _ = temporal(innermost=True, permutation=("P", "C"))
    assert (slot.prefix, slot.free, slot.suffix) == (tuple(range(len(DIMS))), (), ())


@pytest.mark.parametrize(
    ("constraint", "message"),
    [
        ({"factors": {"C": 4}}, "factor C=4 does not divide C=6"),
        ({"at_most": {"C": 2}, "at_least": {"C": 3}}, "no factor of C=6 satisfies C<=2 and C>=3"),
        ({"factors": {"X": 2}}, "unknown dimension 'X'"),
        ({"permutation": ("C",), "suffix": ("C",)}, "names a dimension twice"),
    ],
)
def test_what_contradicts_is_told_with_its_place(constraint: dict[str, object], message: str) -> None:
    with pytest.raises(TqhwError, match=message) as error:
        temporal(**constraint)
    assert "here" in str(error.value)


def test_a_fan_out_knows_its_columns_and_rows() -> None:
    given = level(True)
    slot = spatial_slot(PROBLEM, given, 1, "here", [])
    assert (slot.spatial, slot.level, slot.fanout) == (True, 1, (given.fanoutX, given.fanoutY))
