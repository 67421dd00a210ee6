"""The options of ``tqhw map`` and ``evaluate``: a problem on an accelerator with its energies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tqhw.cli.common import as_options, in_options, parameters
from tqhw.cli.convert import Allow, Data, template_data
from tqhw.system.packaged import packaged

if TYPE_CHECKING:
    from tqhw.backends import Backend, Design, Target
    from tqhw.options import EnergyOptions
    from tqhw.spec import Problem

ARCHITECTURES = ", ".join(sorted(folder.name for folder in packaged("arch").glob("*") if folder.is_dir()))
Arch = Annotated[
    list[str],
    typer.Option(
        help=f"A template's name ({ARCHITECTURES}) or folder, or Timeloop's files, patterns, folders; repeatable."
    ),
]
Params = Annotated[list[str] | None, typer.Option("--param", metavar="NAME=VALUE", help="A parameter of the template.")]
ProblemFile = Annotated[
    list[str], typer.Option(help="A Timeloop problem; repeatable, where it stands in several files.")
]
ErtFile = Annotated[Path | None, typer.Option(help="Energies; without it, from the engine's own tables.")]
ArtFile = Annotated[Path | None, typer.Option(help="Areas; with it, the area is reported too.")]
Adder = Annotated[
    str | None,
    typer.Option(help="Who answers an intadder with n_bits: neurosim; without it, aladdin (docs/energy.md)."),
]
Table = Annotated[
    Path | None,
    typer.Option(help="Your own numbers for some components, as {COMPONENT: {read: pJ, ..., area: um^2}}; YAML."),
]
Source = Annotated[
    str | None,
    typer.Option(help="Where energies come from: packaged, accelergy (on PATH) or hwcomponents (Python 3.12)."),
]
Strict = Annotated[bool, typer.Option("--strict", help="Refuses attributes that nothing reads; else a warning.")]
Words = Annotated[
    str | None,
    typer.Option(
        "--word-bits",
        metavar="Weights=2,Inputs=8,Outputs@DRAM=8",
        help="Bits of a word by data space, and by DATA_SPACE@LEVEL.",
    ),
]
Rows = Annotated[
    str | None, typer.Option("--packing", help="How words of --word-bits fill a row: pack (whole words) or ideal.")
]
Factors = Annotated[
    str | None, typer.Option("--multiplier", help="Its operands: match (as wide as --word-bits) or fixed.")
]
Engine = Annotated[str, typer.Option(help="The engine: embedded, timeloop or container.")]


@dataclass(frozen=True)
class Case:
    """A problem on an accelerator: the engine, the problem and the target, once it is read."""

    engine: Backend
    problem: Problem
    target: Target

    @property
    def notes(self) -> list[str]:
        """What a reader of the figures must know."""
        return [*self.problem.notes, *self.target.notes]

    def areas(self) -> dict[str, Any]:
        """The areas of all instances by component, and in all; nothing where none are known."""
        from tqhw.errors import unknown

        art, areas = self.target.art, self.target.areas_um2
        if not art.areas:
            return {}
        for name, area in areas.items():
            if area is None:
                raise unknown("component in the ART", name, art.areas, art.source)
        return {"area_um2": sum(area or 0.0 for area in areas.values()), "areas_um2": areas}


@dataclass(frozen=True)
class CaseOptions:
    """What ``map`` and ``evaluate`` are given alike."""

    arch: Arch
    problem: ProblemFile
    ert: ErtFile = None
    art: ArtFile = None
    param: Params = None
    word_bits: Words = None
    packing: Rows = None
    multiplier: Factors = None
    data: Data = None
    allow: Allow = None
    backend: Engine = "embedded"
    strict: Strict = False
    adder: Adder = None
    energy_source: Source = None
    energy_table: Table = None

    def sources(self, files: Sequence[str]) -> Any:
        """Files of the field, with what their templates use."""
        from tqhw import frontend

        return frontend.sources(files, template_data(self.data), self.allow or ())

    def read(self) -> Case:
        """Raises TqhwError for whatever cannot be read, and for what the engine does not model."""
        with in_options():
            case = self._read()
        notes = tuple(as_options(note) for note in case.target.notes)
        return replace(case, target=replace(case.target, notes=notes))

    def _read(self) -> Case:
        from tqhw import architecture, energy, frontend
        from tqhw.backends import Design, backend
        from tqhw.backends.costing import costed
        from tqhw.spec import load_art

        problem = frontend.load_problem(self.sources(self.problem))
        engine = backend(self.backend)
        params = parameters(self.param or [])
        found = architecture.load(self.arch, params, template_data(self.data), self.allow or (), problem)
        design = Design.of(found)
        design = self._with_words(design, problem, found.word_bits)
        own = energy.own_components(found.components_text, found.name)
        told = (*found.architecture.notes, *energy.unread(found.architecture, own, strict=self.strict))
        if self.ert is not None and design.operands:
            told += ("energies are those of --ert: the multiplier's does not follow --word-bits",)
        (target,) = costed(engine, [design], self._energies())
        if self.ert is None and self.art is not None:
            target = replace(target, art=load_art(self.art))
        return Case(engine, design.problem(problem), replace(target, notes=(*told, *target.notes)))

    def _energies(self) -> EnergyOptions:
        from tqhw.backends.costing import load_table
        from tqhw.options import EnergyOptions

        given: dict[str, Any] = {"source": self.energy_source}
        if self.ert is not None:
            given = {"source": "file", "ert": str(self.ert), "art": None if self.art is None else str(self.art)}
        if self.adder is not None:
            given["adder"] = self.adder
        if self.energy_table is not None:
            given["table"] = load_table(self.energy_table)
        return EnergyOptions(**given)

    def _with_words(self, design: Design, problem: Problem, otherwise: Mapping[str, int]) -> Design:
        from tqhw.backends import with_word_bits
        from tqhw.errors import TqhwError
        from tqhw.spec.word_bits import parse_word_bits

        if self.word_bits is not None:
            bits = parse_word_bits(self.word_bits, self.packing, "--word-bits", otherwise)
            return with_word_bits(design, bits, problem.shape, self.multiplier, "--word-bits")
        for option, value, rule in (
            ("--packing", self.packing, "says how --word-bits fill a row"),
            ("--multiplier", self.multiplier, "says what --word-bits do to its operands"),
        ):
            if value is not None:
                raise TqhwError(f"{option} {rule}, and there are none", lever="give --word-bits, too")
        return design
