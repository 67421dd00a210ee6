"""The architecture at one width of the weights: by a template's parameters, or by words of that width on any files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from tqhw import architecture, energy
from tqhw.backends import Backend, Design, Target, with_word_bits
from tqhw.backends.costing import costed
from tqhw.errors import TqhwError
from tqhw.experiment import Experiment
from tqhw.options import EnergyOptions
from tqhw.results import DRAM
from tqhw.scenario.extract import WEIGHTS, PricedHardware, default_groups
from tqhw.scenario.network import Width
from tqhw.spec import Component, Constraints, Hardware, Level, Problem, Shape
from tqhw.spec.word_bits import PLACE, WordBits, parse_word_bits
from tqhw.system.progress import Watcher

INPUTS = "Inputs"
_ACTIVATION_BITS = 8  # where a template has no parameter for it


@dataclass(frozen=True)
class RenderedWords:
    """The words of a rendering: the width of weights, and bits of activations, None for the architecture's own."""

    width: Width
    activation_bits: int | None = None


@dataclass(frozen=True)
class Rendering:
    """The architecture at one width, with its tables.

    ``notes`` say what is padded and what is estimated, ``warnings`` what in its file nothing reads, ``words`` how wide
    words are where its text does not.
    """

    at: RenderedWords
    spad_model: str | None
    target: Target
    machine: PricedHardware
    activation_bits: int
    notes: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    words: WordBits | None = None

    @property
    def folder(self) -> str:
        """Where its files stand among the results."""
        width, inputs = self.at.width, self.at.activation_bits
        own = "" if inputs is None else f"_activations{inputs}"
        return f"hardware/{self.spad_model or 'default'}/fetch{width.fetch_bits}_weights{width.weight_bits}{own}"


@dataclass(frozen=True)
class Unpriced:
    """An architecture at one width before it has energies; ``words`` where a template's text does not say it."""

    found: architecture.Rendered
    design: Design
    activation_bits: int
    words: WordBits | None = None
    again: Callable[[Problem], architecture.Rendered] | None = None
    """The same files for one problem, where some of their constraints need its sizes."""

    def constrained(self, target: Target, problem: Problem) -> Target:
        """The target with the constraints that its files have for a problem.

        Raises TqhwError where they have other memories or units for it than for the first.
        """
        if self.again is None:
            return target
        found = self.again(problem)
        _check_same(self.found.hardware, found.hardware, problem)
        own = {level.name: level.constraints for level in found.hardware.levels}
        levels = tuple(replace(level, constraints=own[level.name]) for level in target.hardware.levels)
        design = replace(
            target.design,
            hardware=replace(target.hardware, levels=levels),
            architecture=found.architecture,
            text=found.text,
        )
        return replace(target, design=design)

    @property
    def ideal(self) -> bool:
        return self.found.ideal_packing if self.words is None else self.words.packing == "ideal"


def _check_same(first: Hardware, other: Hardware, problem: Problem) -> None:
    """An experiment has one machine for all layers: only constraints may depend on the layer."""
    ours, theirs = _parts(first), _parts(other)
    changed = next((name for name in ours if ours[name] != theirs.get(name)), None)
    if changed is not None or len(ours) != len(theirs):
        name = changed or next(name for name in theirs if name not in ours)
        raise TqhwError(
            f"'{name}' is another one for layer {problem.name} than for the first: its expressions look at the problem",
            place="architecture.files",
            lever="write its sizes as numbers; only constraints may follow the layer. `tqhw map` takes one layer",
        )


def _parts(hardware: Hardware) -> dict[str, Any]:
    """What every level is, but for its constraints."""
    compute = hardware.compute
    units = (compute.meshX, compute.meshY, _costed(compute.component))
    levels = {
        level.name: (replace(level, constraints=Constraints(), component=None), _costed(level.component))
        for level in hardware.levels
    }
    return {**levels, compute.name: units}


def _costed(component: Component | None) -> Any:
    if component is None:
        return None
    return component.class_, component.subclass, component.attributes, component.energy_scale, component.area_scale


Render = Callable[[Experiment, str | None, RenderedWords, Problem], Unpriced]
"""The architecture of an experiment for a scratchpad model, at some words; see :func:`render`."""


def spad_models(experiment: Experiment) -> tuple[str | None, ...]:
    return experiment.spad_models if "spad_model" in _parameters(experiment) else (None,)


def _parameters(experiment: Experiment) -> tuple[str, ...]:
    """The parameters of the experiment's template; none where it names files."""
    given = experiment.architecture.given
    if len(given) > 1 or not architecture.is_template(given[0]):
        return ()
    return tuple(parameter.name for parameter in architecture.parameters_of(given[0]).parameters)


