"""Bundles: kernels take them by reference, and see what a named tuple of the same content holds."""

from __future__ import annotations

import sys
from typing import NamedTuple

import numpy as np
import pytest
from numba.core.errors import TypingError

from tqhw.engine.bundle import bundle
from tqhw.engine.jit import jit, part
from tqhw.engine.model import Bools, Floats, Ints
from tqhw.engine.plan import Records, records


@bundle
class Inner(NamedTuple):
    flags: Bools
    weight: float
    switch: bool


@bundle
class Outer(NamedTuple):
    counts: Ints  # [N, M]
    inner: Inner
    number: int
    rows: Records
    out: Floats  # [1]


@part
def weighted(inner: Inner, value: float) -> float:
    return value * inner.weight if inner.switch else value


@jit
def total(outer: Outer, times: int) -> float:
    result = float(outer.number)
    for i in range(outer.counts.shape[0]):
        for j in range(outer.counts.shape[1]):
            if outer.inner.flags[j]:
                result += weighted(outer.inner, outer.counts[i, j])
    outer.rows[1].energy += result
    outer.out[0] = result * times
    return result


@jit
def read_missing(outer: Outer) -> float:
    return outer.missing  # type: ignore[attr-defined]


def make(columns: int = 2, switch: bool = True) -> Outer:
    counts = np.arange(3 * columns, dtype=np.int64).reshape(3, columns)
    inner = Inner(np.arange(columns) % 2 == 1, 0.5, switch)
    return Outer(counts, inner, 7, records(2, energy=np.float64, level=np.int64), np.zeros(1))


@pytest.mark.parametrize("switch", [True, False])
def test_a_kernel_reads_and_writes_what_the_tuple_holds(switch: bool) -> None:
    outer = make(4, switch)
    expected = 7 + (0.5 if switch else 1.0) * (1 + 3 + 5 + 7 + 9 + 11)
    assert total(outer, 3) == expected
    assert outer.out[0] == 3 * expected
    assert outer.rows[1].energy == expected
    assert outer.rows[0].energy == 0.0


def test_one_compiled_kernel_serves_all_contents_of_the_same_types() -> None:
    number = len(total.compiled.signatures) or 1
    for columns in (2, 3, 8):
        outer = make(columns)
        assert total(outer, 1) == total(outer._replace(counts=outer.counts + 1), 1) - 0.5 * 3 * (columns // 2)
    assert len(total.compiled.signatures) == number


def test_arrays_are_released() -> None:
    outer = make()
    before = sys.getrefcount(outer.counts)
    for _ in range(10):
        total(outer, 1)
    after = sys.getrefcount(outer.counts)
    assert after == before


def test_what_is_not_there_is_told() -> None:
    with pytest.raises(TypingError, match="Unknown attribute 'missing' of type Outer"):
        read_missing(make())


def test_what_is_no_array_is_refused() -> None:
    with pytest.raises(TypingError, match="annot determine Numba type"):
        total(make()._replace(number=object()), 1)  # type: ignore[arg-type]
