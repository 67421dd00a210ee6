"""How many of their cases tests of figures take: all of them, or every so-many-th.

A figure that arithmetic alone decides is the same on every interpreter: thousands of mappings that were enumerated and
counted on one of them show nothing new on the next. What may differ there (imports, syntax, the compiler, how objects
are hashed and printed) a few cases of each test show as well. So `.ci/torch-free` sets ``TQHW_TESTS_EVERY``, and the
tests that take long name here what they may leave out then; none is left out as a whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")
EVERY = int(os.environ.get("TQHW_TESTS_EVERY", "1"))


def some(cases: Iterable[T]) -> list[T]:
    """Of cases: the first, and every so-many-th after it."""
    return list(cases)[::EVERY]


def fewer(number: int) -> int:
    """Of a number of drawn cases."""
    return -(-number // EVERY)
