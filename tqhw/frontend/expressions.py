"""The expressions of a specification: what Python's ``eval`` gives the front end, walked over a white list.

Beyond :mod:`tqhw.spec.expression`: texts, lists and mappings, subscripts and dotted names of the specification, loops
in brackets, ``lambda``, formatted texts, and the functions of Accelergy's ``parsing_utils.py``. Names bound by the
specification come before functions; inside a comprehension or a ``lambda`` they are unknown, except in the first
iterable, for ``eval`` keeps the two in different scopes. No step runs without bound.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tqhw.errors import TqhwError, nearest, unknown
from tqhw.frontend import functions
from tqhw.frontend.functions import MAX_LENGTH, NAMES
from tqhw.spec.expression import MAX_INTEGER_BITS, Evaluator, parse
from tqhw.spec.yamlio import Quoted

MAX_STEPS = 200_000
MAX_ALL_STEPS = 1_000_000
STEPS = "steps of all expressions"
"""In a scope, which no expression can name: a list of the steps that are left."""
MAX_DEPTH = 60


class Word(str):
    """A function that stands alone: in a file the word that it was, in the expressions below it can be called."""

    function: Callable[..., Any]

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return self.function(*arguments, **keywords)


def evaluate(text: str, names: Mapping[str, Any], place: str) -> Any:
    """The value of an unquoted ``text``: true and false, numerals, else an expression over ``names``.

    A text comes back as :class:`Quoted`, a function as :class:`Word`. Raises TqhwError with ``place``.
    """
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return int(text)
    except ValueError:
        pass
    try:
        tree = parse(text, place, joined=False)
    except TqhwError as error:
        raise TqhwError(error.message, place=place, lever=_lever(text)) from None
    value = _Walker(text, names, place).value(tree.body)
    if _holds(value, names.get("parent_node")):
        raise TqhwError(f"'{text}' is a section that holds this value", place=place, lever="name what is meant in it")
    if isinstance(value, str):
        return Quoted(value)
    if callable(value):
        word = Word(text.strip())
        word.function = value
        return word
    if isinstance(value, tuple):
        return list(value)
    if not isinstance(value, bool | int | float | list | dict | None):
        raise TqhwError(f"'{text}' gives {value}, which no file can hold", place=place, lever="write list(...)")
    return value


def _holds(section: Any, other: Any) -> bool:
    waiting = [section]
    while waiting:
        one = waiting.pop()
        if other is not None and one is other:
            return True
        if hasattr(one, "public"):  # a section or a list of the specification
            waiting += one.values() if isinstance(one, dict) else one
    return False


def is_bare(text: str, names: Mapping[str, Any]) -> bool:
    """Whether ``text`` is a lone word that names nothing, such as LPDDR4: the front end refuses it without quotes."""
    return text.isidentifier() and text not in names and text not in NAMES and text.lower() not in ("true", "false")


def _lever(text: str) -> str:
    if text.count("(") != text.count(")") or text.count("[") != text.count("]"):
        return "inside { } a comma ends a value: write the mapping over several lines"
    return "quote it if it is meant as text"


_BINARY: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: functions.times,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: functions.rest,
    ast.Pow: functions.power,
    ast.LShift: functions.left_shift,
    ast.RShift: operator.rshift,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}
_UNARY: dict[type[ast.AST], Callable[[Any], Any]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Not: operator.not_,
    ast.Invert: operator.invert,
}
_COMPARE: dict[type[ast.AST], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}
_METHODS: dict[type, str] = {
    str: "capitalize count endswith find index isalpha isdigit lower lstrip rstrip split startswith strip "
    "title upper removeprefix removesuffix",
    list: "count index",
    tuple: "count index",
    dict: "get items keys values",
    int: "bit_length",
    float: "is_integer",
}
_BOUNDED: dict[str, Callable[[str], Callable[..., str]]] = {
    "format": functions.formatter,
    "join": functions.joiner,
    "replace": functions.replacer,
    "zfill": functions.zero_filled,
}
"""Methods of texts that could make any number of characters."""


class _Walker(Evaluator):
    """Walks one tree. ``names`` are the specification's, ``local`` those that a lambda or comprehension binds."""

    def __init__(self, text: str, names: Mapping[str, Any], place: str) -> None:
        super().__init__(text, names, place)
        self.steps = self.depth = 0

    def value(self, node: ast.expr) -> Any:
        return self.walk(node, self.names)

    def walk(self, node: ast.expr, names: Mapping[str, Any]) -> Any:
        self._count(1)
        self.depth += 1
        try:
            if self.depth > MAX_DEPTH:
                raise self.refusal(f"nested deeper than {MAX_DEPTH}", "flatten it")
            value = self.checked(self._node(node, names))
            if not isinstance(node, ast.Name) and isinstance(value, list | tuple | dict | set):
                self._count(functions.size(value))
            return value
        finally:
            self.depth -= 1

    def _count(self, steps: int) -> None:
        self.steps += steps
        if self.steps > MAX_STEPS:
            raise self.refusal(f"more than {MAX_STEPS} steps", "loop over less")
        total: Any = self.names.get(STEPS)
        if total is not None:
            total[0] -= steps
            if total[0] < 0:
                raise self.refusal(f"the expressions take more than {MAX_ALL_STEPS} steps in all", "loop over less")

    def _node(self, node: ast.expr, names: Mapping[str, Any]) -> Any:
        match node:
            case ast.Constant(value=None | bool() | int() | float() | str() as constant):
                return constant
            case ast.Name(id=name):
                return self._name(name, names)
            case ast.UnaryOp(op=op, operand=operand):
                return self.apply(_UNARY[type(op)], self.walk(operand, names))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return self.apply(_BINARY[type(op)], self.walk(left, names), self.walk(right, names))
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self.walk(body if self.walk(test, names) else orelse, names)
            case ast.BoolOp(op=op, values=values):
                return self._either(isinstance(op, ast.Or), values, names)
            case ast.Compare(left=left, ops=ops, comparators=others):
                return self._compared(left, ops, others, names)
            case ast.Call():
                return self._call(node, names)
            case ast.Attribute(value=owner, attr=attribute):
                return self._attribute(self.walk(owner, names), attribute)
            case ast.Subscript(value=owner, slice=index):
                return self.apply(operator.getitem, self.walk(owner, names), self._index(index, names))
            case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
                kind = {ast.List: list, ast.Tuple: tuple, ast.Set: set}[type(node)]
                return kind(self._items(items, names))
            case ast.Dict(keys=keys, values=values) if None not in keys:
                pairs = zip(keys, values, strict=True)
                return {self.walk(key, names): self.walk(value, names) for key, value in pairs if key is not None}
            case ast.ListComp(elt=element, generators=loops) | ast.GeneratorExp(elt=element, generators=loops):
                return [self.walk(element, scope) for scope in self._loops(loops, names)]
            case ast.SetComp(elt=element, generators=loops):
                return {self.walk(element, scope) for scope in self._loops(loops, names)}
            case ast.DictComp(key=key, value=value, generators=loops):
                return {self.walk(key, scope): self.walk(value, scope) for scope in self._loops(loops, names)}
            case ast.Lambda(args=arguments, body=body):
                return self._lambda(arguments, body, names)
            case ast.JoinedStr(values=parts):
                return "".join(self._formatted(part, names) for part in parts)
        raise self.refusal(f"{type(node).__name__} is not allowed", "see the expressions that a specification can have")

    def checked(self, value: Any) -> Any:
        if isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:
            raise self.undefined(f"a step gives an integer of more than {MAX_INTEGER_BITS} bits")
        if isinstance(value, complex | bytes):
            raise self.undefined(f"a step gives {value!r}, which is no real number")
        if isinstance(value, str | list | tuple | dict | set | range) and len(value) > MAX_LENGTH:
            raise self.undefined(f"more than {MAX_LENGTH} characters or items")
        return value

    def apply(self, function: Callable[..., Any], *values: Any) -> Any:
        try:
            return super().apply(function, *values)
        except KeyError as error:
            raise self.undefined(f"there is no {error.args[0]!r}") from None
        except (AttributeError, IndexError, RecursionError) as error:
            raise self.undefined(str(error)) from None

    def _name(self, name: str, names: Mapping[str, Any]) -> Any:
        if name in names:
            return names[name]
        if name in NAMES:
            return NAMES[name]
        text = f"'{self.text}': unknown name '{name}'" if self.text.strip() != name else f"unknown name '{name}'"
        if names is not self.names and name in self.names:
            lever = "loops in brackets and lambdas see no names of the file, only the first list of a loop does"
        else:
            hidden = ("parent_node", "attributes", "name", "class", "version")
            known = [key for key in names if key not in hidden and key.isidentifier()]
            lever = f"{nearest(name, known)}; only names above are known; quote it if it is meant as text"
        raise TqhwError(text, place=self.place, lever=lever)

    def _either(self, stop: bool, values: list[ast.expr], names: Mapping[str, Any]) -> Any:
        for operand in values[:-1]:
            if bool(found := self.walk(operand, names)) == stop:
                return found
        return self.walk(values[-1], names)

    def _compared(self, left: ast.expr, ops: list[ast.cmpop], others: list[ast.expr], names: Mapping[str, Any]) -> bool:
        value = self.walk(left, names)
        for op, node in zip(ops, others, strict=True):
            other = self.walk(node, names)
            if not self.apply(_COMPARE[type(op)], value, other):
                return False
            value = other
        return True

    def _items(self, items: list[ast.expr], names: Mapping[str, Any]) -> list[Any]:
        result: list[Any] = []
        for item in items:
            if isinstance(item, ast.Starred):
                result.extend(self.checked(list(self._iterable(self.walk(item.value, names)))))
            else:
                result.append(self.walk(item, names))
        return result

    def _call(self, node: ast.Call, names: Mapping[str, Any]) -> Any:
        function = self.walk(node.func, names)
        if not callable(function):
            raise self.refusal(f"'{ast.unparse(node.func)}' is no function")
        arguments = self._items(node.args, names)
        keywords = {k.arg: self.walk(k.value, names) for k in node.keywords if k.arg is not None}
        if len(keywords) != len(node.keywords):
            raise self.refusal("** in a call is not allowed")
        self._count(sum(len(a) for a in arguments if isinstance(a, str | list | tuple | dict | set | range)))
        return self.apply(lambda: function(*arguments, **keywords))

    def _attribute(self, owner: Any, name: str) -> Any:
        names = getattr(owner, "public", None)  # of a section of the specification
        if names is not None:
            found = names()
            if name in found:
                return found[name]
            raise TqhwError(f"'{self.text}': {unknown('name', name, [str(n) for n in found])}", place=self.place)
        if isinstance(owner, str) and name in _BOUNDED:
            return _BOUNDED[name](owner)
        for kind, methods in _METHODS.items():
            if isinstance(owner, kind) and name in methods.split():
                return getattr(owner, name)
        raise self.refusal(f"a {type(owner).__name__} has no '{name}' here")

    def _index(self, node: ast.expr, names: Mapping[str, Any]) -> Any:
        if isinstance(node, ast.Slice):
            parts = (node.lower, node.upper, node.step)
            return slice(*(None if part is None else self.walk(part, names) for part in parts))
        return self.walk(node, names)

    def _iterable(self, value: Any) -> Iterable[Any]:
        if not isinstance(value, Iterable):
            raise self.refusal(f"{value} cannot be looped over")
        return value

    def _loops(self, loops: list[ast.comprehension], names: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
        """The scopes of a comprehension: its own names only, and those of the one around it."""
        outer = {} if names is self.names else names
        return self._nested(loops, outer, self.walk(loops[0].iter, names))

    def _nested(
        self, loops: list[ast.comprehension], scope: Mapping[str, Any], first: Any
    ) -> Iterable[Mapping[str, Any]]:
        loop = loops[0]
        for item in self._iterable(first):
            inner = {**scope, **self._bound(loop.target, item)}
            if all(self.walk(test, inner) for test in loop.ifs):
                if len(loops) == 1:
                    yield inner
                else:
                    yield from self._nested(loops[1:], inner, self.walk(loops[1].iter, inner))

    def _bound(self, target: ast.expr, item: Any) -> dict[str, Any]:
        if isinstance(target, ast.Name):
            return {target.id: item}
        if not isinstance(target, ast.Tuple | ast.List):
            raise self.refusal("a loop binds plain names only")
        items = list(self._iterable(item))
        if len(items) != len(target.elts):
            raise self.refusal(f"{len(items)} values for {len(target.elts)} names")
        return {k: v for part, one in zip(target.elts, items, strict=True) for k, v in self._bound(part, one).items()}

    def _lambda(self, arguments: ast.arguments, body: ast.expr, names: Mapping[str, Any]) -> Callable[..., Any]:
        if arguments.vararg or arguments.kwarg or arguments.kwonlyargs:
            raise self.refusal("a lambda takes plain arguments only")
        parameters = [a.arg for a in (*arguments.posonlyargs, *arguments.args)]
        defaults = self._items(arguments.defaults, names)
        given = dict(zip(parameters[len(parameters) - len(defaults) :], defaults, strict=True))
        outer = {} if names is self.names else names

        def function(*values: Any, **keywords: Any) -> Any:
            bound = {**given, **dict(zip(parameters, values, strict=False)), **keywords}
            if len(values) > len(parameters) or set(bound) != set(parameters):
                raise TypeError(f"a lambda of {len(parameters)} arguments is called with {len(values)}")
            return self.walk(body, {**outer, **bound})

        return function

    def _formatted(self, part: ast.expr, names: Mapping[str, Any]) -> str:
        if not isinstance(part, ast.FormattedValue):
            return str(self.walk(part, names))
        value = self.walk(part.value, names)
        if part.conversion != -1:
            value = repr(value) if chr(part.conversion) == "r" else str(value)
        spec = "" if part.format_spec is None else str(self.walk(part.format_spec, names))
        self.apply(functions.check_width, spec)
        return str(self.apply(format, value, spec))
