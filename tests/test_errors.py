"""The levers of misspelt names, and messages that any terminal can print."""

from __future__ import annotations

from pathlib import Path

import pytest

from tqhw.errors import MANY, TqhwError, nearest, no_file, shown, unknown

MORE = [f"parameter_{n}" for n in range(MANY + 1)]


def test_a_near_name_is_offered_beside_a_short_list() -> None:
    assert nearest("Inptus", ["Inputs", "Outputs"]) == "did you mean 'Inputs'? known: Inputs, Outputs"
    assert nearest("OUTPUTS", ["Inputs", "Outputs"]) == "did you mean 'Outputs'? known: Inputs, Outputs"


def test_a_near_name_among_many_stands_alone() -> None:
    assert nearest("parametr_7", MORE) == "did you mean 'parameter_7'?"


def test_where_nothing_is_near_all_are_listed() -> None:
    assert nearest("xyz", MORE) == f"known: {', '.join(MORE)}"
    assert nearest("xyz", []) == "none is known here"


def test_a_path_that_is_no_file(tmp_path: Path) -> None:
    assert str(no_file(tmp_path)) == f"{tmp_path}: is a folder, where a file is needed"
    assert str(no_file(tmp_path / "x", "make it")) == f"{tmp_path / 'x'}: there is no such file (make it)"


def test_a_name_that_belongs_elsewhere_is_told_where() -> None:
    homes = {"`a`": ["x", "y"], "`b`": ["x"]}
    assert str(unknown("key", "x", ["z"], "f:1", homes)) == "f:1: unknown key 'x' (it belongs to `a` or `b`; known: z)"
    assert str(unknown("key", "y", ["z"], None, homes)) == "unknown key 'y' (it belongs to `a`; known: z)"
    assert str(unknown("key", "zz", ["z"], None, homes)) == "unknown key 'zz' (did you mean 'z'? known: z)"


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("a\nb\r\nc", "a b c"),
        ("\0 and \x1b[31m", "\\x00 and \\x1b[31m"),
        ("half \ud800 of one", "half \\ud800 of one"),
        ("turned \u202e around", "turned \\u202e around"),
        (f"{'x' * 400} y", f"{'x' * 60}... (400 characters) y"),
        ("ein Maß: 3 µJ, 名前", "ein Maß: 3 µJ, 名前"),
    ],
)
def test_a_message_is_one_line_that_can_be_printed(message: str, text: str) -> None:
    assert str(TqhwError(message)) == text
    assert str(TqhwError("no", place=message)) == f"{text}: no"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        ("a", "'a'"),
        pytest.param(10**5000, "a whole number of 16610 bits", id="huge"),
        ([1, [2]], "a list of 2"),
        ({"a": 1}, "a map of 1"),
        ("x" * 100, f"'{'x' * 56}..."),
        (None, "None"),
    ],
)
def test_a_value_is_shown_by_its_beginning(value: object, text: str) -> None:
    assert shown(value) == text
