import pytest

pytest.importorskip("torch")

from tqhw.train.differences import differences


def test_only_what_differs_is_named_with_both_values_as_yaml_has_them() -> None:
    there = {"bits": [2, 8], "model": {"name": "a", "options": {"width": 1, "deep": True}}, "data": {"path": None}}
    here = {"model": {"options": {"deep": False, "width": 1}, "name": "b"}, "bits": [2, 8], "data": {"path": "x"}}
    assert differences(there, here) == {
        "data.path": ("null", "x"),
        "model.name": ("a", "b"),
        "model.options.deep": ("true", "false"),
    }
    assert differences(there, dict(reversed(there.items()))) == {}, "order is no difference"


def test_a_key_of_one_side_and_a_section_against_a_value() -> None:
    assert differences({"a": {}}, {"a": {"b": 1}}) == {"a.b": ("not given", "1")}
    assert differences({"a": {"b": 1}, "c": None}, {"a": None}) == {
        "a": ("a section", "null"),
        "c": ("null", "not given"),
    }
