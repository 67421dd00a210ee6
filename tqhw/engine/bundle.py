"""Bundles: named tuples of arrays that kernels take whole, by reference (references.py tells the compiler how).

Numba passes a named tuple of 25 arrays as some 200 values, anew at every call, and most of the time to compile a kernel
went into that. A class that is marked by :func:`bundle` is passed as one pointer instead; what a kernel reads of it is
loaded where it is used. Without the compiler it is the named tuple that it looks like.

A bundle is frozen while a kernel runs: loads are marked as invariant, so that they cost no more than values would.
Kernels read bundles and write into their arrays; they cannot make one. tests/engine/test_bundle.py holds all of this.
"""

from __future__ import annotations

from typing import TypeVar

C = TypeVar("C", bound=type)

UNREGISTERED: list[type] = []  # marked classes that the compiler does not know yet


def bundle(cls: C) -> C:
    """Marks a named tuple of arrays, numbers and other bundles as one that kernels take by reference."""
    UNREGISTERED.append(cls)
    return cls
