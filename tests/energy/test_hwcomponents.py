"""Energies by hwcomponents: the real package where it is installed, else a stand-in for what is asked and told."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tqhw.backends.costing import costed
from tqhw.backends.embedded import Embedded
from tqhw.backends.protocol import Design
from tqhw.energy import hwcomponents, tables
from tqhw.errors import TqhwError
from tqhw.options import EnergyOptions
from tqhw.spec import Architecture, flatten, parse_architecture, yamlio

TEXT = """\
architecture:
  version: 0.4
  nodes:
  - !Component {name: DRAM, class: DRAM, attributes: {type: "LPDDR4", width: 64, datawidth: 8}}
  - !Component {name: reg, class: storage, subclass: aladdin_register, attributes: {width: 16, datawidth: 8, depth: 64}}
  - !Component {name: mac, class: intmac, attributes: {multiplier_width: 8, adder_width: 16}}
variables: {version: 0.4, technology: "45nm", global_cycle_seconds: 2e-9}
"""


ODD = """\
components:
  version: 0.4
  classes:
  - name: odd
    attributes: {technology: must_specify, global_cycle_seconds: must_specify}
    subcomponents:
    - {name: sum, class: aladdin_adder, attributes: {width: 16}}
    actions:
    - {name: compute, subcomponents: [{name: sum, actions: [{name: add}]}]}
    - {name: leak, subcomponents: [{name: sum, actions: [{name: leak}]}]}
"""
HWCOMPONENTS = EnergyOptions(source="hwcomponents")


def machine(text: str = TEXT) -> Architecture:
    return parse_architecture(yamlio.parse(text, "a.yaml"), "a.yaml", "a")


class StandIn(ModuleType):
    """Answers 3 pJ, 5 uW and 7 um^2 for everything but an SRAM, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__("hwcomponents")
        self.asked: list[tuple[Any, ...]] = []
        self.refuses = "SRAM"

    def _told(self, answer: Any, *asked: Any) -> Any:
        self.asked.append(asked)
        if asked[0] == self.refuses:
            raise RuntimeError("Can not find a model\n| TypeError: must be real number, not NoneType")
        return answer

    def get_action_cost(self, *asked: Any) -> Any:
        return self._told(SimpleNamespace(energy=3e-12), *asked)

    def get_leak_power(self, *asked: Any) -> Any:
        return self._told(5e-6, *asked)

    def get_area(self, *asked: Any) -> Any:
        return self._told(7e-12, *asked)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    found = StandIn()
    monkeypatch.setitem(sys.modules, "hwcomponents", found)
    return found


def test_what_is_asked_and_in_which_units(stand_in: StandIn) -> None:
    found = tables(machine(), estimator="hwcomponents")
    assert found.ert.energies["reg"] == {"read": 3.0, "write": 3.0, "update": 3.0, "leak": 0.01}  # 5 uW for 2 ns
    assert found.art.areas["reg"] == 7.0
    assert ("AladdinRegister", {"width": 16, "tech_node": 45e-9}, "read", {}) in stand_in.asked
    assert ("LPDDR4", {"width": 64}, "write", {}) in stand_in.asked
    assert found.ert.energies["mac"]["compute"] == 6.0  # the packaged class: a multiplier and an adder
    assert ("AladdinAdder", {"width": 16, "tech_node": 45e-9}, "add", {}) in stand_in.asked


def test_arithmetic_is_asked_for_the_action_that_it_has(stand_in: StandIn) -> None:
    """A compute unit's action is `compute`; a multiplier of hwcomponents only multiplies."""
    alone = TEXT.replace("intmac, attributes: {multiplier_width: 8, adder_width: 16}", "compute, {0}")
    for class_, model, verb in (
        ("intmultiplier", "IntMultiplier", "multiply"),
        ("intadder", "IntAdder", "add"),
        ("aladdin_counter", "AladdinCounter", "count"),
        ("aladdin_comparator", "AladdinComparator", "compare"),
    ):
        found = tables(
            machine(alone.replace("{0}", f"subclass: {class_}, attributes: {{width: 8}}")), estimator="hwcomponents"
        )
        assert found.ert.energies["mac"] == {"compute": 3.0}
        assert (model, {"width": 8, "tech_node": 45e-9}, verb, {}) in stand_in.asked


def test_an_sram_is_given_its_size_too(stand_in: StandIn) -> None:
    stand_in.refuses = ""
    attributes = "subclass: SRAM, attributes: {width: 64, n_banks: 4,"
    tables(
        machine(TEXT.replace("subclass: aladdin_register, attributes: {width: 16,", attributes)),
        estimator="hwcomponents",
    )
    size = {"width": 64, "depth": 64, "n_banks": 4, "size": 4096, "tech_node": 45e-9}
    assert ("SRAM", size, "read", {}) in stand_in.asked


