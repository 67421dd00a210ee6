"""Searches by a mapper that knows one word width per memory, for memories with several."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from tests.backends.cases import OneWidth, reference_design
from tests.mapper.places import conv, machine
from tqhw import engine
from tqhw.backends.embedded import Embedded
from tqhw.backends.protocol import Design, Found, Job, Search, Target
from tqhw.backends.reference.one_width import search_by_one_width, searchable
from tqhw.backends.words import with_word_bits
from tqhw.errors import TqhwError
from tqhw.mapper.space.mapspace import build_mapspace
from tqhw.spec import ART, CONV2D, Constraints, Invalid, LoopConstraint, Stats
from tqhw.spec.word_bits import is_packed, parse_word_bits

PROBLEM = conv(C=4, M=4, P=2, Q=2, R=3)
SEARCH = Search(cache=False)


def packed(design: Design, text: str, packing: str = "pack") -> Target:
    words = parse_word_bits(text, packing)
    return Target(with_word_bits(design, words, CONV2D, "fixed"), machine(design.name)[1], ART({}))


def by_one_width(target: Target) -> Found | Invalid:
    def searching(jobs: Sequence[Job]) -> list[Found | Invalid]:
        assert not any(is_packed(job.target.hardware) for job in jobs)
        return Embedded().search(jobs, SEARCH)

    (found,) = search_by_one_width([Job(PROBLEM, target)], searching, OneWidth().evaluate_all)
    return found


def best(target: Target) -> Found:
    (found,) = Embedded().search([Job(PROBLEM, target)], SEARCH)
    assert isinstance(found, Found)
    return found


@pytest.mark.parametrize("text", ["Weights=2,Inputs=8,Outputs=8", "Weights=8,Inputs=8,Outputs=8,Weights@DRAM=4"])
def test_nothing_is_lost_where_memories_with_a_limit_have_words_of_one_width(text: str) -> None:
    # eyeriss_like: scratchpads of one data space each, a buffer of inputs and outputs.
    target = packed(reference_design("eyeriss_like"), text)
    found = by_one_width(target)
    assert isinstance(found, Found)
    assert found.warnings == ()
    assert math.isclose(found.stats.energy_pj, best(target).stats.energy_pj, rel_tol=1e-9)
    ours = engine.evaluate(PROBLEM, target.hardware, target.ert, found.mapping)
    assert isinstance(ours, Stats)
    assert math.isclose(found.stats.energy_pj, ours.energy_pj, rel_tol=1e-9)


def test_a_limited_memory_of_several_widths_is_searched_as_wide_as_its_widest_and_said() -> None:
    target = packed(reference_design("two_level"), "Weights=2,Inputs=8,Outputs=16")
    found = by_one_width(target)
    assert isinstance(found, Found)
    assert found.warnings == (
        "buffer was searched with all words as wide as its widest; the mapping is costed with their own widths",
    )
    assert best(target).stats.energy_pj <= found.stats.energy_pj
    ours = engine.evaluate(PROBLEM, target.hardware, target.ert, found.mapping)
    assert isinstance(ours, Stats)
    assert math.isclose(found.stats.energy_pj, ours.energy_pj, rel_tol=1e-9)


def test_jobs_of_one_width_go_as_they_are_and_answers_keep_their_order() -> None:
    wide = packed(reference_design("two_level"), "Weights=2,Inputs=8,Outputs=8")
    plain = Target(reference_design("two_level"), wide.ert, wide.art)
    asked: list[Target] = []

    def searching(jobs: Sequence[Job]) -> list[Found | Invalid]:
        asked.extend(job.target for job in jobs)
        return [Invalid(()) for _ in jobs]

    jobs = [Job(PROBLEM, plain), Job(PROBLEM, wide), Job(PROBLEM, plain)]
    assert search_by_one_width(jobs, searching, OneWidth().evaluate_all) == [Invalid(())] * 3
    assert (asked[0], asked[2]) == (plain, plain)
    assert [level.name for level in asked[1].hardware.levels] == ["buffer", "DRAM_Weights", "DRAM_Inputs"]


def test_constraints_stay_in_the_text_that_timeloops_front_end_reads() -> None:
    target = packed(reference_design("eyeriss_like"), "Weights=2,Inputs=8,Outputs=6")
    machine_ = searchable(target, PROBLEM).target.design
    slots = build_mapspace(PROBLEM, machine_.hardware).slots
    theirs = build_mapspace(PROBLEM, target.hardware).slots
    ours = [slot for slot in slots if slot.spatial]
    assert [(slot.factors, slot.split) for slot in ours] == [(s.factors, s.split) for s in theirs if s.spatial]
    assert "dataspace" in machine_.text
    names = {level.name: level.constraints for level in machine_.hardware.levels}
    ones = LoopConstraint(factors=dict.fromkeys(CONV2D.dimensions, 1))
    assert names["DRAM_Inputs"] == Constraints(("Inputs",), ("Weights", "Outputs"), temporal=ones)


def test_rows_that_no_memory_has_are_not_searched() -> None:
    target = packed(reference_design("two_level"), "Weights=3,Inputs=8,Outputs=8", "ideal")
    with pytest.raises(TqhwError, match=r"no memory has such rows; .* packing: pack"):
        by_one_width(target)
