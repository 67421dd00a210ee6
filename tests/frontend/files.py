"""Small specifications that the tests of this folder start from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tqhw.frontend import process
from tqhw.frontend.specification import Processed

PROBLEM = """\
problem:
  version: 0.4
  shape:
    name: matmul
    dimensions: [M, K, N]
    data_spaces:
    - {name: A, projection: [[[M]], [[K]]]}
    - {name: B, projection: [[[K]], [[N]]]}
    - {name: Z, projection: [[[M]], [[N]]], read_write: true}
  instance: {M: 8, K: 24, N: 10}
"""
ARCHITECTURE = """\
architecture:
  version: 0.4
  nodes:
  - !Container
    name: chip
    attributes: {technology: "45nm", global_cycle_seconds: 1e-9}
  - !Component
    name: DRAM
    class: DRAM
    attributes: {width: 64, datawidth: 8}
  - !Component
    name: buf
    class: storage
    attributes:
      depth: 256
      width: 64
      datawidth: 8
  - !Component
    name: mac
    class: intmac
    attributes: {multiplier_width: 8, adder_width: 16}
"""


def arch(**changes: str) -> str:
    """The architecture with texts replaced."""
    text = ARCHITECTURE
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return text


def with_attribute(line: str) -> str:
    """The architecture with one more attribute of ``buf``."""
    return ARCHITECTURE.replace("      depth: 256\n", f"      depth: 256\n      {line}\n")


def write(folder: Path, **files: str) -> None:
    """``top="..."`` writes ``top.yaml``; ``lib__a="..."`` writes ``lib/a.yaml``."""
    for name, text in files.items():
        path = folder / (name.replace("__", "/") + ".yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def processed(folder: Path, *given: str, data: dict[str, Any] | None = None, **files: str) -> Processed:
    """What the files make; all of them are given where none is named."""
    write(folder, **files)
    return process([folder / name for name in given] or [folder / f"{name}.yaml" for name in files], data)


def level(found: Processed, name: str) -> dict[str, Any]:
    """The attributes of a level."""
    return next(dict(one["attributes"]) for one in found.levels if one["name"].partition("[")[0] == name)
