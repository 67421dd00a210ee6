"""Energies by hwcomponents: the real package where it is installed, else a stand-in for what is asked and told."""

from __future__ import annotations

import importlib
import sys
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


def machine(text: str = TEXT) -> Architecture:
    return parse_architecture(yamlio.parse(text, "a.yaml"), "a.yaml", "a")


class StandIn(ModuleType):
    """Answers 3 pJ, 5 uW and 7 um^2 for everything but an SRAM, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__("hwcomponents")
        self.asked: list[tuple[Any, ...]] = []

    def _told(self, answer: Any, *asked: Any) -> Any:
        self.asked.append(asked)
        if asked[0] == "SRAM":
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
