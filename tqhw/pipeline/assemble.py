"""From evaluated layers to the results: every table of results.json."""

from __future__ import annotations

from collections.abc import Mapping

from tqhw.experiment import Experiment
from tqhw.pipeline import fronts
from tqhw.pipeline.hardware import FLOAT_BITS, Evaluated, own_bits
from tqhw.pipeline.paired import paired_notes
from tqhw.pipeline.uneven import uneven_notes
from tqhw.results import (
    COMPONENTS,
    KV_CACHE,
    QUANTIZER,
    AccuracyRow,
    AreaRow,
    EnergyRow,
    LayerEvaluation,
    LayerRow,
    Results,
    TrafficRow,
)
from tqhw.scenario.memory import Traffic
from tqhw.scenario.methods import METHODS, precisions, ways
from tqhw.scenario.network import Scales
from tqhw.scenario.schedule import PJ_PER_MJ, amortised, follow
from tqhw.scenario.states import best
from tqhw.scenario.storage import ModelNumbers, storage
from tqhw.scenario.summary import Switching, headlines, storage_ratios
from tqhw.workload import Cache, Workload


def assemble(
    experiment: Experiment,
    workload: Workload,
    evaluated: tuple[Evaluated, ...],
    accuracy: tuple[AccuracyRow, ...],
    scales: Scales,
    told: tuple[str, ...] = (),
    switching: Switching | None = None,
) -> Results:
    """All rows, in the order of the experiment's own lists.

    ``scales``: what makes numbers of the codes. ``told``: what there is to say of the quantized model.
    ``switching``: how many of its weights switch their bits.
    """
    options, main = experiment.options(), evaluated[0]
    energy, traffic, notes = _states(experiment, main, workload.cache)
    methods, scenario, bits = experiment.methods, experiment.scenario, experiment.hardware_bits
    parameters = _parameters(workload, main, scales, switching or Switching(0, 0, ""))
    ratios = [
        ratio
        for one in evaluated
        for ratio in headlines(methods, experiment.states, bits, one.network, options, one.spad_model)
    ]
    network_fronts, layer_fronts, told_of_fronts = fronts.rows(bits, workload, main)
    claimed = experiment.model.name == "resnet50"  # the paper's storage is that of ResNet-50
    return Results(
        experiment=experiment.model_dump(mode="json"),
        methods=tuple(METHODS[method].row() for method in methods),
        accuracy=accuracy,
        energy=energy,
        traffic=traffic,
        storage=tuple(storage(method, bits, parameters, options) for method in methods),
        area=_area(evaluated),
        amortised=tuple(
            row
            for method in methods
            for row in amortised(
                (method,),
                precisions(method, bits, options),
                scenario.inferences_per_switch,
                main.network,
                options,
            )
        ),
        schedule=tuple(row for method in methods for row in follow(method, scenario.steps(), main.network, options)),
        layers=_layers(workload, evaluated),
        summary=(
            *ratios,
            *storage_ratios(methods, bits, parameters, options, claimed),
            *(() if switching is None else (switching.ratio,)),
        ),
        fronts=network_fronts,
        layer_fronts=layer_fronts,
        notes=(
            *told,
            *told_of_fronts,
            *paired_notes(accuracy),
            *_activations(workload, main),
            *_assumed(experiment, workload),
            *workload.notes,
            *notes,
            *_notes(evaluated),
            *uneven_notes(workload, main),
        ),
    )


def _activations(workload: Workload, main: Evaluated) -> tuple[str, ...]:
    """Whose bits the activations have, where the quantized model says some."""
    given: dict[str, list[str]] = {}
    for layer in workload.layers:
        said = layer.input_bits not in (None, FLOAT_BITS)
        bits = "bits of the weights" if layer.inputs_follow else f"{layer.input_bits} bits" if said else ""
        given.setdefault(bits, []).extend(layer.names)
    real = given.pop("", [])
    told = [f"{bits} in {_some(names)}" for bits, names in given.items()]
    if told and real:
        whole = next(iter(main.renderings.values())).activation_bits
        told.append(f"real numbers, on the hardware of the architecture's {whole} bits, in {_some(real)}")
    return (f"activations, in and out of a layer, by the quantized model: {'; '.join(told)}",) if told else ()


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"{', '.join(names[:5])}{more}"


def _assumed(experiment: Experiment, workload: Workload) -> tuple[str, ...]:
    """The input shape, where a network that we do not know is measured at one that nobody gave."""
    if experiment.model.input is not None or experiment.training is not None or ":" not in experiment.model.name:
        return ()
    return (f"model.input is not given: the layers are those of an input of {workload.input_text}",)


