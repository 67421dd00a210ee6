"""Mutators: of bytes, of lines, and of trees of maps, lists and scalars."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from tqhw.spec import yamlio


class Raw(str):
    """A scalar that is written as it stands."""


_DEEP = 300
NUMBERS: tuple[Any, ...] = (
    0, 1, -1, 2, 3, 7, 255, 65536, 2**31 - 1, 2**31, 2**32, 2**53, 2**53 + 1,
    2**63 - 1, 2**63, 2**64, -(2**63) - 1,
    10**30, 2**1023, 2**1024 - 1, Raw("1" + "0" * 309), Raw("-1" + "0" * 400), Raw("9" * 5000), 0.0, -0.0,
    0.5, 1.5, -2.5,
    1e-320, 1e-30, 1e16, 1e30, 1e308, -1e308,
)  # fmt: skip
TEXTS: tuple[str, ...] = (
    "", " ", "x", "-", "*", "_", "~", "null", "true", "1", "1e9", "1e999", "0x1F", "inf", "nan", "a b", "a,b", "a.b",
    "../..",
    "/dev/null", "\0", "a\0b", "\ud800", "a\udfff", "\n", "a\nb", "[bold]", "[/]", "[red]x[/red]", "{{x}}", "{x}", "%s",
    "%d", "é", "名前", "\u202e", "🙂", "a" * 300, "a" * 5000, "1..10", "[1..3]", "a[1..9999999999]", "2**1000",
    "10**400",
    "1/0", "-" * 400 + "1", "(" * 300, "max()", "C=4", "C4 M2", "os:system", "=", "<=", "Weights",
    "$HOME", "!x", "&a", "<<",
)  # fmt: skip
OTHERS: tuple[Any, ...] = (
    None, True, False, [], {}, [[]], [{}], {"": ""}, {"x": {"x": {}}}, ["a", 1, None], [1, 2, 3],
    Raw("[" * _DEEP + "]" * _DEEP),
    Raw('{"a":' * _DEEP + "1" + "}" * _DEEP), Raw("[" * 3000 + "]" * 3000),
)  # fmt: skip
YAML_ONLY = (
    Raw(".inf"),
    Raw("-.inf"),
    Raw(".nan"),
    Raw("0x" + "f" * 5000),
    Raw("0x" + "f" * 300),
    Raw("*none"),
    Raw("!!set {a}"),
)
JSON_ONLY = tuple(map(Raw, ("NaN", "Infinity", "-Infinity", "1E400", "-0")))
_PLAIN = re.compile(r"[A-Za-z_][\w ./*+()<>=-]*[\w)]|[A-Za-z_]", re.ASCII)


def atom(random: Random, yaml: bool) -> Any:
    """A value that readers forget."""
    return copy.copy(random.choice(random.choice((NUMBERS, TEXTS, OTHERS, YAML_ONLY if yaml else JSON_ONLY))))


def _spots(tree: Any) -> list[tuple[Any, Any]]:
    """Every (container, key or index) of a tree."""
    found, waiting = [], [tree]
    while waiting:
        node = waiting.pop()
        keys: Any = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
        for key in keys:
            found.append((node, key))
            waiting.append(node[key])
    return found


def _replace(random: Random, spot: tuple[Any, Any], spots: list[tuple[Any, Any]], yaml: bool) -> None:
    where, key = spot
    where[key] = atom(random, yaml)


def _nudge(random: Random, spot: tuple[Any, Any], spots: list[tuple[Any, Any]], yaml: bool) -> None:
    where, key = spot
    value = where[key]
    if isinstance(value, bool) or not isinstance(value, int | float):
        where[key] = value[: len(value) // 2] if isinstance(value, str | list) else atom(random, yaml)
        return
    ways: tuple[Callable[[], Any], ...] = (
        lambda: value + 1, lambda: value - 1, lambda: -value, lambda: value * 2, lambda: value * 10**20,
        lambda: value * 10**310 if isinstance(value, int) else value * 1e10, lambda: float(value), lambda: str(value),
        lambda: [value], lambda: value + 0.5, lambda: bool(value),
    )  # fmt: skip
    try:
        where[key] = random.choice(ways)()
    except OverflowError:
        where[key] = 0


def _graft(random: Random, spot: tuple[Any, Any], spots: list[tuple[Any, Any]], yaml: bool) -> None:
    other, at = random.choice(spots)
    spot[0][spot[1]] = copy.deepcopy(other[at])


def _swap(random: Random, spot: tuple[Any, Any], spots: list[tuple[Any, Any]], yaml: bool) -> None:
    where, key = spot
    other = random.choice(list(where) if isinstance(where, dict) else range(len(where)))
    where[key], where[other] = where[other], where[key]


def _delete(random: Random, spot: tuple[Any, Any], spots: list[tuple[Any, Any]], yaml: bool) -> None:
    del spot[0][spot[1]]


def _insert(random: Random, spot: tuple[Any, Any], spots: list[tuple[Any, Any]], yaml: bool) -> None:
    where, key = spot
    if isinstance(where, list):
        where.insert(key, copy.deepcopy(where[key]) if random.random() < 0.7 else atom(random, yaml))
    else:
        named = [k for other, k in spots if isinstance(other, dict)]
        where[random.choice(named) if random.random() < 0.6 else random.choice(TEXTS)] = atom(random, yaml)


def _rename(random: Random, spot: tuple[Any, Any], spots: list[tuple[Any, Any]], yaml: bool) -> None:
    where, key = spot
    if isinstance(where, dict):
        named = [k for other, k in spots if isinstance(other, dict)]
        where[random.choice(named) if random.random() < 0.5 else f"{key}{random.choice('s_x ')}"] = where.pop(key)
    else:
        where[key] = {"x": where[key]}


def _wrap(random: Random, spot: tuple[Any, Any], spots: list[tuple[Any, Any]], yaml: bool) -> None:
    where, key = spot
    value = where[key]
    if isinstance(value, list | dict) and value and random.random() < 0.5:
        where[key] = next(iter(value.values() if isinstance(value, dict) else value))
    else:
        where[key] = [value] if random.random() < 0.5 else {"name": value}


def _spell(random: Random, spot: tuple[Any, Any], spots: list[tuple[Any, Any]], yaml: bool) -> None:
    where, key = spot
    value = where[key]
    if not isinstance(value, str) or isinstance(value, Raw):
        return _replace(random, spot, spots, yaml)
    at = random.randrange(len(value) + 1)
    where[key] = random.choice(
        (value[:at] + random.choice(TEXTS) + value[at:], value[:at] + value[at + 1 :], value * 2)
    )


def _tag(random: Random, spot: tuple[Any, Any], spots: list[tuple[Any, Any]], yaml: bool) -> None:
    value = spot[0][spot[1]]
    if isinstance(value, yamlio.Map):
        value.tag = random.choice((*yamlio.TAGS, None))
    else:
        _replace(random, spot, spots, yaml)


_OPERATIONS = (
    _replace,
    _replace,
    _nudge,
    _nudge,
    _graft,
    _swap,
    _delete,
    _delete,
    _insert,
    _rename,
    _wrap,
    _spell,
    _tag,
)


def tree(random: Random, value: Any, yaml: bool = False) -> Any:
    """``value``, which may be changed, with one to four changes."""
    top = [value]
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        spots = _spots(top)
        if not spots:
            break
        spot = random.choice(spots) if random.random() < 0.97 else spots[0]
        operation = random.choice(_OPERATIONS)
        if not (operation is _delete and spot[0] is top):
            operation(random, spot, spots, yaml)
    return top[0] if top else None


def _scalar(value: Any, yaml: bool) -> str:
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, str):
        plain = yaml and not isinstance(value, yamlio.Quoted) and _PLAIN.fullmatch(value)
        return value if plain else json.dumps(str(value))
    if yaml and isinstance(value, float):
        return repr(value).replace("inf", ".inf").replace("nan", ".nan")
    return json.dumps(value)


def _parts(value: Any, yaml: bool) -> Iterator[str]:
    if isinstance(value, dict):
        tag = getattr(value, "tag", None)
        yield f"{tag} {{" if tag else "{"
        for number, (key, item) in enumerate(value.items()):
            yield f"{', ' if number else ''}{_scalar(str(key), yaml)}: "
            yield from _parts(item, yaml)
        yield "}"
    elif isinstance(value, list | tuple):
        yield "["
        for number, item in enumerate(value):
            yield ", " if number else ""
            yield from _parts(item, yaml)
        yield "]"
    else:
        yield _scalar(value, yaml)


def written(value: Any, yaml: bool = False) -> bytes:
    """A tree as JSON, or as YAML in flow style with its tags."""
    return "".join(_parts(value, yaml)).encode("utf-8", errors="surrogatepass")


def text(random: Random, content: bytes) -> bytes:
    """Lines and words moved, doubled, dropped or replaced."""
    lines = content.split(b"\n")
    for _ in range(random.choice((1, 1, 2, 4))):
        at = random.randrange(len(lines))
        way = random.randrange(7)
        if way == 0:
            del lines[at]
        elif way == 1:
            lines.insert(at, random.choice(lines))
        elif way == 2:
            lines[at] = b" " * random.randrange(6) + lines[at].lstrip()
        elif way == 3:
            lines[at] = lines[at][: random.randrange(len(lines[at]) + 1)]
        else:
            words = re.split(rb"(\W+)", lines[at])
            words[random.randrange(len(words))] = (
                _scalar(atom(random, True), True).encode() if way < 6 else random.choice(words)
            )
            lines[at] = b"".join(words)
        if not lines:
            return b""
    return b"\n".join(lines)


def raw(random: Random, content: bytes) -> bytes:
    """Bits flipped, bytes set, ranges dropped, doubled or moved."""
    found = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 4, 16))):
        if not found:
            break
        # The first bytes of a file are its header, where most of its meaning is.
        at = random.randrange(len(found) if random.random() < 0.6 else min(len(found), 64))
        end = min(len(found), at + random.choice((1, 2, 4, 8, 64, 1024)))
        way = random.randrange(6)
        if way == 0:
            found[at] ^= 1 << random.randrange(8)
        elif way == 1:
            found[at] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))
        elif way == 2:
            del found[at:end]
        elif way == 3:
            found[at:at] = found[at:end]
        elif way == 4:
            found[at:at] = random.randbytes(end - at)
        else:
            del found[random.randrange(len(found)) :]
    return bytes(found)
