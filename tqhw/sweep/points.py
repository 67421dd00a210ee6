"""From a sweep file to its points, one after the other: never all of them in memory."""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqhw.errors import TqhwError, unknown
from tqhw.experiment import Experiment, parse
from tqhw.options.section import fields_of, section_in, takes_list, takes_map
from tqhw.spec import yamlio
from tqhw.spec.expression import CannotEvaluateError
from tqhw.sweep import conditions
from tqhw.sweep.document import SweepDocument, read_sweep, varied
from tqhw.sweep.values import drawn, listed, once

MANY = 10_000
"""More points than these are not started without being asked for."""
Settings = dict[str, Any]
"""What a point changes in the experiment: values by key, ``architecture.params.glb_rows``."""


@dataclass(frozen=True)
class Point:
    """One point. ``number`` counts those that ``where`` leaves; ``document`` is its experiment, still unread.

    ``fault``: why no experiment can be made of it, where a derived key has no value.
    """

    number: int
    settings: Settings
    document: yamlio.Map
    fault: TqhwError | None = None

    def experiment(self) -> Experiment:
        """Raises TqhwError where the values do not fit together."""
        if self.fault is not None:
            raise TqhwError(f"point {self.number}: {self.fault}")
        return parse(self.document, f"point {self.number}")


def load(path: str | Path, settings: Sequence[str] = ()) -> Sweep:
    """The sweep in a file; ``settings`` (``key.sub=value``) change keys of its experiment.

    Raises TqhwError with line, nearest known key and rule for whatever does not fit.
    """
    given, base = read_sweep(path, settings)
    return Sweep(given, base, str(path))


@dataclass(frozen=True)
class _Key:
    """A key of the sweep: its parts, and whether it takes a list, so that a lone value is a list of one."""

    text: str
    parts: tuple[str, ...]
    list_of_one: bool

    @property
    def short(self) -> str:
        return self.parts[-1]


class Sweep:
    """All points of a sweep file, in a fixed order.

    ``size``: before ``where``. Raises TqhwError for keys that no experiment has, lists of unequal length, values that
    are no list, and expressions that cannot be read.
    """

    def __init__(self, given: SweepDocument, base: yamlio.Map, source: str = "sweep") -> None:
        self.given, self.base, self.source = given, base, source
        self.keys = {key: _key(key, f"{source}: {block}") for key, block in varied(given)}
        self._by_last_word = {key for key, known in self.keys.items() if _is_alone(known, self.keys.values())}
        self._names = parse(base, f"{source}: experiment").model_dump(mode="json")
        self._grid = [(key, listed(values, f"{source}: grid.{key}")) for key, values in given.grid.items()]
        self._rows = _zipped(given.zip, f"{source}: zip")
        rows = {"zip": self._rows, "list": given.list}
        for place, values in [*((f"grid.{key}", values) for key, values in self._grid), *rows.items()]:
            once(values, f"{source}: {place}")
        self._draws: list[tuple[str, Callable[[random.Random], Any]]] = []
        if given.random is not None:
            self._draws = [(key, drawn(v, f"{source}: random.keys.{key}")) for key, v in given.random.keys.items()]
        self._check_parameters()
        samples = given.random.samples if given.random is not None else 1
        self.size = math.prod(len(v) for _, v in self._grid) * len(self._rows) * max(1, len(given.list)) * samples

    def check_size(self, yes: bool) -> None:
        """Raises TqhwError where there are more points than one starts by mistake."""
        if self.size > MANY and not yes:
            raise TqhwError(
                f"{self.size:,} points, more than {MANY:,}", place=self.source, lever="--yes goes on with all of them"
            )

    def __iter__(self) -> Iterator[Point]:
        """The points that ``where`` leaves. Raises TqhwError at the end where there is none."""
        number, point = 0, Point(0, {}, self.base)
        for settings in self._combined():
            point = self._point(number, settings)
            if self._holds(point):
                yield point
                number += 1
        if not number:
            told = f"the last one was {json.dumps(point.settings, ensure_ascii=False)}"
            never = conditions.unlike(self.given.where, self._scope(point.settings))
            raise TqhwError(
                f"where leaves none of the {self.size:,} points",
                place=f"{self.source}: where",
                lever=told if never is None else f"{told}; {never}",
            )

    def described(self) -> dict[str, Any]:
        """Everything that decides the points, as JSON types."""
        told = self.given.model_dump(mode="json", exclude={"name", "experiment"})
        return {**told, "experiment": self._names}

    def experiment(self, number: int, settings: Settings) -> Experiment:
        """The experiment of a point whose settings are known."""
        return Point(number, settings, self._document(settings)).experiment()

    def _combined(self) -> Iterator[Settings]:
        grid = [[(key, value) for value in values] for key, values in self._grid]
        for chosen in itertools.product(*grid):
            for row in self._rows:
                for one in self.given.list or ({},):
                    for draw in self._drawn():
                        yield {**dict(chosen), **row, **one, **draw}

    def _drawn(self) -> Iterator[Settings]:
        """The draws, the same at every choice of the other blocks."""
        if self.given.random is None:
            yield {}
            return
        source, seen = random.Random(self.given.random.seed), set()
        for _ in range(self.given.random.samples):
            draw = {key: value(source) for key, value in self._draws}
            told = json.dumps(draw)
            if told not in seen:
                seen.add(told)
                yield draw

    def _point(self, number: int, settings: Settings) -> Point:
        found = dict(settings)
        for key, text in self.given.derive.items():
            try:
                found[key] = conditions.derived(text, self._scope(found), f"{self.source}: derive.{key}")
            except CannotEvaluateError as error:  # of these values; others may have one
                return Point(number, settings, self.base, error)
        return Point(number, found, self._document(found))

    def _holds(self, point: Point) -> bool:
        if not self.given.where:
            return True
        scope, place = self._scope(point.settings), f"{self.source}: where"
        if point.fault is not None:
            return not conditions.excluded(self.given.where, scope, place)
        return conditions.holds(self.given.where, scope, place)

    def _scope(self, settings: Settings) -> dict[str, Any]:
        """What expressions read: the whole experiment by its dotted keys, and what is varied by its last word.

        A last word that two varied keys share is neither's, unless it is the whole of one.
        """
        names = self._names
        for key, value in settings.items():
            names = _with(names, self.keys[key].parts, value)
        short = {self.keys[key].short: value for key, value in settings.items() if key in self._by_last_word}
        return {**conditions.visible(names), **short}

    def _document(self, settings: Settings) -> yamlio.Map:
        document: Mapping[str, Any] = self.base
        for key, value in settings.items():
            known = self.keys[key]
            document = _with(document, known.parts, [value] if known.list_of_one and _is_lone(value) else value)
        return yamlio.Map(document)

    def _check_parameters(self) -> None:
        """Parameters of the architecture that none of the sweep's architectures has.

        An architecture that is not there is its points' own fault, and says nothing of parameters.
        """
        given = {"grid": self._grid, "zip": list(_columns(self._rows)), "list": list(_columns(self.given.list))}
        named = [values for block in given.values() for key, values in block if key == "architecture.name"]
        others = {"architecture", "architecture.files"} | ({"architecture.name"} if not named else set())
        architectures = named[0] if named else [self._names["architecture"]["name"]]
        if others & self.keys.keys() or self._names["architecture"].get("files"):
            return
        known = conditions.parameters(architectures)
        if known is None:
            return
        for key, block in varied(self.given):
            parts = self.keys[key].parts
            if parts[:2] == ("architecture", "params") and len(parts) == 3 and parts[2] not in known:
                raise unknown("parameter", parts[2], known, f"{self.source}: {block}")


