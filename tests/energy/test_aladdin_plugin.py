import pytest

from tests.energy.reference import COMMON, DATA, accelergy_components, accelergy_tables, close, rows
from tqhw.energy.primitives import primitive
from tqhw.energy.query import Query
from tqhw.energy.tables import component_costs
from tqhw.errors import TqhwError


def ask(class_: str, **attributes: object) -> Query:
    return Query(class_, {**attributes, **COMMON}, "a.yaml:3")


@pytest.mark.parametrize("name", ["register", "comparator", "counter", "adder"])
def test_every_width_as_accelergy_prints_it(name: str) -> None:
    checked = 0
    for row in rows(f"{name}.csv"):
        if row["plug_in"] == "Library":
            continue
        query = ask(row["class"], width=int(row["width"]))
        unit = primitive(query)
        assert unit.energy(query, row["action"], {}) == close(float(row["energy_pj"]), 1e-11)
        assert unit.energy(query, "leak", {}) == close(float(row["leak_pj_per_cycle"]), 1e-11)
        assert unit.area(query) == close(float(row["area_um2"]), 1e-11)
        checked += 1
    assert checked == 67


def test_multipliers_plain_gated_and_reused() -> None:
    checked = 0
    for row in rows("multiplier.csv"):
        if row["plug_in"] == "Library":
            continue
        query = ask("intmultiplier", width=int(row["width"]))
        unit = primitive(query)
        for action, column in (("mult_random", "energy_pj"), ("mult_gated", "gated_pj"), ("mult_reused", "reused_pj")):
            assert unit.energy(query, action, {}) == close(float(row[column]), 1e-11)
        assert unit.area(query) == close(float(row["area_um2"]), 1e-11)
        checked += 1
    assert checked == 67


def test_floats() -> None:
    for row in rows("float.csv"):
        query = ask(row["class"], exponent=int(row["exponent"]), mantissa=int(row["mantissa"]))
        unit = primitive(query)
        assert unit.energy(query, "compute", {}) == close(float(row["energy_pj"]), 1e-11)
        assert unit.energy(query, "leak", {}) == close(float(row["leak_pj_per_cycle"]), 1e-11)
        assert unit.area(query) == close(float(row["area_um2"]), 1e-11)


@pytest.mark.parametrize("cycle", ["0.5e-9", "1e-9", "2e-9", "3e-9", "4.2e-9", "8e-9", "12e-9"])
def test_every_cycle_time_picks_accelergys_row(cycle: str) -> None:
    energies, areas = accelergy_tables(DATA / "cycles", f"{cycle}.")
    for component in accelergy_components(DATA / "cycles" / "architecture.yaml"):
        attributes = {**component["attributes"], "global_cycle_seconds": float(cycle)}
        name, actions = component["name"], tuple(component["required_actions"])
        costs = component_costs(component["class"], attributes, actions)
        for action in actions:
            assert costs.energies_pj[action] == close(energies[name][action]), (name, action)
        assert costs.area_um2 == close(areas[name]), name


def test_doubtful_numbers_are_noted() -> None:
    bitwise, single = ask("bitwise", width=8), ask("bitwise", width=1)
    assert "probably a whole word's" in primitive(bitwise).notes(bitwise)[0].text
    assert primitive(single).notes(single) == ()
    multiplier = ask("fpmultiplier", exponent=8, mantissa=24)
    assert "probably a copy" in primitive(multiplier).notes(multiplier)[0].text


@pytest.mark.parametrize(
    ("class_", "attributes", "action", "message"),
    [
        ("intadder", {"width": 8}, "ad", "unknown action of intadder 'ad' .*did you mean 'add'"),
        ("fpmac", {"exponent": 8, "mantissa": 24}, "mac_gated", "unknown action of fpmac 'mac_gated'"),
        ("reg", {"width": 8}, "idle", "unknown action of reg 'idle'"),
        ("fpadder", {"exponent": 8}, "add", "fpadder: needs the attribute 'mantissa'"),
        ("fpadder", {"exponent": 15, "mantissa": 64}, "add", "of 79 bits is above the 64 that are tabulated"),
        ("intadder", {"width": -3}, "add", "width '-3' must be a whole number of at least 1"),
        (
            "intadder",
            {"width": 8, "action_latency_cycles": 0},
            "add",
            "action_latency_cycles '0' must be a number above 0",
        ),
    ],
)
def test_refused(class_: str, attributes: dict[str, object], action: str, message: str) -> None:
    query = ask(class_, **attributes)
    with pytest.raises(TqhwError, match=message) as caught:
        primitive(query).energy(query, action, {})
    assert caught.value.place == "a.yaml:3"
