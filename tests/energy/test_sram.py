import math
import re
from statistics import median

import pytest

from tests.energy.reference import COMMON, close
from tqhw.energy import sram, sram_tables
from tqhw.energy.primitives import primitive
from tqhw.energy.query import Query, table
from tqhw.energy.sram import sram_macro
from tqhw.energy.sram_tables import BANKS, CACTI_NODES, Macro, answers, between, bounds, macros
from tqhw.errors import TqhwError

FIELDS = ("read_j", "write_j", "leak_w", "area_m2")


def errors(found: Macro, true: Macro) -> list[float]:
    return [abs(getattr(found, f) / getattr(true, f) - 1) for f in FIELDS]


def test_tabulated_sizes_are_taken_as_they_are() -> None:
    row = next(r for r in table("sram.csv") if (r["depth"], r["width"], r["n_banks"]) == ("16384", "64", "32"))
    macro = sram_macro(64, 16384, 32)
    assert (macro.read_pj, macro.write_pj) == (close(float(row["read_pj"])), close(float(row["write_pj"])))
    assert macro.read_pj == close(27.792, 1e-4)
    assert macro.interpolated == ""


def test_small_sizes_follow_the_plug_ins_rules_exactly() -> None:
    checked = 0
    for (depth, width, banks, ports), true in answers().items():
        asked = max(math.ceil(width / 8) * 8, 32), max(depth, 64 * banks), 1 << (banks - 1).bit_length()
        if (asked[1], asked[0], asked[2], ports) not in macros(45):
            continue
        found = sram._by_rule(45, width, depth, banks, ports, None)
        assert not found.interpolated
        # The rows of sram_dense.csv, which some rest on, have 6 digits of CACTI's own print.
        assert max(errors(found, true)) < 1e-9, (depth, width, banks)
        checked += 1
    assert checked > 600


