"""What is said of remainders and padding: hints, and what Timeloop's count leaves out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.mapper.places import machine
from tqhw.backends.uneven import indivisible_hint, told
from tqhw.mapper import search
from tqhw.spec import DataSpace, Problem, Shape
from tqhw.spec.problem import Term


def product(**bounds: int) -> Problem:
    spaces = (("Weights", "MK"), ("Inputs", "KN"), ("Outputs", "MN"))
    shape = Shape(
        "matmul",
        ("M", "K", "N"),
        {},
        tuple(DataSpace(name, tuple((Term(d),) for d in ranks), name == "Outputs") for name, ranks in spaces),
    )
    return Problem(shape, "layer", bounds, {})


@pytest.mark.parametrize(
    ("bounds", "names"),
    [
        ({"M": 197, "K": 64, "N": 768}, "M=197"),
        ({"M": 394, "K": 37, "N": 1009 * 997}, "M=394 (a multiple of 197), K=37, N=1005973 (a multiple of 1009)"),
        ({"M": 1000, "K": 31, "N": 1}, None),
        ({"M": 7, "K": 13, "N": 5**9}, None),
    ],
)
def test_dimensions_that_hardly_divide_are_told(bounds: dict[str, int], names: str | None) -> None:
    hint = indivisible_hint(product(**bounds))
    rest = "mappings with remainders (`--factors imperfect`), or of a padded problem (`--pad`), may cost less"
    assert hint == (names and f"factors of layer leave little choice for {names}: {rest}")


def test_what_timeloop_leaves_out_is_told_in_whatever_it_differs() -> None:
    hardware, ert = machine("two_level_array")
    problem = product(M=7, K=5, N=2)
    answer = search(problem, hardware, ert, way="imperfect", cache=None)
    assert answer.whole is not None
    counted, whole = f"{answer.stats.energy_pj:,.1f} pJ", f"{answer.whole.energy_pj:,.1f} pJ"
    assert counted != whole
    computes = f"{answer.stats.computes:,} computes instead of 70, and " if answer.stats.computes != 70 else ""
    assert told(answer, problem, hardware) == [
        f"layer has remainders: Timeloop counts {computes}{counted}; the whole work costs {whole}"
    ]
    same = replace(answer, stats=replace(answer.stats, computes=70))
    (line,) = told(same, problem, hardware)
    assert line == f"layer has remainders: Timeloop counts {counted}; the whole work costs {whole}"
    equal = replace(answer.whole, energy_pj=answer.stats.energy_pj)
    assert told(replace(same, whole=equal), problem, hardware) == []
