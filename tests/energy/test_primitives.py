import pytest

from tests.energy.reference import COMMON, close, rows
from tqhw.energy.primitives import primitive, primitives
from tqhw.energy.query import Query, table
from tqhw.errors import TqhwError


@pytest.mark.parametrize("row", table("dram.csv"), ids=lambda row: f"{row['type']}-{row['width']}")
def test_dram(row: dict[str, str]) -> None:
    query = Query("DRAM", {"type": row["type"], "width": int(row["width"]), **COMMON}, "a.yaml:3")
    unit = primitive(query)
    assert unit.energy(query, "read", {}) == close(float(row["read_pj"]), 1e-11)
    assert unit.energy(query, "update", {}) == close(float(row["update_pj"]), 1e-11)
    assert unit.energy(query, "leak", {}) == unit.area(query) == 0


def test_dram_is_lpddr4_unless_it_says_otherwise() -> None:
    query = Query("dram", {"width": 64, **COMMON}, "a.yaml:3")
    assert primitive(query).energy(query, "read", {}) == 512


def test_every_class_of_the_reference_tables_is_known() -> None:
    classes = {row["class"] for name in ("register", "comparator", "counter", "adder") for row in rows(f"{name}.csv")}
    assert classes | {row["class"] for row in rows("float.csv")} <= set(primitives())


@pytest.mark.parametrize(
    ("class_", "attributes", "message"),
    [
        ("aladdin_addr", {}, r"a.yaml:3: unknown component class 'aladdin_addr' \(did you mean 'aladdin_adder'\?"),
        ("my_bufer", {}, r"unknown component class 'my_bufer' \(did you mean 'my_buffer'\?"),
        ("cache", {}, "class 'cache' is not costed: only plain SRAM was tabulated"),
        ("FIFO", {}, "fails in Accelergy too"),
        ("reg", {"technology": True}, "reg: technology 'True' is no node"),
        ("reg", {"plug_in": "CactiSRAM"}, "reg: 'plug_in' is not modelled"),
        ("reg", {"minimum_accuracy": 80}, "reg: 'minimum_accuracy' is not modelled"),
    ],
)
def test_refused_classes(class_: str, attributes: dict[str, object], message: str) -> None:
    with pytest.raises(TqhwError, match=message):
        primitive(Query(class_, {"width": 8, **COMMON, **attributes}, "a.yaml:3"), ["my_buffer"])


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"type": "LPDR4"}, r"unknown DRAM type 'LPDR4' \(did you mean 'LPDDR4'\?"),
        ({"width": 0}, "DRAM: width '0' must be a whole number of at least 1"),
        ({"width": None}, "DRAM: needs the attribute 'width'"),
    ],
)
def test_refused_drams(attributes: dict[str, object], message: str) -> None:
    query = Query("DRAM", {"width": 64, **COMMON, **attributes}, "a.yaml:3")
    with pytest.raises(TqhwError, match=message):
        primitive(query).energy(query, "read", {})
    with pytest.raises(TqhwError, match=message):
        primitive(query).area(query)


@pytest.mark.parametrize(
    ("cycle", "message"),
    [
        (0, "global_cycle_seconds '0' must be a number above 0"),
        ("1ns", "'1ns' must be a number above 0"),
        (None, "needs"),
    ],
)
def test_refused_cycle_times(cycle: object, message: str) -> None:
    query = Query("aladdin_adder", {"technology": 45, "global_cycle_seconds": cycle}, "a.yaml:3")
    with pytest.raises(TqhwError, match=message):
        primitive(query).energy(query, "leak", {})


@pytest.mark.parametrize(
    ("class_", "technology", "message"),
    [
        ("reg", "32nm", "reg: technology '32nm' is not tabulated, Accelergy's Aladdin plug-in knows 40 and 45 nm"),
        ("reg", "45NM", "reg: technology '45NM' is not tabulated.*take aladdin_register, or give an ERT"),
        ("reg", None, "reg: technology 'None' is not tabulated"),
        ("intadder", "65nm", "intadder: technology '65nm'.*give n_bits and set energy.adder: neurosim"),
        ("regfile", "65nm", "regfile: technology '65nm'.*take the subclass register_file"),
        ("crossbar", "32nm", "crossbar: technology '32nm'"),
        ("wire", "32nm", "wire: technology '32nm'"),
        ("aladdin_adder", "SET ME", r"aladdin_adder: technology 'SET ME' is no node from 7 to 180 nm \(write it as"),
        ("aladdin_adder", "5nm", "technology '5nm' is no node from 7 to 180 nm"),
        ("aladdin_adder", -1, "technology '-1' is no node from 7 to 180 nm"),
        ("SRAM", "SET ME", "SRAM: technology 'SET ME' is no whole node from 7 to 180 nm"),
        ("SRAM", "45", "SRAM: technology '45' is no whole node"),
        ("SRAM", 22.5, "SRAM: technology '22.5' is no whole node"),
        ("SRAM", "6nm", "SRAM: technology '6nm' is no whole node from 7 to 180 nm"),
        ("SRAM", None, "SRAM: technology 'None' is no whole node"),
    ],
)
def test_refused_technologies(class_: str, technology: object, message: str) -> None:
    given = {
        "width": 8,
        "depth": 64,
        "n_inputs": 4,
        "n_outputs": 4,
        "length": "1mm",
        **COMMON,
        "technology": technology,
    }
    query = Query(class_, given, "a.yaml:3")
    for asked in (
        lambda: primitive(query).energy(query, primitive(query).actions[0], {}),
        lambda: primitive(query).area(query),
    ):
        with pytest.raises(TqhwError, match=message) as caught:
            asked()
        assert caught.value.place == "a.yaml:3"


@pytest.mark.parametrize("technology", ["SET ME", "", None, 45, "3nm"])
def test_a_dram_costs_the_same_at_every_technology(technology: object) -> None:
    query = Query("DRAM", {"width": 64, **COMMON, "technology": technology}, "a.yaml:3")
    assert primitive(query).energy(query, "read", {}) == 512


def test_how_a_technology_is_written_matters() -> None:
    """The number 40 is scaled from 40 to 40 nm, which the Library's area rule does not leave alone."""

    def adder(technology: object) -> tuple[float, float]:
        query = Query("aladdin_adder", {"width": 32, **COMMON, "technology": technology}, "a.yaml:3")
        return primitive(query).energy(query, "add", {}), primitive(query).area(query)

    assert adder("40nm") == adder("40NM") == adder(None) == (close(0.21, 1e-12), close(278.0, 1e-12))
    assert adder(40) == adder("40") == (close(0.21, 1e-12), close(278.0 * 1.1562130177514793, 1e-12))
    assert adder("45nm") == adder(45) == adder("45 nm") == adder("45.0nm") == adder("45LP")
    assert adder("22nm")[0] > adder("28nm")[0]  # not monotone, as in Accelergy
