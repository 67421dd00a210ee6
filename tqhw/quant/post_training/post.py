"""Post-training: a converted network gets codes for all of its precisions from calibration data, or from none."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import nn

from tqhw.errors import TqhwError
from tqhw.options import LayerBits, Normalization
from tqhw.quant.bits import FULL, MAX_BITS
from tqhw.quant.calls import Inputs
from tqhw.quant.codes import refuse_held
from tqhw.quant.coding import quantize
from tqhw.quant.config import QuantConfig, bits_by_layer
from tqhw.quant.files.deploy import place
from tqhw.quant.identity import identity
from tqhw.quant.layers import QuantizedLayer, quantization_of, quantized_layers
from tqhw.quant.parts import parts_of
from tqhw.quant.post_training.fitting import fit, fit_whole
from tqhw.quant.post_training.moments import call, real_weights, second_moments
from tqhw.quant.post_training.nested import Line, level_of, nested_codes
from tqhw.quant.precision import set_bits
from tqhw.quant.slices import Slices
from tqhw.quant.statistics import measured, move_norms
from tqhw.quant.tensor import Affine, QuantizedTensor

_GROUP: Final = 64


@dataclass(frozen=True)
class PostTraining:
    """How :func:`post_train` weighs and rounds."""

    priorities: Mapping[int, float] | None = None
    """How much a precision's squared errors count beside the others'; of one that is not named, 2 to its bits."""
    compensate: bool = True
    """Whether weights make up for the rounding of those before them, as in GPTQ; else, and without data, codes are the
    quantizer's own."""
    damping: float = 0.01
    """Share of the mean second moment that is added to each input's, so that none is taken for certain."""

    def __post_init__(self) -> None:
        for bits, priority in (self.priorities or {}).items():
            if not priority > 0:
                raise TqhwError(
                    f"{priority:g} for {bits} bits is no priority", place="priorities", lever="use numbers above 0"
                )
        if not self.damping > 0:
            raise TqhwError(
                f"{self.damping:g} is no damping", place="damping", lever="use a number above 0, such as 0.01"
            )


def post_training_config(
    model: nn.Module,
    precisions: Iterable[int],
    granularity: str | int | None = None,
    layers: Mapping[str, LayerBits] | None = None,
) -> QuantConfig:
    """The options that suit a trained network: every layer, linear, scales and offsets of each precision.

    ``granularity``: None for groups of 64 weights, or of output channels where 64 does not divide a layer's.
    ``layers``: what to leave out, or at bits of its own.
    """
    config = QuantConfig(
        precisions=tuple(precisions),
        first=None,
        last=None,
        layers=dict(layers or {}),
        granularity="channel" if granularity is None else granularity,  # type: ignore[arg-type]
        normalization=Normalization("linear", scales="own", offset=True),
    )
    if granularity is not None:
        return config
    parts = parts_of(model, config.layers)
    names = [part.name for part in parts]
    chosen = bits_by_layer(names, config) if names else {}
    quantized = [part for part in parts if chosen[part.name] != "full"]
    columns = [
        getattr(p.module, p.tensor).numel() // getattr(p.module, p.tensor).shape[p.output_axis] for p in quantized
    ]
    return replace(config, granularity=_GROUP) if not any(count % _GROUP for count in columns) else config


@torch.no_grad()
def post_train(
    model: nn.Module,
    batches: Sequence[Inputs] | None,
    how: PostTraining = PostTraining(),
) -> nn.Module:
    """Gives ``model``, converted and of trained weights, codes for all its precisions without training; returns it.

    ``batches``: inputs of single calls, as :data:`tqhw.quant.calls.Inputs`; None: no data, codes are
    truncated and errors of weights stand for those of outputs. With data, codes are rounded for all precisions together
    (:mod:`tqhw.quant.post_training.nested`), scales and offsets fitted to what the layers read, and statistics of batch
    norms moved at each precision. The paper's normalisation and ``zero`` have codes of their own rule, of which the
    norms alone are moved. Afterwards the model computes with these codes and has no other weights. Raises TqhwError
    for a model that has codes already, a scheme whose codes cannot be shifted, and calibration data that are empty,
    hold NaN, or that the model refuses.
    """
    config = quantization_of(model)
    refuse_held(model, "it was quantized already", "start from the network in floating point")
    layers = quantized_layers(model)
    if not layers[0].quantizer.scheme.truncatable:
        raise TqhwError(f"codes of scheme '{config.scheme}' cannot be shifted", place="scheme", lever="use truncquant")
    unknown = {*(how.priorities or {})} - {*config.precisions}
    if unknown:
        known = ", ".join(map(str, config.precisions))
        raise TqhwError(f"the model has no {min(unknown)} bits", place="priorities", lever=f"it has {known}")
    moments, norms = None, []
    if batches is not None:
        moments = second_moments(model, batches)
        with real_weights(model):
            norms = measured(model, lambda: (call(model, inputs) for inputs in batches))
    axes = {part.name: part.output_axis for part in parts_of(model, [layer.name for layer in layers])}
    made: dict[Hashable, QuantizedTensor] = {}
    codes = {}
    for layer in layers:
        q = layer.quantizer
        key = (q.bits if q.fixed else 0, q.like, identity(layer.real_weight))
        if key not in made:
            served = [q.bits] if q.fixed else [bits for bits in config.precisions if bits != FULL]
            own = None if moments is None else moments.get(layer.name)
            made[key] = _coded(layer, axes[layer.name], own, served, how)
        codes[layer.name] = made[key]
    place(model, codes)
    if batches is not None:
        set_bits(model, config.precisions[-1])
        model.eval()
        call(model, batches[0])  # ranges of quantized inputs start
        move_norms(model, lambda: (call(model, inputs) for inputs in batches), norms, config.precisions)
    set_bits(model, config.precisions[-1])
    return model.eval()


