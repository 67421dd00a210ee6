"""What the accelerator has to compute of a model: layers with their problem, and the parameters beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tqhw.spec import Problem


@dataclass(frozen=True)
class Precision:
    """Bits of a layer's weights and of what it reads, None where nobody says them.

    ``fixed``: they do not follow a switch of the model's precision. ``source``: where another tool's bits stand.
    ``inputs_follow``: what the layer reads has the bits of its weights, at every precision.
    """

    weight_bits: int | None = None
    fixed: bool = False
    input_bits: int | None = None
    source: str | None = None
    inputs_follow: bool = False


Choose = Callable[[Sequence[str]], Mapping[str, Precision]]
"""From the names of layers, as they run, to their precisions."""


@dataclass(frozen=True)
class Layer:
    """One problem and every place of the model that computes it, in the order of execution.

    ``names``: the places; one that runs twice stands here twice. ``weight_count``: words of the Weights data
    space that one execution reads from the model's parameters, the N_l of the scenarios; 0 for a product of
    two activations (attention), whose Weights data space is an activation too. ``stored_weights``: the weights
    of all ``names`` together, those shared between executions counted once, by the first layer that runs them.
    ``weight_bits``: the precision that the quantized model is switched to, 32 for a layer it keeps in floating
    point, None where the model is not quantized or the layer has no weights. ``fixed_bits``: the layer does not
    follow a switch of precision. ``input_bits``: of what the layer reads (of two activations the wider one), None where
    it reads real numbers; ``inputs_follow``: they are those of its weights. ``bits_from``: where both stand, in a model
    that another tool quantized.
    """

    names: tuple[str, ...]
    problem: Problem
    weight_count: int
    stored_weights: int
    weight_bits: int | None = None
    fixed_bits: bool = False
    input_bits: int | None = None
    bits_from: str | None = None
    inputs_follow: bool = False

    @property
    def count(self) -> int:
        """How often the problem is computed in one inference."""
        return len(self.names)

    @property
    def has_weights(self) -> bool:
        return self.weight_count > 0

    @property
    def reads_cache(self) -> bool:
        """Whether it multiplies by keys or values of a KV cache."""
        return any(":kv_cache" in name for name in self.names)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one execution."""
        return self.problem.computes


@dataclass(frozen=True)
class Cache:
    """Words of the KV cache that one call reads from earlier ones and its own, writes, and leaves stored."""

    read: int
    written: int
    stored: int


@dataclass(frozen=True)
class Workload:
    """A model on one input shape: layers in the order they first run, and its parameters by kind.

    ``parameters`` counts every parameter tensor once. ``norm_channels``: channels over all batch norms that the
    run went through, which is one set where the model has a set per precision (scale and shift are two numbers
    per channel); ``norm_parameters``: those of every set. ``other_parameters``: what is neither a batch norm's
    nor a weight of ``layers``: biases, embeddings, positions, layer norms, layers that did not run. ``folded``:
    the places of products of constants alone; they can be computed once ahead of time and are not among the layers.
    ``folded_macs``: their multiply-accumulates. ``skipped``: what was left out on request, with its
    multiply-accumulates, 0 where they are not known. ``inputs``: texts of the inputs, empty where there is one of the
    weights' type. ``notes``: what was assumed or left out, in sentences. ``cache``: the KV cache's
    traffic, where the workload is a phase of a model that has one.
    """

    model: str
    input_shape: tuple[int, ...]
    layers: tuple[Layer, ...]
    parameters: int
    norm_channels: int
    norm_parameters: int
    other_parameters: int
    folded: tuple[str, ...] = ()
    folded_macs: tuple[int, ...] = ()
    skipped: tuple[tuple[str, int], ...] = ()
    inputs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    cache: Cache | None = None

    @property
    def input_text(self) -> str:
        """The inputs, as the command line takes them."""
        return " ".join(self.inputs) or ",".join(map(str, self.input_shape))

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(layer.macs * layer.count for layer in self.layers)

    @property
    def weights(self) -> int:
        """Weights stored for all layers, each once."""
        return sum(layer.stored_weights for layer in self.layers)
