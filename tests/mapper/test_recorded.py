"""Never worse than what timeloop-mapper found, and proved to be the best."""

from __future__ import annotations

import pytest

from tests.mapper.places import machine, recorded
from tqhw.mapper import search

LONG = {problem.name: record for problem, record in recorded("searches_long.jsonl")}
SHORT = [pytest.param(problem, record, id=problem.name) for problem, record in recorded("searches.jsonl")]


@pytest.mark.parametrize("problem, record", SHORT)
def test_never_worse_than_timeloop_mapper(problem, record):
    hardware, ert = machine(record["architecture"])
    result = search(problem, hardware, ert)
    assert result.stats.energy_pj <= record["energy"] * (1 + 1e-12)
    assert result.stats.energy_pj <= LONG[problem.name]["energy"] * (1 + 1e-12)
    assert result.proved_optimal
    assert result.gap == 0.0
    assert result.lower_bound == pytest.approx(result.stats.energy_pj, rel=1e-12)
