"""Every technology node, against what Accelergy gave there (data/README.md)."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import pytest

from tests.energy.reference import DATA, close, rows
from tqhw import energy
from tqhw.energy import load_components, tables, unread
from tqhw.energy.library_scale import area_scale, energy_scale
from tqhw.energy.primitives import primitive
from tqhw.energy.query import Query
from tqhw.energy.sram import ERROR
from tqhw.energy.technology import LEAST_NM, MOST_NM, library_nm
from tqhw.errors import TqhwError
from tqhw.spec import load_architecture, load_art, load_ert

EXAMPLES = DATA / "nodes"


def asked(row: dict[str, str], **attributes: object) -> Query:
    cycle = float(row.get("global_cycle_seconds") or 1e-9)
    return Query(
        row.get("class", "SRAM"), {"technology": row["technology"], "global_cycle_seconds": cycle, **attributes}, "x"
    )


def test_the_librarys_factors() -> None:
    checked = 0
    for row in rows("nodes/library_scale.csv"):
        try:
            node = library_nm(row["technology"])
        except ValueError:
            assert not LEAST_NM <= float(row["technology"].removesuffix("nm")) <= MOST_NM
            continue
        assert energy_scale(node) == close(float(row["energy_factor"]), 1e-11)
        assert area_scale(node) == close(float(row["area_factor"]), 1e-11)
        checked += 1
    assert checked > 170


def test_the_librarys_units() -> None:
    for row in rows("nodes/library_nodes.csv"):
        names = ("width_a", "width_b") if row["width_a"] else ("width",)
        query = asked(row, **{name: int(row[name]) for name in names})
        unit = primitive(query)
        assert unit.energy(query, unit.actions[0], {}) == close(float(row["energy_pj"]), 1e-11)
        assert unit.energy(query, "leak", {}) == close(float(row["leak_pj_per_cycle"]), 1e-11)
        assert unit.area(query) == close(float(row["area_um2"]), 1e-11)


def test_the_aladdin_plug_ins_units_at_every_cycle_time() -> None:
    classes = set()
    for row in rows("nodes/aladdin_nodes.csv"):
        given = dict(pair.split("=") for pair in row["attributes"].split())
        values = {name: value if name == "length" else int(value) for name, value in given.items()}
        query = asked(row, action_latency_cycles=int(row["action_latency_cycles"]), **values)
        unit = primitive(query)
        found = unit.area(query) if row["action"] == "area" else unit.energy(query, row["action"], {})
        assert found == close(float(row["value"]), 1e-11), row
        classes.add(row["class"])
    assert {"regfile", "crossbar", "wire", "intmac", "reg", "fpmac"} <= classes


def test_neurosims_adder_at_its_nodes_and_between() -> None:
    for row in rows("nodes/neurosim.csv"):
        query = asked(row, n_bits=int(row["n_bits"]), width=3)
        unit = primitive(query, adder="neurosim")
        assert unit.energy(query, "add", {}) == close(float(row["energy_pj"]), 1e-11)
        assert unit.energy(query, "write", {}) == 0
        assert unit.energy(query, "leak", {}) == close(float(row["leak_pj_per_cycle"]), 1e-11)
        assert unit.area(query) == close(float(row["area_um2"]), 1e-11)


def test_neurosims_adder_beyond_its_table_and_its_nodes() -> None:
    """A straight line in the bits; refused outside of 7 to 130 nm."""
    wide = {n: asked({"technology": "22nm", "class": "intadder"}, n_bits=n) for n in (32, 64, 96)}
    a, b, c = (primitive(query, adder="neurosim").energy(query, "add", {}) for query in wide.values())
    assert c - b == close(b - a, 1e-6)
    far = asked({"technology": "180nm", "class": "intadder"}, n_bits=8)
    with pytest.raises(TqhwError, match="intadder: technology '180nm' is no node from 7 to 130 nm"):
        primitive(far, adder="neurosim").energy(far, "add", {})
    with pytest.raises(TqhwError, match=r"energy.adder: unknown adder 'neurosym' \(did you mean 'neurosim'\?"):
        primitive(far, adder="neurosym")


def sram(row: dict[str, str]) -> tuple[list[float], list[float], bool]:
    """Found and recorded read, write, leak and area, and whether the first are interpolated."""
    sizes = {name: int(row[name]) for name in ("width", "depth", "n_banks", "n_rw_ports")}
    query = asked(row, **sizes)
    unit = primitive(query)
    found = [*(unit.energy(query, action, {}) for action in ("read", "write", "leak")), unit.area(query)]
    names = ("read_pj", "write_pj", "leak_pj_per_cycle", "area_um2")
    interpolated = any(note.kind == "interpolated" for note in unit.notes(query))
    return found, [float(row[name]) for name in names], interpolated


def test_srams_at_other_nodes_follow_the_plug_ins_rules() -> None:
    checked = 0
    for row in rows("nodes/scaled_points.csv"):
        if int(row["technology"].removesuffix("nm")) < LEAST_NM:
            with pytest.raises(TqhwError, match="is no whole node from 7 to 180 nm"):
                sram(row)
            continue
        found, true, interpolated = sram(row)
        assert not interpolated
        assert found == [close(value, 1e-11) for value in true]
        checked += 1
    assert checked == 44


def interpolated_errors(name: str) -> list[list[float]]:
    """Percent that read, write, leak and area of the file's interpolated sizes are off; the others are exact."""
    errors: list[list[float]] = []
    for row in rows(name):
        try:
            found, true, interpolated = sram(row)
        except TqhwError as error:
            assert "is out of range: tabulated are" in str(error)
            continue
        if interpolated:
            errors.append([100 * abs(ours / theirs - 1) for ours, theirs in zip(found, true, strict=True)])
        else:
            assert found == [close(value, 1e-8) for value in true]
    return errors


