"""Every layer on every rendering of the architecture that a method needs, each pair searched once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tqhw import architecture, energy
from tqhw.backends import Backend, Design, Found, Job, Search, Target
from tqhw.backends.costing import costed
from tqhw.errors import TqhwError
from tqhw.experiment import Experiment
from tqhw.options import EnergyOptions
from tqhw.scenario.extract import Machine, default_groups, layer_cost, weight_path
from tqhw.scenario.methods import widths
from tqhw.scenario.network import LayerCost, Network, NetworkLayer, Scales, Width
from tqhw.spec import Invalid
from tqhw.system.progress import Watcher
from tqhw.workload import Layer, Workload

ONE_WIDTH = "the architecture's files say how wide words are: weights of every precision move and compute at that width"
FOLDED = Scales()
_ACTIVATION_BITS = 8  # where the architecture has no parameter for it


@dataclass(frozen=True)
class Rendering:
    """The architecture at one width, with its tables.

    ``notes`` say what is padded and what is estimated, ``warnings`` what in its file nothing reads.
    """

    width: Width
    spad_model: str | None
    target: Target
    machine: Machine
    activation_bits: int
    notes: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """Where its files stand among the results."""
        return f"hardware/{self.spad_model or 'default'}/fetch{self.width.fetch_bits}_weights{self.width.weight_bits}"


@dataclass(frozen=True)
class Evaluated:
    """All layers on one costing of the scratchpads; ``found`` and ``costs`` by layer position and width."""

    spad_model: str | None
    renderings: Mapping[Width, Rendering]
    found: Mapping[tuple[int, Width], Found]
    costs: Mapping[tuple[int, Width], LayerCost]
    network: Network


def evaluate(
    experiment: Experiment,
    workload: Workload,
    engine: Backend,
    search: Search,
    watch: Watcher,
    strict: bool = False,
    scales: Scales = FOLDED,
) -> tuple[Evaluated, ...]:
    """The best mapping of every layer, for each of ``experiment.spad_models`` anew.

    Another scratchpad model makes other mappings the best, so the layers are searched again rather than costed
    again. Raises TqhwError that lists the layers without a valid mapping.
    """
    models = _spad_models(experiment)
    whole = Width(experiment.stored_bits, experiment.stored_bits)
    first = _render(experiment, models[0], whole)
    rendered = {(models[0], whole): first}
    plan: list[tuple[str | None, int, Width]] = []
    for model in models:
        for index, layer in enumerate(workload.layers):
            for width in _needed(experiment, layer, _activation_bits(first)):
                if (model, width) not in rendered:
                    rendered[model, width] = _render(experiment, model, width)
                plan.append((model, index, width))
    renderings = _costed(experiment.energy, rendered, engine, watch, strict)
    # Says before the search what the scenarios cannot take.
    path = weight_path(renderings[models[0], whole].machine)
    Network((), path, 0, experiment.scenario.residency).resident(experiment.stored_bits)
    jobs = [Job(workload.layers[index].problem, renderings[model, width].target) for model, index, width in plan]
    with watch(f"mapping {len(workload.layers)} layers", len(jobs)) as tick:
        answers = engine.search(jobs, search, lambda _: tick())
    _check_mapped(plan, answers, workload)
    result = []
    for model in models:
        found = {(i, w): answer for (m, i, w), answer in zip(plan, answers, strict=True) if m == model}
        own = {width: rendering for (m, width), rendering in renderings.items() if m == model}
        result.append(_evaluated(experiment, workload, model, own, found, _activation_bits(first), scales))
    return tuple(result)


def own_bits(layer: Layer, activation_bits: int) -> int | None:
    """The precision of a layer that does not follow the model's; None for one that does.

    A product of two activations has no weights: both of its inputs are activations.
    """
    if not layer.has_weights:
        return activation_bits
    return layer.weight_bits if layer.fixed_bits else None


def _spad_models(experiment: Experiment) -> tuple[str | None, ...]:
    if not _is_template(experiment):
        return (None,)
    parameters = architecture.parameters_of(experiment.architecture.name).parameters
    known = any(parameter.name == "spad_model" for parameter in parameters)
    return experiment.spad_models if known else (None,)


def _needed(experiment: Experiment, layer: Layer, activation_bits: int) -> tuple[Width, ...]:
    own = own_bits(layer, activation_bits)
    if own is not None:
        return (Width(own, own),)
    scheduled = [step.bits for step in experiment.scenario.steps()]
    bits = tuple(sorted({*experiment.bits, *scheduled}))
    return widths(experiment.methods, bits, experiment.options())


def _render(experiment: Experiment, spad_model: str | None, width: Width) -> architecture.Rendered:
    chosen = experiment.architecture
    if not _is_template(experiment):
        found = architecture.load(chosen.given, chosen.params, chosen.data, chosen.allow)
        return replace(found, notes=(*found.notes, ONE_WIDTH))
    params = {**chosen.params, "weight_bits": width.weight_bits, "fetch_bits": width.fetch_bits}
    if spad_model is not None:
        params["spad_model"] = spad_model
    return architecture.render(chosen.name, params)


def _is_template(experiment: Experiment) -> bool:
    given = experiment.architecture.given
    return len(given) == 1 and architecture.is_template(given[0])


def _costed(
    options: EnergyOptions | None,
    rendered: Mapping[tuple[str | None, Width], architecture.Rendered],
    engine: Backend,
    watch: Watcher,
    strict: bool,
) -> dict[tuple[str | None, Width], Rendering]:
    """The renderings with the engine's tables of energies and areas."""
    designs = [Design(r.name, r.architecture, r.hardware, r.text, r.components_text) for r in rendered.values()]
    with watch(f"tables of {len(designs)} architectures", len(designs)) as tick:
        targets = costed(engine, designs, options, lambda _: tick())
    return {
        (model, width): Rendering(
            width,
            model,
            target,
            Machine(found.hardware, target.ert, found.groups or default_groups(found.hardware), found.ideal_packing),
            _activation_bits(found),
            (*found.notes, *target.notes),
            _unread(found, strict),
        )
        for ((model, width), found), target in zip(rendered.items(), targets, strict=True)
    }


