"""Scales of codes in traffic, energy and storage, computed by hand: 40 numbers of FP32 are 20 rows of 64 bits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.scenario.networks import layer, network
from tqhw.results import DRAM, SCALES, STATES
from tqhw.scenario.methods import ways
from tqhw.scenario.network import Cost, Network, Scales
from tqhw.scenario.states import state_cost
from tqhw.scenario.storage import ModelNumbers, storage
from tqhw.scenario.ways import Options

OWN, SHARED, FOLDED = Scales(40, own=True, folded=False), Scales(40, own=False, folded=False), Scales(40)
ALWAYS, FIRST, SWITCHES = STATES, STATES[:1], STATES[:2]
STREAMED, KEPT = network(layer(1000)), network(layer(1000), rows=1000)


def cost(scales: Scales, state: str, one: Network, method: str = "truncquant") -> Cost:
    (way,) = ways(method, 2, Options())
    return state_cost(way, state, replace(one, scales=scales))


@pytest.mark.parametrize(
    ("scales", "one", "fetched_in"),
    [
        (OWN, STREAMED, ALWAYS),  # with the weights that they belong to
        (SHARED, STREAMED, ALWAYS),
        (OWN, KEPT, SWITCHES),
        (SHARED, KEPT, FIRST),
        (FOLDED, STREAMED, ()),
        (FOLDED, KEPT, ()),
    ],
)
def test_scales_are_fetched_with_the_weights_and_own_ones_at_every_switch(
    scales: Scales, one: Network, fetched_in: tuple[str, ...]
) -> None:
    for state in STATES:
        found, without = cost(scales, state, one), cost(Scales(), state, one)
        if state in fetched_in:
            assert found.traffic[SCALES].bits == 40 * 32
            assert found.energy_pj[DRAM] == pytest.approx(without.energy_pj[DRAM] + 20 * 512)
        else:
            assert found == without


def test_a_network_that_does_not_switch_fetches_them_once() -> None:
    assert cost(OWN, "precision_switching", KEPT, "fixed").traffic.get(SCALES) is None


@pytest.mark.parametrize(("own", "sets"), [(False, 1), (True, 3)])
def test_every_precision_stores_its_own(own: bool, sets: int) -> None:
    parameters = ModelNumbers(1000, 40, 0, 0, 0, own_scales=own)
    for method in ("truncquant", "any_precision"):
        assert storage(method, (2, 4, 8), parameters, Options()).parts["scales"] == 40 * 4 * sets / 1e6
    assert storage("multi_model", (2, 4, 8), parameters, Options()).parts["scales"] == 40 * 4 * 3 / 1e6
    assert storage("fixed", (2, 4, 8), parameters, Options()).parts["scales"] == 40 * 4 / 1e6
