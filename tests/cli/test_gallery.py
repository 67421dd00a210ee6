"""The gallery's accelerators at the command line: by name, with words of a width, with weights in digits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_app import refused, tqhw
from tqhw.architecture import available

ROOT = Path(__file__).parents[2]
LAYER = str(ROOT / "workloads/resnet20/03_layer2.0.conv1.yaml")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def best(*options: str) -> dict[str, Any]:
    found = tqhw("map", "--problem", LAYER, *options, "--json", "-")
    assert found.exit_code == 0, found.output
    answer: dict[str, Any] = json.loads(found.stdout)
    return answer


@pytest.mark.parametrize("name", available())
def test_a_name_is_enough(name: str) -> None:
    answer = best("--arch", name)
    assert answer["proved_optimal"] and answer["area_um2"] > 0


def test_names_are_in_the_help_and_in_what_doctor_says() -> None:
    told = json.loads(tqhw("doctor", "--json", "-").stdout)
    (row,) = [check for check in told["checks"] if check["what"] == "architectures"]
    assert row["version"].split(", ") == list(available())
    for command in ("map", "show"):
        text = " ".join(tqhw(command, "--help").stdout.replace("│", " ").split())
        assert all(name in text for name in available())


@pytest.mark.parametrize("name", ["bit_serial", "bit_fusion_like"])
def test_a_mapping_in_digits_evaluates_to_itself(name: str, tmp_path: Path) -> None:
    chosen = ("--arch", name, "--param", "weight_bits=16")
    found = best(*chosen, "--out", str(tmp_path / "m.yaml"))
    again = tqhw("evaluate", *chosen, "--problem", LAYER, "--mapping", str(tmp_path / "m.yaml"), "--json", "-")
    assert json.loads(again.stdout)["levels"] == found["levels"]
    whole = best(*chosen[:2], "--param", "weight_bits=8")
    assert found["computes"] == 2 * whole["computes"]


def test_cycles_of_bit_serial_follow_the_precision() -> None:
    cycles = {b: best("--arch", "bit_serial", "--param", f"weight_bits={b}", "--objective", "latency") for b in (2, 8)}
    assert cycles[8]["cycles"] == 4 * cycles[2]["cycles"]


def test_words_that_are_not_given_are_the_templates_own() -> None:
    partial = best("--arch", "simba_like", "--word-bits", "Weights=2")
    whole = best("--arch", "simba_like", "--word-bits", "Weights=2,Outputs=24,Outputs@DRAM=8")
    assert partial["energy_pj"] == whole["energy_pj"]
    other = best("--arch", "simba_like", "--word-bits", "Weights=2,Outputs@DRAM=16")
    assert other["energy_pj"] > whole["energy_pj"]


def test_digits_have_no_words_of_another_width() -> None:
    chosen = ("--arch", "bit_serial", "--problem", LAYER)
    message = "this architecture takes Weights in digits, whose width is its own (give --param weight_bits=BITS)"
    assert message in refused("map", *chosen, "--word-bits", "Weights=2")
    assert message in refused("map", *chosen, "--word-bits", "Weights@DRAM_weights=2")


def test_a_problem_that_means_something_else_by_the_dimension(tmp_path: Path) -> None:
    (tmp_path / "products.yaml").write_text(
        "problem: {shape: bmm, instance: {B: 2, M: 4, K: 4, N: 4}}\n", encoding="utf-8"
    )
    told = refused("map", "--arch", "bit_serial", "--problem", str(tmp_path / "products.yaml"))
    assert "the dimension B is to be the 8 digits of Weights, and is another one (rename it)" in told
