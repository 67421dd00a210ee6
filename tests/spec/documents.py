"""The documents that the tests of this folder start from, and how they break them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tqhw.errors import TqhwError

DATA = Path(__file__).parent.parent / "data" / "timeloop"
ARCHITECTURES = sorted(p.stem for p in (DATA / "arch").glob("*.yaml"))

ARCHITECTURE = """\
architecture:
  version: 0.4
  nodes:
  - !Container
    name: system
    attributes: {technology: "45nm"}
  - !Component
    name: DRAM
    class: DRAM
    attributes: {width: 64, datawidth: 8}
  - !Component
    name: buffer
    class: storage
    attributes: {width: 64, depth: 1024, datawidth: 8}
    constraints:
      dataspace: {keep: [Weights]}
      temporal: {permutation: CM, factors: C=4}
  - !Container
    name: PE
    spatial: {meshX: 4}
  - !Component
    name: mac
    class: compute
variables:
  version: 0.4
  technology: "45nm"
  lanes: 4
"""

PROBLEM = """\
problem:
  version: 0.4
  shape:
    name: strided
    dimensions: [M, K, N]
    coefficients:
    - {name: step, default: 1}
    data_spaces:
    - name: Weights
      projection: [[[K]], [[N]]]
    - name: Inputs
      projection: [[[M, step]], [[K]]]
    - name: Outputs
      projection: [[[M]], [[N]]]
      read_write: true
  instance: {M: 2, K: 3, N: 4}
"""


def message(load: Callable[[str], Any], text: str, old: str = "", new: str = "") -> str:
    """The message with which ``load`` refuses ``text`` after ``old`` became ``new`` in it."""
    assert old in text
    with pytest.raises(TqhwError) as caught:
        load(text.replace(old, new, 1))
    return str(caught.value)
