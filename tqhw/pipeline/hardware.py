"""Every layer on every rendering of the architecture that a method needs, each pair searched once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tqhw.backends import Backend, Found, Job, Search
from tqhw.errors import TqhwError
from tqhw.experiment import Experiment
from tqhw.pipeline.renderings import Render, RenderedWords, Rendering, Unpriced, price, render, spad_models
from tqhw.results import KV_CACHE
from tqhw.scenario.extract import layer_cost, weight_path
from tqhw.scenario.methods import widths
from tqhw.scenario.network import LayerCost, Network, NetworkLayer, Scales, Width, check_residency
from tqhw.spec import Invalid
from tqhw.system.progress import Watcher
from tqhw.workload import Layer, Workload

FOLDED = Scales()
FLOAT_BITS: Final = 32


@dataclass(frozen=True)
class Evaluated:
    """All layers on one costing of the scratchpads; ``found`` and ``costs`` by layer position and width.

    ``words``: what each pair was searched on, the width of its weights and of its activations.
    """

    spad_model: str | None
    renderings: Mapping[RenderedWords, Rendering]
    words: Mapping[tuple[int, Width], RenderedWords]
    found: Mapping[tuple[int, Width], Found]
    costs: Mapping[tuple[int, Width], LayerCost]
    network: Network

    def rendering(self, layer: int, width: Width) -> Rendering:
        """The architecture that a layer was searched on."""
        return self.renderings[self.words[layer, width]]


Pricings = Mapping[tuple[str | None, RenderedWords], Rendering]
"""Renderings with their energies, by scratchpad model and words."""


@dataclass(frozen=True)
class HardwarePlan:
    """What has to be known: the architecture with every words, still without energies, and the ``searches`` on it.

    A search is one layer, by its position in the workload, on the rendering of a scratchpad model with its words.
    """

    workload: Workload
    models: tuple[str | None, ...]
    rendered: Mapping[tuple[str | None, RenderedWords], Unpriced]
    searches: tuple[tuple[str | None, int, RenderedWords], ...]
    activation_bits: int
    way: str


def plan(experiment: Experiment, workload: Workload, render: Render = render) -> HardwarePlan:
    """The searches that an experiment needs. Raises TqhwError where it leaves the accelerator no precision.

    Another scratchpad model makes other mappings the best, so the layers are searched again rather than costed
    again. ``render``: for a caller that keeps renderings.
    """
    if not experiment.hardware_bits:
        raise TqhwError(
            f"{list(experiment.bits)} leave the accelerator no precision: 32 is floating point",
            place="bits",
            lever="name precisions from 1 to 8, too",
        )
    models = spad_models(experiment)
    whole = RenderedWords(Width(experiment.stored_bits, experiment.stored_bits))
    problem = workload.layers[0].problem
    first = render(experiment, models[0], whole, problem)
    rendered = {(models[0], whole): first}
    searches: list[tuple[str | None, int, RenderedWords]] = []
    for model in models:
        for index, layer in enumerate(workload.layers):
            for width in _needed(experiment, layer, first.activation_bits):
                words = RenderedWords(width, activation_bits(layer, width))
                if (model, words) not in rendered:
                    rendered[model, words] = render(experiment, model, words, problem)
                searches.append((model, index, words))
    return HardwarePlan(workload, models, rendered, tuple(searches), first.activation_bits, experiment.search.way)


def jobs(planned: HardwarePlan, renderings: Pricings) -> list[Job]:
    """The searches, in their order, as a backend takes them."""
    layers = planned.workload.layers
    asked = []
    for model, index, words in planned.searches:
        target = renderings[model, words].target
        problem = target.design.problem(layers[index].problem)
        asked.append(Job(problem, planned.rendered[model, words].constrained(target, problem), planned.way))
    return asked


def conclude(
    experiment: Experiment,
    planned: HardwarePlan,
    renderings: Pricings,
    answers: Sequence[Found | Invalid],
    scales: Scales = FOLDED,
) -> tuple[Evaluated, ...]:
    """What the answers to :func:`jobs` come to, for each scratchpad model.

    Raises TqhwError that lists the layers without a valid mapping, and for weights that have nothing to stay in.
    """
    check_residency(experiment.scenario.residency, weight_path(next(iter(renderings.values())).machine))
    _check_mapped(planned.searches, answers, planned.workload)
    result = []
    for model in planned.models:
        pairs = [(search, found) for search, found in zip(planned.searches, answers, strict=True) if search[0] == model]
        found = {(i, words.width): answer for (_, i, words), answer in pairs}
        on = {(i, words.width): words for (_, i, words), _ in pairs}
        own = {words: rendering for (m, words), rendering in renderings.items() if m == model}
        result.append(_evaluated(experiment, planned, model, own, on, found, scales))
    return tuple(result)


def evaluate(
    experiment: Experiment,
    workload: Workload,
    engine: Backend,
    search: Search,
    watch: Watcher,
    strict: bool = False,
    scales: Scales = FOLDED,
    kept: Path | None = None,
) -> tuple[Evaluated, ...]:
    """The best mapping of every layer, for each of ``experiment.spad_models`` anew.

    ``kept``: where answers of the accelergy program are kept for the next time. Raises TqhwError that lists the layers
    without a valid mapping.
    """
    planned = plan(experiment, workload)
    renderings = price(experiment.energy, planned.rendered, engine, watch, strict, kept)
    check_residency(experiment.scenario.residency, weight_path(next(iter(renderings.values())).machine))
    asked = jobs(planned, renderings)
    with watch(f"mapping {len(workload.layers)} layers", len(asked)) as tick:
        answers = engine.search(asked, search, lambda _: tick())
    return conclude(experiment, planned, renderings, answers, scales)


def own_bits(layer: Layer, otherwise: int) -> int | None:
    """The precision of a layer that does not follow the model's; None for one that does.

    A product of two activations has no weights: both of its inputs are activations, of ``otherwise`` bits unless the
    model says others.
    """
    if not layer.has_weights:
        return layer.input_bits or otherwise
    return layer.weight_bits if layer.fixed_bits else None


def _cost(layer: Layer, found: Found, rendering: Rendering) -> LayerCost:
    factor = KV_CACHE if layer.reads_cache else "Inputs"
    return layer_cost(found.stats, rendering.machine, layer.has_weights, factor=factor)


def activation_bits(layer: Layer, width: Width) -> int | None:
    """The bits of what a layer reads at one width of its weights; None for those of the architecture.

    That is what the quantized model says: bits of its own, or those of the weights on the chip. Real numbers have the
    architecture's, whoever says that they are some.
    """
    if layer.inputs_follow:
        return width.weight_bits
    return None if layer.input_bits == FLOAT_BITS else layer.input_bits


def _needed(experiment: Experiment, layer: Layer, activation_bits: int) -> tuple[Width, ...]:
    own = own_bits(layer, activation_bits)
    if own is not None:
        return (Width(own, own),)
    scheduled = [step.bits for step in experiment.scenario.steps()]
    bits = tuple(sorted({*experiment.hardware_bits, *scheduled}))
    return widths(experiment.methods, bits, experiment.options())


def _check_mapped(
    searches: Sequence[tuple[str | None, int, RenderedWords]], answers: Sequence[Found | Invalid], workload: Workload
) -> None:
    lost = []
    for (_, index, words), answer in zip(searches, answers, strict=True):
        if isinstance(answer, Invalid):
            name, reasons = workload.layers[index].names[0], "; ".join(r.message for r in answer.reasons)
            lost.append(f"{name} (weights of {words.width.weight_bits} bits): {reasons}")
    if lost:
        more = f", and {len(lost) - 5} more" if len(lost) > 5 else ""
        raise TqhwError(
            f"{len(lost)} layers have no valid mapping: {'; '.join(lost[:5])}{more}",
            place=workload.model,
            lever="enlarge what is named, or loosen the architecture's constraints",
        )


def _evaluated(
    experiment: Experiment,
    planned: HardwarePlan,
    model: str | None,
    renderings: dict[RenderedWords, Rendering],
    words: dict[tuple[int, Width], RenderedWords],
    answers: dict[tuple[int, Width], Found | Invalid],
    scales: Scales,
) -> Evaluated:
    workload = planned.workload
    found = {key: answer for key, answer in answers.items() if isinstance(answer, Found)}
    costs = {
        (index, width): _cost(workload.layers[index], answer, renderings[words[index, width]])
        for (index, width), answer in found.items()
    }
    layers = tuple(
        NetworkLayer(
            layer.names[0],
            layer.count,
            layer.stored_weights,
            own_bits(layer, planned.activation_bits),
            {width: cost for (i, width), cost in costs.items() if i == index},
        )
        for index, layer in enumerate(workload.layers)
    )
    path = weight_path(next(iter(renderings.values())).machine)
    network = Network(layers, path, workload.norm_channels, experiment.scenario.residency, scales)
    return Evaluated(model, renderings, words, found, costs, network)
