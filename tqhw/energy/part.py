"""The tree of a component, resolved: energies and areas summed from its primitives upwards.

The rules are those of Accelergy 0.4 (commit 6911d15). Where it would go on with a wrong number (an index beyond
the range, an action that a nested class does not have) there is an error here.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tqhw.energy.components import Action, ActionStep, CompoundClass
from tqhw.energy.query import Note, Primitive, Query
from tqhw.energy.resolve import bounds, name_and_range, number, resolve
from tqhw.errors import TqhwError, unknown

MAX_ARGUMENTS = 10_000


@dataclass(frozen=True)
class Part:
    """A component or subcomponent; ``span`` numbers its equal instances where it has a range.

    It is one of two things: a ``primitive``, or a ``compound`` with ``parts`` by name.
    """

    query: Query
    span: tuple[int, int] | None = None
    energy_scale: float = 1.0
    area_scale: float = 1.0
    primitive: Primitive | None = None
    compound: CompoundClass | None = None
    parts: Mapping[str, Part] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return 1 if self.span is None else self.span[1] - self.span[0] + 1

    def area_um2(self) -> float:
        """um^2 of one instance."""
        if self.primitive is not None:
            return self.primitive.area(self.query) * self.area_scale
        return self.area_scale * sum(part.count * part.area_um2() for part in self.parts.values())

    def energy_pj(self, action: str, place: str, arguments: Mapping[str, Any] | None = None) -> float:
        """pJ of one action of one instance; ``place`` is where the action is asked for."""
        arguments = arguments or {}
        if self.primitive is not None:
            return self.primitive.energy(self.query, action, arguments) * self.energy_scale
        assert self.compound is not None
        names = {**self.query.attributes, **arguments}
        total = 0.0
        for step in self.compound.action(action, place).steps:
            part, count = self._select(step, names)
            for call in step.calls:
                scale = number(call.energy_scale, names, f"{call.place}: energy_scale")
                inner = resolve(call.arguments, names, f"{call.place}: arguments")
                for key in ("global_cycle_seconds", "action_latency_cycles"):
                    inner.setdefault(key, names[key])
                total += count * scale * part.energy_pj(call.name, call.place, inner)
        return total * self.energy_scale

    def highest_energy_pj(self, action: str, place: str) -> float:
        """pJ of an action, the largest over its argument ranges (which is what Timeloop takes from an ERT)."""
        if self.compound is None:
            return self.energy_pj(action, place)
        combinations = self._arguments(self.compound.action(action, place))
        return max(self.energy_pj(action, place, arguments) for arguments in combinations)

    def notes(self) -> tuple[Note, ...]:
        """The notes of all primitives below."""
        if self.primitive is not None:
            return self.primitive.notes(self.query)
        return tuple(note for part in self.parts.values() for note in part.notes())

    def _arguments(self, action: Action) -> list[dict[str, int]]:
        """Every combination of an action's argument values."""
        ranges = []
        for name, text in action.arguments.items():
            place = f"{action.place}: arguments: {name}"
            if ".." not in str(text):
                raise TqhwError(f"'{text}' is no range", place=place, lever="write first..last, such as 0..1")
            low, high = bounds(str(text), self.query.attributes, place)
            ranges.append(range(low, high + 1))
        if math.prod(map(len, ranges)) > MAX_ARGUMENTS:
            raise TqhwError(f"the arguments have more than {MAX_ARGUMENTS} combinations", place=action.place)
        return [dict(zip(action.arguments, values, strict=True)) for values in itertools.product(*ranges)]

    def _select(self, step: ActionStep, names: Mapping[str, Any]) -> tuple[Part, int]:
        """The subcomponent that a step names, and how many of its instances act."""
        name, span = name_and_range(step.subcomponent, names, step.place)
        if name not in self.parts:
            raise unknown(f"subcomponent of class '{self.query.class_}'", name, self.parts, step.place)
        part = self.parts[name]
        if span is None:
            return part, 1
        if part.span is None or span[0] < part.span[0] or span[1] > part.span[1]:
            has = "there is one without a range" if part.span is None else "there are {}..{}".format(*part.span)
            text = f"'{step.subcomponent}' means {name} {span[0]}..{span[1]}, {has}"
            raise TqhwError(text, place=step.place, lever="stay within the subcomponent's range")
        return part, span[1] - span[0] + 1
