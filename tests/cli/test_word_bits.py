"""``--word-bits`` of map and evaluate: one flag, any architecture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_app import refused, tqhw

ARCH = """
architecture:
  version: 0.4
  nodes:
  - !Component
    name: DRAM
    class: DRAM
    attributes: {width: 64, datawidth: 8}
  - !Component
    name: Buffer
    class: storage
    subclass: sram_buffer
    attributes: {row_bits: 64, rows: 16, width: 64, depth: 16, datawidth: 8}
  - !Component
    name: mac
    class: compute
    subclass: int_mac
variables: {version: 0.4, technology: "45nm", global_cycle_seconds: 1e-9}
"""
PROBLEM = """
problem:
  version: 0.4
  shape:
    name: matmul
    dimensions: [M, K, N]
    data_spaces:
    - {name: Weights, projection: [[[M]], [[K]]]}
    - {name: Inputs, projection: [[[K]], [[N]]]}
    - {name: Outputs, projection: [[[M]], [[N]]], read_write: true}
  instance: {M: 32, K: 16, N: 8}
"""


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "arch.yaml").write_text(ARCH)
    (tmp_path / "problem.yaml").write_text(PROBLEM)
    return "--arch", str(tmp_path / "arch.yaml"), "--problem", str(tmp_path / "problem.yaml")


def best(files: tuple[str, ...], *options: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(tqhw("map", *files, *options, "--json", "-").stdout)
    assert found["proved_optimal"]
    return found


def test_narrower_weights_cost_less(files: tuple[str, ...]) -> None:
    plain = best(files)
    by_bits = {
        bits: best(files, "--word-bits", f"Weights={bits},Inputs=8,Outputs=8")["energy_pj"] for bits in (8, 4, 2)
    }
    assert by_bits[2] < by_bits[4] < by_bits[8] <= plain["energy_pj"]


def test_the_multiplier_narrows_unless_it_is_fixed(files: tuple[str, ...]) -> None:
    wide = best(files)["levels"]["mac"]["energy_pj"]
    words = ("--word-bits", "Weights=2")
    assert best(files, *words, "--multiplier", "fixed")["levels"]["mac"]["energy_pj"] == wide
    assert best(files, *words)["levels"]["mac"]["energy_pj"] < wide


def test_ideal_packing_has_no_padding(files: tuple[str, ...]) -> None:
    words = ("--word-bits", "Weights=5,Inputs=5,Outputs=5")
    assert best(files, *words, "--packing", "ideal")["energy_pj"] < best(files, *words)["energy_pj"]


def test_a_found_mapping_evaluates_to_itself(files: tuple[str, ...], tmp_path: Path) -> None:
    words = ("--word-bits", "Weights=3,Inputs=8,Outputs=16,Outputs@DRAM=8")
    found = best(files, *words, "--out", str(tmp_path / "map.yaml"))
    evaluated = json.loads(
        tqhw("evaluate", *files, *words, "--mapping", str(tmp_path / "map.yaml"), "--json", "-").stdout
    )
    assert evaluated["levels"] == found["levels"]
    assert evaluated["energy_pj"] == found["energy_pj"]


@pytest.mark.parametrize(
    "options, message",
    [
        (("--word-bits", "Weights=0"), "--word-bits: Weights: 0 bits must be a whole number from 1 to 512"),
        (("--word-bits", "Weight=2"), "--word-bits: unknown data space 'Weight' (did you mean 'Weights'?"),
        (("--word-bits", "Weights@GLB=2"), "--word-bits: unknown level 'GLB'"),
        (("--word-bits", "Weights=65"), "--word-bits: a word of 65 bits of Weights is wider than the 64 bits of a row"),
        (("--word-bits", "Weights=2", "--packing", "tight"), "unknown packing 'tight'"),
        (("--word-bits", "Weights=2", "--multiplier", "big"), "unknown multiplier 'big'"),
        (("--packing", "ideal"), "--packing says how --word-bits fill a row"),
        (("--multiplier", "fixed"), "--multiplier says what --word-bits do"),
    ],
)
def test_bad_options(files: tuple[str, ...], options: tuple[str, ...], message: str) -> None:
    assert message in refused("map", *files, *options)
