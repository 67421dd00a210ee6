"""The levers of misspelt names."""

from __future__ import annotations

from tqhw.errors import MANY, nearest

MORE = [f"parameter_{n}" for n in range(MANY + 1)]


def test_a_near_name_is_offered_beside_a_short_list() -> None:
    assert nearest("Inptus", ["Inputs", "Outputs"]) == "did you mean 'Inputs'? known: Inputs, Outputs"
    assert nearest("OUTPUTS", ["Inputs", "Outputs"]) == "did you mean 'Outputs'? known: Inputs, Outputs"


def test_a_near_name_among_many_stands_alone() -> None:
    assert nearest("parametr_7", MORE) == "did you mean 'parameter_7'?"


def test_where_nothing_is_near_all_are_listed() -> None:
    assert nearest("xyz", MORE) == f"known: {', '.join(MORE)}"
    assert nearest("xyz", []) == "none is known here"
