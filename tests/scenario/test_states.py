"""The formulas of docs/scenarios.md, computed by hand.

Layer of 1000 weights on a DRAM of 64-bit rows (512 pJ read, 600 pJ write): 32 rows at 2 bits, 125 at 8, 500 at 32.
An inference costs 1000 (array) + 150 (buffer) + 512 (activations) pJ besides. 16 channels of batch norm are 32
numbers of 32 bits: 16 rows.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.scenario.networks import layer, network
from tqhw.errors import TqhwError
from tqhw.results import ARRAY, DRAM, GLB, QUANTIZER
from tqhw.scenario.methods import ways
from tqhw.scenario.network import Cost
from tqhw.scenario.states import best, best_run, run_cost, state_cost
from tqhw.scenario.ways import Options

REST = 1000.0 + 150.0 + 512.0
NORM = 16 * 512.0
ROUND: Any = {"quantizer": 4.5, "truncation": 0.145}
QUANTIZE = 1000 * 4.5
PLAIN = network(layer(1000))


def one(method: str, state: str, bits: int = 2, **options: object) -> Cost:
    (way,) = ways(method, bits, Options(**ROUND, **options))  # type: ignore[arg-type]
    return state_cost(way, state, PLAIN)


def test_truncquant_on_bit_planes_fetches_b_bits_and_nothing_else() -> None:
    steady = one("truncquant", "steady")
    assert steady.energy_pj == {ARRAY: 1000.0, GLB: 150.0, DRAM: 512.0 + 32 * 512.0}
    assert steady.traffic["Weights"].bits == 32 * 64
    assert steady.traffic["Weights"].padding_bits == 48
    for state in ("initial_loading", "precision_switching"):
        assert one("truncquant", state).total_pj == pytest.approx(REST + 32 * 512 + NORM)
        assert one("truncquant", state).traffic["Normalization"].bits == 16 * 64


def test_truncquant_packed_fetches_all_bits_and_shifts_each_weight() -> None:
    assert one("truncquant", "steady", layout="packed").total_pj == pytest.approx(REST + 125 * 512 + 145)
    assert one("truncquant", "steady", bits=8, layout="packed").total_pj == pytest.approx(REST + 125 * 512)


def test_any_precision_writes_a_copy_back_before_the_first_inference() -> None:
    switch = one("any_precision", "precision_switching", requantize="writeback")
    assert switch.traffic["Weights"].bits == (500 + 32 + 32) * 64
    assert switch.total_pj == pytest.approx(REST + 500 * 512 + QUANTIZE + 32 * 600 + 32 * 512 + NORM)
    assert switch.energy_pj[QUANTIZER] == QUANTIZE
    assert one("any_precision", "steady", requantize="writeback") == one("truncquant", "steady")


def test_any_precision_streaming_fetches_fp32_in_every_inference() -> None:
    switch = one("any_precision", "precision_switching", requantize="streaming")
    assert switch.total_pj == pytest.approx(REST + 500 * 512 + QUANTIZE + NORM)
    steady = one("any_precision", "steady", requantize="streaming")
    assert steady.total_pj == pytest.approx(REST + 500 * 512 + QUANTIZE)


def test_any_precision_fused_streams_once_and_keeps_the_copy() -> None:
    switch = one("any_precision", "precision_switching", requantize="fused")
    assert switch.total_pj == pytest.approx(REST + 500 * 512 + QUANTIZE + 32 * 600 + NORM)
    assert one("any_precision", "steady", requantize="fused") == one("truncquant", "steady")


def test_a_mapping_that_fetches_twice_streams_and_quantizes_twice() -> None:
    (way,) = ways("any_precision", 2, Options(**ROUND, requantize="streaming"))
    cost = state_cost(way, "precision_switching", network(layer(1000, refetch=2)))
    assert cost.total_pj == pytest.approx(REST + 1000 * 512 + 2 * QUANTIZE + NORM)


def test_the_baseline_gets_its_best_way() -> None:
    options = Options()
    assert best("any_precision", 2, "precision_switching", PLAIN, options).way == "streaming"
    assert best("any_precision", 2, "steady", PLAIN, options).way == "writeback"
    twice = network(layer(1000, refetch=2))
    assert best("any_precision", 2, "precision_switching", twice, options).way == "writeback"
    assert best_run("any_precision", 2, "precision_switching", 1, PLAIN, options).way == "streaming"
    assert best_run("any_precision", 2, "precision_switching", 100, PLAIN, options).way == "fused"


def test_a_run_is_one_first_inference_and_steady_ones() -> None:
    (way,) = ways("truncquant", 2, Options())
    cost = run_cost(way, "precision_switching", 10, PLAIN)
    assert cost.total_pj == pytest.approx(10 * (REST + 32 * 512) + NORM)


def test_multi_model_costs_what_truncquant_costs_where_nothing_is_resident() -> None:
    for state in ("initial_loading", "precision_switching", "steady"):
        assert one("multi_model", state) == one("truncquant", state)


def test_fixed_runs_at_the_stored_bits_and_never_switches() -> None:
    assert one("fixed", "steady").total_pj == pytest.approx(REST + 125 * 512)
    assert one("fixed", "precision_switching") == one("fixed", "steady")
    assert one("fixed", "initial_loading").total_pj == pytest.approx(REST + 125 * 512 + NORM)


def test_layers_with_bits_of_their_own_cost_every_method_alike() -> None:
    net = network(layer(1000, fixed_bits=32))
    found = {
        method: best(method, 2, "precision_switching", net, Options()).cost.total_pj
        for method in ("truncquant", "any_precision", "multi_model")
    }
    assert set(found.values()) == {REST + 500 * 512 + NORM}


def test_a_layer_counts_as_often_as_it_runs() -> None:
    (way,) = ways("truncquant", 8, Options())
    cost = state_cost(way, "steady", network(layer(2000, count=2)))
    assert cost.total_pj == pytest.approx(2 * (REST + 125 * 512))


class TestResident:
    """A buffer of 64-bit rows, 10 pJ a write; its fills of an inference, 100 pJ, fall away with the fetches."""

    IDLE = 1000.0 + 50.0 + 512.0

    def at(self, method: str, state: str, rows: int, **options: object) -> Cost:
        chosen = Options(**ROUND, **options)  # type: ignore[arg-type]
        return best(method, 2, state, network(layer(1000), rows=rows), chosen).cost

    def test_steady_fetches_no_weights(self) -> None:
        for method in ("truncquant", "any_precision", "multi_model"):
            cost = self.at(method, "steady", 32)
            assert cost.total_pj == pytest.approx(self.IDLE)
            assert "Weights" not in cost.traffic

    def test_one_row_too_few_and_all_is_fetched(self) -> None:
        assert self.at("truncquant", "steady", 31).traffic["Weights"].bits == 32 * 64

    def test_never_and_always_overrule_the_size(self) -> None:
        (way,) = ways("truncquant", 2, Options())
        roomy = network(layer(1000), rows=1000, residency="never")
        tight = network(layer(1000), rows=1, residency="always")
        assert state_cost(way, "steady", roomy).traffic["Weights"].bits == 32 * 64
        assert state_cost(way, "steady", tight).total_pj == pytest.approx(self.IDLE)
        with pytest.raises(TqhwError, match=r"residency: always: the architecture has no buffer"):
            state_cost(way, "steady", network(layer(1000), residency="always"))

    def test_truncquant_that_keeps_all_planes_switches_without_weights(self) -> None:
        initial = self.at("truncquant", "initial_loading", 125)
        assert initial.total_pj == pytest.approx(self.IDLE + 125 * 512 + 125 * 10 + NORM)
        switch = self.at("truncquant", "precision_switching", 125)
        assert switch.total_pj == pytest.approx(self.IDLE + NORM)
        assert set(switch.traffic) == {"Inputs", "Normalization"}

    def test_truncquant_that_keeps_b_planes_loads_them_at_a_switch(self) -> None:
        switch = self.at("truncquant", "precision_switching", 124)
        assert switch.total_pj == pytest.approx(self.IDLE + 32 * 512 + 32 * 10 + NORM)

    def test_packed_keeps_shifted_weights_and_loads_all_bits_at_a_switch(self) -> None:
        switch = self.at("truncquant", "precision_switching", 125, layout="packed")
        assert switch.total_pj == pytest.approx(self.IDLE + 125 * 512 + 32 * 10 + 145 + NORM)

    def test_any_precision_reads_fp32_once_and_writes_the_buffer(self) -> None:
        for way in ("writeback", "streaming", "fused", "best"):
            switch = self.at("any_precision", "precision_switching", 125, requantize=way)
            assert switch.total_pj == pytest.approx(self.IDLE + 500 * 512 + 32 * 10 + QUANTIZE + NORM)

    def test_layers_with_bits_of_their_own_are_loaded_once(self) -> None:
        net = network(layer(1000, fixed_bits=32), rows=500)
        initial, switch = (
            best("truncquant", 2, state, net, Options()).cost for state in ("initial_loading", "precision_switching")
        )
        assert initial.traffic["Weights"].bits == 500 * 64
        assert "Weights" not in switch.traffic


def test_an_unknown_state_names_the_nearest() -> None:
    with pytest.raises(TqhwError, match=r"unknown state 'stedy' \(did you mean 'steady'\?"):
        state_cost(ways("truncquant", 2, Options())[0], "stedy", PLAIN)
