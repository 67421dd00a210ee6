"""What a primitive class is asked, and the checks that Accelergy's plug-ins leave out."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any

from tqhw.errors import TqhwError, unknown
from tqhw.spec.fields import is_number, is_whole

PICO = 1e12  # pJ in a J, um^2 in a m^2
# Attributes by which Accelergy picks or bends a plug-in. They are not modelled, so they may not pass unnoticed.
_STEERING = ("plug_in", "minimum_accuracy", "min_accuracy", "no_scale_energy", "no_scale_leak", "no_scale_area")


COMMON_READS = ("technology", "global_cycle_seconds", "cycle_seconds", "action_latency_cycles", "n_instances")


@dataclass(frozen=True)
class Note:
    """What a reader of the tables must know: ``kind`` is "interpolated" (an estimate) or "caution"."""

    kind: str
    text: str
    component: str = ""


@dataclass(frozen=True)
class Query:
    """One primitive class with the attributes that it is given; ``place`` is where it stands."""

    class_: str
    attributes: Mapping[str, Any]
    place: str

    def refusal(self, message: str, lever: str | None = None) -> TqhwError:
        return TqhwError(f"{self.class_}: {message}", place=self.place, lever=lever)

    def whole(self, name: str, default: int | None = None) -> int:
        """A whole number of at least 1. Accelergy costs a width of 0, of 12.5 or below 0 without a word."""
        value = self.attributes.get(name, default)
        if value is None:
            raise self.refusal(f"needs the attribute '{name}'", f"it was given {', '.join(self.attributes)}")
        if not is_whole(value):
            raise self.refusal(f"{name} '{value}' must be a whole number of at least 1")
        return int(value)

    def number(self, name: str, default: float | None = None) -> float:
        """A number above 0."""
        value = self.attributes.get(name, default)
        if value is None:
            raise self.refusal(f"needs the attribute '{name}'", "set it among the architecture's variables")
        if not is_number(value) or not value > 0:
            raise self.refusal(f"{name} '{value}' must be a number above 0")
        return float(value)

    @property
    def cycle_seconds(self) -> float:
        return self.number("global_cycle_seconds")

    def check(self) -> None:
        """Refuses what no class reads: a choice of plug-in, no technology at all. Each class judges its node."""
        for name in _STEERING:
            if name in self.attributes:
                raise self.refusal(f"'{name}' is not modelled", "remove it, or take the tables of the real Accelergy")
        if "technology" not in self.attributes:
            raise self.refusal("needs the attribute 'technology'", "set it among the architecture's variables")
        if isinstance(self.attributes["technology"], bool):
            raise self.refusal(f"technology '{self.attributes['technology']}' is no node", 'write it as "45nm"')


@dataclass(frozen=True)
class Primitive:
    """A class that the tables answer.

    ``actions`` are the action names it knows besides ``leak``, ``reads`` the attributes that count, beside those that
    every class has (``COMMON_READS``); ``energy_j(query, action, arguments)`` is for one
    action, or for one cycle of one instance leaking; ``area_m2(query)`` and ``notes(query)`` are of one instance.

    J and m^2 are what Accelergy takes from its plug-ins. Its tables have 6 digits, and a product that ends in 5
    after them is rounded up or down by its last bit: so products and units are in the plug-ins' own order.
    """

    actions: tuple[str, ...]
    energy_j: Callable[[Query, str, Mapping[str, Any]], float]
    area_m2: Callable[[Query], float]
    notes: Callable[[Query], tuple[Note, ...]] = lambda query: ()
    reads: tuple[str, ...] = ("width",)

    def energy(self, query: Query, action: str, arguments: Mapping[str, Any]) -> float:
        """pJ of one ``action``, checked; ``leak`` counts the attribute ``n_instances`` times, as in Accelergy."""
        if action == "leak":
            return self.energy_j(query, action, arguments) * query.number("n_instances", 1) * PICO
        if action not in self.actions:
            raise unknown(f"action of {query.class_}", action, (*self.actions, "leak"), query.place)
        return self.energy_j(query, action, arguments) * PICO

    def area(self, query: Query) -> float:
        """um^2 of ``n_instances`` instances."""
        return self.area_m2(query) * query.number("n_instances", 1) * PICO


def with_component(note: Note, component: str) -> Note:
    return replace(note, component=component)


@cache
def table(name: str) -> tuple[dict[str, str], ...]:
    """The rows of one of the packaged CSV files (provenance: data/README.md)."""
    text = resources.files("tqhw.energy").joinpath("data", name).read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))
