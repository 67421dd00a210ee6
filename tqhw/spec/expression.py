"""Arithmetic in attribute values (``max(1, ceil(log2(rows)))``), evaluated without ``eval``.

The text is parsed to a syntax tree and only the nodes and functions listed here are walked: no attribute
access, no subscripts, no names but the given ones and these functions, no number that grows without bound.
"""

from __future__ import annotations

import ast
import math
import operator
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from tqhw.errors import TqhwError, unknown

Value = bool | int | float | str


class CannotEvaluateError(TqhwError):
    """An expression has no value at these values of its names; at others it may have one."""


MAX_TEXT = 1000
MAX_NODES = 300
MAX_INTEGER_BITS = 1024


def _numbers(*values: Any) -> None:
    for value in values:
        if isinstance(value, str):
            raise TypeError(f"the text '{value}' is no number")


def _power(base: Any, exponent: Any) -> Any:
    _numbers(base, exponent)
    if isinstance(base, int) and isinstance(exponent, int) and exponent > 0:
        if base.bit_length() * exponent > MAX_INTEGER_BITS:
            raise OverflowError(f"an integer power of more than {MAX_INTEGER_BITS} bits")
        return base**exponent
    return float(base) ** float(exponent)


def _arithmetic(function: Callable[..., Any]) -> Callable[..., Any]:
    def checked(*values: Any) -> Any:
        _numbers(*values)
        return function(*values)

    return checked


_BINARY: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: _arithmetic(operator.add),
    ast.Sub: _arithmetic(operator.sub),
    ast.Mult: _arithmetic(operator.mul),
    ast.Div: _arithmetic(operator.truediv),
    ast.FloorDiv: _arithmetic(operator.floordiv),
    ast.Mod: _arithmetic(operator.mod),
    ast.Pow: _power,
}
_UNARY: dict[type[ast.AST], Callable[[Any], Any]] = {
    ast.UAdd: _arithmetic(operator.pos),
    ast.USub: _arithmetic(operator.neg),
    ast.Not: operator.not_,
}
_COMPARE: dict[type[ast.AST], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: _arithmetic(operator.lt),
    ast.LtE: _arithmetic(operator.le),
    ast.Gt: _arithmetic(operator.gt),
    ast.GtE: _arithmetic(operator.ge),
}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": _arithmetic(abs),
    "ceil": _arithmetic(math.ceil),
    "exp": _arithmetic(math.exp),
    "float": _arithmetic(float),
    "floor": _arithmetic(math.floor),
    "int": _arithmetic(int),
    "log": _arithmetic(math.log),
    "log10": _arithmetic(math.log10),
    "log2": _arithmetic(math.log2),
    "max": _arithmetic(max),
    "min": _arithmetic(min),
    "pow": _power,
    "round": _arithmetic(round),
    "sqrt": _arithmetic(math.sqrt),
}


def evaluate(text: str, names: Mapping[str, Value], place: str | None = None) -> Value:
    """The value of the expression ``text`` with the variables ``names``.

    Allowed: numbers, quoted text, ``+ - * / // % **``, comparisons, ``and or not``, ``a if c else b`` and
    the functions in ``FUNCTIONS``. Text can be compared and returned, not computed with. Names and functions
    are kept apart: ``max(1, max)`` reads the variable ``max``. Raises TqhwError, with ``place``, for anything
    else: bad syntax, an unknown name, a division by zero, a result that is not finite or beyond 1024 bits.
    """
    tree = parse(text, place)
    return Evaluator(text, names, place).value(tree.body)


def names_in(text: str, place: str | None = None) -> frozenset[str]:
    """The variable names that ``text`` reads (functions that it calls left out)."""
    tree = parse(text, place)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return frozenset(n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in called)


_ALLOWED = (
    *(ast.Constant, ast.Name, ast.UnaryOp, ast.BinOp, ast.IfExp, ast.BoolOp, ast.Compare, ast.Call),
    *(ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop),
)


def is_computation(text: str) -> bool:
    """Whether ``text`` reads as an expression of more than a lone name or value, whatever its names."""
    try:
        body = parse(text, None).body
    except TqhwError:
        return False
    return not isinstance(body, ast.Constant | ast.Name) and all(isinstance(n, _ALLOWED) for n in ast.walk(body))


