"""What a run says of padding and of mappings with remainders."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")

from tqhw.mapper.result import Whole
from tqhw.pipeline.uneven import uneven_notes
from tqhw.scenario.network import Width

LAYERS: Any = SimpleNamespace(
    layers=[SimpleNamespace(names=[name], problem=SimpleNamespace(computes=90)) for name in ("conv1", "conv2")]
)


def _notes(*found: tuple[int, int, Any]) -> tuple[str, ...]:
    """Of searches by layer and bits."""
    evaluated: Any = SimpleNamespace(found={(layer, Width(bits, bits)): one for layer, bits, one in found})
    return uneven_notes(LAYERS, evaluated)


def _found(computes: int = 90, padded: Any = None, whole: Whole | None = None) -> Any:
    stats = SimpleNamespace(computes=computes, energy_pj=100.0)
    return SimpleNamespace(padded=padded, whole=whole, stats=stats, front=None)


def test_of_what_is_even_there_is_nothing_to_say() -> None:
    assert _notes((0, 2, _found()), (1, 2, _found(whole=Whole(100.0, 9)))) == ()


def test_padding_says_what_it_wastes_of_which_layer_at_most() -> None:
    (note,) = _notes((0, 2, _found(96, {"M": 96})), (0, 4, _found(100, {"M": 100})), (1, 2, _found()))
    assert note.startswith("padding wastes operations, which are counted in energy, cycles and utilization")
    assert note.endswith("at most, 10.0% of those of conv1")


def test_padding_of_a_front_says_what_its_points_waste_at_most() -> None:
    found = _found()
    found.front = SimpleNamespace(points=[_found(), _found(100, {"M": 100}), _found(96, {"M": 96})])
    (note,) = _notes((0, 2, found))
    assert note.endswith("at most, 10.0% of those of conv1")


def test_what_the_counts_leave_out_is_said_beside_the_tables() -> None:
    (note,) = _notes((0, 2, _found(80, whole=Whole(112.5, 9))), (1, 2, _found(88, whole=Whole(102.0, 9))))
    assert note.startswith("energies and cycles are Timeloop's, which counts other work than there is")
    assert note.endswith("the whole work costs, at most, +12.5% at conv1, +2.0% at conv2")
