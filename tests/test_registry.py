"""Registries: by name, by object, by the entry point of an installed package."""

from __future__ import annotations

from pathlib import Path

import pytest

from tqhw.errors import TqhwError
from tqhw.registry import Registry


def registry() -> Registry[object]:
    return Registry("thing", "tqhw.things", {"one": 1, "two": 2})


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that offers a thing that is there, one that is not, and one of a name of ours."""
    folder = tmp_path / "things_of_ours-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: things-of-ours\nVersion: 1.0\n")
    lines = (
        "[tqhw.things]",
        "three = things_of_ours:THREE",
        "four = things_of_ours:FOUR",
        "one = things_of_ours:THREE",
    )
    (folder / "entry_points.txt").write_text("\n".join(lines))
    (tmp_path / "things_of_ours.py").write_text("THREE = 3\n")
    monkeypatch.syspath_prepend(str(tmp_path))


def test_by_name_and_by_object() -> None:
    things = registry()
    assert things.add("mine", "object") == "object"
    assert (list(things), things["mine"], things.named("two"), len(things)) == (["one", "two", "mine"], "object", 2, 3)
    assert things.add("mine", things["mine"]) == "object"  # a notebook's cell, run again


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(TqhwError, match=r"^x\.yaml:3: unknown thing 'tow' \(did you mean 'two'\? known: one, two\)$"):
        registry().named("tow", "x.yaml:3")
    with pytest.raises(KeyError):
        registry()["tow"]


def test_a_name_that_is_taken_is_refused() -> None:
    with pytest.raises(TqhwError, match=r"tqhw\.things: there is a thing 'one' already \(choose another name"):
        registry().add("one", 7)


def test_an_entry_point_is_known_and_loaded_when_asked_for(installed: None) -> None:
    things = registry()
    assert list(things) == ["one", "two", "four", "three"]
    assert (things.named("three"), things["one"]) == (3, 1)  # ours come first
    with pytest.raises(TqhwError, match=r"entry point tqhw\.things: thing 'four' of things_of_ours:FOUR does not load"):
        things.named("four")
