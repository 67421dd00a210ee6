"""With words of several widths in one memory, the search still equals the enumeration of every mapping."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.mapper.custom import CUSTOM, MACHINES, build, problem_of
from tests.mapper.places import conv, machine
from tests.mapper.test_solve import check
from tests.sampling import fewer
from tqhw.engine import build_model, evaluate
from tqhw.mapper import MappingCache, search
from tqhw.mapper.diagnosis import diagnose
from tqhw.mapper.space.mapspace import build_mapspace
from tqhw.spec import ERT, Hardware, Problem
from tqhw.spec.word_bits import apply_word_bits, parse_word_bits


def packed(target: tuple[Hardware, ERT], problem: Problem, text: str, packing: str = "pack") -> tuple[Hardware, ERT]:
    hardware, ert = target
    return apply_word_bits(hardware, parse_word_bits(text, packing), problem.shape.data_space_names), ert


@pytest.mark.parametrize("packing", ["pack", "ideal"])
@pytest.mark.parametrize("objective", ["energy", "edp", "latency"])
@pytest.mark.parametrize(
    "name, sizes, text",
    [
        ("two_level", {"R": 3, "P": 6, "M": 2}, "Weights=2,Inputs=8,Outputs=5"),
        ("two_level_array", {"S": 3, "Q": 4, "M": 2}, "Weights=3,Inputs=1"),
        ("eyeriss_like_free", {"S": 3, "Q": 4}, "Weights=2,Inputs=5,Outputs=16"),
        ("clustered", {"R": 3, "P": 6}, "Weights=1,Inputs=3"),
        ("simba_like", {"M": 6, "C": 2}, "Weights=2,Inputs=4,Outputs@DRAM=3"),
    ],
)
def test_reference_machines(name: str, sizes: dict[str, int], text: str, objective: str, packing: str) -> None:
    problem = conv(**sizes)
    assert check(packed(machine(name), problem, text, packing), objective, problem)


@settings(max_examples=fewer(30), suppress_health_check=list(HealthCheck), derandomize=True)
@given(
    st.sampled_from(sorted(MACHINES.keys() - {"blocks"})),
    st.sampled_from(sorted(CUSTOM)),
    st.lists(st.integers(1, 4), min_size=4, max_size=4),
    st.lists(st.integers(1, 2), min_size=3, max_size=3),
    st.tuples(*[st.integers(1, 8)] * 3),
    st.sampled_from(["pack", "ideal"]),
    st.sampled_from(["energy", "edp", "latency"]),
)
def test_any_machine(
    name: str,
    shape: str,
    bounds: list[int],
    coefficients: list[int],
    bits: tuple[int, int, int],
    packing: str,
    objective: str,
) -> None:
    problem = problem_of(shape, bounds, coefficients)
    text = "Weights={},Inputs={},Outputs={}".format(*bits)
    check(packed(build(MACHINES[name]), problem, text, packing), objective, problem, most=8_000)


def test_more_narrow_words_fit() -> None:
    """The point of it: a shared buffer holds more weights where they are narrower, and the answer costs less."""
    problem = conv(C=4, M=8, P=4)
    wide, narrow = (
        search(problem, *packed(machine("two_level"), problem, f"Weights={bits},Inputs=8,Outputs=8")).stats.energy_pj
        for bits in (8, 2)
    )
    assert narrow < wide


def test_the_words_of_the_file_change_nothing() -> None:
    """One word of the file's width in a row: rows are words."""
    problem = conv(R=3, P=6, M=2)
    target = build(MACHINES["behind_buffer"])
    text = ",".join(f"{name}=8" for name in problem.shape.data_space_names)
    hardware, ert = packed(target, problem, text)
    mapping = search(problem, *target).mapping
    assert evaluate(problem, hardware, ert, mapping) == evaluate(problem, *target, mapping)


def test_a_cached_answer_is_of_its_widths(tmp_path: Path) -> None:
    problem, cache = conv(C=4, M=8, P=4), MappingCache(tmp_path / "cache.sqlite")
    target = machine("two_level")
    first = search(problem, *packed(target, problem, "Weights=8"), cache=cache)
    second = search(problem, *packed(target, problem, "Weights=2"), cache=cache)
    assert first.stats.energy_pj != second.stats.energy_pj
    assert search(problem, *packed(target, problem, "Weights=2"), cache=cache).stats == second.stats


def test_what_does_not_fit_is_told_in_rows() -> None:
    problem = conv(P=6)
    nodes = (
        "- !Component {name: DRAM, class: DRAM, attributes: {datawidth: 8}}",
        "- !Component {name: Buffer, class: SRAM, attributes: {datawidth: 8, width: 16, depth: 2}, "
        "constraints: {dataspace: {keep: [Outputs]}, temporal: {factors: [P=6]}}}",
        "- !Component {name: mac, class: compute}",
    )
    target = build(nodes)
    hardware, ert = packed(target, problem, "Outputs@Buffer=16")  # of 8 bits it stays as the file has it, in words
    found = diagnose(build_mapspace(problem, hardware), build_model(problem, hardware, ert), None)
    assert "has 6 rows of 16 bits, the capacity is 2" in str(found)
    assert search(problem, *packed(target, problem, "Outputs=4")).proved_optimal