@pytest.mark.parametrize(("name", "count", "beyond"), [("random_points", 185, 0), ("fresh_points", 368, 1)])
def test_interpolated_srams_are_near_and_the_page_says_how_near(name: str, count: int, beyond: int) -> None:
    """Sizes that CACTI was asked for by themselves; no table was made from them."""
    errors = interpolated_errors(f"nodes/{name}.csv")
    assert len(errors) == count
    said = []
    for column in zip(*errors, strict=True):
        said.append(f"{median(column):.1f} / {sorted(column)[int(0.9 * len(column))]:.1f} / {max(column):.1f}")
        assert median(column) < 0.3
        assert sum(error > 15 for error in column) <= beyond
    page = (Path(energy.__file__).parent / "data" / "README.md").read_text()
    assert f"{count} random sizes | {' | '.join(f'{one} %' for one in said)} |" in page
    if name == "fresh_points":
        columns = zip(("read", "write", "leak", "area"), said, strict=True)
        assert f"median / 90th percentile / largest in %: {', '.join(f'{n} {one}' for n, one in columns)}" == ERROR


@pytest.mark.parametrize(
    ("name", "components", "tables_of", "adder"),
    [
        ("buffer_22nm", "components", "", "aladdin"),
        ("systolic_32nm", "components", "", "aladdin"),
        ("eyeriss_65nm", "components", "", "aladdin"),
        ("eyeriss_65nm", "components", "", "neurosim"),
        ("eyeriss_65nm", "components_intadder", "neurosim", "neurosim"),
        ("regfile_45nm", "components", "", "aladdin"),
        ("regfile_45nm", "components", "neurosim", "neurosim"),
    ],
)
def test_whole_architectures_to_every_digit(name: str, components: str, tables_of: str, adder: str) -> None:
    folder = EXAMPLES / name
    architecture = load_architecture(folder / "architecture.yaml")
    own = load_components(folder / f"{components}.yaml")
    found = tables(architecture, own, adder=adder)
    assert found.ert.energies == load_ert(folder / tables_of / "ERT.yaml").energies
    assert found.art.areas == load_art(folder / tables_of / "ART.yaml").areas
    assert unread(architecture, own) == ()


def test_a_node_that_one_adder_lacks_names_the_other() -> None:
    folder = EXAMPLES / "eyeriss_65nm"
    with pytest.raises(TqhwError, match=r"'shared_glb': intadder: technology '65nm'.*set energy.adder: neurosim"):
        tables(load_architecture(folder / "architecture.yaml"), load_components(folder / "components_intadder.yaml"))
