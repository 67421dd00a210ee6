import pytest

from tqhw.errors import TqhwError
from tqhw.spec.yamlio import Quoted, dump, parse

# The way the public Timeloop component files write "update is the same as write".
MERGED = """\
- &write
  name: write
  unit: "pJ"
- <<: *write
  name: update
"""


def test_own_keys_win_over_merged_ones() -> None:
    assert parse(MERGED) == [{"name": "write", "unit": "pJ"}, {"name": "update", "unit": "pJ"}]


def test_a_key_given_twice_is_refused_all_the_same() -> None:
    with pytest.raises(TqhwError, match=r"f\.yaml:3: key 'name' is given twice"):
        parse("- name: write\n  unit: 1\n  name: update\n", "f.yaml")


def test_a_key_must_be_a_word() -> None:
    with pytest.raises(TqhwError, match=r"f\.yaml:1: a key must be a plain word"):
        parse("? [1, 2]\n: 3\n", "f.yaml")


def test_quotes_are_remembered_and_written_again() -> None:
    document = parse("{technology: \"45nm\", type: 'LPDDR4', width: 2 * rows}")
    assert [isinstance(v, Quoted) for v in document.values()] == [True, True, False]
    assert parse(dump(document)) == document
    assert '"45nm"' in dump(document)
