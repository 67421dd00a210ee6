"""Mappings on memories with words of several widths, evaluated by an engine that knows one width per memory.

Every such mapping is evaluated on its split (:mod:`tqhw.backends.reference.split`), and the answers are put together
again under the names of the whole memories. Right below a fan-out every data space of a shared memory takes an
evaluation of its own, whose split has its part outermost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from tqhw import engine
from tqhw.backends.protocol import Design, Evaluation, Target
from tqhw.backends.reference.split import Split, split, text_of
from tqhw.spec import (
    ERT,
    DataSpaceStats,
    Hardware,
    Invalid,
    Level,
    LevelStats,
    Loops,
    Stats,
    filled,
    flatten,
    parse_architecture,
    yamlio,
)
from tqhw.spec import Mapping as LoopMapping
from tqhw.spec.word_bits import is_packed

Done = Callable[[int], None]
Evaluate = Callable[[Sequence[Evaluation], Done | None], list[Stats | Invalid]]


class SplitRun(NamedTuple):
    """One evaluation of a split: of mapping ``number``, for the counts of ``space`` (None: of all data spaces)."""

    number: int
    space: str | None
    parts: Split
    evaluation: Evaluation


def evaluate_split(
    evaluations: Sequence[Evaluation], evaluate: Evaluate, done: Done | None = None
) -> list[Stats | Invalid]:
    """What ``evaluate`` says of mappings, those on packed memories by their splits; in the order of ``evaluations``.

    What does not fit into the rows has no split: the embedded engine says why. ``done`` gets the number of each.
    Cycles that a bandwidth of several data spaces bounds are of :func:`shared_cycles`. Raises TqhwError as
    :func:`split` does.
    """
    answers: dict[int, Stats | Invalid] = {}
    runs: list[SplitRun] = []
    plain = [number for number, (_, target, _) in enumerate(evaluations) if not is_packed(target.hardware)]
    for number, evaluation in enumerate(evaluations):
        if number not in plain:
            problem, target, mapping = evaluation
            fits = engine.evaluate(problem, target.hardware, target.ert, mapping)
            if isinstance(fits, Invalid):
                answers[number] = fits
                if done is not None:
                    done(number)
            else:
                runs += _runs(number, evaluation, fits)
    of_run = [*plain, *(run.number for run in runs)]
    last = {number: position for position, number in enumerate(of_run)}

    def tell(position: int) -> None:
        if done is not None and last[of_run[position]] == position:
            done(of_run[position])

    found = evaluate([*(evaluations[number] for number in plain), *(run.evaluation for run in runs)], tell)
    answers.update(zip(plain, found, strict=False))
    by_number: dict[int, list[tuple[SplitRun, Stats | Invalid]]] = {}
    for run, answer in zip(runs, found[len(plain) :], strict=True):
        by_number.setdefault(run.number, []).append((run, answer))
    for number, its in by_number.items():
        answers[number] = _joined(evaluations[number], its)
    return [answers[number] for number in range(len(evaluations))]


def _runs(number: int, evaluation: Evaluation, fits: Stats) -> list[SplitRun]:
    problem, target, mapping = evaluation
    mapping = filled(mapping, problem.bounds)
    rows = {
        level.name: {
            space: -(-found.tile_words // level.row(space).words)
            for space, found in fits.levels[level.name].dataspaces.items()
        }
        for level in target.hardware.levels
        if level.packing is not None
    }
    runs = []
    for space in _linked(target.hardware, mapping, fits) or [None]:
        parts = split(problem, target.hardware, target.ert, mapping, rows, space)
        machine = plain_target(target, parts.hardware, parts.ert, "split")
        runs.append(SplitRun(number, space, parts, (problem, machine, parts.mapping)))
    return runs


def _linked(hardware: Hardware, mapping: LoopMapping, fits: Stats) -> list[str | None]:
    """Data spaces that share a memory right below a fan-out that is used: neighbours there may have links."""
    found: list[str | None] = []
    for inner, outer in zip(hardware.levels, hardware.levels[1:], strict=False):
        if inner.packing is None or outer.kind != "fanout":
            continue
        loops = mapping.level(outer.name).spatial or mapping.level(outer.node).spatial or Loops()
        kept = list(fits.levels[inner.name].dataspaces)
        if math.prod(loops.factors.values()) > 1 and len(kept) > 1:
            found += [space for space in kept if space not in found]
    return found


def plain_target(target: Target, hardware: Hardware, ert: ERT, name: str) -> Target:
    """A target with these levels and energies in place of its own, read back from the text that Timeloop is given."""
    name = f"{target.design.name}, {name}"
    text = text_of(hardware, target.design.architecture.variables)
    architecture = parse_architecture(yamlio.parse(text, name), name, target.hardware.name)
    design = Design(name, architecture, flatten(architecture), text, target.design.components_text)
    return replace(target, design=design, ert=ert)


def _joined(evaluation: Evaluation, runs: list[tuple[SplitRun, Stats | Invalid]]) -> Stats | Invalid:
    """The whole memories' statistics. A split that does not fit where the whole does is invalid, and told so."""
    problem, target, _ = evaluation
    answers: dict[str | None, Stats] = {}
    for run, answer in runs:
        if isinstance(answer, Invalid):
            return answer
        answers[run.space] = answer
    first, parts = runs[0][0], runs[0][0].parts.parts
    any_of = answers[first.space]
    levels = {target.hardware.compute.name: any_of.levels[target.hardware.compute.name]}
    compute_cycles = levels[target.hardware.compute.name].cycles
    for level in target.hardware.levels:
        if level.kind != "storage":
            continue
        if level.packing is None:
            levels[level.name] = any_of.levels[level.name]
            continue
        told = {space: answers.get(space, any_of).levels[part] for space, part in parts[level.name].items()}
        levels[level.name] = _whole(level, told, compute_cycles)
    cycles = max(level.cycles for level in levels.values())
    for level in target.hardware.levels:
        if level.kind == "storage":
            used = max(1, levels[level.name].utilized_instances)
            leakage = target.ert.energy_pj(level.name, "leak") * cycles * used
            levels[level.name] = replace(levels[level.name], leakage_pj=leakage)
    energy_pj = sum(level.energy_pj + level.leakage_pj for level in levels.values())
    utilization = problem.computes / target.hardware.compute.instances / cycles
    return Stats(cycles, problem.computes, utilization, energy_pj, levels)


