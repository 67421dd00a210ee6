from __future__ import annotations

import pytest

from tests.scenario.networks import layer, network
from tqhw.results import STATES
from tqhw.scenario.methods import METHODS
from tqhw.scenario.summary import against, headlines
from tqhw.scenario.ways import Options

NET = network(layer(1000))


def test_the_headline_says_what_it_divides() -> None:
    rows = against("any_precision", 2, "precision_switching", NET, Options(), "sram")
    traffic, weights, energy = rows
    assert (traffic.quantity, traffic.paper, traffic.spad_model) == ("dram_traffic", 20.0, "sram")
    assert traffic.numerator_value == (500 + 1 + 16) * 64  # FP32 weights, activations, batch norm
    assert traffic.denominator_value == (32 + 1 + 16) * 64
    assert traffic.value == pytest.approx(517 / 49)
    assert weights.value == pytest.approx(500 / 32)
    assert (energy.quantity, energy.paper) == ("energy", 3.2)
    assert (energy.numerator, energy.numerator_way) == ("any_precision", "streaming")
    assert (energy.denominator, energy.denominator_way) == ("truncquant", "bitplane")


def test_the_paper_claims_nothing_about_other_baselines() -> None:
    rows = against("multi_model", 2, "steady", NET, Options(), None)
    assert {row.paper for row in rows} == {None}
    assert {row.value for row in rows} == {1.0}


def test_where_truncquant_fetches_nothing_there_is_no_ratio_but_both_sides_are_told() -> None:
    roomy = network(layer(1000), rows=1000)
    traffic, weights, energy = against("any_precision", 2, "precision_switching", roomy, Options(), None)
    assert (weights.value, weights.denominator_value) == (None, 0)
    assert weights.numerator_value > 0
    assert None not in (traffic.value, energy.value)


def test_nothing_against_nothing_is_left_out() -> None:
    roomy = network(layer(1000), rows=1000)
    rows = against("any_precision", 2, "steady", roomy, Options(), None)
    assert [row.quantity for row in rows] == ["dram_traffic", "energy"]


def test_headlines_stand_where_methods_differ() -> None:
    rows = headlines(tuple(METHODS), STATES, (2, 8), NET, Options(), None)
    assert {(row.numerator, row.state) for row in rows} == {
        ("any_precision", "initial_loading"),
        ("any_precision", "precision_switching"),
        ("fixed", "steady"),
    }
    assert {row.bits for row in rows} == {2, 8}
    assert headlines(("any_precision", "fixed"), STATES, (2,), NET, Options(), None) == ()


def test_narrow_weights_are_compared_with_the_stored_bits() -> None:
    rows = {row.quantity: row for row in against("fixed", 2, "steady", NET, Options(), None)}
    assert rows["dram_weight_traffic"].value == pytest.approx(125 / 32)
    assert rows["energy"].paper is None
