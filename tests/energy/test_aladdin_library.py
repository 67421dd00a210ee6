import pytest

from tests.energy.reference import COMMON, close, rows
from tqhw.energy.primitives import primitive
from tqhw.energy.query import Query
from tqhw.errors import TqhwError


def ask(class_: str, **attributes: object) -> Query:
    return Query(class_, {**attributes, **COMMON}, "a.yaml:3")


@pytest.mark.parametrize("name", ["register", "comparator", "counter", "adder"])
def test_every_width_as_accelergy_prints_it(name: str) -> None:
    checked = 0
    for row in rows(f"{name}.csv"):
        if row["plug_in"] != "Library":
            continue
        query = ask(row["class"], width=int(row["width"]))
        unit = primitive(query)
        assert unit.energy(query, row["action"], {}) == close(float(row["energy_pj"]), 1e-11)
        assert unit.energy(query, "read", {}) == close(float(row["energy_pj"]), 1e-11)
        assert unit.energy(query, "write", {}) == unit.energy(query, "update", {}) == float(row["write_pj"])
        assert unit.energy(query, "leak", {}) == close(float(row["leak_pj_per_cycle"]), 1e-11)
        assert unit.area(query) == close(float(row["area_um2"]), 1e-11)
        checked += 1
    assert checked == 67


def test_multipliers_of_every_two_widths_and_of_a_lone_one() -> None:
    checked = 0
    for row in rows("multiplier.csv"):
        if row["plug_in"] != "Library":
            continue
        names = ("width",) if row["width"] else ("width_a", "width_b")
        query = ask("aladdin_multiplier", **{name: int(row[name]) for name in names})
        unit = primitive(query)
        assert unit.energy(query, "multiply", {}) == close(float(row["energy_pj"]), 1e-11)
        assert unit.energy(query, "leak", {}) == close(float(row["leak_pj_per_cycle"]), 1e-11)
        assert unit.area(query) == close(float(row["area_um2"]), 1e-11)
        checked += 1
    assert checked > 1024


def test_what_accelergy_costs_without_a_word_is_noted() -> None:
    lone = ask("aladdin_multiplier", width=8)
    assert "linear in it, as in Accelergy" in primitive(lone).notes(lone)[0].text
    for silent in (ask("aladdin_multiplier", width=32), ask("aladdin_multiplier", width_a=8, width_b=2)):
        assert primitive(silent).notes(silent) == ()
    bare = ask("aladdin_comparator", n_bits=4)
    assert primitive(bare).energy(bare, "compare", {}) == close(0.02947 * 1.265241016612673)
    assert "costed at 32 bits, as in Accelergy (n_bits is not read; give width)" in primitive(bare).notes(bare)[0].text
    register = ask("aladdin_register")
    assert primitive(register).notes(register) == ()


def test_datawidth_is_width_by_another_name() -> None:
    query = ask("aladdin_adder", datawidth=16, width=8)
    assert primitive(query).energy(query, "add", {}) == close(0.21 / 2 * 1.265241016612673)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"width": 0}, "aladdin_multiplier: width '0' must be a whole number of at least 1"),
        ({"width_a": 8}, "multiplies the factors of all widths .*give width_a and width_b and no width"),
        ({"width_a": 8, "width_b": 8, "width": 8}, "give width_a and width_b and no width"),
        ({"width_a": 8, "width_b": 2.5}, "width_b '2.5' must be a whole number"),
    ],
)
def test_widths_that_would_be_costed_wrongly(attributes: dict[str, object], message: str) -> None:
    query = ask("aladdin_multiplier", **attributes)
    with pytest.raises(TqhwError, match=message):
        primitive(query).energy(query, "multiply", {})


def test_leakage_counts_instances() -> None:
    one, four = ask("aladdin_adder", width=8), ask("aladdin_adder", width=8, n_instances=4)
    unit = primitive(one)
    assert unit.energy(four, "leak", {}) == 4 * unit.energy(one, "leak", {})
    assert unit.area(four) == 4 * unit.area(one)
    assert unit.energy(four, "add", {}) == unit.energy(one, "add", {})
