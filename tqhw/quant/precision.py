"""Which precision a converted model runs at, and which ones it can run at."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Final, Protocol

from torch import nn

from tqhw.errors import TqhwError, unknown
from tqhw.quant.bits import FULL, check_bits, check_precisions
from tqhw.quant.here import Switched, bits_here
from tqhw.quant.layers import layers_among, plain, quantization_of, walk
from tqhw.quant.norm import SwitchableBatchNorm, check_norms, make_switchable
from tqhw.quant.together import put_together


class Source(Protocol):
    """Where a model was read from."""

    def serve(self, model: nn.Module, bits: int) -> None:
        """Gives ``model`` what it lacks to run at ``bits``; a TqhwError where that cannot be had."""
        ...


Bits = int | Mapping[str, int]
"""Of a whole model, or of its layers by name or pattern."""
_READING: Final = threading.RLock()


def set_bits(model: nn.Module, bits: Bits) -> None:
    """Switches quantized layers that are not fixed, and switchable norms, to ``bits`` (1..8, or 32).

    A mapping switches the layers that it names, or whose names match its patterns, and leaves the others; a norm goes
    with the layer that is registered before it. A model that was read from its file reads there what it lacks: norms,
    scales, and more planes of its codes. Threads that run the model meanwhile may see a part of the switch:
    :func:`at_bits` is for them. Raises TqhwError for bits that the model cannot have, and then changes nothing.
    """
    PrecisionSwitch(model).set_bits(bits)


@contextmanager
def at_bits(model: nn.Module, bits: Bits) -> Iterator[nn.Module]:
    """Inside, ``model`` computes at ``bits``, as after :func:`set_bits`, but in this thread (or task) alone.

    Other threads run the same model at their own bits meanwhile. What is compiled inside is compiled for the model's.
    """
    with _READING:
        parts = PrecisionSwitch(model).parts(bits)
    with bits_here({id(part): at for part, at in parts}):
        yield model


class PrecisionSwitch:
    """Switches the precision of a model often: its parts are looked for once, and must not be replaced meanwhile."""

    def __init__(self, model: nn.Module) -> None:
        self._model = plain(model)
        self._look()

    def set_bits(self, bits: Bits) -> None:
        """As :func:`set_bits`."""
        with _READING:
            for part, at in self.parts(bits):
                part.bits = at

    def parts(self, bits: Bits) -> list[tuple[Switched, int]]:
        """The parts to switch with the bits of each, which the model then has what it takes for."""
        normalization = quantization_of(self._model).normalization
        chosen = self._chosen(bits)
        wanted = [bits] if isinstance(bits, int) else sorted({*chosen.values()})
        for one in wanted:
            if one != FULL:
                check_bits(one)
            normalization.check_bits(one, "bits")
        source: Source | None = getattr(self._model, "deployed", None)
        if source is not None:
            for one in wanted:
                source.serve(self._model, one)
                source = self._model.deployed  # type: ignore[assignment]
            self._look()
        norms = self._norms_to_switch(chosen, bits)
        for norm, at in norms:
            norm.check(at)
        parts: list[tuple[Switched, int]] = [*norms]
        for layer in self.layers:
            if layer.name in chosen:
                parts.append((layer.quantizer, chosen[layer.name]))
                reader = layer.input_quantizer
                if reader is not None and reader.follows:
                    parts.append((reader, chosen[layer.name]))
        return parts

    def _look(self) -> None:
        modules = [*walk(self._model)]
        self.layers = layers_among(modules)
        self.modules = [module for _, module in modules]
        self._norms = [module for module in self.modules if isinstance(module, SwitchableBatchNorm)]

    def _chosen(self, bits: Bits) -> dict[str, int]:
        """The layers to switch, by name."""
        fixed = {layer.name: layer.quantizer.fixed for layer in self.layers}
        if not isinstance(bits, Mapping):
            return {name: bits for name, is_fixed in fixed.items() if not is_fixed}
        chosen: dict[str, int] = {}
        for pattern, one in bits.items():
            matching = [name for name in fixed if fnmatchcase(name, pattern)]
            if not matching:
                raise unknown("quantized layer", pattern, [*fixed], place="bits")
            switching = [name for name in matching if not fixed[name]]
            if not switching:
                raise TqhwError(
                    f"layer '{matching[0]}' has bits of its own and does not switch",
                    place="bits",
                    lever="convert it with null in layers",
                )
            chosen.update(dict.fromkeys(switching, one))
        return chosen

    def _norms_to_switch(self, chosen: Mapping[str, int], bits: Bits) -> list[tuple[SwitchableBatchNorm, int]]:
        """The norms to switch: all of them, or those behind a layer that is switched by itself."""
        if not isinstance(bits, Mapping):
            return [(norm, bits) for norm in self._norms]
        switching = {layer.module: layer for layer in self.layers if not layer.quantizer.fixed}
        found, last = [], next(iter(switching.values())).name if switching else ""
        for module in self.modules:
            if module in switching:
                last = switching[module].name
            elif isinstance(module, SwitchableBatchNorm) and last in chosen:
                found.append((module, chosen[last]))
        return found


def add_precision(model: nn.Module, bits: int) -> None:
    """Lets ``model`` be switched to ``bits`` too, where it was not trained at them.

    Its batch norms there start as copies of those of the nearest higher precision (the highest where there is
    none) and want to be calibrated: :func:`tqhw.train.recalibrate`. A model with shared norms gets a norm per
    precision by this.
    """
    if bits != FULL:
        check_bits(bits)
    config, model = quantization_of(model), plain(model)
    if config.norms == "shared":
        check_norms(model)
        make_switchable(model, config.precisions)
    if bits not in config.precisions:
        for module in model.modules():
            if isinstance(module, SwitchableBatchNorm):
                module.add(bits)
    precisions = tuple(sorted({*config.precisions, bits}))
    model.quantization = replace(config, norms="switchable", precisions=precisions)  # type: ignore[assignment]


def keep_precisions(model: nn.Module, precisions: Iterable[int]) -> None:
    """Leaves ``model`` with ``precisions``, switched to the highest: the batch norms of the others are dropped.

    Shared norms, which serve every precision, then serve these alone, and are still one set of tensors. Raises
    TqhwError for a precision that the model does not have.
    """
    config, model = quantization_of(model), plain(model)
    kept = check_precisions(precisions)
    absent = [bits for bits in kept if bits not in config.precisions]
    if absent:
        known = ", ".join(map(str, config.precisions))
        raise TqhwError(
            f"the model has no precision of {absent[0]} bits",
            place="precisions",
            lever=f"it has {known}; add_precision makes others",
        )
    if config.norms == "shared":
        make_switchable(model, config.precisions, tied=True)
    for norm in [module for module in model.modules() if isinstance(module, SwitchableBatchNorm)]:
        norm.keep(kept)
    model.quantization = replace(config, norms="switchable", precisions=kept)  # type: ignore[assignment]
    set_bits(model, kept[-1])


@contextmanager
def shared_normalization(model: nn.Module) -> Iterator[PrecisionSwitch]:
    """Normalises each weight once for all precisions inside; weights must not change meanwhile.

    What small layers have in common is done once for several of them. Gives what switches the precision.
    """
    switching = PrecisionSwitch(model)
    quantizers = [layer.quantizer for layer in switching.layers]
    for quantizer in quantizers:
        quantizer.hold = True
    common = put_together(switching.layers, switching.modules)
    for together in common:
        for quantizer in together.quantizers:
            quantizer.common = together
    try:
        yield switching
    finally:
        for quantizer in quantizers:
            quantizer.release()
        for together in common:
            together.release()