def _unread(found: architecture.Rendered, strict: bool) -> tuple[str, ...]:
    own = energy.own_components(found.components_text, found.name)
    return (*found.architecture.notes, *energy.unread(found.architecture, own, strict=strict))


def _activation_bits(found: architecture.Rendered) -> int:
    bits = found.params.get("activation_bits")
    return bits if isinstance(bits, int) else _ACTIVATION_BITS


def _check_mapped(
    plan: list[tuple[str | None, int, Width]], answers: list[Found | Invalid], workload: Workload
) -> None:
    lost = []
    for (_, index, width), answer in zip(plan, answers, strict=True):
        if isinstance(answer, Invalid):
            name, reasons = workload.layers[index].names[0], "; ".join(r.message for r in answer.reasons)
            lost.append(f"{name} (weights of {width.weight_bits} bits): {reasons}")
    if lost:
        more = f", and {len(lost) - 5} more" if len(lost) > 5 else ""
        raise TqhwError(
            f"{len(lost)} layers have no valid mapping: {'; '.join(lost[:5])}{more}",
            place=workload.model,
            lever="enlarge what is named, or loosen the architecture's constraints",
        )


def _evaluated(
    experiment: Experiment,
    workload: Workload,
    model: str | None,
    renderings: dict[Width, Rendering],
    answers: dict[tuple[int, Width], Found | Invalid],
    activation_bits: int,
    scales: Scales,
) -> Evaluated:
    found = {key: answer for key, answer in answers.items() if isinstance(answer, Found)}
    costs = {
        (index, width): layer_cost(answer.stats, renderings[width].machine, workload.layers[index].has_weights)
        for (index, width), answer in found.items()
    }
    layers = tuple(
        NetworkLayer(
            layer.names[0],
            layer.count,
            layer.stored_weights,
            own_bits(layer, activation_bits),
            {width: cost for (i, width), cost in costs.items() if i == index},
        )
        for index, layer in enumerate(workload.layers)
    )
    path = weight_path(next(iter(renderings.values())).machine)
    network = Network(layers, path, workload.norm_channels, experiment.scenario.residency, scales)
    return Evaluated(model, renderings, found, costs, network)