def test_interpolation_is_as_good_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the regular rows of the dense table alone, the other sizes of sram.csv are what they say."""
    one_bank = {(d, w): macro for (d, w, b, p), macro in macros(45).items() if (b, p) == (1, 1) and w <= 512}
    asked = [
        (int(r["depth"]), int(r["width"])) for r in table("sram.csv") if (r["n_banks"], r["n_rw_ports"]) == ("1", "1")
    ]
    rows = table("sram_dense.csv")
    dense = {(int(r["depth"]), int(r["width"]), 1, 1): one_bank[int(r["depth"]), int(r["width"])] for r in rows}
    monkeypatch.setattr(sram, "macros", lambda node: dense)
    monkeypatch.setattr(sram_tables, "macros", lambda node: dense)
    monkeypatch.setattr(sram, "along", lambda *_: None)
    sram_tables._columns.cache_clear()
    sram_tables._cell.cache_clear()
    try:
        found = []
        for depth, width in asked:
            if (depth, width) in one_bank and depth <= 65536 and (macro := sram_macro(width, depth)).interpolated:
                found.append(errors(macro, one_bank[depth, width]))
    finally:
        sram_tables._columns.cache_clear()
        sram_tables._cell.cache_clear()
    assert len(found) > 35
    limits = ((0.006, 0.255), (0.004, 0.178), (0.005, 0.119), (0.005, 0.123))  # data/README.md: median, largest
    for column, (middle, most) in zip(zip(*found, strict=True), limits, strict=True):
        assert median(column) < middle
        assert max(column) < most


def test_on_the_grid_the_interpolation_is_the_table() -> None:
    found = between(45, 1024, 64, 4)
    assert found is not None
    assert max(errors(found, sram_macro(64, 1024, 4))) < 1e-12


@pytest.mark.parametrize("node", CACTI_NODES)
@pytest.mark.parametrize("banks", BANKS)
def test_every_node_and_bank_count_has_the_whole_range(node: int, banks: int) -> None:
    (least, narrow), (most, wide) = bounds(node, banks)
    assert least <= 64 * banks and most >= 65536 * max(banks, 2) // (16 if node == 45 and banks > 1 else 1)
    assert (narrow, wide) == (32, 1024)
    for depth, width in ((64 * banks, 1024), (65536, 32), (65536, 1024), (3000, 1000)):
        assert depth < 64 * banks or sram_macro(width, depth, banks, node=node).read_j > 0


def test_between_two_nodes_both_are_run() -> None:
    low, high, between_them = (sram_macro(64, 1024, node=node) for node in (22, 32, 28))
    assert between_them.read_j == close(0.4 * low.read_j + 0.6 * high.read_j, 1e-12)
    assert sram_macro(64, 1024, node=7).leak_w == close(0.79 * (7 / 22) ** 0.5 * low.leak_w, 1e-12)


def test_between_the_grid_it_lies_between_and_says_so() -> None:
    macro = sram_macro(88, 5000, 8)
    corners = [sram_macro(w, d, 8) for w in (64, 96) for d in (4096, 6144)]
    assert min(m.read_pj for m in corners) < macro.read_pj < max(m.read_pj for m in corners)
    query = Query("SRAM", {"width": 88, "depth": 5000, "n_banks": 8, **COMMON}, "a.yaml:3")
    (note,) = [n for n in primitive(query).notes(query) if n.kind == "interpolated"]
    assert re.search(r"SRAM 5000 x 88 bits in 8 banks interpolated between 4\d{3} to 5\d{3} rows of 88 bits", note.text)
    assert "error, median / 90th percentile / largest in %: read" in note.text


def test_a_macro_slower_than_the_cycle_is_noted() -> None:
    query = Query("SRAM", {"width": 512, "depth": 65536, **COMMON}, "a.yaml:3")
    assert "longer" not in str(primitive(query).notes(query)[0].kind)
    assert "ns per access, the cycle is 1 ns" in primitive(query).notes(query)[0].text
    slow = Query("SRAM", {**query.attributes, "global_cycle_seconds": 1e-6}, "a.yaml:3")
    assert primitive(slow).notes(slow) == ()


def test_three_banks_leak_three_quarters_of_four() -> None:
    three, four = sram_macro(64, 4096, 3), sram_macro(64, 4096, 4)
    assert (three.read_pj, three.area_um2) == (four.read_pj, four.area_um2)
    assert three.leak_w == close(four.leak_w * 3 / 4, 1e-11)


def test_ports_that_accelergy_does_not_read_are_told() -> None:
    query = Query("SRAM", {"width": 64, "depth": 1024, "n_rdwr_ports": 2, **COMMON}, "a.yaml:3")
    plain = Query("SRAM", {"width": 64, "depth": 1024, "n_rdwr_ports": 1, **COMMON}, "a.yaml:3")
    assert primitive(query).energy(query, "read", {}) == primitive(plain).energy(plain, "read", {})
    (note,) = primitive(query).notes(query)
    assert "does not read 'n_rdwr_ports', the memory is costed with one port (give n_rw_ports)" in note.text
    assert primitive(plain).notes(plain) == ()


def test_half_an_access() -> None:
    query = Query("SRAM", {"width": 64, "depth": 1024, **COMMON}, "a.yaml:3")
    unit = primitive(query)
    whole = unit.energy(query, "read", {})
    assert unit.energy(query, "read", {"data_delta": 0}) == close(0.3 * whole)
    assert unit.energy(query, "read", {"address_delta": 0}) == close(0.7 * whole)
    assert unit.energy(query, "update", {}) == unit.energy(query, "write", {}) != whole


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        (
            {"depth": 200001},
            "200001 rows x 64 bits, 1 bank, 1 port is out of range: .* are 64 to 200000 rows and up to 1024 bits",
        ),
        ({"width": 1025}, "1024 rows x 1032 bits, 1 bank, 1 port is out of range: .* up to 1024 bits"),
        ({"n_banks": 64, "depth": 8192}, "64 banks, 1 port is not tabulated: .* 1, 2, 4, 8, 16, 32 banks"),
        ({"n_banks": 64, "depth": 64}, "4096 rows x 64 bits, 64 banks, 1 port is not tabulated"),
        ({"n_rw_ports": 2, "depth": 2000}, "2 ports is not tabulated"),
        ({"width": 0}, "SRAM: width '0' must be a whole number of at least 1"),
        ({"width": 12.5}, "SRAM: width '12.5' must be a whole number of at least 1"),
        ({"depth": "many"}, "SRAM: depth 'many' must be a whole number of at least 1"),
        ({"depth": True}, "SRAM: depth 'True' must be a whole number"),
        ({"depth": None}, "SRAM: needs the attribute 'depth'"),
    ],
)
def test_refused(attributes: dict[str, object], message: str) -> None:
    query = Query("SRAM", {"width": 64, "depth": 1024, **COMMON, **attributes}, "a.yaml:3")
    with pytest.raises(TqhwError, match=message) as caught:
        primitive(query).energy(query, "read", {})
    assert caught.value.place == "a.yaml:3"
