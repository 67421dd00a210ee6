"""Where energies and areas come from, and the user's own numbers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tqhw.options.section import NotNegative, refused, section


@section
class EnergyOptions:
    """Where energies and areas come from."""

    source: Literal["packaged", "accelergy", "hwcomponents", "file"] | None = None
    """packaged tables, the accelergy program on PATH, the package hwcomponents, or a file; null: the engine's own
    (embedded: packaged)."""
    adder: Literal["aladdin", "neurosim"] = "aladdin"
    """Who answers an intadder that has n_bits, in the packaged tables (docs/energy.md)."""
    ert: str | None = None
    """With source file: the energies, an ERT as Accelergy and tqhw write it."""
    art: str | None = None
    """With source file: the areas, an ART."""
    table: dict[str, dict[str, NotNegative]] = Field(default_factory=dict)
    """Your own numbers, which go before the source's: component -> action -> pJ, and area -> um^2."""

    def __post_init__(self) -> None:
        if self.source == "file" and self.ert is None:
            raise refused("source file needs a file", "ert", "give energy.ert, and energy.art for areas")
        if self.source != "file" and (self.ert or self.art):
            key = "ert" if self.ert else "art"
            raise refused(f"{key} is read with source file only", key, "add `source: file`, or leave it out")
        if self.adder != "aladdin" and self.source in ("accelergy", "hwcomponents", "file"):
            raise refused("adder is a choice of the packaged tables", "adder", "leave it out, or take source packaged")
