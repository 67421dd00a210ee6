"""From the statistics of one mapping to what the scenarios add up: energy by component group, DRAM traffic.

The scenarios need a DRAM where the word size of the weights has a place of its own: one that holds nothing but weights,
or one whose data spaces have words of their own width. Weights can be resident in a buffer that holds nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tqhw.errors import TqhwError
from tqhw.results import ARRAY, DRAM, GLB
from tqhw.scenario.memory import Port, Traffic, WeightPath
from tqhw.scenario.network import Cost, LayerCost
from tqhw.spec import ERT, Hardware, Level, Stats

WEIGHTS, DATA_SPACES = "Weights", ("Weights", "Inputs", "Outputs")


@dataclass(frozen=True)
class PricedHardware:
    """Hardware with its energies. ``groups``: component name -> component group of the reports.

    ``ideal``: after the fact, accesses cost the bits they use instead of whole rows (``packing: ideal``). ``digits``:
    words that a weight is made of.
    """

    hardware: Hardware
    ert: ERT
    groups: Mapping[str, str]
    ideal: bool = False
    digits: int = 1

    def levels(self, group: str) -> tuple[Level, ...]:
        """The storage levels of a group, outermost first."""
        found = [level for level in self.hardware.levels if level.kind == "storage"]
        return tuple(level for level in reversed(found) if self.groups[level.name] == group)

    def port(self, level: Level) -> Port:
        """The rows that the level moves."""
        read, write = (self.ert.energy_pj(level.name, action) for action in ("read", "write"))
        return Port(row_bits(level), read, write, self.ideal)


def row_bits(level: Level) -> int:
    """Physical bits of one access: attribute ``row_bits``, else ``width``, else the words that it moves."""
    used = level.block_size * level.cluster_size * level.word_bits
    attributes = {} if level.component is None else level.component.attributes
    return int(attributes.get("row_bits", attributes.get("width", used)))


def default_groups(hardware: Hardware) -> dict[str, str]:
    """Groups of an architecture that names none: DRAM by class; what stands outside the array is GLB."""
    fanouts = [i for i, level in enumerate(hardware.levels) if level.kind == "fanout"]
    groups = {hardware.compute.name: ARRAY}
    for i, level in enumerate(hardware.levels):
        if level.kind == "storage":
            is_dram = level.component is not None and level.component.class_ == "DRAM"
            groups[level.name] = DRAM if is_dram else ARRAY if fanouts and i < fanouts[-1] else GLB
    return groups


def weight_path(machine: PricedHardware) -> WeightPath:
    """The weights' DRAM and their own buffer.

    Raises TqhwError where weights have several DRAMs, or share one that has a single word size.
    """
    drams = [level for level in machine.levels(DRAM) if _keeps(level)[WEIGHTS] is not False]
    own = [level for level in drams if level.packing is not None or _only_weights(level)]
    if not own or len(drams) > 1:
        names = ", ".join(level.name for level in drams) or "none"
        raise TqhwError(
            f"the scenarios need one DRAM that holds weights alone; weights are in: {names}",
            place=machine.hardware.name,
            lever="say `word_bits:`, or make a !Parallel of a DRAM that keeps Weights and one that keeps the rest",
        )
    dram, buffer = machine.port(own[0]), _weight_buffer(machine)
    if buffer is None or buffer.effective_size is None:
        return WeightPath(dram)
    rows = buffer.effective_size // buffer.block_size if buffer.packing is None else buffer.packing.rows
    return WeightPath(dram, machine.port(buffer), rows or 0)


def _weight_buffer(machine: PricedHardware) -> Level | None:
    return next((level for level in machine.levels(GLB) if _only_weights(level)), None)


def _keeps(level: Level) -> dict[str, bool | None]:
    return level.constraints.kept(DATA_SPACES, level.name)


def _only_weights(level: Level) -> bool:
    keeps = _keeps(level)
    return keeps[WEIGHTS] is True and keeps["Inputs"] is False and keeps["Outputs"] is False


def layer_cost(stats: Stats, machine: PricedHardware, has_weights: bool = True, *, factor: str = "Inputs") -> LayerCost:
    """One inference of a layer with this mapping.

    ``has_weights``: False for a product of two activations, whose Weights data space counts as ``factor``: Inputs, or
    the KV cache that it reads.
    """
    energy: dict[str, float] = {}
    levels: dict[str, float] = {}
    traffic: dict[str, Traffic] = {}
    delivered, buffer_fill = 0, 0.0
    buffer = _weight_buffer(machine)
    storage = {level.name: level for level in machine.hardware.levels if level.kind == "storage"}
    for name, found in stats.levels.items():
        group = machine.groups[name]
        share = _share(storage[name]) if machine.ideal and name in storage else 1.0
        energy[group] = energy.get(group, 0.0) + found.energy_pj * share + found.leakage_pj
        levels[name] = found.energy_pj * share + found.leakage_pj
        if name not in storage:
            continue
        for data_space, counts in found.dataspaces.items():
            used = counts.utilized_instances
            if group == DRAM:
                words = (counts.reads, counts.fills, counts.updates)
                flow = _flow(storage[name], data_space, words, used, machine.ideal)
                label = data_space if has_weights or data_space != WEIGHTS else factor
                flow = Traffic(flow.bits, flow.padding_bits, counts.energy_pj * share)
                traffic[label] = traffic.get(label, Traffic()) + flow
                if label == WEIGHTS:
                    delivered += counts.reads * used // machine.digits
            elif buffer is not None and name == buffer.name and data_space == WEIGHTS and has_weights:
                row = storage[name].row(data_space)
                fills = math.ceil(counts.fills * row.rows / row.words) * used
                buffer_fill = fills * machine.ert.energy_pj(name, "write") * share
    return LayerCost(Cost(energy, traffic), delivered, buffer_fill, levels)


def _share(level: Level) -> float:
    """The part of a row that words use; 1 where the engine has counted parts of rows already."""
    if level.packing is not None:
        return 1.0
    return level.block_size * level.cluster_size * level.word_bits / row_bits(level)


def _flow(level: Level, data_space: str, words: tuple[int, ...], instances: int, ideal: bool) -> Traffic:
    row = level.row(data_space)
    payload = sum(words) * row.bits * instances
    if ideal:
        return Traffic(payload)
    moved = sum(math.ceil(count * row.rows / row.words) for count in words) * row_bits(level) * instances
    return Traffic(moved, moved - payload)