def _key(text: str, place: str) -> _Key:
    """Raises TqhwError for a key that no experiment has."""
    kind: type = Experiment
    parts = text.split(".")
    for position, part in enumerate(parts):
        field = fields_of(kind).get(part)
        if field is None:
            raise unknown("key", text, [".".join((*parts[:position], name)) for name in fields_of(kind)], place)
        rest = parts[position + 1 :]
        inner = section_in(field.annotation)
        if not rest:
            return _Key(text, tuple(parts), takes_list(field.annotation))
        if inner is None:
            if not takes_map(field.annotation) or not all(rest):
                raise TqhwError(f"{'.'.join(parts[: position + 1])} has no keys of its own", place=f"{place}.{text}")
            return _Key(text, (*parts[: position + 1], ".".join(rest)), False)
        kind = inner
    raise AssertionError("split gives one part at least")


def _zipped(given: Mapping[str, Any], place: str) -> list[Settings]:
    columns = {key: listed(values, f"{place}.{key}") for key, values in given.items()}
    lengths = {key: len(values) for key, values in columns.items()}
    if len({*lengths.values()}) > 1:
        told = ", ".join(f"{key} {length}" for key, length in lengths.items())
        raise TqhwError(f"lists of unequal length: {told}", place=place, lever="zip takes the first of each together")
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)] or [{}]


def _columns(rows: Any) -> Iterator[tuple[str, list[Any]]]:
    for key in dict.fromkeys(key for row in rows for key in row):
        yield key, [row[key] for row in rows if key in row]


def _with(tree: Mapping[str, Any], parts: tuple[str, ...], value: Any) -> dict[str, Any]:
    """The tree with another value at one place; what is not on the way there is shared."""
    found = dict(tree)
    if len(parts) == 1:
        found[parts[0]] = value
        return found
    inner = found.get(parts[0])
    found[parts[0]] = _with(inner if isinstance(inner, Mapping) else {}, parts[1:], value)
    return found


def _is_alone(key: _Key, keys: Iterable[_Key]) -> bool:
    return len(key.parts) == 1 or [other.short for other in keys].count(key.short) == 1


def _is_lone(value: Any) -> bool:
    return value is not None and not isinstance(value, list | tuple | Mapping)
