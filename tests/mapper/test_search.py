"""Options, budgets, and what is refused."""

from __future__ import annotations

import pytest

from tests.mapper.custom import MACHINES, build, shape
from tests.mapper.places import conv, machine
from tqhw.errors import TqhwError
from tqhw.mapper import MappingCache, search
from tqhw.spec import make_problem

SMALL = conv(C=4, M=4, R=3, P=4)


@pytest.fixture
def eyeriss():
    return machine("eyeriss_like")


def test_objectives_differ(eyeriss):
    problem = conv(C=16, M=16, R=3, S=3, P=8, Q=8)
    found = {o: search(problem, *eyeriss, objective=o) for o in ("energy", "latency", "edp")}
    assert all(r.proved_optimal and r.gap == 0.0 for r in found.values())
    energy, latency, edp = (found[o].stats for o in ("energy", "latency", "edp"))
    assert energy.energy_pj < latency.energy_pj
    assert latency.cycles < energy.cycles
    assert edp.energy_pj * edp.cycles <= min(s.energy_pj * s.cycles for s in (energy, latency))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"objective": "power"}, "unknown objective 'power'.*known: energy, edp, latency"),
        ({"objective": "Energy"}, "did you mean 'energy'"),
        ({"budget_s": 0}, "a budget of 0 s leaves no time"),
        ({"budget_s": -1.5}, "a budget of -1.5 s leaves no time"),
        ({"budget_s": float("nan")}, "a budget of nan s leaves no time"),
        ({"budget_s": "3"}, r"a budget of '3' is no number \(give seconds, or None for no limit\)"),
        ({"objective": ["energy", "latency"]}, r"\['energy', 'latency'\] is no objective \(give a name, two with"),
        ({"objective": None}, "None is no objective"),
    ],
)
def test_bad_options(eyeriss, options, message):
    with pytest.raises(TqhwError, match=message):
        search(SMALL, *eyeriss, **options)


@pytest.mark.parametrize("budget_s", [float("inf"), 10**400])
def test_a_budget_without_end_is_none(eyeriss, budget_s, tmp_path):
    cache = MappingCache(tmp_path / "mappings.sqlite")
    known = search(SMALL, *eyeriss)
    assert search(SMALL, *eyeriss, budget_s=budget_s, cache=cache).mapping == known.mapping
    found = search(SMALL, *eyeriss, cache=cache)
    assert (found.cached, found.mapping, found.warnings) == (True, known.mapping, ())


def test_a_budget_gives_a_bound():
    """A space too large to finish at once: what is found lies above the bound."""
    problem = conv(C=12, M=16, R=3, S=3, P=8, Q=8)
    result = search(problem, *machine("eyeriss_like_free"), budget_s=0.1)
    assert result.lower_bound <= result.stats.energy_pj
    assert result.gap == pytest.approx(1 - result.lower_bound / result.stats.energy_pj)
    assert not result.proved_optimal


def test_costs_below_nothing_are_refused():
    # Outputs [P * 9]: eight of nine words of its box are never written, and each is credited.
    holes = shape("holes", "KP", "a", Weights="[[[K]]]", Inputs="[[[P]]]", Outputs="[[[K]],[[P,a]]]")
    problem = make_problem(holes, {"K": 6, "P": 5, "a": 9}, "layer")
    with pytest.raises(TqhwError, match="a mapping of holes costs less than nothing: Outputs leaves words") as caught:
        search(problem, *build(MACHINES["line"]))
    assert caught.value.place == "layer"
