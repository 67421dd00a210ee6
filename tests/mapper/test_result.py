"""What a search says where it has no mapping."""

from __future__ import annotations

import pytest

from tqhw.mapper.result import FrontPoint, MappingFront, NoMapping, NoMappingError, front_of
from tqhw.objectives import goal_of
from tqhw.spec import Mapping, Reason, Stats

FULL = Reason("GLB", "capacity", 9, 8, "GLB: the smallest tile of Inputs has 9 words, the capacity is 8")


@pytest.mark.parametrize(
    ("reasons", "message"),
    [
        ((FULL,), "no mapping of fc fits: GLB: the smallest tile of Inputs has 9 words, the capacity is 8"),
        ((FULL, FULL), f"no mapping of fc fits: {FULL.message}; {FULL.message}"),
        ((), "no mapping of fc fits: every level fits alone, but not all of them together"),
    ],
)
def test_a_diagnosis_is_one_line(reasons, message: str) -> None:
    assert NoMapping("fc", reasons, ()).message == message


@pytest.mark.parametrize(
    ("levers", "told"),
    [
        (("what is kept of GLB", "the temporal constraint of DRAM"), "relax what is kept of GLB or the temporal"),
        ((), "enlarge a memory or the array"),
    ],
)
def test_an_error_names_the_levers_that_help(levers, told: str) -> None:
    error = NoMappingError(NoMapping("fc", (FULL,), levers), "chip")
    assert error.diagnosis.reasons == (FULL,)
    assert error.place == "chip"
    assert str(error.lever).startswith(told)


def _front(share: float, values: list[tuple[float, int]], least: tuple[float, float]) -> MappingFront:
    return front_of(goal_of("energy,latency"), [_point(*value) for value in values], share, *least)


def _point(energy_pj: float, cycles: int) -> FrontPoint:
    return FrontPoint(Mapping(()), Stats(cycles, 1, 1.0, energy_pj, {}))


def test_the_open_region_of_a_front_by_hand() -> None:
    """Every mapping has half of some point's energy and half of its cycles, at least 15 pJ and 3 cycles."""
    front = _front(0.5, [(20.0, 40), (60.0, 8), (100.0, 4)], (15.0, 3.0))
    assert front.open_region() == ((15.0, 20.0), (30.0, 4.0), (50.0, 3.0))
    assert _front(0.5, [(20.0, 40), (60.0, 8), (100.0, 4)], (15.0, 4.0)).open_region() == ((15.0, 20.0), (30.0, 4.0))
    assert _front(1.0, [(20.0, 40), (60.0, 8)], (20.0, 8.0)).open_region() == ()


def test_the_front_of_two_other_objectives_is_part_of_it() -> None:
    points = [_point(20.0, 40), _point(60.0, 8), _point(100.0, 5)]
    assert front_of(goal_of("energy,edp"), points, 1.0, 20.0, 5.0).values() == ((20.0, 800.0), (60.0, 480.0))
    assert front_of(goal_of("latency,edp"), points, 1.0, 20.0, 5.0).values() == ((5.0, 500.0), (8.0, 480.0))
    half = front_of(goal_of("latency,edp"), points, 0.5, 1.0, 5.0)
    assert half.open_region() == ((5.0, 120.0),)