def _states(
    experiment: Experiment, main: Evaluated, cache: Cache | None
) -> tuple[tuple[EnergyRow, ...], tuple[TrafficRow, ...], list[str]]:
    options = experiment.options()
    energy, traffic, notes = [], [], []
    for method in experiment.methods:
        for bits in precisions(method, experiment.hardware_bits, options):
            for state in experiment.states:
                found = best(method, bits, state, main.network, options)
                for component in COMPONENTS:
                    if component != QUANTIZER or component in found.cost.energy_pj:
                        value = found.cost.energy_pj.get(component, 0.0) / PJ_PER_MJ
                        energy.append(EnergyRow(method, bits, state, component, value, found.way))
                for space, flow in _with_cache(found.cost.traffic, cache, main).items():
                    traffic.append(TrafficRow(method, bits, state, space, flow.bits, flow.padding_bits, found.way))
                if len(ways(method, bits, options)) > 1:
                    choice = METHODS[method].choice
                    notes.append(f"{method} at {bits} bits, {state}: cheapest with {choice} {found.way}")
    return tuple(energy), tuple(traffic), notes


def _with_cache(traffic: Mapping[str, Traffic], cache: Cache | None, main: Evaluated) -> dict[str, Traffic]:
    """The traffic with that of the KV cache by itself: what is read of it, and the outputs that it keeps."""
    found = dict(traffic)
    if cache is None:
        return found
    kept = Traffic(cache.written * next(iter(main.renderings.values())).activation_bits)
    outputs = found["Outputs"]
    found["Outputs"] = Traffic(outputs.bits - kept.bits, outputs.padding_bits, outputs.energy_pj)
    found[KV_CACHE] = found.get(KV_CACHE, Traffic()) + kept
    return found


def _parameters(workload: Workload, main: Evaluated, scales: Scales, switching: Switching) -> ModelNumbers:
    following = [layer for layer in main.network.layers if layer.fixed_bits is None]
    others = [layer for layer in main.network.layers if layer.fixed_bits is not None]
    beside = switching.beside
    own = [(layer.weights, layer.fixed_bits or 0) for layer in others]
    own += [(numbers, bits) for bits, numbers in beside.items() if bits is not None]
    return ModelNumbers(
        weights=sum(layer.weights for layer in following) + beside.get(None, 0),
        scales=scales.count,
        own_scales=scales.own,
        fixed_bits=sum(numbers * bits for numbers, bits in own),
        norm_channels=workload.norm_channels,
        others=workload.other_parameters - sum(beside.values()),
        tied=switching.tied,
    )


def _area(evaluated: tuple[Evaluated, ...]) -> tuple[AreaRow, ...]:
    return tuple(
        AreaRow(
            words.width.fetch_bits,
            words.width.weight_bits,
            one.spad_model,
            name,
            rendering.machine.groups[name],
            rendering.target.hardware.instances(name),
            area_um2,
        )
        for one in evaluated
        for words, rendering in one.renderings.items()
        if words.activation_bits is None
        for name, area_um2 in reversed(rendering.target.areas_um2.items())
    )


def _layers(workload: Workload, evaluated: tuple[Evaluated, ...]) -> tuple[LayerRow, ...]:
    rows = []
    for index, layer in enumerate(workload.layers):
        evaluations = tuple(
            LayerEvaluation(
                fetch_bits=width.fetch_bits,
                weight_bits=width.weight_bits,
                spad_model=one.spad_model,
                energy_pj=one.costs[index, width].cost.total_pj,
                cycles=found.stats.cycles,
                utilization=found.stats.utilization,
                proved_optimal=found.proved_optimal,
                components=one.costs[index, width].cost.energy_pj,
                dram_bits={d: flow.bits for d, flow in one.costs[index, width].cost.traffic.items()},
                files=one.rendering(index, width).folder,
                levels=one.costs[index, width].levels_pj,
            )
            for one in evaluated
            for (i, width), found in one.found.items()
            if i == index
        )
        bits = own_bits(layer, next(iter(evaluated[0].renderings.values())).activation_bits)
        rows.append(
            LayerRow(
                name=layer.names[0],
                names=layer.names,
                count=layer.count,
                shape=layer.problem.shape.name,
                instance={**layer.problem.bounds, **layer.problem.coefficients},
                macs=layer.macs,
                weights=layer.stored_weights,
                bits=bits,
                evaluations=evaluations,
            )
        )
    return tuple(rows)


def _notes(evaluated: tuple[Evaluated, ...]) -> tuple[str, ...]:
    """What is padded or estimated in the tables, each said once."""
    found = dict.fromkeys(
        note for rendering in evaluated[0].renderings.values() for note in (*rendering.notes, *rendering.warnings)
    )
    areas = next(iter(evaluated[0].renderings.values())).target.areas_um2
    unknown = [name for name, area_um2 in areas.items() if area_um2 is None]
    if unknown:
        return (*found, f"the area of {', '.join(unknown)} is not known: no ART says it")
    return tuple(found)
