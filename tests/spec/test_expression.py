import pytest
from hypothesis import given
from hypothesis import strategies as st

from tqhw.errors import TqhwError
from tqhw.spec.expression import evaluate, names_in

NAMES = {"rows": 192, "row_bits": 16, "technology": "45nm", "ratio": 0.5, "on": True}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("max(1, ceil(log2(rows)))", 8),
        ("row_bits*rows", 3072),
        ("-rows // 5 % 7", -39 % 7),
        ("2 ** 10", 1024),
        ("2 ** -1", 0.5),
        ("pow(2, 0.5)", 2**0.5),
        ("1e-9", 1e-9),
        ("rows if technology == '45nm' else 0", 192),
        ('technology != "45nm"', False),
        ("technology", "45nm"),
        ("'LPDDR4'", "LPDDR4"),
        ("1 < row_bits <= 16 and not rows == 3", True),
        ("0 or rows", 192),
        ("on and 0 and 1 / 0", 0),
        ("round(2.567, 1)", 2.6),
        ("min(rows,\n  row_bits)", 16),
        ("abs(-3) + int(2.9) + floor(2.9) + float(1) + sqrt(4) + log(exp(1)) + log10(10)", 12.0),
        ("True", True),
    ],
)
def test_values(text: str, value: object) -> None:
    result = evaluate(text, NAMES)
    assert result == value
    assert type(result) is type(value)


@given(
    st.recursive(
        st.integers(1, 99).map(str),
        lambda inner: st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//", "%"]), inner).map(
            lambda t: f"({t[0]} {t[1]} {t[2]})"
        ),
        max_leaves=12,
    )
)
def test_agrees_with_python(text: str) -> None:
    try:
        expected = eval(text, {"__builtins__": {}})  # noqa: S307 - the text is made of digits and operators
    except ZeroDivisionError:
        with pytest.raises(TqhwError, match="zero"):
            evaluate(text, {})
    else:
        assert evaluate(text, {}) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rows +", "'rows \\+' is no expression"),
        ("", "'' is no expression"),
        ("rosw * 2", r"unknown name in the expression 'rosw \* 2': 'rosw' \(did you mean 'rows'\?"),
        ("cell(2)", r"unknown function .*\(did you mean 'ceil'\?"),
        ("1 / (rows - 192)", "cannot evaluate '1 / \\(rows - 192\\)': division by zero"),
        ("1.5 % (rows - 192)", "division by zero"),
        ("log2(0)", "math domain error|expected a positive input"),
        ("(-1) ** 0.5", "no real number"),
        ("1e999", "no finite number"),
        ("1e308 * 10", "no finite number"),
        ("9 ** 9 ** 9", "an integer power of more than 1024 bits"),
        ("pow(9, 999999999)", "an integer power of more than 1024 bits"),
        (f"{'9' * 200} * {'9' * 200}", "more than 1024 bits"),
        ("'a' * 1000000000", "the text 'a' is no number"),
        ("'a' < 'b'", "the text 'a' is no number"),
        ("technology + 1", "the text '45nm' is no number"),
        ("rows.__class__", "Attribute is not allowed"),
        ("().__class__", "Attribute is not allowed"),
        ("[rows][0]", "Subscript is not allowed"),
        ("(lambda: 1)()", "Call is not allowed"),
        ("[x for x in (1, 2)]", "ListComp is not allowed"),
        ("f'{rows}'", "JoinedStr is not allowed"),
        ("max(*rows)", "Starred is not allowed"),
        ("round(2.5, ndigits=1)", "Call is not allowed"),
        ("__import__('os')", "unknown function"),
        ("ceil", "unknown name"),
        ("rows is 3", "not allowed|no expression"),
        ("rows in (1, 2)", "'In' is not allowed"),
        ("None", "Constant is not allowed"),
        ("1j", "Constant is not allowed"),
        ("rows & 3", "BinOp is not allowed"),
        ("1if on else 2", "is no expression"),
        ("ceil(1, 2)", "cannot evaluate 'ceil\\(1, 2\\)'"),
        ("-" * 900 + "1", "is no expression|more than 300 terms"),
        ("1+" * 400 + "1", "more than 300 terms"),
        ("1" * 1001, "has 1001 characters, at most 1000"),
        ("\0", "is no expression"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(TqhwError, match=message) as caught:
        evaluate(text, NAMES, "arch.yaml: buffer: rows")
    assert str(caught.value).startswith("arch.yaml: buffer: rows: ")


def test_names_in() -> None:
    assert names_in("max(1, ceil(log2(rows))) + max") == {"rows", "max"}
    with pytest.raises(TqhwError, match="is no expression"):
        names_in("1 +")
