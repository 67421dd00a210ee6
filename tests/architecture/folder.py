"""A small template folder that a test can break in one place."""

from __future__ import annotations

from pathlib import Path

PARAMS = """\
description: A buffer and a multiplier.
parameters:
  weight_bits: {type: int, default: 8, choices: [2, 3, 8], unit: bits, help: Weight precision.}
  fetch_bits: {type: int, default: weight_bits, range: [1, 32], unit: bits, help: Bits fetched.}
  speed: {type: number, default: null, range: [0.5, 8], unit: words/cycle, help: Port.}
  wide: {type: bool, default: false, help: Whether rows are wide.}
  wide_bits: {type: int, default: 128, range: [65, 512], unit: bits, only_if: wide, help: Bits of a wide row.}
  packing: {type: choice, default: pack, choices: [pack, ideal], help: Whole words or not.}
rules:
- {check: fetch_bits >= weight_bits, message: fetches too little}
groups:
  DRAM: [memory]
  MAC & spad: [mac]
"""

TEMPLATE = """\
architecture:
  version: 0.4
  nodes:
  - !Component
    name: memory
    class: DRAM
    attributes:
      { {{- row(wide_bits if wide else 64, fetch_bits) }}
{%- if speed is not none %}, read_bandwidth: {{ speed }}{% endif %}}
  - !Component
    name: mac
    class: compute
    attributes: {a_bits: {{ weight_bits }}}
"""


def make(path: Path, *, template: str | None = TEMPLATE, params: str | None = PARAMS) -> Path:
    """Writes a template folder ``tiny`` below ``path``; None leaves a file out."""
    folder = path / "tiny"
    folder.mkdir()
    if template is not None:
        (folder / "arch.yaml.j2").write_text(template)
    if params is not None:
        (folder / "params.yaml").write_text(params)
    return folder
