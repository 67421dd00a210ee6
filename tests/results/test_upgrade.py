"""Results of schema version 1."""

from __future__ import annotations

import json

import pytest

from tests.report.sample import sample
from tqhw.errors import TqhwError
from tqhw.results import Ratio, from_json
from tqhw.results.upgrade import upgraded


def _version_1() -> dict[str, object]:
    """The sample as version 1 wrote it: a method and its way in one text, nothing of how methods are drawn."""
    document = json.loads(json.dumps(sample().as_json()))
    del document["methods"]
    for row in document["summary"]:
        for side in ("numerator", "denominator"):
            way = row.pop(f"{side}_way")
            row[side] = row[side] if way is None else f"{row[side]} ({way})"
    for rows in ("energy", "traffic", "amortised", "schedule"):
        for row in document[rows]:
            del row["way"]
    return {**document, "schema_version": 1}


def test_they_are_read_as_todays() -> None:
    """But for the ways of single rows, of which they said nothing; here nobody knows them either."""
    assert from_json(_version_1()) == sample()


def test_a_method_and_its_way_come_apart_once() -> None:
    first = from_json(_version_1()).summary[0]
    assert isinstance(first, Ratio)
    assert (first.numerator, first.numerator_way) == ("any_precision", "fused")
    assert (first.denominator, first.denominator_way) == ("truncquant", "bitplane")


def test_what_is_damaged_stays_so_and_is_refused() -> None:
    assert upgraded({"schema_version": 2}) == {"schema_version": 2}
    for summary in (3, [7], [{"numerator": 7}], None):
        with pytest.raises(TqhwError, match="not a results file of tqhw"):
            from_json({**_version_1(), "summary": summary})
