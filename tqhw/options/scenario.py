"""The choices behind the scenarios; docs/scenarios.md has the formulas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import field_validator

from tqhw.errors import TqhwError
from tqhw.options.section import NotNegative, Positive, section

QuantizerEstimate = Literal["affine_low", "affine_tables", "affine_high", "power_of_two"]
TruncationEstimate = Literal["wires", "mask", "shifter_stages", "shifter_linear"]


@dataclass(frozen=True)
class ScheduleStep:
    """``inferences`` in a row at ``bits``."""

    bits: int
    inferences: int = 1

    def __post_init__(self) -> None:
        if self.inferences < 1:
            raise TqhwError(f"{self.inferences} inferences are no step", place="schedule", lever="give at least 1")


@section
class ScenarioOptions:
    """The choices behind the scenarios, as they are written down."""

    layout: Literal["bitplane", "packed"] = "bitplane"
    """truncquant in DRAM. bitplane: most significant planes first, b bits fetched. packed: all, shifted on chip."""
    requantize: Literal["writeback", "streaming", "fused", "best"] = "best"
    """any_precision at a switch: a pass that writes a copy back, FP32 at every fetch, both in one, or the cheapest."""
    residency: Literal["auto", "always", "never"] = "auto"
    """Whether weights stay in their on-chip buffer: where they fit, always, never."""
    quantizer: QuantizerEstimate | NotNegative = "affine_low"
    """Energy of quantizing one FP32 weight, an estimate: a named one (docs/energy.md) or a number of pJ. The default
    is the low end of the sourced range of 4.4 to 45.8 pJ."""
    truncation: TruncationEstimate | NotNegative = "mask"
    """Energy of cutting one fetched weight down in the packed layout, likewise."""
    inferences_per_switch: tuple[Positive, ...] = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
    """Points of the amortised curve."""
    schedule: tuple[Any, ...] = ()
    """Precisions over time: [8, 8, 2], or {bits: 2, inferences: 100} for many in a row."""

    @field_validator("schedule")
    @classmethod
    def _steps(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        for number, item in enumerate(value, start=1):
            fields = {"bits": item} if isinstance(item, int) else item
            if not isinstance(fields, Mapping) or not {"bits"} <= set(fields) <= {"bits", "inferences"}:
                raise ValueError(f"step {number} is {item!r}, but must be bits or {{bits: ..., inferences: ...}}")
            for key, found in fields.items():
                if isinstance(found, bool) or not isinstance(found, int) or found < 1:
                    raise ValueError(f"{key} of step {number} is {found!r}, but must be a whole number from 1 up")
        return tuple(dict(item) if isinstance(item, Mapping) else item for item in value)

    def steps(self) -> tuple[ScheduleStep, ...]:
        """The schedule as steps."""
        return tuple(ScheduleStep(item) if isinstance(item, int) else ScheduleStep(**item) for item in self.schedule)
