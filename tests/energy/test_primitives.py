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
        ("regfile", {}, "class 'regfile' is not costed: .* the same for every width"),
        ("cache", {}, "class 'cache' is not costed: only plain SRAM was tabulated"),
        ("FIFO", {}, "fails in Accelergy too"),
        ("reg", {"technology": "32nm"}, "reg: technology '32nm' is not tabulated, the packaged tables hold 45nm only"),
        ("reg", {"technology": -1}, r"technology '-1' is not tabulated.*write technology: \"45nm\", or give an ERT"),
        ("reg", {"technology": None}, "reg: needs the attribute 'technology'"),
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