def render(experiment: Experiment, spad_model: str | None, at: RenderedWords, problem: Problem) -> Unpriced:
    """The architecture at some words: by the parameters of its template, or by such words on what files say.

    ``problem``: of the first layer; what files say for others is asked of them again.
    """
    chosen = experiment.architecture
    known = _parameters(experiment)
    if "weight_bits" not in known:
        load = partial(architecture.load, chosen.given, chosen.params, chosen.data, chosen.allow)
        found = load(problem=problem, per_problem=True)
        unpriced = _with_words(experiment, found, at, problem.shape)
        return replace(unpriced, again=load) if found.sized else unpriced
    if experiment.word_bits or chosen.packing or chosen.multiplier:
        raise TqhwError(
            f"the words of {chosen.name} have the widths of its parameters",
            place="word_bits, architecture.packing, architecture.multiplier",
            lever="set architecture.params, such as activation_bits, packing and multiplier",
        )
    params = {**chosen.params, "weight_bits": at.width.weight_bits, "fetch_bits": at.width.fetch_bits}
    if at.activation_bits is not None:
        if "activation_bits" not in known:
            raise TqhwError(
                f"the quantized model has activations of {at.activation_bits} bits, for which {chosen.name} has no "
                "parameter activation_bits",
                place="quantization.activations",
                lever="leave activations full, or give the template that parameter",
            )
        params["activation_bits"] = at.activation_bits
    if spad_model is not None:
        params["spad_model"] = spad_model
    rendered = architecture.render(chosen.name, params)
    bits = rendered.params.get("activation_bits")
    return Unpriced(rendered, Design.of(rendered), bits if isinstance(bits, int) else _ACTIVATION_BITS)


def _with_words(experiment: Experiment, found: architecture.Rendered, at: RenderedWords, shape: Shape) -> Unpriced:
    """RenderedWords of the experiment's widths; weights as they leave the DRAM and as they are on the chip.

    Inputs have the bits that the quantized model says, where it does, in place of the experiment's.
    """
    if WEIGHTS in experiment.word_bits:
        message = f"the words of {WEIGHTS} are as wide as the precision"
        raise TqhwError(message, place=PLACE, lever="`bits` says which; name other data spaces here")
    levels = [level for level in found.hardware.levels if level.kind == "storage"]
    groups = found.groups or default_groups(found.hardware)
    drams = [level.name for level in levels if groups[level.name] == DRAM]
    given = {space: bits for space, bits in experiment.word_bits.items() if not _said(space, at)}
    given |= {WEIGHTS: at.width.weight_bits, **{f"{WEIGHTS}@{d}": at.width.fetch_bits for d in drams}}
    if at.activation_bits is not None:
        given[INPUTS] = at.activation_bits
    words = parse_word_bits(given, experiment.architecture.packing, otherwise=found.word_bits)
    # Weights that stay in floating point may be wider than a row.
    design = with_word_bits(Design.of(found), words, shape, experiment.architecture.multiplier, wide=[WEIGHTS])
    source = next((level for level in reversed(levels) if _keeps(level, shape, INPUTS)), levels[-1])
    return Unpriced(found, design, words.of(INPUTS, source.name, source.word_bits), words)


def _said(space: str, at: RenderedWords) -> bool:
    """Whether the quantized model says the bits of a data space, at some level or at all."""
    return at.activation_bits is not None and space.partition("@")[0] == INPUTS


def _keeps(level: Level, shape: Shape, space: str) -> bool:
    return level.constraints.kept(shape.data_space_names, level.constraints.place)[space] is not False


def price(
    options: EnergyOptions | None,
    rendered: Mapping[tuple[str | None, RenderedWords], Unpriced],
    engine: Backend,
    watch: Watcher,
    strict: bool,
    kept: Path | None = None,
) -> dict[tuple[str | None, RenderedWords], Rendering]:
    """The renderings with the engine's tables of energies and areas; ``kept`` as :func:`costed` takes it."""
    designs = [r.design for r in rendered.values()]
    with watch(f"tables of {len(designs)} architectures", len(designs)) as tick:
        targets = costed(engine, designs, options, lambda _: tick(), kept)
    return priced(rendered, targets, strict)


def priced(
    rendered: Mapping[tuple[str | None, RenderedWords], Unpriced], targets: Sequence[Target], strict: bool = False
) -> dict[tuple[str | None, RenderedWords], Rendering]:
    """The renderings with the tables of their ``targets``, which are in their order."""
    return {
        (model, at): Rendering(
            at,
            model,
            target,
            PricedHardware(
                target.hardware,
                target.ert,
                found.found.groups or default_groups(target.hardware),
                found.ideal,
                1 if target.design.digits is None else target.design.digits.count,
            ),
            found.activation_bits,
            (*found.found.notes, *_padding(target.hardware), *target.notes),
            _unread(found.found, strict),
            found.words,
        )
        for ((model, at), found), target in zip(rendered.items(), targets, strict=True)
    }


def _padding(hardware: Hardware) -> Iterator[str]:
    """What rows of packed memories leave over."""
    for level in reversed(hardware.levels):
        if level.packing is None:
            continue
        kept = level.constraints.kept([space.name for space in level.packing.spaces], level.constraints.place)
        for space in level.packing.spaces:
            left = space.rows * level.packing.row_bits - space.words * space.bits
            if kept[space.name] is False or not (left or space.rows > space.words):
                continue
            if space.rows > 1:
                text = f"{level.name}: {space.words} of {space.bits} bits of {space.name} in {space.rows} rows"
                yield f"{text} of {level.packing.row_bits} bits"
            else:
                row = f"a row of {level.packing.row_bits} bits, {left} bits of padding"
                yield f"{level.name}: {space.words} words of {space.bits} bits of {space.name} in {row}"


def _unread(found: architecture.Rendered, strict: bool) -> tuple[str, ...]:
    own = energy.own_components(found.components_text, found.name)
    return (*found.architecture.notes, *energy.unread(found.architecture, own, strict=strict))
