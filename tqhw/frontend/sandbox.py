"""A jinja2 environment for templates of strangers: sandboxed, undefined names refused, no work without bound.

Loops, macros, joined texts and repeated ones draw on one budget, so that a template that loops for ever or doubles a
text until the memory is full ends in a message.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.sandbox import SandboxedEnvironment

from tqhw.errors import TqhwError

MAX_STEPS = 200_000
MAX_TEXT = 10_000_000
MAX_TAGS = 5_000
COMPUTATION = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    jinja2.TemplateRuntimeError,
)
"""What an expression in a template can end with; the sandbox's own refusals are the last."""
_TICK, _JOIN, _WEIGHED = "_tick", "_join", "_weighed"
_COLLECTIONS = (list, tuple, dict, set, frozenset, range)
_GROWING = ("join", "replace", "format", "center", "indent", "batch", "slice", "wordwrap", "xmlattr", "round")


class Budget:
    """Steps and characters that all templates of one specification may use."""

    def __init__(self) -> None:
        self.steps, self.text = MAX_STEPS, MAX_TEXT

    def tick(self, amount: int = 1) -> str:
        self.steps -= amount
        if self.steps < 0:
            raise TqhwError(f"the templates loop more than {MAX_STEPS} times", lever="loop less")
        return ""

    def spend(self, characters: int) -> None:
        self.text -= characters
        if self.text < 0:
            raise TqhwError(f"the templates make more than {MAX_TEXT} characters", lever="make less text")

    def weigh(self, *values: Any) -> None:
        """Spends what the values have as texts, whatever they hold within each other written out."""
        waiting = list(values)
        while waiting:
            value = waiting.pop()
            if isinstance(value, str):
                self.spend(len(value))
            elif isinstance(value, int):
                self.spend(1 + value.bit_length() // 3)
            elif isinstance(value, _COLLECTIONS):
                self.spend(2 + 4 * len(value))  # a bracket, a comma and a blank; what is looked through costs time, too
                waiting += value
                waiting += value.values() if isinstance(value, dict) else ()

    def weighed(self, value: Any, *more: Any) -> Any:
        """``value``, once it and ``more`` are spent."""
        self.weigh(value, *more)
        return value

    def join(self, *parts: Any) -> str:
        self.weigh(*parts)
        return "".join(str(part) for part in parts)


class Sandbox(SandboxedEnvironment):
    """The environment of one file: what it includes by jinja's own means lies in its folder."""

    intercepted_binops = frozenset(["*", "**", "+", "%"])

    def __init__(self, folder: Path, budget: Budget, check: Callable[[str], Any]) -> None:
        super().__init__(
            loader=_Loader(folder, check), undefined=jinja2.StrictUndefined, autoescape=False, finalize=self._written
        )
        self.budget = budget
        self.globals.update({_TICK: budget.tick, _JOIN: budget.join, _WEIGHED: budget.weighed})
        del self.globals["lipsum"]  # makes texts at random
        self.filters = {name: self._bounded(name, filter_) for name, filter_ in self.filters.items()}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        if source.count("{%") + source.count("{{") > MAX_TAGS:
            raise TqhwError(f"a template of more than {MAX_TAGS} tags", place=filename, lever="loop, or split the file")
        template = super()._parse(source, name, filename)
        for body in [template, *template.find_all((nodes.For, nodes.Macro, nodes.CallBlock))]:
            call = nodes.Call(nodes.Name(_TICK, "load"), [], [], None, None)
            tick = nodes.Output([call])
            tick.set_lineno(body.lineno, override=True)
            body.body.insert(0, tick)  # type: ignore[attr-defined]
        _replace(template)
        _adopt(template, self)
        return template

    def _written(self, value: Any) -> Any:
        if callable(value) and not isinstance(value, jinja2.Undefined):
            name = getattr(value, "__name__", str(value))
            raise TqhwError(f"'{name}' is a function", lever=f"call it, {{{{ {name}(...) }}}}")
        self.budget.weigh(value)
        return value

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "**" and isinstance(left, int) and isinstance(right, int):
            if left.bit_length() * max(right, 0) > 1024:
                raise TqhwError(f"{left} ** {right} is too large")
        elif operator == "%" and isinstance(left, str):
            self._check_format(left)
            self.budget.weigh(right)
        elif operator == "*":
            for one, other in ((left, right), (right, left)):
                if isinstance(one, str | list | tuple) and isinstance(other, int):
                    self.budget.spend(len(one) * max(other, 0))
                elif isinstance(one, int) and isinstance(other, int) and one.bit_length() + other.bit_length() > 1024:
                    raise TqhwError("a product of more than 1024 bits")
        elif operator == "+" and isinstance(left, str | list | tuple) and isinstance(right, str | list | tuple):
            self.budget.spend(len(left) + len(right))
        elif operator == "+" and isinstance(left, int) and isinstance(right, int):
            self.budget.weigh(left, right)
        return super().call_binop(context, operator, left, right)

    def call(self, context: Any, function: Any, /, *arguments: Any, **keywords: Any) -> Any:
        owner = getattr(function, "__self__", None)
        if isinstance(owner, (str, *_COLLECTIONS)):
            self.budget.weigh(owner if isinstance(owner, str) else None, *arguments, *keywords.values())
        if isinstance(owner, str):
            self._bound(owner, *arguments, *keywords.values())
        result = super().call(context, function, *arguments, **keywords)
        if function is self.globals["range"]:
            self.budget.tick(len(result))
        return result

    def getitem(self, obj: Any, argument: Any) -> Any:
        self.budget.weigh(argument)  # a key is hashed with all that it holds
        return super().getitem(obj, argument)

    def wrap_str_format(self, value: Any) -> Any:
        wrapped = super().wrap_str_format(value)
        if wrapped is not None:
            self._check_format(value.__self__)
            return lambda *values, **named: self.budget.weighed(wrapped, *values, *named.values())(*values, **named)
        return None

    def _bounded(self, name: str, filter_: Callable[..., Any]) -> Callable[..., Any]:
        passes = [key for key in getattr(filter_, "__dict__", {}) if key.startswith("jinja")]

        def bounded(*arguments: Any, **keywords: Any) -> Any:
            texts = [a for a in (*arguments, *keywords.values()) if not isinstance(a, jinja2.Environment)]
            self.budget.weigh(*texts)
            if name in _GROWING:
                self._bound(*texts)
            return filter_(*arguments, **keywords)

        for key in passes:
            setattr(bounded, key, getattr(filter_, key))
        bounded.__name__ = name
        return bounded

    def _bound(self, *values: Any) -> None:
        """Spends what a text method or filter can make at most: the product of the lengths and numbers given."""
        worst = 1
        for value in values:
            if isinstance(value, str):
                self._check_format(value)
                worst *= max(len(value), 1)
            elif isinstance(value, list | tuple | dict):
                worst *= max(sum(len(str(item)) for item in value), 1)
            elif isinstance(value, int):
                worst *= max(abs(value), 1)
        if worst > MAX_TEXT:
            self.budget.spend(worst)

    def _check_format(self, text: str) -> None:
        if re.search(r"[%{][^%}]*\d{5}", text):
            raise TqhwError("a format of more than 9,999 places", lever="write a shorter one")


class _Loader(jinja2.FileSystemLoader):
    """The files of one folder, each of which must be allowed."""

    def __init__(self, folder: Path, check: Callable[[str], Any]) -> None:
        super().__init__(folder)
        self.folder, self.check = folder, check

    def get_source(self, environment: jinja2.Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        source, path, fresh = super().get_source(environment, template)
        self.check(path)
        return source, path, fresh


def _replace(node: nodes.Node) -> None:
    """Puts calls that count into ``a ~ b``, comparisons, slices and the keys of mappings."""
    for field, value in node.iter_fields():
        if isinstance(value, nodes.Node):
            setattr(node, field, _counted(value))
        elif isinstance(value, list):
            value[:] = [_counted(item) if isinstance(item, nodes.Node) else item for item in value]


def _counted(node: nodes.Node) -> nodes.Node:
    _replace(node)
    if isinstance(node, nodes.Concat):
        return _call(_JOIN, node.nodes)
    if isinstance(node, nodes.Compare | nodes.Operand):
        node.expr = _call(_WEIGHED, [node.expr])
    elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice):
        node.node = _call(_WEIGHED, [node.node])
    elif isinstance(node, nodes.Pair):
        node.key = _call(_WEIGHED, [node.key])
    return node


def _call(name: str, arguments: list[nodes.Expr]) -> nodes.Call:
    call = nodes.Call(nodes.Name(name, "load"), list(arguments), [], None, None)
    call.set_lineno(arguments[0].lineno, override=True)
    return call


def _adopt(template: nodes.Template, environment: jinja2.Environment) -> None:
    """New nodes belong to the environment, or they cannot be compiled."""
    template.set_environment(environment)
