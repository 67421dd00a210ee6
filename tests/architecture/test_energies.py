"""The packaged energy tables know every component that the templates render, without interpolating."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture import folder
from tqhw.architecture import available, parameters_of, render
from tqhw.energy import SPAD_CLASSES, own_components, parse_components, tables
from tqhw.spec import yamlio


@pytest.mark.parametrize("spad_model", SPAD_CLASSES)
@pytest.mark.parametrize("bits", [1, 3, 8, 32])
@pytest.mark.parametrize("name", available())
def test_every_component_is_tabulated(name: str, bits: int, spad_model: str) -> None:
    known = [parameter.name for parameter in parameters_of(name).parameters]
    asked = {"weight_bits": bits, "spad_model": spad_model}
    rendered = render(name, {key: value for key, value in asked.items() if key in known})
    architecture = rendered.architecture
    found = tables(architecture, own_components(rendered.components_text, name))
    assert set(found.ert.energies) == {component.name for component in architecture.components()}
    assert found.interpolated == ()


def test_a_split_buffer_has_the_area_of_the_whole_and_each_part_its_cost() -> None:
    def costs(psum_glb_rows: int) -> tuple[float, float, float]:
        found = tables(render("eyeriss_like", {"psum_glb_rows": psum_glb_rows}).architecture)
        area = found.art.areas["act_glb"] + found.art.areas["psum_glb"]
        return area, found.ert.energy_pj("act_glb", "read"), found.ert.energy_pj("psum_glb", "read")

    area, act_pj, psum_pj = costs(4096)
    assert act_pj == psum_pj
    assert costs(8192) == (pytest.approx(area, rel=1e-5), act_pj, psum_pj)


@pytest.mark.parametrize(
    ("spad_model", "narrow_percent", "fixed_percent"),
    [("smartbuffer_rf", 74, 75), ("register_file", 7, 75), ("sram", 40, 75)],
)
def test_what_two_bits_save_of_a_weight_read_by_costing_and_row(
    spad_model: str, narrow_percent: int, fixed_percent: int
) -> None:
    def weight_read_pj(bits: int, row: str) -> float:
        rendered = render("eyeriss_like", {"weight_bits": bits, "spad_model": spad_model, "weights_spad_row": row})
        block = next(level.block_size for level in rendered.hardware.levels if level.name == "weights_spad")
        return tables(rendered.architecture).ert.energy_pj("weights_spad", "read") / block

    for row, percent in (("narrow", narrow_percent), ("fixed", fixed_percent)):
        assert round(100 - 100 * weight_read_pj(2, row) / weight_read_pj(8, row)) == percent


def test_a_folders_own_components_are_costed_and_replace_packaged_ones(tmp_path: Path) -> None:
    technology = '  - !Container {name: system, attributes: {technology: "45nm", global_cycle_seconds: 1e-9}}\n'
    template = folder.TEMPLATE.replace("  nodes:\n", f"  nodes:\n{technology}")
    template = template.replace("class: DRAM\n", "class: DRAM\n    subclass: dram_channel\n")
    path = folder.make(tmp_path, template=template.replace("class: compute", "class: compute\n    subclass: adder_mac"))
    (path / "components.yaml").write_text(COMPONENTS)
    rendered = render(path, {"weight_bits": 8})
    found = tables(
        rendered.architecture, parse_components(yamlio.parse(rendered.components_text), "components.yaml")
    ).ert
    assert found.energy_pj("memory", "read") == 2 * 8 * 64  # two accesses to LPDDR4, 8 pJ per bit
    assert found.energy_pj("mac", "compute") == pytest.approx(0.21 * 1.265241 * 8 / 32, rel=1e-5)


COMPONENTS = """\
components:
  version: 0.4
  classes:
  - name: dram_channel
    attributes: {row_bits: must_specify}
    subcomponents: [{name: channel, class: DRAM, attributes: {type: "LPDDR4", width: 2 * row_bits}}]
    actions:
    - {name: read, subcomponents: [{name: channel, actions: [{name: read}]}]}
    - {name: write, subcomponents: [{name: channel, actions: [{name: write}]}]}
    - {name: update, subcomponents: [{name: channel, actions: [{name: update}]}]}
    - {name: leak, subcomponents: [{name: channel, actions: [{name: leak}]}]}
  - name: adder_mac
    attributes: {a_bits: must_specify}
    subcomponents: [{name: adder, class: aladdin_adder, attributes: {width: a_bits}}]
    actions:
    - {name: compute, subcomponents: [{name: adder, actions: [{name: add}]}]}
    - {name: leak, subcomponents: [{name: adder, actions: [{name: leak}]}]}
"""
