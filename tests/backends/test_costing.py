"""Where energies come from, and numbers of one's own before them."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tqhw import architecture
from tqhw.backends import Design, backend
from tqhw.backends.costing import costed, load_table
from tqhw.errors import TqhwError
from tqhw.options import EnergyOptions
from tqhw.spec import ART, ERT, dump_art, dump_ert


@pytest.fixture(scope="module")
def design() -> Design:
    found = architecture.load("weight_stationary")
    return Design(found.name, found.architecture, found.hardware, found.text, found.components_text)


def refused(**options: object) -> str:
    with pytest.raises(TqhwError) as caught:
        EnergyOptions(**options)  # type: ignore[arg-type]
    return str(caught.value)


def test_without_options_the_engine_answers(design: Design) -> None:
    engine = backend("embedded")
    assert (
        costed(engine, [design])
        == costed(engine, [design], EnergyOptions(source="packaged"))
        == [engine.target(design)]
    )


def test_numbers_of_ones_own_go_before_the_sources(design: Design) -> None:
    engine = backend("embedded")
    table = {"weight_buffer": {"read": 1.5, "area": 10}, "mac": {"compute": 0.25}}
    (target,) = costed(engine, [design], EnergyOptions(table=table))
    plain = engine.target(design)
    assert target.ert.energy_pj("weight_buffer", "read") == 1.5
    assert target.ert.energy_pj("weight_buffer", "write") == plain.ert.energy_pj("weight_buffer", "write")
    assert target.ert.energy_pj("mac", "compute") == 0.25
    assert target.art.areas == {**plain.art.areas, "weight_buffer": 10.0}
    assert target.notes[-1] == "energy.table: numbers of your own: weight_buffer (read, area), mac (compute)"
    assert target.table_source.endswith("with your own weight_buffer, mac")


def test_a_whole_table_from_files(design: Design, tmp_path: Path) -> None:
    plain = backend("embedded").target(design)
    (tmp_path / "e.yaml").write_text(dump_ert(plain.ert))
    (tmp_path / "a.yaml").write_text(dump_art(plain.art))
    options = EnergyOptions(source="file", ert=str(tmp_path / "e.yaml"), art=str(tmp_path / "a.yaml"))
    (target,) = costed(backend("embedded"), [design], options)
    assert (target.ert, target.art) == (plain.ert, plain.art)
    (tmp_path / "e.yaml").write_text(dump_ert(plain.ert).replace(".mac[", ".mcc["))
    with pytest.raises(TqhwError, match=r"e.yaml: unknown component in the ERT 'mac' \(did you mean 'mcc'"):
        costed(backend("embedded"), [design], options)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"GLB": {"read": 1}}, "energy.table: unknown component 'GLB'"),
        (
            {"mac": {"read": 1}},
            r"energy.table.mac: unknown action 'read' \(did you mean .area.. known: compute, leak, area\)",
        ),
        ({"weight_buffer": {"reed": 1}}, "energy.table.weight_buffer: unknown action 'reed' .did you mean 'read'"),
    ],
)
def test_tables_that_fit_no_design(design: Design, table: dict[str, dict[str, float]], message: str) -> None:
    with pytest.raises(TqhwError, match=message):
        costed(backend("embedded"), [design], EnergyOptions(table=table))


def test_options_that_contradict_each_other() -> None:
    assert "ert: source file needs a file (give energy.ert" in refused(source="file")
    assert "ert: ert is read with source file only" in refused(ert="e.yaml")
    assert "adder: adder is a choice of the packaged tables" in refused(source="accelergy", adder="neurosim")
    assert "unknown value 'hwcomponent' (did you mean 'hwcomponents'?" in refused(source="hwcomponent")
    assert "must be at least 0" in refused(table={"mac": {"compute": -1}})


def test_a_table_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text("mac: {compute: 1}\n")
    assert load_table(tmp_path / "t.yaml") == {"mac": {"compute": 1}}
    (tmp_path / "t.yaml").write_text("mac: 3\n")
    with pytest.raises(TqhwError, match=r"t.yaml:1: mac: the numbers of mac must be a mapping, found '3'"):
        load_table(tmp_path / "t.yaml")


def test_without_accelergy(design: Design, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TqhwError, match=r"energy\.source: accelergy not found on PATH"):
        costed(backend("embedded"), [design], EnergyOptions(source="accelergy"))


def test_accelergy_on_the_path_answers_and_is_kept(
    design: Design, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A program that gives recorded tables, once: the second time its folder answers."""
    plain = backend("embedded").target(design)
    (tmp_path / "ERT").write_text(dump_ert(plain.ert))
    (tmp_path / "ART").write_text(dump_art(plain.art))
    program = tmp_path / "accelergy"
    program.write_text(
        f"#!/bin/sh\n[ \"$1\" = --version ] && echo 'accelergy 0.4' && exit\ncat {tmp_path}/ERT > timeloop.ERT.yaml\n"
        f"cat {tmp_path}/ART > timeloop.ART.yaml\n"
        "printf 'ERT_summary:\\n  table_summary: []\\n' > timeloop.ERT_summary.yaml\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    options = EnergyOptions(source="accelergy")
    (target,) = costed(backend("embedded"), [design], options, kept=tmp_path / "kept")
    assert (target.ert.energies, target.art.areas) == (plain.ert.energies, plain.art.areas)
    assert re.fullmatch(rf"accelergy unknown \(files [0-9a-f]{{16}}\) on {design.name}", target.table_source)
    (tmp_path / "ERT").unlink()
    assert costed(backend("embedded"), [design], options, kept=tmp_path / "kept")[0].ert.energies == plain.ert.energies


def test_tables_beside_an_architecture_are_its_own(tmp_path: Path, design: Design) -> None:
    """As in Timeloop: a specification with an ERT is asked, unless the user names another source."""
    ert = ERT({c.name: {"read": 2.5, "write": 3.5, "compute": 0.5} for c in design.architecture.components()})
    (tmp_path / "arch.yaml").write_text(design.text)
    (tmp_path / "tables.yaml").write_text(dump_ert(ert))
    found = architecture.load([tmp_path / name for name in ("arch.yaml", "tables.yaml")])
    own = Design(found.name, found.architecture, found.hardware, found.text, found.components_text)
    (target,) = costed(backend("embedded"), [own])
    assert target.ert.energies == ert.energies
    assert target.art.areas == {}
    assert target.notes == (
        "energies are those of the ERT in the architecture's files; energy.source: packaged takes others",
    )
    (packaged,) = costed(backend("embedded"), [own], EnergyOptions(source="packaged"))
    assert packaged.ert.energies != ert.energies


def test_areas_without_energies_beside_an_architecture(design: Design) -> None:
    (plain,) = costed(backend("embedded"), [design])
    areas = dump_art(ART({c.name: 1.0 for c in design.architecture.components()}))
    (target,) = costed(backend("embedded"), [replace(design, text=design.text + areas)])
    assert target.art.areas == plain.art.areas
    note = "the ART in the architecture's files is not read, as in Timeloop: there is no ERT beside it"
    assert target.notes == (*plain.notes, note)


def test_tables_beside_an_architecture_that_lack_a_component(design: Design) -> None:
    text = design.text + dump_ert(ERT({"buffer": {"read": 1.0}}))
    with pytest.raises(TqhwError, match=r"the ERT of .*: unknown component in the ERT"):
        costed(backend("embedded"), [replace(design, text=text)])
