"""No kernel counts from the end of an array: compiled code reads what stands before it (engine/compiler.py)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.mapper.places import conv, machine
from tests.sampling import some
from tqhw.engine import build_model
from tqhw.engine.interpreted import interpreted
from tqhw.engine.jit import Kernel
from tqhw.mapper.branch.front import solve_front
from tqhw.mapper.branch.incumbent import Clock
from tqhw.mapper.branch.solve import solve
from tqhw.mapper.branch.uneven import solve_uneven
from tqhw.mapper.space.mapspace import build_mapspace
from tqhw.objectives import objective_of


class Guarded(np.ndarray):
    """An array that refuses to count from its end."""

    def __getitem__(self, at: Any) -> Any:
        return super().__getitem__(counted(at))

    def __setitem__(self, at: Any, value: Any) -> None:
        super().__setitem__(counted(at), value)


def counted(at: Any) -> Any:
    for one in at if isinstance(at, tuple) else (at,):
        assert not isinstance(one, int | np.integer) or one >= 0, f"an index of {at}"
    return at


def guarded(value: Any) -> Any:
    """A bundle, or another argument of a kernel, with all its arrays guarded."""
    if isinstance(value, tuple):
        return type(value)(*map(guarded, value))
    return value.view(Guarded) if isinstance(value, np.ndarray) else value


@pytest.fixture
def guards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels as Python, on guarded arrays."""

    def called(kernel: Kernel, *arguments: Any) -> Any:
        if kernel.part:
            return kernel.python(*arguments)
        plain = (interpreted(one) if isinstance(one, tuple) else one for one in arguments)
        return kernel.python(*map(guarded, plain))

    monkeypatch.setattr(Kernel, "__call__", called)
    monkeypatch.setattr(Kernel, "compile_aside", lambda *_: None)


def test_the_guard_refuses() -> None:
    array = np.arange(3).view(Guarded)
    assert array[2] == 2
    with pytest.raises(AssertionError, match="an index of -1"):
        array[-1]
    with pytest.raises(AssertionError, match="an index of -2"):
        array[-2] = 1


@pytest.mark.usefixtures("guards")
@pytest.mark.parametrize(
    ("name", "dims"),
    some(
        [
            ("two_level", {"R": 3, "P": 4, "C": 2, "Wstride": 2}),
            ("two_level_array", {"S": 2, "Q": 2}),
            ("weight_stationary", {"R": 2, "P": 2}),
        ]
    ),
)
def test_searches_and_the_engine_count_from_the_front(name: str, dims: dict[str, int]) -> None:
    hardware, ert = machine(name)
    problem = conv(**dims)
    space, model = build_mapspace(problem, hardware), build_model(problem, hardware, ert)
    assert solve(space, model, "energy").proved
    assert solve_front(space, model).proved


@pytest.mark.usefixtures("guards")
def test_mappings_with_remainders_count_from_the_front() -> None:
    hardware, ert = machine("two_level_array")
    assert solve_uneven(conv(C=5, P=3), hardware, ert, objective_of("energy"), "imperfect", Clock(None)).proved
