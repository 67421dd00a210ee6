"""From the archive to Stats, with the checks that make a run believable.

Every count and energy of the archive is compared with the text that Timeloop prints of the same run, and counts
times the ERT must give the reported energy; else the run is refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path

from tqhw.backends.protocol import Target
from tqhw.backends.timeloop.xml import Raw, RawLevel, read_archive
from tqhw.engine import encode
from tqhw.engine.batch import expansion
from tqhw.errors import TqhwError
from tqhw.spec import DataSpaceStats, Level, LevelStats, Mapping, Problem, Stats
from tqhw.spec.links import forbid_links
from tqhw.spec.mapping import has_remainders
from tqhw.spec.stats import ENERGY_TOLERANCE
from tqhw.spec.yamlio import read_text

_PRINTED = 0.0051  # the text has two decimals
_TEXT_FIELDS = {
    "Scalar reads (per-instance)": "reads",
    "Scalar fills (per-instance)": "fills",
    "Scalar updates (per-instance)": "updates",
    "Utilized capacity": "utilized_capacity",
    "Partition size": "partition_size",
}


def read_statistics(
    folder: Path, prefix: str, problem: Problem, target: Target, mapping: Mapping | None = None
) -> Stats:
    """The statistics of a finished run in ``folder`` (files ``PREFIX.map+stats.xml`` and ``PREFIX.stats.txt``).

    ``mapping``: the one that was evaluated, where it may have remainders, of which Timeloop counts other computes.

    Raises TqhwError where they are missing or damaged, or contradict each other, the problem or the ERT.
    """
    archive = folder / f"{prefix}.map+stats.xml"
    raw = read_archive(archive, len(problem.shape.data_spaces))
    uneven = mapping is not None and has_remainders(mapping)
    widest = _widest(problem, target, mapping) if mapping is not None and uneven else {}
    stats = _stats(raw, problem, target, str(archive), uneven, widest)
    printed = folder / f"{prefix}.stats.txt"
    _check_text(read_text(printed), raw, stats, target, problem.shape.data_space_names, str(printed))
    return stats


def _widest(problem: Problem, target: Target, mapping: Mapping) -> dict[str, int]:
    """Instances of every level that are busy in the widest pass of a mapping with remainders."""
    batch = encode(problem, forbid_links(target.hardware, mapping), [mapping])
    return {level.name: math.prod(expansion(batch, i)) for i, level in enumerate(target.hardware.levels)}


def _stats(raw: Raw, problem: Problem, target: Target, place: str, uneven: bool, widest: dict[str, int]) -> Stats:
    hardware, names, found = target.hardware, problem.shape.data_space_names, raw.by_name()
    compute = hardware.compute
    if raw.compute.name != compute.name or set(found) != set(hardware.level_names):
        known = ", ".join([raw.compute.name, *found])
        raise TqhwError(
            f"the statistics are of other levels: {known}", place=place, lever="is the folder another run's?"
        )
    computes = raw.compute.computes
    if computes != problem.computes and not uneven:
        raise TqhwError(f"{computes} computes, not {problem.computes}", place=place)
    cycles = max(raw.compute.cycles, *(level.cycles for level in raw.levels))
    compute_pj = computes * target.ert.energy_pj(compute.name, "compute")
    _same(compute.name, "energy", compute_pj, raw.compute.energy_pj, place)
    levels = {
        compute.name: LevelStats(
            "compute",
            compute.instances,
            raw.compute.energy_pj,
            0.0,
            raw.compute.cycles,
            raw.compute.utilized_instances,
            {},
        )
    }
    for level in hardware.levels:
        if level.kind == "storage":
            levels[level.name] = _level(level, found[level.name], names, target, cycles, widest, place)
    energy_pj = sum(level.energy_pj + level.leakage_pj for level in levels.values())
    utilization = computes / compute.instances / cycles
    return Stats(cycles, computes, utilization, energy_pj, levels)


def _level(
    level: Level,
    raw: RawLevel,
    names: tuple[str, ...],
    target: Target,
    cycles: int,
    widest: dict[str, int],
    place: str,
) -> LevelStats:
    ert = target.ert
    used = round(raw.utilized_instances[0])
    spaces: dict[str, DataSpaceStats] = {}
    for s, name in enumerate(names):
        accesses = (raw.reads[s], raw.fills[s], raw.updates[s])
        vectors = [-(-count // level.block_size) for count in accesses]
        energies = [ert.energy_pj(level.name, action) for action in ("read", "write", "update")]
        expected = sum(n * e for n, e in zip(vectors, energies, strict=True))
        spread = widest.get(level.name, raw.utilized_instances[s])
        per_instance = expected * raw.utilized_clusters[s] / spread if expected else 0.0
        _same(f"{level.name}, {name}", "energy per instance", per_instance, raw.energy_pj[s], place)
        if raw.keep[s]:
            energy_pj = raw.energy_pj[s] * raw.utilized_instances[s]
            spaces[name] = DataSpaceStats(
                raw.utilized_capacity[s], round(raw.utilized_instances[s]), *accesses, energy_pj
            )
    leakage = ert.energy_pj(level.name, "leak") * cycles * max(1, used)
    dynamic = float(sum(space.energy_pj for space in spaces.values()))
    return LevelStats("storage", level.instances, dynamic, leakage, raw.cycles, used, spaces)


def _same(where: str, what: str, ours: float, theirs: float, place: str) -> None:
    if not math.isclose(ours, theirs, rel_tol=ENERGY_TOLERANCE, abs_tol=1e-12):
        raise TqhwError(
            f"{where}: counts times the ERT give an {what} of {ours!r} pJ, Timeloop reports {theirs!r} pJ",
            place=place,
            lever="the run is not believed: was it made with another ERT, or another version of Timeloop?",
        )


def _check_text(text: str, raw: Raw, stats: Stats, target: Target, names: tuple[str, ...], place: str) -> None:
    """The printed statistics say the same; ``raw`` is the archive's view, ``stats`` ours of it."""
    spaces = {name: s for s, name in enumerate(names)}
    found = raw.by_name()
    seen = 0
    for level, space, key, value in _printed(text):
        if level in found and space in spaces and key in _TEXT_FIELDS:
            seen += 1
            _agree(level, f"{space} {key}", getattr(found[level], _TEXT_FIELDS[key])[spaces[space]], value, 0, place)
        elif level in stats.levels and key == "Leakage energy (total)":
            _agree(level, key, stats.levels[level].leakage_pj, value, _PRINTED, place)
    kept = sum(len(level.dataspaces) for level in stats.levels.values())
    if seen < kept * len(_TEXT_FIELDS):
        raise TqhwError(
            f"the printed statistics have {seen} counts of {kept * len(_TEXT_FIELDS)}",
            place=place,
            lever="is the file truncated? run again",
        )
    micro_joules = stats.energy_pj * 1e-6
    fj = stats.energy_pj / stats.computes * 1000
    for pattern, ours, slack in (
        (r"^Cycles: (\S+)$", stats.cycles, 0.0),
        (r"^Computes = (\S+)$", stats.computes, 0.0),
        (r"^Energy: (\S+) uJ$", micro_joules, _PRINTED),
        (r"^ +Total += (\S+)$", fj, _PRINTED),
    ):
        matches = re.findall(pattern, text, flags=re.MULTILINE)
        if not matches:
            raise TqhwError(f"the printed statistics lack '{pattern}'", place=place, lever="is the file truncated?")
        _agree("summary", pattern, ours, matches[-1], slack, place)


def _printed(text: str) -> Iterator[tuple[str, str, str, str]]:
    """(level, data space or "", name, first word of the value) of every line of the levels' part."""
    level = space = ""
    for line in text.partition("\nNetworks\n")[0].splitlines():
        if match := re.match(r"=== (\S+) ===", line):
            level, space = match[1], ""
        elif match := re.match(r" {4}(\w+):$", line):
            space = match[1]
        elif match := re.match(r" +(\S.*?) *: (\S+)", line):
            yield level, space, match[1], match[2]


def _agree(where: str, what: str, ours: float, printed: str, slack: float, place: str) -> None:
    try:
        value = float(printed)
    except ValueError:
        value = math.nan
    if not abs(ours - value) <= slack + 1e-12 * abs(ours):
        raise TqhwError(
            f"{where}: the archive gives {ours!r} for '{what}', the printed statistics {printed}",
            place=place,
            lever="the run is not believed: are the two files of one run?",
        )