def test_a_source_that_is_kept(stand_in: StandIn, tmp_path: Path) -> None:
    found = machine()
    design = Design("a", found, flatten(found), TEXT)
    options = EnergyOptions(source="hwcomponents")
    first = costed(Embedded(), [design], options, kept=tmp_path)[0]
    asked = len(stand_in.asked)
    again = costed(Embedded(), [design], options, kept=tmp_path)[0]
    assert (again.ert.energies, again.art.areas) == (first.ert.energies, first.art.areas)
    assert len(stand_in.asked) == asked
    assert first.table_source.endswith("on a")


def test_notes_are_kept_with_the_tables(stand_in: StandIn, tmp_path: Path) -> None:
    found = machine(TEXT.replace("class: intmac", "class: compute, subclass: odd"))
    design = Design("a", found, flatten(found), TEXT, ODD, operands=(2, 8))
    first, again = (costed(Embedded(), [design], HWCOMPONENTS, kept=tmp_path)[0] for _ in range(2))
    assert first.notes == again.notes == ("mac: no multiplier in it is known, so its energy does not follow word_bits",)


def test_kept_tables_are_of_the_classes_that_made_them(
    stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither of other compound classes, the user's or the packaged ones, nor of another version of tqhw."""
    found = machine(TEXT.replace("class: intmac", "class: compute, subclass: odd"))
    design = Design("a", found, flatten(found), TEXT, ODD)
    (first,) = costed(Embedded(), [design], HWCOMPONENTS, kept=tmp_path)
    twice = replace(
        design, components_text=ODD.replace("actions: [{name: add}]", "actions: [{name: add}, {name: add}]")
    )
    (other,) = costed(Embedded(), [twice], HWCOMPONENTS, kept=tmp_path)
    assert (first.ert.energies["mac"]["compute"], other.ert.energies["mac"]["compute"]) == (3.0, 6.0)
    for place, changed in (("energy.packaged_components_text", lambda: "others"), ("__version__", "99")):
        asked = len(stand_in.asked)
        monkeypatch.setattr(f"tqhw.backends.hwcomponents.{place}", changed)
        costed(Embedded(), [design], HWCOMPONENTS, kept=tmp_path)
        assert len(stand_in.asked) > asked


def test_one_quadratic_width_is_narrowed_in_its_own_numbers(stand_in: StandIn) -> None:
    """3 pJ and 7 um^2 for all: of an intmac the adder stays whole, and nothing is left for the multiplier."""
    text = TEXT.replace("class: intmac, attributes: {multiplier_width: 8, adder_width: 16}", "class: CLASS")
    lone = "compute, subclass: {0}, attributes: {{width: 8}}"
    for class_, pj, um2 in (("intmac", 3.0, 7.0), ("intmultiplier", 0.75, 1.75)):
        found = tables(machine(text.replace("CLASS", lone.format(class_))), operands=(2, 8), estimator="hwcomponents")
        assert (found.ert.energies["mac"]["compute"], found.art.areas["mac"]) == (pj, um2)


def test_what_it_does_not_answer(stand_in: StandIn) -> None:
    sram = TEXT.replace("subclass: aladdin_register", "subclass: SRAM")
    with pytest.raises(TqhwError, match=r"'reg': SRAM: hwcomponents gives no .* of SRAM: TypeError.*glibc 2\.38"):
        tables(machine(sram), estimator="hwcomponents")
    crossbar = TEXT.replace("subclass: aladdin_register", "subclass: crossbar")
    with pytest.raises(TqhwError, match=r"class 'crossbar' is not asked of hwcomponents \(it is asked for al"):
        tables(machine(crossbar), estimator="hwcomponents")
    with pytest.raises(TqhwError, match=r"technology 'SET ME' is no whole node"):
        tables(machine(TEXT.replace('"45nm"', '"SET ME"')), estimator="hwcomponents")
    with pytest.raises(TqhwError, match=r"energy.source: unknown estimator 'hw'"):
        tables(machine(), estimator="hw")


@pytest.mark.parametrize(
    ("python", "message"),
    [((3, 11, 7), "hwcomponents needs Python 3.12, this is 3.11.7"), ((3, 12, 1), "hwcomponents is not installed")],
)
def test_where_it_is_not(monkeypatch: pytest.MonkeyPatch, python: tuple[int, ...], message: str) -> None:
    monkeypatch.setitem(sys.modules, "hwcomponents", None)
    monkeypatch.setattr(hwcomponents.sys, "version_info", python)
    with pytest.raises(TqhwError, match=rf"energy.source: {message}.*pip install 'tqhw\[hwcomponents\]'"):
        hwcomponents.versions()


def test_the_real_package_answers_for_registers_and_arithmetic() -> None:
    try:
        importlib.import_module("hwcomponents")
    except ImportError:
        pytest.skip("hwcomponents is not installed")
    found = tables(machine(), estimator="hwcomponents")
    assert found.ert.energies["DRAM"]["read"] == 512.0  # 8 pJ a bit
    assert 0 < found.ert.energies["reg"]["read"] < found.ert.energies["mac"]["compute"] < 10
    assert found.art.areas["mac"] > 0
    assert "hwcomponents" in hwcomponents.versions()
