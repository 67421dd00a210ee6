"""Values given to a template: their types, ranges, conditions and rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.architecture import folder
from tqhw.architecture import Parameters, parameters_of
from tqhw.errors import TqhwError


@pytest.fixture
def parameters(tmp_path: Path) -> Parameters:
    return parameters_of(folder.make(tmp_path))


def test_defaults_complete_what_is_not_given(parameters: Parameters) -> None:
    assert parameters.complete({}, "tiny") == {
        "weight_bits": 8,
        "fetch_bits": 8,
        "speed": None,
        "wide": False,
        "wide_bits": 128,
        "packing": "pack",
    }


def test_a_default_follows_the_parameter_it_names(parameters: Parameters) -> None:
    assert parameters.complete({"weight_bits": "2"}, "tiny")["fetch_bits"] == 2


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("weight_bits", "2", 2),
        ("weight_bits", 2, 2),
        ("weight_bits", "2.0", 2),
        ("speed", "0.5", 0.5),
        ("speed", "none", None),
        ("wide", "true", True),
        ("wide", "False", False),
        ("packing", "ideal", "ideal"),
    ],
)
def test_texts_become_the_type_of_the_parameter(parameters: Parameters, name: str, text: Any, value: Any) -> None:
    found = parameters.complete({name: text}, "tiny")[name]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"weight_bit": "2"}, r"tiny: unknown parameter 'weight_bit' \(did you mean 'weight_bits'\?"),
        ({"weight_bits": "two"}, r"tiny: weight_bits: 'two' is not a whole number \(allowed: 2, 3, 8 bits\)"),
        ({"weight_bits": "2.5"}, r"'2.5' is not a whole number"),
        ({"weight_bits": True}, r"'True' is not a whole number"),
        ({"weight_bits": None}, r"'None' is not a whole number"),
        ({"weight_bits": "nan"}, r"'nan' is not a whole number"),
        ({"weight_bits": "1e400"}, r"'1e400' is not a whole number"),
        ({"weight_bits": 9}, r"tiny: weight_bits: 9 is not one of the values \(allowed: 2, 3, 8 bits\)"),
        ({"fetch_bits": 33}, r"tiny: fetch_bits: 33 is out of range \(allowed: 1 to 32 bits\)"),
        ({"speed": 9}, r"tiny: speed: 9 is out of range \(allowed: 0.5 to 8 words/cycle, or none\)"),
        ({"speed": "fast"}, r"'fast' is not a number \(allowed: 0.5 to 8 words/cycle, or none\)"),
        ({"wide": "maybe"}, r"'maybe' is not true or false \(allowed: true, false\)"),
        ({"wide": 1}, r"'1' is not true or false"),
        ({"packing": "idea"}, r"tiny: packing: unknown value 'idea' \(did you mean 'ideal'\? known: pack, ideal\)"),
        ({"packing": 3}, r"'3' is not a word \(allowed: pack, ideal\)"),
        (
            {"fetch_bits": 2},
            r"tiny: fetches too little: weight_bits = 8, fetch_bits = 2 \(it must hold that fetch_bits >=",
        ),
        (
            {"wide_bits": 100},
            r"tiny: wide_bits is given, but nothing reads it unless wide \(leave wide_bits out, or set the other",
        ),
    ],
)
def test_what_does_not_fit_is_refused(parameters: Parameters, given: dict[str, Any], message: str) -> None:
    with pytest.raises(TqhwError, match=message):
        parameters.complete(given, "tiny")


def test_a_conditional_parameter_is_taken_where_its_condition_holds(parameters: Parameters) -> None:
    assert parameters.complete({"wide": "true", "wide_bits": "96"}, "tiny")["wide_bits"] == 96


def test_the_table_shows_every_parameter_with_its_meaning(parameters: Parameters) -> None:
    lines = parameters.table().splitlines()
    assert len(lines) == 2 + len(parameters.parameters)
    assert lines[2] == "| `weight_bits` | `8` | 2, 3, 8 bits | Weight precision. |"
    assert lines[4] == "| `speed` | `none` | 0.5 to 8 words/cycle, or none | Port. |"
    assert lines[6] == "| `wide_bits` | `128` | 65 to 512 bits | Bits of a wide row. Only if `wide`. |"
