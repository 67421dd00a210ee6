"""What words of several widths ask of the programs of Timeloop and Accelergy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.backends.cases import rendered_design
from tests.mapper.places import conv
from tqhw.backends.embedded import Embedded
from tqhw.backends.protocol import Design, Job, Search, Target
from tqhw.backends.timeloop import Timeloop
from tqhw.backends.words import with_operands, with_word_bits
from tqhw.errors import TqhwError
from tqhw.spec import ART, CONV2D, ERT
from tqhw.spec.word_bits import parse_word_bits


def narrow() -> Design:
    return with_word_bits(rendered_design("weight_stationary"), parse_word_bits("Weights=2,Inputs=8"), CONV2D)


def test_accelergys_tables_get_the_packaged_rule_for_narrow_operands() -> None:
    design = narrow()
    asked = Embedded().target(replace(design, operands=None))
    found = with_operands(replace(asked, design=design))
    ours = Embedded().target(design)
    assert found.ert.energies == ours.ert.energies != asked.ert.energies
    assert found.art.areas == ours.art.areas
    assert set(found.notes) <= {*asked.notes, *ours.notes}


def test_another_number_than_the_packaged_one_is_not_narrowed() -> None:
    design = narrow()
    target = Target(design, ERT({"mac": {"compute": 7.5}}), ART({}))
    with pytest.raises(TqhwError, match=r"word_bits .*: Accelergy gives 7.5 pJ for a compute of 'mac'.*`fixed`"):
        with_operands(target)
    assert with_operands(replace(target, design=replace(design, operands=None))).ert is target.ert


def test_timeloops_mapper_does_not_search_rows_that_no_memory_has() -> None:
    words = parse_word_bits("Weights=3,Inputs=8", "ideal")
    target = Embedded().target(with_word_bits(rendered_design("weight_stationary"), words, CONV2D))
    with pytest.raises(TqhwError, match=r"packing: ideal.*no memory has such rows"):
        Timeloop().search([Job(conv(C=2, M=2), target)], Search())