def _whole(level: Level, parts: dict[str, LevelStats], compute_cycles: int) -> LevelStats:
    """The statistics of a memory from those of its parts, but for what it leaks."""
    assert level.packing is not None
    names = [space.name for space in level.packing.spaces if space.name in parts]
    spaces = {name: parts[name].dataspaces[name] for name in names if name in parts[name].dataspaces}
    cycles = max(part.cycles for part in parts.values())
    if len(spaces) > 1:
        cycles = shared_cycles(level, spaces, compute_cycles)
    energy_pj = float(sum(space.energy_pj for space in spaces.values()))
    used = next(iter(parts.values())).utilized_instances
    return LevelStats("storage", level.instances, energy_pj, 0.0, cycles, used, spaces)


def shared_cycles(level: Level, spaces: Mapping[str, DataSpaceStats], compute_cycles: int) -> int:
    """Cycles that a memory takes to move the words of all its data spaces; in Timeloop its parts do so side by side."""
    reads = writes = 0.0
    for space, found in spaces.items():
        share = level.row(space).bits / level.word_bits
        reads += found.reads / compute_cycles * share
        writes += (found.fills + found.updates) / compute_cycles * share
    limits = (
        (level.read_bandwidth, reads),
        (level.write_bandwidth, writes),
        (level.shared_bandwidth, reads + writes),
    )
    slowdown = min([1.0, *(limit / need for limit, need in limits if limit is not None and need > limit)])
    return math.ceil(compute_cycles / slowdown)


def shared_limits(hardware: Hardware, stats: Stats) -> list[str]:
    """The packed memories whose cycles a bandwidth bounds that several data spaces share."""
    compute_cycles = stats.levels[hardware.compute.name].cycles
    found = [(level.name, stats.levels[level.name]) for level in hardware.levels if level.packing is not None]
    return [name for name, level in found if len(level.dataspaces) > 1 and level.cycles > compute_cycles]
