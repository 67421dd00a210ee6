"""Mappings on memories that operands share, evaluated by an engine that knows one word width per memory."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from tests.backends.cases import OneWidth, reference_design
from tests.mapper.places import conv, machine
from tests.sampling import some
from tqhw import engine
from tqhw.backends.protocol import Target
from tqhw.backends.reference.compare import comparisons
from tqhw.backends.reference.random_mappings import random_mappings
from tqhw.backends.words import with_word_bits
from tqhw.spec import ART, CONV2D, Mapping, Stats
from tqhw.spec.word_bits import parse_word_bits

PROBLEM = conv(N=2, C=4, M=8, P=6, Q=6, R=3, S=3)


def packed(name: str, text: str) -> Target:
    design = with_word_bits(
        reference_design(name), parse_word_bits(text), CONV2D, "fixed", wide=CONV2D.data_space_names
    )
    return Target(design, machine(name)[1], ART({}))


@pytest.mark.parametrize(
    "name",
    some(["two_level", "two_level_array", "eyeriss_like_free", "simba_like", "clustered", "output_stationary"]),
)
@pytest.mark.parametrize("text", ["Weights=2,Inputs=8,Outputs=6", "Weights=5,Inputs=3,Outputs=7,Weights@DRAM=8"])
def test_joined_splits_are_the_whole_in_every_field(name: str, text: str) -> None:
    target = packed(name, text)
    evaluations = [(PROBLEM, target, m) for m in itertools.islice(random_mappings(PROBLEM, target.hardware, 3), 120)]
    told: list[int] = []
    theirs = OneWidth().evaluate_all(evaluations, told.append)
    ours = [engine.evaluate(problem, target.hardware, target.ert, mapping) for problem, _, mapping in evaluations]
    valid = [number for number, answer in enumerate(ours) if isinstance(answer, Stats)]
    assert len(valid) > 2
    assert sorted(told) == list(range(len(evaluations)))
    for number in range(len(evaluations)):
        found = comparisons(str(number), ours[number], theirs[number])
        assert [str(difference) for same, difference in found if not same] == []


def test_a_split_forbids_the_links_that_the_whole_forbids() -> None:
    target = packed("two_level_array", "Weights=2,Inputs=8,Outputs=6")
    layer, changed = conv(C=2, M=4, R=3, P=12), 0
    for mapping in itertools.islice(random_mappings(layer, target.hardware, 3), 300):
        levels = (
            level if level.spatial is None else replace(level, spatial=replace(level.spatial, no_links=("Inputs",)))
            for level in mapping.levels
        )
        cut = Mapping(tuple(levels))
        ours = engine.evaluate(layer, target.hardware, target.ert, cut)
        if ours == engine.evaluate(layer, target.hardware, target.ert, mapping):
            continue  # no links here
        (theirs,) = OneWidth().evaluate_all([(layer, target, cut)])
        assert [str(difference) for same, difference in comparisons("", ours, theirs) if not same] == []
        changed += 1
    assert changed > 2


def test_words_that_take_several_rows_cost_an_access_each() -> None:
    target = packed("two_level_array", "Weights=40,Inputs=8,Outputs=20")
    assert any(space.rows > 1 for level in target.hardware.levels if level.packing for space in level.packing.spaces)
    evaluations = [(PROBLEM, target, m) for m in itertools.islice(random_mappings(PROBLEM, target.hardware, 4), 40)]
    ours = [engine.evaluate(problem, target.hardware, target.ert, mapping) for problem, _, mapping in evaluations]
    assert any(isinstance(answer, Stats) for answer in ours)
    for mine, theirs in zip(ours, OneWidth().evaluate_all(evaluations), strict=True):
        assert [str(difference) for same, difference in comparisons("", mine, theirs) if not same] == []
