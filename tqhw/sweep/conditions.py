"""The expressions of a sweep: which names they read, and what is told where they give nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from tqhw import architecture
from tqhw.errors import TqhwError, shown
from tqhw.frontend.expressions import evaluate
from tqhw.spec.expression import CannotEvaluateError

_TOLD = 3  # values that a message shows


def derived(text: str, names: Mapping[str, Any], place: str) -> Any:
    """What a derived key becomes.

    Raises TqhwError for what is no expression over these names, of them CannotEvaluateError where their values alone
    are at fault.
    """
    try:
        value = evaluate(text, names, place)
    except CannotEvaluateError as error:
        raise CannotEvaluateError(error.message, place=error.place, lever=_lever(error, text, names)) from None
    except TqhwError as error:
        raise TqhwError(error.message, place=error.place, lever=_form(text) or error.lever) from None
    return str(value) if isinstance(value, str) else value


def holds(conditions: Iterable[str], names: Mapping[str, Any], place: str) -> bool:
    """Whether all conditions are true. Raises TqhwError as :func:`derived`, and for what is neither true nor false."""
    return all(_truth(text, names, place) for text in conditions)


def excluded(conditions: Iterable[str], names: Mapping[str, Any], place: str) -> bool:
    """Whether a condition is false as far as its names are known, of a point where some could not be derived."""
    for text in conditions:
        with suppress(TqhwError):
            if not _truth(text, names, place):
                return True
    return False


def _truth(text: str, names: Mapping[str, Any], place: str) -> bool:
    value = derived(text, names, place)
    if not isinstance(value, bool | int | float):
        lever = 'compare with something, such as pe_rows > 8 or dram_type == "DDR3"'
        raise TqhwError(f"'{text}' gives {shown(value)}, neither true nor false", place=place, lever=lever)
    return bool(value)


def unlike(conditions: Iterable[str], names: Mapping[str, Any]) -> str | None:
    """The first comparison of a number with a text, or of either with a list: true or false, but never meant."""
    for text in conditions:
        with suppress(TqhwError, SyntaxError):
            for left, right in _compared(ast.parse(text.strip(), mode="eval")):
                kinds = [_kind(evaluate(ast.unparse(side), names, "where")) for side in (left, right)]
                if kinds[0] != kinds[1]:
                    told = " with ".join(f"{ast.unparse(s)}, {k}," for s, k in zip((left, right), kinds, strict=True))
                    return f"'{text}' compares {told[:-1]}"
    return None


def _compared(tree: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            for op, left, right in zip(node.ops, sides, sides[1:], strict=False):
                if not isinstance(op, ast.In | ast.NotIn):
                    yield left, right


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "a text"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, int | float):
        return "a number"
    return "nothing" if value is None else "a section"


def _lever(error: TqhwError, text: str, names: Mapping[str, Any]) -> str | None:
    """What the names stand for, where values of two kinds do not go together."""
    if error.lever is not None or (where := unlike([text], names)) is None:
        return error.lever or _values(text, names)
    lists = "; of a list take min, max, len or an entry, bits[0]" if "a list" in where else ""
    return f"{where}; a number has no quotes, here and where it is listed{lists}"


def _values(text: str, names: Mapping[str, Any]) -> str | None:
    """What the varied values are that the expression reads."""
    read = dict.fromkeys(node.id for node in ast.walk(ast.parse(text.strip(), mode="eval")) if type(node) is ast.Name)
    told = [f"{name} is {names[name]}" for name in read if isinstance(names.get(name), int | float | str | list)]
    return "where " + ", ".join(told[:_TOLD]) if told else None


def _form(text: str) -> str | None:
    """What is meant by a lone ``=``."""
    with suppress(SyntaxError):
        ast.parse(text.strip(), mode="eval")
        return None
    spaced = f" {text} ".replace("=>", ">=").replace("=<", "<=")
    if " = " in spaced:
        spaced = spaced.replace(" = ", " == ")
    elif spaced.strip() == text.strip():
        return "such as pe_rows * pe_columns <= 168"
    return f"write {spaced.strip()}"


def visible(tree: Mapping[str, Any]) -> dict[str, Any]:
    """An experiment as expressions see it, with the parameters that its architecture has by default."""
    found = {name: _visible(value) for name, value in tree.items()}
    place = tree.get("architecture")
    if isinstance(place, Mapping):
        found["architecture"] = _ArchitectureSection(place)
    return found


class _Section:
    """A section of the experiment: ``architecture.params.pe_rows``."""

    def __init__(self, tree: Mapping[str, Any]) -> None:
        self._tree = tree

    def public(self) -> dict[str, Any]:
        return {key: _visible(value) for key, value in self._tree.items()}


class _ArchitectureSection(_Section):
    """The section of the architecture, whose parameters are all of its template's."""

    def public(self) -> dict[str, Any]:
        given = self._tree.get("params")
        return {**super().public(), "params": _Section({**self._defaults(given), **(given or {})})}

    def _defaults(self, given: Any) -> Mapping[str, Any]:
        name = self._tree.get("name")
        if self._tree.get("files") or not isinstance(name, str):
            return {}
        with suppress(TqhwError):  # what is wrong with it is told when it is rendered
            if architecture.is_template(name):
                return architecture.parameters_of(name).complete(given or {}, "architecture.params")
        return {}


def _visible(value: Any) -> Any:
    return _Section(value) if isinstance(value, Mapping) else value


def parameters(names: Sequence[Any]) -> dict[str, None] | None:
    """The parameters that any of these templates has; None where one is no template's name."""
    known: dict[str, None] = {}
    for name in names:
        try:
            if not isinstance(name, str) or not architecture.is_template(name):
                return None
            known |= dict.fromkeys(one.name for one in architecture.parameters_of(name).parameters)
        except TqhwError:
            return None
    return known
