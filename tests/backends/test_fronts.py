"""Who finds no fronts says so, before anything runs."""

from __future__ import annotations

from typing import Any

import pytest

from tqhw.backends import Job, Search, backend
from tqhw.errors import TqhwError
from tqhw.objectives import OBJECTIVES, goal_of, one_objective


def test_one_objective_is_taken_as_it_is() -> None:
    assert Search("edp").one_objective("x") is OBJECTIVES["edp"]
    with pytest.raises(TqhwError, match=r"x finds one best mapping, not a front \(give one of energy, edp, or wait\)"):
        one_objective(goal_of("energy,edp"), "x", "wait")


@pytest.mark.parametrize("name", ["container"])
def test_engines_without_fronts_refuse_them(name: str) -> None:
    jobs: list[Job] = []
    engine: Any = backend(name)
    with pytest.raises(TqhwError, match=f"{name} finds one best mapping, not a front.*embedded engine"):
        engine.search(jobs, Search("energy,latency"))
