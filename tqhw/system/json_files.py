"""JSON that anybody may have written: read within bounds, held against a schema, one message for all that is wrong."""

from __future__ import annotations

import json
import math
import re
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from tqhw.errors import TqhwError, shown
from tqhw.system.files import read_text

T = TypeVar("T")
MAX_DEPTH = 100
"""Lists and maps within each other; a document of tqhw has about ten, and everything that walks one is recursive."""
UNFIT = re.compile(r"[\0\ud800-\udfff]")
"""What no file's name holds, and no text in UTF-8: the zero byte, and halves of characters."""


def read_json(path: str | Path, lever: str | None = None) -> Any:
    """The JSON in a file. Raises TqhwError as :func:`parse_json` does, and where the file cannot be read."""
    return parse_json(read_text(path), str(path), lever)


def parse_json(text: str | bytes, place: str, lever: str | None = None) -> Any:
    """The value of a JSON document.

    Raises TqhwError for text that is none, numbers that no double holds (NaN and infinity too), halves of characters
    and zero bytes in texts, and more than ``MAX_DEPTH`` lists and maps within each other.
    """
    try:
        found = json.loads(text, parse_int=_whole, parse_float=_number, parse_constant=_number)
        _check_depth(found)
        if not isinstance(text, str) or "\\u" in text or UNFIT.search(text):  # else no text in it holds what is unfit
            _check_texts(found)
    except RecursionError:
        raise TqhwError(f"not valid JSON: {_TOO_DEEP}", place=place, lever=lever) from None
    except (ValueError, OverflowError) as error:
        raise TqhwError(f"not valid JSON: {error}", place=place, lever=lever) from None
    return found


def checked(kind: type[T], document: Any, place: str, lever: str | None = None, what: str = "the document") -> T:
    """A ``document`` of :func:`parse_json` as a ``kind``, a pydantic model or a dataclass.

    Nothing is converted but lists to tuples and whole numbers to floats. Raises TqhwError for the first thing that does
    not fit; ``what`` says what the document was taken for.
    """
    try:
        found: T = TypeAdapter(kind).validate_json(json.dumps(document), strict=True)
    except ValidationError as error:
        first = min(error.errors(include_url=False), key=lambda e: e["type"] != "extra_forbidden")
        raise TqhwError(f"not {what}: {_told(first)}", place=place, lever=lever) from None
    return found


def _told(complaint: ErrorDetails) -> str:
    """``layers.0.count: 'x' should be a valid integer``."""
    path = ".".join(str(part) for part in complaint["loc"])
    rule = complaint["msg"].removeprefix("Value error, ").removeprefix("Input ")
    rule = rule[:1].lower() + rule[1:]
    if complaint["type"] in ("missing", "extra_forbidden"):
        return f"{path}: {rule}"
    return f"{path}: {shown(complaint['input'])} {rule}" if path else f"{shown(complaint['input'])} {rule}"


_TOO_DEEP = f"more than {MAX_DEPTH} lists and maps within each other"


def _whole(text: str) -> int:
    if len(text) > 310:
        raise ValueError(f"no double holds {text[:20]}... of {len(text)} digits")
    value = int(text)
    if not abs(value) < 2**1023:
        raise ValueError(f"no double holds {text[:20]}... of {len(text)} digits")
    return value


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is no finite number")
    return value


def _check_depth(document: Any) -> None:
    level = [document]
    for _ in range(MAX_DEPTH):
        level = [part for item in level if isinstance(item, dict | list) for part in _inside(item)]
        if not level:
            return
    raise ValueError(_TOO_DEEP)


def _check_texts(document: Any) -> None:
    left = deque([document])
    while left:
        item = left.popleft()
        for text in (item, *item) if isinstance(item, dict) else (item,):
            if isinstance(text, str) and UNFIT.search(text):
                raise ValueError(f"{text[:40]!a} is no text that a file can hold")
        if isinstance(item, dict | list):
            left.extend(_inside(item))


def _inside(item: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return item.values() if isinstance(item, dict) else item
