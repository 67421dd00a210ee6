from __future__ import annotations

import pytest

from tests.scenario.networks import layer, network
from tqhw.errors import TqhwError
from tqhw.scenario.schedule import ScheduleStep, amortised, follow, merged
from tqhw.scenario.states import best, best_run
from tqhw.scenario.ways import Options

NET, OPTIONS = network(layer(1000)), Options()


def test_equal_precisions_in_a_row_are_no_switch() -> None:
    assert merged([ScheduleStep(8), ScheduleStep(8, 3), ScheduleStep(2), ScheduleStep(8)]) == (
        ScheduleStep(8, 4),
        ScheduleStep(2),
        ScheduleStep(8),
    )
    assert merged([]) == ()


def test_a_step_without_inferences_is_refused() -> None:
    with pytest.raises(TqhwError, match="0 inferences are no step"):
        ScheduleStep(8, 0)


def test_the_amortised_cost_falls_from_the_switch_to_the_steady_state() -> None:
    rows = amortised(("any_precision",), (2,), (1, 10, 100_000), NET, OPTIONS)
    energies = [row.energy_mj for row in rows]
    assert energies == sorted(energies, reverse=True)
    assert energies[0] * 1e9 == pytest.approx(
        best("any_precision", 2, "precision_switching", NET, OPTIONS).cost.total_pj
    )
    assert energies[-1] * 1e9 == pytest.approx(best("any_precision", 2, "steady", NET, OPTIONS).cost.total_pj, rel=1e-3)
    assert [row.inferences for row in rows] == [1, 10, 100_000]


def test_a_schedule_loads_first_then_switches_and_adds_up() -> None:
    rows = follow("truncquant", (ScheduleStep(8, 10), ScheduleStep(2, 5)), NET, OPTIONS)
    assert [row.state for row in rows] == ["initial_loading", "precision_switching"]
    parts = [
        best_run("truncquant", 8, "initial_loading", 10, NET, OPTIONS).cost.total_pj,
        best_run("truncquant", 2, "precision_switching", 5, NET, OPTIONS).cost.total_pj,
    ]
    assert [row.energy_mj * 1e9 for row in rows] == pytest.approx(parts)
    assert rows[-1].cumulative_mj * 1e9 == pytest.approx(sum(parts))


def test_fixed_never_switches() -> None:
    assert [row.state for row in follow("fixed", (ScheduleStep(8), ScheduleStep(2)), NET, OPTIONS)] == [
        "initial_loading",
        "steady",
    ]
