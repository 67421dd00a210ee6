"""A machine with one word width per memory, on which Timeloop's mapper searches for one with several.

Where all data spaces of a memory have words of one width, it is that memory. One without a limit becomes a memory per
width. In a memory with a limit, words of several widths are searched as if all were as wide as the widest, so that
whatever is found fits. What a found mapping costs is said by its split (:mod:`tqhw.backends.reference.packed`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from tqhw.backends.protocol import Evaluation, Found, Job, Target
from tqhw.backends.reference.packed import plain_target
from tqhw.backends.reference.split import part_of
from tqhw.spec import ERT, Invalid, Level, LevelMapping, Problem, Stats
from tqhw.spec import Mapping as LoopMapping
from tqhw.spec.constraints import Constraints, LoopConstraint
from tqhw.spec.hardware import PackedRows, PackedSpace
from tqhw.spec.word_bits import is_packed

Searching = Callable[[Sequence[Job]], list[Found | Invalid]]
Evaluating = Callable[[Sequence[Evaluation]], list[Stats | Invalid]]


class Searchable(NamedTuple):
    """What is searched in place of a target. ``parts``: the names of a memory's components, innermost first.

    ``widened``: the memories that are searched with words as wide as their widest.
    """

    target: Target
    parts: dict[str, tuple[str, ...]]
    widened: tuple[str, ...]


def search_by_one_width(jobs: Sequence[Job], searching: Searching, evaluate: Evaluating) -> list[Found | Invalid]:
    """The answers of a mapper that knows one word width per memory, on jobs of any widths, in their order.

    Every mapping that it finds for words of several widths is costed by ``evaluate``. Raises TqhwError for rows that
    are filled to the last bit, which no memory has.
    """
    machines = {n: searchable(j.target, j.problem) for n, j in enumerate(jobs) if is_packed(j.target.hardware)}
    asked = [Job(j.problem, machines[n].target) if n in machines else j for n, j in enumerate(jobs)]
    answers = searching(asked)
    again: dict[int, Evaluation] = {}
    for number, machine in machines.items():
        answer, job = answers[number], jobs[number]
        if isinstance(answer, Found):
            again[number] = (job.problem, job.target, whole_mapping(answer.mapping, machine, job.problem))
    for (number, evaluation), stats in zip(again.items(), evaluate(list(again.values())), strict=True):
        answer = answers[number]
        assert isinstance(answer, Found)
        if isinstance(stats, Invalid):
            answers[number] = stats
        else:
            warnings = (*answer.warnings, *map(_widened, machines[number].widened))
            answers[number] = replace(answer, mapping=evaluation[2], stats=stats, warnings=warnings)
    return answers


def _widened(name: str) -> str:
    return f"{name} was searched with all words as wide as its widest; the mapping is costed with their own widths"


def searchable(target: Target, problem: Problem) -> Searchable:
    """The machine to be searched for a problem. Raises TqhwError for rows that no memory has (packing: ideal)."""
    names, outermost = problem.shape.data_space_names, target.hardware.levels[-1]
    ones = LoopConstraint(factors=dict.fromkeys(problem.shape.dimensions, 1))
    energies = {name: dict(actions) for name, actions in target.ert.energies.items()}
    levels: list[Level] = []
    parts: dict[str, tuple[str, ...]] = {}
    for level in target.hardware.levels:
        if level.kind != "storage":
            levels.append(level)
            continue
        kept = level.constraints.kept(names, level.constraints.place)
        if level is outermost:  # it keeps what nothing forbids
            kept = {name: keep is not False for name, keep in kept.items()}
        if level.packing is None:
            levels.append(_keeping(level, kept, level.constraints.temporal))
            continue
        groups = _groups(level.packing, kept)
        parts[level.name] = tuple(level.name if len(groups) == 1 else f"{level.name}_{g[0].name}" for g in groups)
        for i, (name, group) in enumerate(zip(parts[level.name], groups, strict=True)):
            words = _widest(group)
            own = {n: keep if n in [space.name for space in group] else False for n, keep in kept.items()}
            part = part_of(level, words, name, _rows(level.packing, words, len(group)))
            # The innermost has the loops, so that all hold the same tile; the whole memory leaks once.
            levels.append(_keeping(part, own, ones if i else level.constraints.temporal))
            costs = {a: pj if a == "leak" else pj * words.rows for a, pj in target.ert.energies[level.name].items()}
            energies[name] = {**costs, **({"leak": 0.0} if i else {})}
    hardware = replace(target.hardware, levels=tuple(levels))
    machine = plain_target(target, hardware, ERT(energies), "one width per memory")
    widened = [level.name for level in target.hardware.levels if level.packing and _is_widened(level, names)]
    return Searchable(machine, parts, tuple(widened))


def _groups(packing: PackedRows, kept: Mapping[str, bool | None]) -> list[tuple[PackedSpace, ...]]:
    """The data spaces of each component: one for all where rows are limited, else one for each width."""
    spaces = [space for space in packing.spaces if kept[space.name] is not False]
    if not spaces:
        return [packing.spaces[:1]]
    if packing.rows is not None:
        return [tuple(spaces)]
    by_width: dict[PackedSpace, list[PackedSpace]] = {}
    for space in spaces:
        by_width.setdefault(replace(space, name=""), []).append(space)
    return [tuple(group) for group in by_width.values()]


def _is_widened(level: Level, names: tuple[str, ...]) -> bool:
    assert level.packing is not None
    kept = level.constraints.kept(names, level.constraints.place)
    widths = {replace(space, name="") for space in level.packing.spaces if kept[space.name] is not False}
    return level.packing.rows is not None and len(widths) > 1


def _widest(group: tuple[PackedSpace, ...]) -> PackedSpace:
    bits, words, rows = (max(s.bits for s in group), min(s.words for s in group), max(s.rows for s in group))
    return PackedSpace(group[0].name, bits, words, rows)


def _rows(packing: PackedRows, words: PackedSpace, spaces: int) -> int:
    """Rows (words, where one takes several) that may be filled: every data space may leave one of its rows unfilled."""
    if packing.rows is None:
        return 1
    return max(1, (packing.rows - (spaces - 1 if words.words > 1 else 0)) // words.rows)


def _keeping(level: Level, kept: Mapping[str, bool | None], temporal: LoopConstraint) -> Level:
    keep, bypass = (tuple(n for n, found in kept.items() if found is wanted) for wanted in (True, False))
    least = level.constraints.min_utilization
    return replace(level, constraints=Constraints(keep, bypass, temporal=temporal, min_utilization=least))


def whole_mapping(mapping: LoopMapping, machine: Searchable, problem: Problem) -> LoopMapping:
    """A mapping of the machine that was searched, on the memories that it stands for."""
    names = problem.shape.data_space_names
    first = {parts[0]: name for name, parts in machine.parts.items()}
    others = {part for parts in machine.parts.values() for part in parts[1:]}
    levels: list[LevelMapping] = []
    for found in mapping.levels:
        if found.target in others:
            continue
        whole = first.get(found.target)
        if whole is not None:
            of_parts = [mapping.level(part) for part in machine.parts[whole]]
            keep = tuple(n for n in names if any(n in part.keep or n not in part.bypass for part in of_parts))
            found = replace(found, target=whole, keep=keep, bypass=tuple(n for n in names if n not in keep))
        levels.append(found)
    return LoopMapping(tuple(levels))
