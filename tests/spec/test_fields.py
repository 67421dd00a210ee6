import pytest

from tqhw.errors import TqhwError
from tqhw.spec.fields import as_flag, as_list, as_name, as_names, is_number, is_whole


def test_a_list_is_not_a_word_read_letter_by_letter() -> None:
    assert as_list(None, "f", "keep") == []
    assert as_list([1], "f", "keep") == [1]
    with pytest.raises(TqhwError, match=r"f: keep must be a list, found 'Weights' \(write \[Weights\]\)"):
        as_list("Weights", "f", "keep")


@pytest.mark.parametrize("value", [5, True, None, "", "a b", "a.b", "x[0]", ["a"], "5", "a\n", "é"])
def test_names_that_files_cannot_carry(value: object) -> None:
    with pytest.raises(TqhwError, match=r"f: a node must be a name, found .*a letter or _, then letters"):
        as_name(value, "f", "a node")


def test_names() -> None:
    assert as_name("PE_0-a", "f", "a node") == "PE_0-a"
    assert as_names(["A", "*"], "f", "keep", star=True) == ("A", "*")
    with pytest.raises(TqhwError, match=r"an entry of dimensions must be a name, found '\*'"):
        as_names(["A", "*"], "f", "dimensions")


def test_numbers() -> None:
    inf, nan = float("inf"), float("nan")
    assert [is_whole(v) for v in (1, 4.0, 0, 2.5, True, "4", inf, nan, None)] == [True, True] + [False] * 7
    assert is_whole(0, least=0)
    assert [is_number(v) for v in (1, -2.5, True, "4", inf, nan, None)] == [True, True] + [False] * 5


def test_flags() -> None:
    assert as_flag(True, "f", "enabled")
    with pytest.raises(TqhwError, match="f: enabled must be true or false, found 'no'"):
        as_flag("no", "f", "enabled")
