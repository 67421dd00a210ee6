"""What a search says where it has no mapping."""

from __future__ import annotations

import pytest

from tqhw.mapper.result import NoMapping, NoMappingError
from tqhw.spec import Reason

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
