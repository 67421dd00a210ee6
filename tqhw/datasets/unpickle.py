"""Reading the pickled arrays of CIFAR-10's python archive without unpickling: nothing in the file is executed.

A pickle is a program for a stack machine that may import and call anything. This interpreter knows the data
among its instructions, and of the calls only the two with which NumPy rebuilds an array.
"""

from __future__ import annotations

import pickletools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tqhw.errors import TqhwError

_RECONSTRUCT: Final = {"numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct"}
_NAMES: Final = {*_RECONSTRUCT, "numpy ndarray", "numpy dtype"}
_TEXT: Final = {"SHORT_BINSTRING", "BINSTRING", "STRING"}
_PLAIN: Final = {
    "BININT", "BININT1", "BININT2", "INT", "LONG1", "BINUNICODE", "SHORT_BINUNICODE", "BINBYTES",
    "SHORT_BINBYTES", "BINBYTES8",
}  # fmt: skip
_CONSTANTS: Final[dict[str, Any]] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}


@dataclass
class _Call:
    """A call that the pickle asks for and that is not made: what it names, its arguments and later state."""

    name: str
    arguments: tuple[Any, ...]
    state: Any = None


class _Mark:
    """Where a list of items on the stack begins."""


def read_pickled(data: bytes, place: str) -> Any:
    """Dicts, lists, tuples, bytes, text, whole numbers and arrays of bytes, as they stand in a pickle.

    Raises TqhwError for a pickle that holds anything else or is cut short.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of texts with escapes that Python would word otherwise
            return _finished(_run(data, place), place)
    except (ValueError, ArithmeticError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise TqhwError(f"is no whole pickle of arrays: {error}", place=place, lever="download it again") from error


def _run(data: bytes, place: str) -> Any:
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    argument: Any
    for opcode, argument, _ in pickletools.genops(data):
        name = opcode.name
        if name in _PLAIN:
            stack.append(argument)
        elif name in _TEXT:
            stack.append(argument.encode("latin-1"))
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in ("EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE"):
            stack.append({"EMPTY_DICT": {}, "EMPTY_LIST": [], "EMPTY_TUPLE": ()}[name])
        elif name == "MARK":
            stack.append(_Mark())
        elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
            memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            stack.append(memo[argument])
        elif name in _BUILDERS:
            _BUILDERS[name](stack)
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            if name == "STACK_GLOBAL":
                argument = " ".join((stack.pop(-2), stack.pop()))
            if argument not in _NAMES:
                raise TqhwError(f"asks to import '{argument}', which no data set needs", place=place)
            stack.append(argument)
        elif name == "REDUCE":
            arguments = stack.pop()
            stack.append(_Call(stack.pop(), arguments))
        elif name == "BUILD":
            state = stack.pop()
            stack[-1].state = state
        elif name == "STOP":
            return stack.pop()
        elif name not in ("PROTO", "FRAME"):
            raise TqhwError(f"holds the instruction {name}, which no data set needs", place=place)
    raise ValueError("it ends early")


def _above_mark(stack: list[Any]) -> list[Any]:
    items: list[Any] = []
    while not isinstance(item := stack.pop(), _Mark):
        items.append(item)
    return items[::-1]


def _append(stack: list[Any]) -> None:
    item = stack.pop()
    stack[-1].append(item)


def _appends(stack: list[Any]) -> None:
    items = _above_mark(stack)
    stack[-1].extend(items)


def _set_item(stack: list[Any]) -> None:
    value, key = stack.pop(), stack.pop()
    stack[-1].update(_entries([key, value]))


def _set_items(stack: list[Any]) -> None:
    items = _above_mark(stack)
    stack[-1].update(_entries(items))


def _entries(items: list[Any]) -> dict[Any, Any]:
    """Keys and values in turn. Keys are plain: to hash a tuple of tuples deep enough ends the process."""
    if not all(isinstance(key, (str, bytes, int)) for key in items[::2]):
        raise TypeError("a key is neither text nor a number")
    return dict(zip(items[::2], items[1::2], strict=True))


def _tuple(count: int) -> Callable[[list[Any]], None]:
    def build(stack: list[Any]) -> None:
        items = tuple(stack[-count:])
        del stack[-count:]
        stack.append(items)

    return build


_BUILDERS: Final[dict[str, Callable[[list[Any]], None]]] = {
    "APPEND": _append,
    "APPENDS": _appends,
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "TUPLE": lambda stack: stack.append(tuple(_above_mark(stack))),
    "TUPLE1": _tuple(1),
    "TUPLE2": _tuple(2),
    "TUPLE3": _tuple(3),
}


def _finished(value: Any, place: str) -> Any:
    if not isinstance(value, dict):
        return _array(value, place) if isinstance(value, _Call) else value
    if any(isinstance(part, dict) for part in value.values()):
        raise TqhwError("holds a dictionary inside of another, which no data set needs", place=place)
    return {key: _array(part, place) if isinstance(part, _Call) else part for key, part in value.items()}


def _array(call: _Call, place: str) -> npt.NDArray[np.uint8]:
    """The array that NumPy's ``_reconstruct`` and ``__setstate__((version, shape, dtype, order, data))`` make."""
    if not isinstance(call.name, str):
        raise TypeError("it calls what has no name")
    if call.name not in _RECONSTRUCT or call.state is None:
        raise TqhwError(f"asks to call '{call.name}', which no data set needs", place=place)
    _, shape, dtype, fortran, raw = call.state
    kind = dtype.arguments[0] if isinstance(dtype, _Call) and dtype.name == "numpy dtype" else None
    if kind not in ("u1", b"u1") or fortran:
        raise TqhwError(f"holds an array of type {kind!r}, not of bytes", place=place)
    return np.frombuffer(raw, np.uint8).reshape(shape)
