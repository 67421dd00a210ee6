import math
from statistics import median

import pytest

from tests.energy.reference import COMMON, close
from tqhw.energy import sram
from tqhw.energy.primitives import primitive
from tqhw.energy.query import Query, table
from tqhw.energy.sram import BANKS, Macro, sram_macro
from tqhw.errors import TqhwError

FIELDS = ("read_j", "write_j", "leak_w", "area_m2")


def exact_sizes() -> list[tuple[int, int, int, int]]:
    return sorted(sram._exact())


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
    for depth, width, banks, ports in exact_sizes():
        asked = max(math.ceil(width / 8) * 8, 32), max(depth, 64 * banks), 1 << (banks - 1).bit_length()
        if asked == (width, depth, banks) or asked[1] < 64 * asked[2]:
            continue  # CACTI's own answer, or one that rests on no tabulated row
        if (asked[1], asked[0], asked[2], ports) not in sram._exact():
            continue
        found = sram._by_rule(width, depth, banks, ports, None)
        assert not found.interpolated
        # The rows of sram_dense.csv, which some rest on, have 6 digits of CACTI's own print.
        assert max(errors(found, sram._exact()[depth, width, banks, ports])) < 1e-9, (depth, width, banks)
        checked += 1
    assert checked > 600


def test_interpolation_is_as_good_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    one_bank = {(d, w): macro for (d, w, b, p), macro in sram._exact().items() if (b, p) == (1, 1)}
    depths, widths = sram._grid(1)
    dense = {(d, w, 1, 1): one_bank[d, w] for d in depths for w in widths}
    monkeypatch.setattr(sram, "_exact", lambda: dense)
    found = []
    for (depth, width), true in one_bank.items():
        macro = sram_macro(width, depth)
        if macro.interpolated:
            found.append(errors(macro, true))
    assert len(found) > 60
    limits = ((0.006, 0.255), (0.004, 0.178), (0.005, 0.119), (0.005, 0.123))  # data/README.md: median, largest
    for column, (middle, most) in zip(zip(*found, strict=True), limits, strict=True):
        assert median(column) < middle
        assert max(column) < most


def test_on_the_grid_the_interpolation_is_the_table() -> None:
    depths, widths = sram._grid(4)
    found = sram._interpolate(1024, 64, 4, depths, widths)
    assert max(errors(found, sram_macro(64, 1024, 4))) < 1e-12


@pytest.mark.parametrize("banks", BANKS)
def test_every_bank_count_has_a_full_grid(banks: int) -> None:
    depths, widths = sram._grid(banks)
    assert (depths[0], depths[-1], widths[0], widths[-1]) == (64 * banks, 65536, 32, 512)
    assert all((d, w, banks, 1) in sram._exact() for d in depths for w in widths)


def test_between_the_grid_it_lies_between_and_says_so() -> None:
    macro = sram_macro(88, 5000, 8)
    corners = [sram_macro(w, d, 8) for w in (64, 96) for d in (4096, 6144)]
    assert min(m.read_pj for m in corners) < macro.read_pj < max(m.read_pj for m in corners)
    query = Query("SRAM", {"width": 88, "depth": 5000, "n_banks": 8, **COMMON}, "a.yaml:3")
    (note,) = [n for n in primitive(query).notes(query) if n.kind == "interpolated"]
    assert "SRAM 5000 x 88 bits in 8 banks interpolated between 4096 to 6144 rows and 64 to 96 bits" in note.text
    assert "read 4 / 14 / 31" in note.text


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
            {"depth": 65537},
            "65537 rows x 64 bits, 1 bank, 1 port is out of range: tabulated are 64 to 65536 rows and up to 512 bits",
        ),
        ({"width": 513}, "1024 rows x 520 bits, 1 bank, 1 port is out of range: .* up to 512 bits"),
        ({"n_banks": 64, "depth": 8192}, "64 banks, 1 port is not tabulated: .* 1, 2, 4, 8, 16, 32 banks"),
        ({"n_banks": 3, "depth": 100}, "is out of range: tabulated are 256 to 65536 rows"),
        ({"n_rw_ports": 2, "depth": 2000}, "2 ports is not tabulated"),
        ({"n_rdwr_ports": 2}, r"SRAM: Accelergy does not read 'n_rdwr_ports' \(the attribute is n_rw_ports\)"),
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
