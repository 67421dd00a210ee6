"""What every engine can do, so that an experiment names one and knows nothing else about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tqhw.drawing import chart, chart_svg, loop_nest, nest_svg
from tqhw.energy.operands import Operands
from tqhw.mapper import MappingFront
from tqhw.mapper.result import Whole
from tqhw.mapper.search import PERFECT, budget_of
from tqhw.objectives import Goal, Objective, one_objective
from tqhw.spec import ART, ERT, Architecture, Digits, Hardware, Invalid, Problem, Stats, in_digits
from tqhw.spec import Mapping as LoopMapping


class AnyRendered(Protocol):
    """What a design is made of; a rendered template, and what was read from files, have it."""

    @property
    def name(self) -> str: ...
    @property
    def architecture(self) -> Architecture: ...
    @property
    def hardware(self) -> Hardware: ...
    @property
    def text(self) -> str: ...
    @property
    def components_text(self) -> str: ...
    @property
    def digits(self) -> Digits | None: ...


@dataclass(frozen=True)
class Design:
    """A rendered architecture before it has energies.

    ``text``: its YAML as Timeloop reads it; ``components_text``: its own compound classes ("" if none). ``operands``:
    bits of the multiplier's factors where they are not the architecture's (:mod:`tqhw.backends.words`). ``digits``:
    what its multipliers take weights in, where not whole.
    """

    name: str
    architecture: Architecture
    hardware: Hardware
    text: str
    components_text: str = ""
    operands: Operands | None = None
    digits: Digits | None = None

    @classmethod
    def of(cls, found: AnyRendered) -> Design:
        """The design of what :mod:`tqhw.architecture` rendered or read."""
        return cls(
            found.name, found.architecture, found.hardware, found.text, found.components_text, digits=found.digits
        )

    def problem(self, problem: Problem) -> Problem:
        """The problem as this design computes it: with a dimension for the digits, where it takes weights in digits."""
        return problem if self.digits is None else in_digits(problem, self.digits)


@dataclass(frozen=True)
class Target:
    """A design with its tables: what problems are mapped on. ``notes`` say what is estimated in the tables."""

    design: Design
    ert: ERT
    art: ART
    notes: tuple[str, ...] = ()
    table_source: str = ""

    @property
    def hardware(self) -> Hardware:
        return self.design.hardware

    def _repr_html_(self) -> str:
        """What a notebook shows: the levels and fan-outs as a picture."""
        return chart_svg(chart(self.hardware, self.design.architecture))

    @property
    def areas_um2(self) -> dict[str, float | None]:
        """um^2 of all instances of a component, innermost first; None where the table has none of that name."""
        hardware = self.hardware
        storage = [level.name for level in hardware.levels if level.kind == "storage"]
        return {
            name: None if name not in self.art.areas else self.art.areas[name] * hardware.instances(name)
            for name in (*storage, hardware.compute.name)
        }


@dataclass(frozen=True)
class Search:
    """How to search, the same for every engine.

    ``objective``: a name of ``OBJECTIVES``, one of your own, or several for their front. ``budget_s``: wall-clock
    seconds for a problem, None for no limit. ``jobs``: processes; the answers do not depend on their number. ``cache``:
    answers of earlier searches may be used and kept. Raises TqhwError for a budget that leaves no time.
    """

    objective: str | Goal = "energy"
    budget_s: float | None = None
    jobs: int = 1
    cache: bool = True

    def __post_init__(self) -> None:
        budget_of(self.budget_s)

    def one_objective(self, engine: str) -> Objective:
        """The objective, for an engine that finds no fronts. Raises TqhwError for several."""
        return one_objective(self.objective, engine, "use the embedded engine")


@dataclass(frozen=True)
class Job:
    """One problem to be mapped on one target.

    ``way``: with factors that divide (perfect), with remainders (imperfect), or by a larger problem whose factors fill
    the array better (padded).
    """

    problem: Problem
    target: Target
    way: str = PERFECT


@dataclass(frozen=True)
class Found:
    """The best mapping of a search, and how far to trust it.

    ``evaluated``: mappings tried. ``lower_bound``: below it no mapping has the objective (pJ, pJ*cycles or cycles), and
    ``gap`` is the part of what was found that lies above it; None where the engine proves nothing. ``warnings``: what
    the search did without or passed over, and what padding wastes. ``front``: of a search for several objectives, all
    that it found; the mapping is the best by the first of them. ``padded``: bounds of the problem that is mapped,
    where they are not the problem's own. ``whole``: what a mapping with remainders was compared by. ``seconds``: of the
    search, without compiling it. ``kept``: the answer is that of an earlier search, and so are its seconds.
    """

    mapping: LoopMapping
    stats: Stats
    proved_optimal: bool
    evaluated: int
    seconds: float
    lower_bound: float | None = None
    gap: float | None = None
    warnings: tuple[str, ...] = ()
    front: MappingFront | None = None
    padded: Mapping[str, int] | None = None
    whole: Whole | None = None
    kept: bool = field(default=False, compare=False)

    def _repr_html_(self) -> str:
        """What a notebook shows: the loop nest with its tiles as a picture."""
        return nest_svg(loop_nest(self.mapping, self.stats))


Evaluation = tuple[Problem, Target, LoopMapping]
"""A mapping to be evaluated, of a problem on a target."""


class Backend(Protocol):
    """An engine. Jobs come in batches, so that it may run them side by side and resume what is done."""

    name: str

    def versions(self) -> Mapping[str, str]:
        """Its programs or packages with their versions. Raises TqhwError where it cannot run on this machine."""
        ...

    def target(self, design: Design) -> Target:
        """Energies and areas of a design, by the engine's own estimator, once per design."""
        ...

    def targets(self, designs: Sequence[Design], done: Callable[[int], None] | None = None) -> list[Target]:
        """The same for many designs, in their order; ``done`` is called after every design."""
        ...

    def evaluate(self, problem: Problem, target: Target, mapping: LoopMapping) -> Stats | Invalid:
        """The cost of a given mapping; an invalid one is an answer."""
        ...

    def search(
        self, jobs: Sequence[Job], search: Search, done: Callable[[Job], None] | None = None
    ) -> list[Found | Invalid]:
        """The best mapping of every job, in their order; Invalid, with reasons, where none fits.

        ``done`` is called after every job.
        """
        ...
