"""Why nothing fits: demand, bound, and what to relax."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.mapper.places import conv, machine
from tqhw.engine import build_model
from tqhw.mapper import NoMappingError, search
from tqhw.mapper.diagnosis import diagnose
from tqhw.mapper.space.mapspace import build_mapspace
from tqhw.spec import LoopConstraint


@pytest.fixture
def eyeriss():
    return machine("eyeriss_like")


def test_no_mapping_names_demand_bound_and_lever(eyeriss):
    hardware, ert = eyeriss
    levels = tuple(
        replace(v, constraints=replace(v.constraints, temporal=LoopConstraint(factors={"M": 0})))
        if v.name == "psum_spad"
        else v
        for v in hardware.levels
    )
    with pytest.raises(
        NoMappingError, match="psum_spad: the smallest tile of Outputs has 32 words, the capacity is 16"
    ) as e:
        search(conv(M=32, C=2), replace(hardware, levels=levels), ert)
    (reason,) = e.value.diagnosis.reasons
    assert (reason.level, reason.rule, reason.demand, reason.bound) == ("psum_spad", "capacity", 32, 16)
    assert e.value.diagnosis.levers == ("the temporal constraint of psum_spad", "what is kept of psum_spad")
    assert "relax the temporal constraint of psum_spad" in str(e.value)


def test_no_mapping_with_a_fanout_too_small(eyeriss):
    hardware, ert = eyeriss
    levels = tuple(
        replace(v, constraints=replace(v.constraints, spatial=LoopConstraint(factors={"S": 0})))
        if v.node == "PE"
        else v
        for v in hardware.levels
    )
    with pytest.raises(NoMappingError, match="PE: the spatial factors multiply to at least 13, the fan-out is 12"):
        search(conv(S=13, M=2), replace(hardware, levels=levels), ert)


def test_no_mapping_with_one_axis_too_small(eyeriss):
    """M along X and C along Y (the six dimensions of size 1 stand before them): 26 of 168 units, but 13 of 12 rows."""
    hardware, ert = eyeriss
    fixed = LoopConstraint(factors={"M": 2, "C": 13}, permutation=("M", "C"), split=7)
    levels = tuple(
        replace(v, fanoutX=14, fanoutY=12, constraints=replace(v.constraints, spatial=fixed)) if v.node == "PE" else v
        for v in hardware.levels
    )
    with pytest.raises(NoMappingError, match=r"puts at least 13 units along Y \(rows\), there are 12"):
        search(conv(C=13, M=2), replace(hardware, levels=levels), ert)


@pytest.mark.parametrize("words", [0, 1, 2])
def test_no_lever_is_named_that_does_not_help(eyeriss, words):
    """Every level named as too small is one; each lever, taken alone, admits a mapping."""
    hardware, ert = eyeriss
    levels = tuple(replace(v, effective_size=words) if v.name == "psum_spad" else v for v in hardware.levels)
    hardware, problem = replace(hardware, levels=levels), conv(C=4, M=4, R=3, P=4)
    found = diagnose(build_mapspace(problem, hardware), build_model(problem, hardware, ert))
    assert [(r.level, r.demand, r.bound) for r in found.reasons] == ([("psum_spad", 1, 0)] if words == 0 else [])
    assert ("what is kept of psum_spad" in found.levers) == (words == 0) or found.levers
    assert found.problem == "conv"
