"""What public reports stumbled over in other tools, tried here on small files of our own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_app import refused, tqhw

ARCH = """
architecture:
  version: 0.4
  nodes:
  - !Component {name: DRAM, class: DRAM, attributes: {width: 64, datawidth: 8}}
  - !Container {name: PE, spatial: {meshX: 4, meshY: 2}}
  - !Component
    name: Buf
    class: smartbuffer_RF
    attributes: {width: 64, depth: 2, datawidth: 8}
    constraints: {}
  - !Component {name: mac, class: intmac, attributes: {multiplier_width: 8, adder_width: 16}}
variables: {version: 0.4, technology: "45nm", global_cycle_seconds: 1e-9}
"""
PROBLEM = """
problem:
  version: 0.4
  shape:
    name: mm
    dimensions: [M, K, N]
    data_spaces:
    - {name: Weights, projection: [[[M]], [[K]]]}
    - {name: Inputs, projection: [[[K]], [[N]]]}
    - {name: Outputs, projection: [[[M]], [[N]]], read_write: true}
  instance: {M: 8, K: 4, N: 2}
"""
MAPPING = """
mapping:
- {target: DRAM, type: temporal, factors: M=1 K=1 N=1, permutation: MKN}
- {target: PE, type: spatial, factors: M=4 K=1 N=1, permutation: MKN, split: 1}
- {target: Buf, type: temporal, factors: M=2 K=4 N=2, permutation: NKM}
"""


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    Path("arch.yaml").write_text(ARCH)
    Path("problem.yaml").write_text(PROBLEM)
    return ["--arch", "arch.yaml", "--problem", "problem.yaml"]


def test_empty_constraints_constrain_nothing(files: list[object]) -> None:
    """NVlabs/timeloop#19: an assertion fails where all constraints are left out."""
    plain = json.loads(tqhw("map", *files, "--json", "-").stdout)
    Path("none.yaml").write_text("mapspace_constraints: {targets: []}\n")
    found = json.loads(tqhw("map", *files, "--arch", "none.yaml", "--json", "-").stdout)
    assert found["energy_pj"] == plain["energy_pj"]
    assert found["proved_optimal"]


def test_a_mapping_written_by_hand_says_what_does_not_fit(files: list[object]) -> None:
    """NVlabs/timeloop#23 and #116: a map.txt as YAML, which exceeds a buffer's capacity."""
    Path("map.yaml").write_text(MAPPING)
    found = tqhw("evaluate", *files, "--mapping", "map.yaml")
    assert found.exit_code == 1
    # Weights 2 x 4, Inputs 4 x 2, Outputs 2 x 2
    assert "Buf: the tiles need 20 words, the capacity is 16" in found.stdout


def test_a_version_that_is_not_that_of_its_keys(files: list[object]) -> None:
    """NVlabs/timeloop#113: the keys of 0.2 under another version end in "key not found: arithmetic"."""
    Path("old.yaml").write_text("architecture: {version: 0.3, arithmetic: {instances: 4}, storage: []}\n")
    assert "version 0.3 is not 0.4" in refused("map", "--arch", "old.yaml", *files[2:])


def test_no_component_is_answered_by_a_dummy(files: list[object]) -> None:
    """NVlabs/timeloop#252: technology -1 gives every component 1 pJ."""
    Path("arch.yaml").write_text(ARCH.replace('"45nm"', "-1"))
    assert "technology '-1' is no node from 7 to 180 nm" in refused("map", *files)


def test_sparse_optimizations_are_refused_by_name(files: list[object]) -> None:
    """NVlabs/timeloop#159: a segmentation fault with them."""
    Path("sparse.yaml").write_text(
        "sparse_optimizations: {version: 0.4, targets: [{target: DRAM, representation_format: "
        "{data_spaces: [{name: Inputs, ranks: [{format: UOP}]}]}}]}\n"
    )
    assert "not modelled: sparse_optimizations of 'DRAM'" in refused("map", *files, "--arch", "sparse.yaml")


def test_constraints_that_are_no_factors(files: list[object]) -> None:
    """Accelergy-Project/processing-in-memory-design#4: an assertion on a constraint that is no map."""
    Path("own.yaml").write_text("constraints: {targets: [{target: Buf, type: temporal, factors: {M: 2}}]}\n")
    assert "factors are a list or a text, found {'M': 2} (write [C=4, M=2])" in refused(
        "map", *files, "--arch", "own.yaml"
    )
