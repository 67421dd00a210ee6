"""Bits of every layer: the best allocation for each energy, by an exact integer program over measured numbers.

``program`` solves it, ``front`` asks for a range of energies, ``sensitivity`` measures what truncating a layer adds to
the loss, ``measure`` the accuracy of an allocation on shifted integers, ``answer`` holds what came out, ``files``,
``table`` and ``figure`` show it.
"""

from __future__ import annotations

from tqhw.allocation.answer import Allocated, AllocationAnswer, PairedDifference, Switch
from tqhw.allocation.front import front
from tqhw.allocation.program import Choices, solve

__all__ = ["Allocated", "AllocationAnswer", "Choices", "PairedDifference", "Switch", "front", "solve"]