def _coded(
    layer: QuantizedLayer, axis: int, moments: torch.Tensor | None, served: Iterable[int], how: PostTraining
) -> QuantizedTensor:
    """The codes of one layer at 8 bits, of a fixed one at its own."""
    q, weight = layer.quantizer, layer.real_weight.detach()
    stored = q.bits if q.fixed else MAX_BITS
    plain = quantize(
        weight,
        stored,
        q.scheme.name,
        channel_axis=q.slices.axis,
        group=q.slices.group,
        normalization=q.normalization,
        share=q.clip(weight),
    )
    if q.normalization.kind != "linear" or q.normalization.zero:
        return plain
    matrix, codes = (_matrix(tensor, axis) for tensor in (weight.float().cpu(), plain.codes.cpu().int()))
    every = sorted({*served, stored})
    priorities = {bits: float((how.priorities or {}).get(bits, 2.0**bits)) for bits in every}
    shape = (matrix, moments, q.slices, q.normalization.offset)
    own = q.normalization.scales == "own"
    if how.compensate and moments is not None:
        alone = torch.diag(moments.diagonal())  # compensation sees to the rest
        lines = _lines(codes, (matrix, alone, *shape[2:]), priorities, stored, own)
        codes = nested_codes(matrix, moments, lines, priorities, stored=stored, damping=how.damping)
    lines = _lines(codes, shape, priorities, stored, own)
    affine = {bits: _affine(line, q.slices, weight.shape, q.normalization.offset) for bits, line in lines.items()}
    packed = _unmatrix(codes.to(torch.uint8), weight.shape, axis).contiguous()
    now = affine[stored]
    return QuantizedTensor(
        packed, stored, now.scale, plain.scheme, weight.dtype, now.offset, q.slices, affine if own else {}
    )


def _lines(
    codes: torch.Tensor,
    shape: tuple[torch.Tensor, torch.Tensor | None, Slices, bool],
    priorities: Mapping[int, float],
    stored: int,
    own: bool,
) -> dict[int, Line]:
    """Scales and offsets fitted to ``codes``: those of each precision, or one for all."""
    weight, moments, slices, offset = shape
    groups = 1 if slices.group is None else weight.shape[1] // slices.group

    def fitted(bits: Iterable[int]) -> Line:
        levels = [(level_of(codes, stored, b), priorities[b]) for b in bits]
        if slices.axis is None:
            return fit_whole(weight, levels, moments, offset=offset)
        return fit(weight, levels, moments, groups, offset=offset)

    if own:
        return {bits: fitted([bits]) for bits in priorities}
    return dict.fromkeys(priorities, fitted(priorities))


def _affine(line: Line, slices: Slices, shape: torch.Size, offset: bool) -> Affine:
    def stored(numbers: torch.Tensor) -> torch.Tensor:
        column = numbers[:1] if slices.axis is None else numbers.reshape(-1, 1)
        return slices.stored(column, shape).clone()

    return Affine(stored(line.scale), stored(line.offset) if offset else None)


def _matrix(tensor: torch.Tensor, axis: int) -> torch.Tensor:
    """(output channels, everything else)."""
    return tensor.movedim(axis, 0).reshape(tensor.shape[axis], -1)


def _unmatrix(matrix: torch.Tensor, shape: torch.Size, axis: int) -> torch.Tensor:
    moved = [shape[axis], *(size for at, size in enumerate(shape) if at != axis)]
    return matrix.reshape(moved).movedim(0, axis)
