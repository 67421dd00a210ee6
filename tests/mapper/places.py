"""The reference's architectures and recorded searches."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from tqhw.spec import CONV2D, ERT, SHAPES, Hardware, Problem, flatten, load_architecture, load_ert, make_problem

DATA = Path(__file__).parent / "data"
REFERENCE = Path(__file__).parent.parent / "data" / "timeloop"


@cache
def machine(name: str) -> tuple[Hardware, ERT]:
    """Hardware and energies of one of the reference's architectures."""
    return flatten(load_architecture(REFERENCE / "arch" / f"{name}.yaml")), load_ert(
        REFERENCE / "ert" / f"{name}.ERT.yaml"
    )


def conv(**given: int) -> Problem:
    """A convolution; dimensions that are not given are 1."""
    return make_problem(CONV2D, {**dict.fromkeys(CONV2D.dimensions, 1), **given}, "conv")


def recorded(file: str) -> Iterator[tuple[Problem, dict[str, Any]]]:
    """Problem and record of every search of timeloop-mapper in a file."""
    for line in (DATA / file).read_text().splitlines():
        record = json.loads(line)
        problem = record["problem"]
        yield make_problem(SHAPES[problem["shape"]], problem["instance"], problem["name"]), record
