"""The language of expressions: what ``eval`` would give, and where it stops."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tqhw.errors import TqhwError
from tqhw.frontend.expressions import STEPS, Word, evaluate
from tqhw.spec.yamlio import Quoted

NAMES: dict[str, Any] = {"W": 8, "L": [2, 3, 5], "T": "ab", "D": {"lo": 4}}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("TRUE", True),
        ("007", 7),
        ("W ** 2 // 3", 21),
        ("W << 1 | 1", 17),
        ("~W & 15 ^ 1", 6),
        ("1 < W <= 8 and not False", True),
        ("0 or W", 8),
        ("L[-1] + L[0:2][1]", 8),
        ("D['lo'] + D.get('hi', 1)", 5),
        ("[*L, W]", [2, 3, 5, 8]),
        ("(W, 2)", [8, 2]),
        ("{'a': W}", {"a": 8}),
        ("len({1, 1, 2})", 2),
        ("sum([i * j for i in L for j in range(2) if j])", 10),
        ("sum(i for i in L)", 10),
        ("max([a for a, b in [(1, 2), (3, 4)]])", 3),
        ("{i: i * i for i in L}[5]", 25),
        ("(lambda x, y=2: x ** y)(3)", 9),
        ("list(map(lambda v: v + 1, L))", [3, 4, 6]),
        ("[i for i, v in enumerate(L)]", [0, 1, 2]),
        ("max(L, key=lambda v: -v)", 2),
        ("int('10', 2)", 2),
        ("round(2.567, ndigits=1)", 2.6),
        ("prod(L)", 30),
        ("'b' in T", True),
        ("T.upper() + str(W)", "AB8"),
        ("f'{W:03d}nm'", "008nm"),
        ("7 if W is None else 9", 9),
        ("isinf(inf)", True),
        ("W.bit_length()", 4),
        ("pow(2, -1, 7)", 4),
        ("None", None),
        ("'{}_{:03d}_{n}'.format(W, 5, n=T)", "8_005_ab"),
        ("'%03d_%s' % (W, T)", "008_ab"),
        ("str(W).zfill(3)", "008"),
        ("'-'.join([T, 'c']).replace('b-', '+')", "a+c"),
        ("sum([[1], L], [])", [1, 2, 3, 5]),
    ],
)
def test_value(text: str, value: Any) -> None:
    found = evaluate(text, NAMES, "f:1")
    assert found == value
    assert isinstance(found, str) == isinstance(value, str)
    if isinstance(found, str):
        assert isinstance(found, Quoted)


def test_a_function_alone_stays_a_word() -> None:
    assert evaluate("ceil", NAMES, "f:1") == Word("ceil")
    assert isinstance(evaluate("max", NAMES, "f:1"), Word)
    assert evaluate("max", {"max": 3}, "f:1") == 3


def test_a_function_that_a_name_keeps_can_be_called() -> None:
    ceil = evaluate("ceil", NAMES, "f:1")
    twice = evaluate("lambda v: v * 2", NAMES, "f:2")
    assert evaluate("twice(up(2.5))", {"up": ceil, "twice": twice}, "f:3") == 6
    assert twice == "lambda v: v * 2"


def test_all_expressions_of_a_specification_draw_on_one_number_of_steps() -> None:
    left = [100]
    assert evaluate("1 + 1", {STEPS: left}, "f:1") == 2
    assert left == [97]
    with pytest.raises(TqhwError, match="the expressions take more than 1000000 steps in all"):
        evaluate("sum([i for i in range(90)])", {STEPS: left}, "f:2")


def test_inf_passes() -> None:
    assert evaluate("inf", NAMES, "f:1") == math.inf


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("M", "unknown name 'M' (known: W, L, T, D;"),
        ("M + 1", "'M + 1': unknown name 'M'"),
        ("[W for i in L]", "loops in brackets and lambdas see no names"),
        ("(lambda: W)()", "loops in brackets and lambdas see no names"),
        ("max(4", "inside { } a comma ends a value"),
        ("some words", "is no expression"),
        ("range(3)", "which no file can hold"),
        ("{1, 2}", "which no file can hold"),
        ("L[9]", "list index out of range"),
        ("D['x']", "there is no 'x'"),
        ("1 // 0", "division by zero"),
        ("T % 3", "'%' of a text is not read"),
        ("W()", "'W' is no function"),
        ("W.real", "a int has no 'real' here"),
        ("().__class__", "has no '__class__' here"),
        ("'{0.real}'.format(1)", "the field '0.real' reaches into a value"),
        ("'{0[a]}'.format({'a': 1})", "the field '0[a]' reaches into a value"),
        ("'{:>1000}'.format(1)", "a format of more than 999 places"),
        ("'{:{}}'.format(1, 10 ** 9)", "a format of more than 999 places"),
        ("'%9999d' % 1", "a format of more than 999 places"),
        ("'%*d' % (10 ** 9, 1)", "'%' of a text takes numbers and texts, and no '*'"),
        ("'%s' % L", "'%' of a text takes numbers and texts"),
        ("T.zfill(10 ** 9)", "a format of more than 999 places"),
        ("','.join(['a' * 90000] * 90000)", "more than 100000 characters"),
        ("('a' * 90000).replace('a', 'b' * 90000)", "more than 100000 characters"),
        ("sum([[1] * 500] * 500, [])", "lists of more than 1000 items in all"),
        ("[[[[1] * 99] * 99] * 99] * 99", "more than 200000 steps"),
        ("str([[[1] * 99] * 99] * 99)", "more than 100000 characters"),
        ("__import__('os')", "unknown name '__import__'"),
        ("open('x')", "unknown name 'open'"),
        ("(x := 3)", "NamedExpr is not allowed"),
        ("b'x'", "is not allowed"),
        ("1j", "is not allowed"),
        ("(-8) ** 0.5", "which is no real number"),
        ("2 ** 5000", "an integer power of more than 1024 bits"),
        ("1 << 99999", "a shift by more than 1024 bits"),
        ("'x' * 10 ** 9", "more than 100000 characters or items"),
        ("[0] * 10 ** 9", "more than 100000 characters or items"),
        ("sum(range(10 ** 9))", "more than 100000 characters or items"),
        ("[i for i in range(999) for j in range(999)]", "more than 200000 steps"),
        ("factorial(10 ** 6)", "a factorial of more than 1000"),
        ("comb(10 ** 6, 5)", "more than 10,000 items to choose from"),
        ("round(5, -10 ** 9)", "more than 400 digits"),
        ("f'{W:99999d}'", "a format of more than 999 places"),
        ("(lambda f: f(f))(lambda f: f(f))", "nested deeper than 60"),
        ("'x'.replace('', 'y' * 1000).replace('', 'y' * 1000)", "more than 100000 characters"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(TqhwError) as refusal:
        evaluate(text, NAMES, "f:7")
    assert message in str(refusal.value)
    assert refusal.value.place == "f:7"
