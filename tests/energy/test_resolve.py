import pytest

from tqhw.energy.resolve import hand_down, name_and_range, number, resolve
from tqhw.errors import TqhwError
from tqhw.spec.yamlio import Quoted


def test_own_values_hide_the_parents_from_there_on() -> None:
    raw = {"first": "rows", "rows": "rows * 2", "last": "rows", "text": Quoted("rows"), "on": True}
    assert resolve(raw, {"rows": 3}, "c") == {"first": 3, "rows": 6, "last": 6, "text": "rows", "on": True}


def test_a_text_stays_a_text() -> None:
    assert isinstance(resolve({"type": "kind"}, {"kind": Quoted("LPDDR4")}, "c")["type"], Quoted)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cell", ("cell", None)),
        ("cell[3]", ("cell", (3, 3))),
        ("cell[1..rows*2]", ("cell", (1, 8))),
        (" cell [ rows - 4 .. rows ] ", ("cell", (0, 4))),
    ],
)
def test_names(text: str, expected: object) -> None:
    assert name_and_range(text, {"rows": 4}, "c") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cell[1..0]", r"c: the range '1..0' is 1..0, which ends before it starts"),
        ("cell[1..rows]", "unknown name in the expression 'rows'"),
        ("cell[1..5/2]", "the range bound '5/2' gives '2.5', it must be a whole number"),
        ("cell[1..'a']", "gives 'a', it must be a whole number"),
        ("cell[0..1][0..1]", r"must be a name or name\[first..last\] \(one range at most"),
        ("3cell", "must be a name"),
        ("cell[..3]", "'' is no expression"),
    ],
)
def test_bad_names(text: str, message: str) -> None:
    with pytest.raises(TqhwError, match=message):
        name_and_range(text, {}, "c")


@pytest.mark.parametrize(("raw", "shown"), [("-2", "-2"), (Quoted("2"), "2"), (True, "True"), (None, "None")])
def test_bad_scales(raw: object, shown: str) -> None:
    with pytest.raises(TqhwError, match=f"gives '{shown}', it must be a number of at least 0"):
        number(raw, {}, "c: energy_scale")


def test_what_is_handed_down() -> None:
    values = {"technology": "45nm"}
    hand_down(values, {"global_cycle_seconds": 2e-9, "n_instances": 3, "technology": "32nm"}, "c")
    assert values == {
        "technology": "45nm",
        "global_cycle_seconds": 2e-9,
        "action_latency_cycles": 1,
        "n_instances": 3,
        "cycle_seconds": 2e-9,
    }


def test_without_a_cycle_time_or_technology() -> None:
    with pytest.raises(TqhwError, match=r"c: 'global_cycle_seconds' is not given \(set it among .*variables\)"):
        hand_down({"technology": "45nm"}, {}, "c")
    with pytest.raises(TqhwError, match="'technology' is not given"):
        hand_down({"global_cycle_seconds": 1e-9}, {}, "c")