def parse(text: str, place: str | None, joined: bool = True) -> ast.Expression:
    """The syntax tree of ``text``, whose lines are ``joined`` first. Raises TqhwError for bad syntax and too much."""
    if len(text) > MAX_TEXT:
        raise TqhwError(
            f"the expression '{text[:40]}...' has {len(text)} characters, at most {MAX_TEXT} are read",
            place=place,
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # doubtful syntax such as '1if x else 2' counts as an error
            tree = ast.parse(" ".join(text.splitlines()).strip() if joined else text.lstrip(" \t"), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise TqhwError(
            f"'{text}' is no expression: {reason}",
            place=place,
            lever="quote it twice, '\"text\"', if it is meant as text",
        ) from error
    if sum(1 for _ in ast.walk(tree)) > MAX_NODES:
        raise TqhwError(f"the expression '{text[:40]}...' has more than {MAX_NODES} terms", place=place)
    return tree


class Evaluator:
    """Walks one tree; every refusal carries the whole text and its place."""

    def __init__(self, text: str, names: Mapping[str, Value], place: str | None) -> None:
        self.text, self.names, self.place = text, names, place

    def value(self, node: ast.expr) -> Value:
        match node:
            case ast.Constant(value=bool() | int() | float() | str() as constant):
                return self.checked(constant)
            case ast.Name(id=name):
                if name not in self.names:
                    raise unknown(f"name in the expression '{self.text}':", name, self.names, self.place)
                return self.names[name]
            case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
                return self.apply(_UNARY[type(op)], self.value(operand))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return self.apply(_BINARY[type(op)], self.value(left), self.value(right))
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self.value(body if self.value(test) else orelse)
            case ast.BoolOp(op=op, values=values):
                stop = isinstance(op, ast.Or)  # 'or' ends at the first true value, 'and' at the first false one
                for operand in values[:-1]:
                    if bool(found := self.value(operand)) == stop:
                        return found
                return self.value(values[-1])
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                return self.compare(left, ops, comparators)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                if name not in FUNCTIONS:
                    raise unknown(f"function in the expression '{self.text}':", name, FUNCTIONS, self.place)
                return self.apply(FUNCTIONS[name], *(self.value(argument) for argument in args))
        raise self.refusal(f"{type(node).__name__} is not allowed", "only arithmetic on the given names is")

    def compare(self, left: ast.expr, ops: list[ast.cmpop], comparators: list[ast.expr]) -> bool:
        value = self.value(left)
        for op, node in zip(ops, comparators, strict=True):
            if type(op) not in _COMPARE:
                raise self.refusal(f"the comparison '{type(op).__name__}' is not allowed", "use == != < <= > >=")
            other = self.value(node)
            if not self.apply(_COMPARE[type(op)], value, other):
                return False
            value = other
        return True

    def apply(self, function: Callable[..., Any], *values: Value) -> Value:
        try:
            return self.checked(function(*values))
        except ZeroDivisionError as error:
            raise self.undefined("division by zero") from error  # of a rest, Python only says "float modulo"
        except (ArithmeticError, ValueError, TypeError) as error:
            raise self.undefined(str(error)) from error

    def checked(self, value: Any) -> Value:
        if isinstance(value, float) and not math.isfinite(value):
            raise self.undefined(f"a step gives {value}, which is no finite number")
        if isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:
            raise self.undefined(f"a step gives an integer of more than {MAX_INTEGER_BITS} bits")
        if isinstance(value, int) and abs(value) > sys.float_info.max:
            raise self.undefined("a step gives an integer that no double holds")
        if not isinstance(value, bool | int | float | str):
            raise self.undefined(f"a step gives {value}, which is no real number")
        return value

    def refusal(self, reason: str, lever: str | None = None) -> TqhwError:
        return TqhwError(self._told(reason), place=self.place, lever=lever)

    def undefined(self, reason: str) -> CannotEvaluateError:
        """For a step that these values do not allow."""
        return CannotEvaluateError(self._told(reason), place=self.place)

    def _told(self, reason: str) -> str:
        return f"cannot evaluate '{self.text}': {reason}"
