import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.spec.documents import ARCHITECTURES, DATA, message
from tqhw.errors import TqhwError
from tqhw.spec import ART, ERT, dump_art, dump_ert, load_art, load_ert, parse_art, parse_ert, yamlio
from tqhw.spec.tables import short_name

TEXT = """\
ERT:
  version: '0.4'
  tables:
  - name: system_top_level.DRAM[1..1]
    actions:
    - {name: read, arguments: {}, energy: 512.0}
    - {name: write, arguments: {}, energy: 256.0}
"""
AREAS = """\
ART:
  version: '0.4'
  tables:
  - name: system_top_level.DRAM[1..1]
    area: 0.0
"""


def ert(text: str) -> ERT:
    return parse_ert(yamlio.parse(text, "e.yaml"), "e.yaml")


def art(text: str) -> ART:
    return parse_art(yamlio.parse(text, "a.yaml"), "a.yaml")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_reference_tables_load_and_round_trip(name: str) -> None:
    levels = yamlio.load(DATA / "ert" / f"{name}.levels.yaml")
    table = load_ert(DATA / "ert" / f"{name}.ERT.yaml")
    for level in levels["levels"]:
        if level["kind"] == "storage":
            found = [table.energy_pj(level["name"], action) for action in ("read", "write", "update", "leak")]
            assert found == [level[f"{a}_energy"] for a in ("read", "fill", "update", "leak")]
    assert table.energy_pj(levels["compute"]["name"], "compute") == levels["compute"]["compute_energy"]
    assert ert(dump_ert(table)) == table
    areas = load_art(DATA / "ert" / f"{name}.ART.yaml")
    assert {level["name"] for level in levels["levels"]} <= set(areas.areas)
    assert art(dump_art(areas)) == areas


def test_short_names() -> None:
    assert short_name("system_top_level.PE[0..13].mac[1..168]") == "mac"
    assert short_name("mac") == "mac"


def test_timeloops_rules_for_missing_actions() -> None:
    table = ert(TEXT)
    assert table.energy_pj("DRAM", "update") == 256.0
    assert table.energy_pj("DRAM", "leak") == 0.0


def test_a_missing_action_names_those_that_there_are() -> None:
    with pytest.raises(TqhwError) as caught:
        ert(TEXT).energy_pj("DRAM", "compute")
    assert str(caught.value) == (
        "e.yaml: the ERT has no action 'compute' for 'DRAM' (it has read, write; add the missing one)"
    )


def test_a_missing_component_names_the_nearest() -> None:
    with pytest.raises(TqhwError, match=r"unknown component in the ERT 'DRAN' \(did you mean 'DRAM'\? known: DRAM\)"):
        ert(TEXT).energy_pj("DRAN", "read")


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("ERT:", "ert:", ["e.yaml", "there is no 'ERT' in the file"]),
        ("  tables:\n", "  tables: []\n  x:\n", ["e.yaml:3: tables", "holds no tables", "did Accelergy fail?"]),
        ("  tables:\n", "  tables: 5\n  x:\n", ["tables must be a list"]),
        ("  - name: system_top_level.DRAM[1..1]", "  - title: DRAM", ["a component must be a name, found nothing"]),
        ("energy: 512.0", "energy: -1", ["e.yaml:6: energy of system_top_level.DRAM", "'-1' must be a number"]),
        ("energy: 512.0", "energy: .nan", ["'nan' must be a number of at least 0"]),
        ("energy: 512.0", "energy: .inf", ["'inf' must be a number of at least 0"]),
        ("energy: 512.0", "energy: 1.0e+308", ["e.yaml:", "'1e+308' is more than the 1e+100 whose sums are still"]),
        ("energy: 512.0", "energy: cheap", ["'cheap' must be a number of at least 0"]),
        (", energy: 512.0", "", ["'None' must be a number of at least 0"]),
        ("{name: write, arguments: {}, energy: 256.0}", "write", ["an action must be a mapping, found 'write'"]),
    ],
)
def test_refused_ert(old: str, new: str, parts: list[str]) -> None:
    found = message(ert, TEXT, old, new)
    for part in parts:
        assert part in found


def test_of_several_energies_of_an_action_the_largest_counts() -> None:
    read = "    - {name: read, arguments: {}, energy: 512.0}\n"
    more = read.replace("512.0", "700.0") + read.replace("512.0", "600.0")
    assert ert(TEXT.replace(read, read + more)).energy_pj("DRAM", "read") == 700.0


def test_a_zero_has_no_sign() -> None:
    assert str(ert(TEXT.replace("energy: 512.0", "energy: -0.0")).energy_pj("DRAM", "read")) == "0.0"


def test_two_tables_of_one_component() -> None:
    twice = TEXT + TEXT[TEXT.index("  - name: system") :].replace("system_top_level.", "other.")
    assert "two tables for 'DRAM': system_top_level.DRAM[1..1] and other.DRAM[1..1]" in message(ert, twice)


def test_refused_art() -> None:
    assert "there is no 'ART' in the file" in message(art, AREAS, "ART:", "ERT:")
    assert "area of system_top_level.DRAM[1..1]: '-1' must be" in message(art, AREAS, "area: 0.0", "area: -1")


ENERGIES = st.dictionaries(
    st.from_regex(r"[A-Za-z_]\w{0,8}", fullmatch=True).filter(str.isascii), st.floats(0, 1e12), max_size=4
)


@given(st.dictionaries(st.from_regex(r"[A-Z][a-z_]{0,5}", fullmatch=True), ENERGIES, min_size=1, max_size=4))
def test_what_is_dumped_loads_back(energies: dict[str, dict[str, float]]) -> None:
    table = ERT(energies, {name: f"system_top_level.{name}[1..2]" for name in energies})
    assert ert(dump_ert(table)) == table
