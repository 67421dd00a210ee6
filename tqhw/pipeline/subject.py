"""What a run is about: the layers of its network, and what there is to say of their quantization.

A network of PyTorch's is quantized as the experiment says. One that another library quantized, and a quantized ONNX
file, have bits of their own, which no switch changes. Of an ONNX file in floating point, the experiment's
``quantization`` says which layers switch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from torch import nn

from tqhw import quant
from tqhw.errors import TqhwError
from tqhw.experiment import Experiment
from tqhw.pipeline import accuracy
from tqhw.pipeline.kept_subject import Subject
from tqhw.pipeline.measured import HARDWARE_SCHEME, measures
from tqhw.scenario.network import Scales
from tqhw.scenario.summary import Switching
from tqhw.workload import InputSpec, Layer, Precision, Workload, extract, extract_file, is_onnx, parse_input


def subject(experiment: Experiment, trust: bool = False) -> Subject:
    """The experiment's network as the hardware side sees it. Raises TqhwError for whatever is wrong with it."""
    if is_onnx(experiment.model.name):
        return _with_own_bits(_file(experiment))
    model = accuracy.network(experiment, trust)
    workload = _extracted(experiment, model)
    if quant.quantized_layers(model):
        found = Subject(workload, accuracy.scales(model), accuracy.notes(model), accuracy.switching(model, workload))
    else:
        found = _with_own_bits(workload)
    return replace(found, notes=(*found.notes, *_assumed_input(experiment)))


def _assumed_input(experiment: Experiment) -> tuple[str, ...]:
    """Says at which size a network of the user's own is counted, where nobody gave one."""
    name = experiment.model.name
    if experiment.model.input is not None or measures(experiment) or ":" not in name:
        return ()
    size = ",".join(map(str, accuracy.model_input(experiment)))
    return (f"{name} is counted for an input of {size}, an assumption: model.input says another",)


def _extracted(experiment: Experiment, model: nn.Module) -> Workload:
    chosen, given = experiment.model, accuracy.model_input(experiment)
    return extract(model, given, name=chosen.name, skip=chosen.skip, routing=chosen.routing, phase=chosen.phase)


def _file(experiment: Experiment) -> Workload:
    chosen = experiment.model
    if experiment.training is not None:
        lever = "leave it out, or give the network in PyTorch"
        raise TqhwError("an ONNX file is not trained", place="training", lever=lever)
    if chosen.options:
        raise TqhwError("an ONNX file takes no options", place="model.options", lever="leave them out")
    specs: list[InputSpec] = []
    if isinstance(chosen.input, dict):
        named = {name: parse_input(text, of_graph=True) for name, text in chosen.input.items()}
        specs = [replace(spec, name=name) for name, spec in named.items()]
    elif chosen.input is not None:
        specs = [InputSpec(chosen.input)]
    config = accuracy.recipe(experiment, HARDWARE_SCHEME).quantization

    def choose(names: Sequence[str]) -> Mapping[str, Precision]:
        chosen = quant.bits_by_layer(names, config, names)
        return {name: _precision(bits, experiment.stored_bits) for name, bits in chosen.items()}

    return extract_file(chosen.name, specs, skip=chosen.skip, routing=chosen.routing, phase=chosen.phase, choose=choose)


def _precision(bits: object, stored: int) -> Precision:
    """Bits of one layer: full, a number, or None for the model's."""
    if bits is None:
        return Precision(stored)
    return Precision(bits if isinstance(bits, int) else quant.FULL, fixed=True)


def _with_own_bits(workload: Workload) -> Subject:
    """Layers that nobody gave bits stay in floating point."""
    layers = tuple(_settled(layer) for layer in workload.layers)
    switch = sum(layer.stored_weights for layer in layers if layer.has_weights and not layer.fixed_bits)
    text = f"{switch:,} of {workload.weights:,} weights switch precision"
    if not switch:
        text += ", none: every layer has bits of its own, and runs at them whatever the precision"
    told = dict.fromkeys(_told(layer) for layer in layers if layer.bits_from is not None)
    notes = [text]
    if told:
        notes.append(f"bits as they are given: {'; '.join(told)}")
    return Subject(replace(workload, layers=layers), Scales(), tuple(notes), Switching(switch, workload.weights, text))


def _settled(layer: Layer) -> Layer:
    if layer.has_weights and layer.weight_bits is None:
        return replace(layer, weight_bits=quant.FULL, fixed_bits=True)
    return layer


def _told(layer: Layer) -> str:
    weights = "no weights" if layer.weight_bits is None else f"weights of {layer.weight_bits}"
    inputs = "as wide as the architecture's" if layer.input_bits is None else f"of {layer.input_bits} bits"
    return f"{weights}, inputs {inputs} ({layer.bits_from})"
