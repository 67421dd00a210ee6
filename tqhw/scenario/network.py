"""What the scenarios need to know of a network on an accelerator, and the sums they make of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tqhw.errors import TqhwError
from tqhw.results import COMPONENTS, DRAM, GLB
from tqhw.scenario.memory import Traffic, WeightPath


@dataclass(frozen=True, order=True)
class Width:
    """One rendering of the architecture: bits of a weight as the DRAM delivers it, and on the chip."""

    fetch_bits: int
    weight_bits: int


@dataclass(frozen=True)
class Cost:
    """Energy in pJ by component group, and what crosses the DRAM's interface by data space."""

    energy_pj: Mapping[str, float] = field(default_factory=dict)
    traffic: Mapping[str, Traffic] = field(default_factory=dict)

    @property
    def total_pj(self) -> float:
        return sum(self.energy_pj.get(component, 0.0) for component in COMPONENTS)

    @property
    def dram_bits(self) -> int:
        return sum(flow.bits for flow in self.traffic.values())

    def __add__(self, other: Cost) -> Cost:
        energy = dict(self.energy_pj)
        for component, value in other.energy_pj.items():
            energy[component] = energy.get(component, 0.0) + value
        traffic = dict(self.traffic)
        for data_space, flow in other.traffic.items():
            traffic[data_space] = traffic.get(data_space, Traffic()) + flow
        return Cost(energy, traffic)

    def times(self, count: int) -> Cost:
        return Cost(
            {component: value * count for component, value in self.energy_pj.items()},
            {data_space: flow.times(count) for data_space, flow in self.traffic.items()},
        )


def dram(data_space: str, flow: Traffic) -> Cost:
    """The cost of a transfer that is no part of an inference."""
    return Cost({DRAM: flow.energy_pj}, {data_space: flow})


@dataclass(frozen=True)
class LayerCost:
    """One inference of one layer, best mapping on one rendering.

    ``weight_words``: weights that the DRAM delivers in it (more than the layer has, where the mapping fetches
    tiles again). ``buffer_fill_pj``: the part of the GLB's energy that writes them into the weight buffer.
    ``levels_pj``: the energy by level of the architecture, leakage included.
    """

    cost: Cost
    weight_words: int
    buffer_fill_pj: float = 0.0
    levels_pj: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class NetworkLayer:
    """A distinct layer that runs ``count`` times per inference and stores ``weights`` in all (N_l).

    ``fixed_bits``: its precision where it does not follow the model's.
    """

    name: str
    count: int
    weights: int
    fixed_bits: int | None
    costs: Mapping[Width, LayerCost]

    def inference(self, width: Width, resident: bool) -> Cost:
        """All its runs in one inference; resident weights are neither fetched nor written to the buffer again."""
        if width not in self.costs:
            raise TqhwError(f"layer {self.name} was not evaluated with {width}", place="scenario")
        found = self.costs[width]
        cost = found.cost
        if resident and self.weights:
            fetch = cost.traffic.get("Weights", Traffic())
            saved = {DRAM: -fetch.energy_pj, GLB: -found.buffer_fill_pj}
            cost = Cost(cost.energy_pj, {d: f for d, f in cost.traffic.items() if d != "Weights"}) + Cost(saved)
        return cost.times(self.count)

    def delivered(self, width: Width) -> int:
        """Weights that the DRAM delivers to it in one inference."""
        return self.costs[width].weight_words * self.count


@dataclass(frozen=True)
class Scales:
    """FP32 numbers that make weights of codes, ``count`` of them at one precision, offsets included.

    ``own``: each precision has its own. ``folded``: the batch norm of the precision takes them up, as it does those of
    the paper's normalisation, and they are not fetched.
    """

    count: int = 0
    own: bool = False
    folded: bool = True


def check_residency(residency: str, path: WeightPath) -> None:
    """Raises TqhwError where weights are to stay ``always`` and there is nothing that they could stay in."""
    if residency == "always" and path.buffer is None:
        raise TqhwError(
            "the architecture has no buffer of the weights' own to keep them in",
            place="scenario.residency: always",
            lever="send weights through the global buffer (architecture parameter), or use auto",
        )


@dataclass(frozen=True)
class Network:
    """Layers, the way of their weights, the batch-norm channels of one precision, and the scales of the codes."""

    layers: tuple[NetworkLayer, ...]
    path: WeightPath
    norm_channels: int
    residency: str = "auto"
    scales: Scales = Scales()

    def resident(self, bits: int | Sequence[int]) -> bool:
        """Whether the weights stay in their buffer at ``bits``, of all layers or of each (fixed ones: at theirs)."""
        check_residency(self.residency, self.path)
        if self.residency == "never" or self.path.buffer is None:
            return False
        if self.residency == "always":
            return True
        each = [bits] * len(self.layers) if isinstance(bits, int) else bits
        pairs = zip(self.layers, each, strict=True)
        return self.path.fits([(layer.weights, layer.fixed_bits or own) for layer, own in pairs])
