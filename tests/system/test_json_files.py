"""JSON of strangers: what is no document of ours is one message, whatever it is made of."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tqhw.errors import TqhwError
from tqhw.system.json_files import checked, parse_json, read_json


@dataclass(frozen=True)
class Row:
    name: str
    bits: tuple[int, ...]
    share: float


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "not valid JSON: Expecting value"),
        ("1" + 400 * "0", "no double holds 10000000000000000000... of 401 digits"),
        ("[1e400]", "1e400 is no finite number"),
        ("NaN", "NaN is no finite number"),
        ("-Infinity", "-Infinity is no finite number"),
        ('"\\ud800"', "'\\ud800' is no text that a file can hold"),
        ('{"a\\u0000b": 1}', "'a\\x00b' is no text that a file can hold"),
        (101 * "[" + 101 * "]", "more than 100 lists and maps within each other"),
        (100_000 * "[", "more than 100 lists and maps within each other"),
        (100_000 * '{"a":', "more than 100 lists and maps within each other"),
    ],
)
def test_what_no_document_holds_is_refused(text: str, message: str) -> None:
    with pytest.raises(TqhwError) as caught:
        parse_json(text, "d.json", "write it again")
    assert message in str(caught.value)
    assert str(caught.value).startswith("d.json: ") and str(caught.value).endswith("(write it again)")


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "d.json").write_text('{"a": [1, 2.5, null, true, "\\u00e9"]}')
    assert read_json(tmp_path / "d.json") == {"a": [1, 2.5, None, True, "é"]}
    (tmp_path / "d.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(TqhwError, match=r"d\.json: not a text file in UTF-8"):
        read_json(tmp_path / "d.json")


def test_a_schema_converts_nothing_but_lists_and_whole_numbers() -> None:
    assert checked(Row, {"name": "a", "bits": [2, 8], "share": 1}, "d.json") == Row("a", (2, 8), 1.0)
    for document, message in (
        ({"name": "a", "bits": ["2"], "share": 1}, "d.json: not a row: bits.0: '2' should be a valid integer"),
        ({"name": "a", "bits": [True], "share": 1}, "d.json: not a row: bits.0: True should be a valid integer"),
        ({"name": 3, "bits": [], "share": 1}, "d.json: not a row: name: 3 should be a valid string"),
        ({"name": "a", "bits": []}, "d.json: not a row: share: field required"),
        ([], "d.json: not a row: a list of 0 should be an object"),
    ):
        with pytest.raises(TqhwError) as caught:
            checked(Row, document, "d.json", what="a row")
        assert str(caught.value) == message


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**63), 2**63))
def test_numbers_come_back_bit_for_bit(share: float, bits: int) -> None:
    row = Row("a", (bits,), share)
    found = checked(Row, parse_json(json.dumps({"name": "a", "bits": [bits], "share": share}), "d.json"), "d.json")
    assert (found, repr(found.share)) == (row, repr(share))


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_any_value_is_taken_or_refused(value: object) -> None:
    text = json.dumps({"name": value})
    try:
        checked(Row, parse_json(text, "d.json"), "d.json")
    except TqhwError as error:
        assert str(error).isprintable()
