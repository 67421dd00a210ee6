"""The architectures and the mappings in the folder of a run, drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tqhw.drawing import Chart, LoopNest, chart, loop_nest
from tqhw.errors import TqhwError
from tqhw.report.listings import evaluation
from tqhw.results import DRAM, Results
from tqhw.spec import (
    ERT,
    Hardware,
    Invalid,
    Level,
    Problem,
    Stats,
    flatten,
    load_architecture,
    load_mapping,
    load_problem,
    yamlio,
)
from tqhw.spec import Mapping as LoopMapping
from tqhw.spec.word_bits import WORDS, apply_word_bits, parse_word_bits

HARDWARE, ARCHITECTURE, MAPPINGS, PROBLEMS = "hardware", "architecture.yaml", "mappings", "problems"


@dataclass(frozen=True)
class RunHardware:
    """A rendering of the architecture in a run's folder, and the problem of every mapping on it by its file."""

    folder: Path
    hardware: Hardware
    problems: dict[Path, Problem]

    def chart(self, title: str) -> Chart:
        """What a picture of the architecture says."""
        return replace(chart(self.hardware, load_architecture(self.folder / ARCHITECTURE)), title=title)

    def nest(self, file: Path, title: str) -> LoopNest | Invalid:
        """What a picture of a mapping says, or what is wrong with the mapping."""
        return nest(load_mapping(file), self.problems[file], self.hardware, title)


def nest(mapping: LoopMapping, problem: Problem, hardware: Hardware, title: str) -> LoopNest | Invalid:
    """The loop nest of a mapping with its tiles and cycles, or what is wrong with the mapping."""
    stats = _counts(problem, hardware, mapping)
    return stats if isinstance(stats, Invalid) else loop_nest(mapping, stats, hardware, title)


def _counts(problem: Problem, hardware: Hardware, mapping: LoopMapping) -> Stats | Invalid:
    """Tiles and cycles, which need no energies: a class that nobody can cost is drawn all the same."""
    from tqhw import engine

    nothing = dict.fromkeys(("read", "write", "update", "leak", "compute"), 0.0)
    names = [*hardware.level_names, hardware.compute.name]
    return engine.evaluate(problem, hardware, ERT(dict.fromkeys(names, nothing)), mapping)


def rendering(folder: Path) -> RunHardware:
    """A rendering out of its folder. Raises TqhwError for a mapping whose problem the run does not hold."""
    problems = {file: load_problem(place) for file, place in _problem_files(folder).items()}
    return RunHardware(folder, _hardware(folder, next(iter(problems.values()), None)), problems)


def hardware_of(folder: Path) -> Hardware:
    """The architecture of a rendering alone, which takes one of its problems to read."""
    place = next(iter(_problem_files(folder).values()), None)
    return _hardware(folder, None if place is None else load_problem(place))


def _problem_files(folder: Path) -> dict[Path, Path]:
    """The problem's file of every mapping of a rendering."""
    found = {}
    for file in sorted((folder / MAPPINGS).glob("*.yaml")):
        places = [place / PROBLEMS / file.name for place in (folder, *folder.parents)]
        problem = next((place for place in places if place.is_file()), None)
        if problem is None:
            lever = "give --arch and --problem"
            raise TqhwError("its problem is not in the run's folder", place=str(file), lever=lever)
        found[file] = problem
    return found


def _hardware(folder: Path, problem: Problem | None) -> Hardware:
    """The architecture of a rendering, with words for the data spaces of its problems."""
    hardware = flatten(load_architecture(folder / ARCHITECTURE, folder.name))
    if problem is None or not (folder / WORDS).is_file():
        return hardware
    document = yamlio.as_map(yamlio.load(folder / WORDS), str(folder / WORDS), "words of a run")
    words = parse_word_bits(document.get("word_bits", {}), document.get("packing", "pack"), str(folder / WORDS))
    names = problem.shape.data_space_names
    return apply_word_bits(hardware, words, names, str(folder / WORDS), wide=names)


def renderings(run: Path, stored_bits: object) -> list[Path]:
    """The folders of all renderings of a run, those of weights at the stored bits first."""
    folders = [path.parent for path in sorted((run / HARDWARE).glob(f"**/{ARCHITECTURE}"))]
    return sorted(folders, key=lambda folder: folder.name != f"fetch{stored_bits}_weights{stored_bits}")


def dram_bits_per_cycle(hardware: Hardware) -> float | None:
    """Bits a cycle over the DRAM's interface, all its parts together; None where the architecture says no limit."""
    drams = [level for level in hardware.levels if level.component is not None and level.component.class_ == DRAM]
    found = [_bits_per_cycle(level) for level in drams]
    return sum(bits for bits in found if bits is not None) if found and None not in found else None


def _bits_per_cycle(level: Level) -> float | None:
    each = (level.read_bandwidth, level.write_bandwidth)
    words = level.shared_bandwidth
    if words is None and None not in each:
        words = sum(each)  # type: ignore[arg-type]
    return None if words is None else words * level.word_bits * level.instances


def drawn_rendering(results: Results, run: Path, bits: int) -> RunHardware | None:
    """The rendering that most layers run on at ``bits``, on the first scratchpad model; None where it is not there."""
    files = [found.files for row in results.layers if row.bits is None for found in [evaluation(row, bits)] if found]
    folders = [run / max(files, key=files.count)] if files else renderings(run, bits)
    return next((rendering(folder) for folder in folders if (folder / ARCHITECTURE).is_file()), None)


def of_layers(results: Results, run: Path, bits: int) -> Iterator[tuple[str, LoopNest]]:
    """Every distinct layer's name and the nest of its mapping at ``bits``, on the first model of scratchpads."""
    read: dict[str, RunHardware] = {}
    for number, row in enumerate(results.layers, start=1):
        found = evaluation(row, bits)
        if found is None or not (run / found.files / ARCHITECTURE).is_file():
            continue
        here = read.get(found.files) or read.setdefault(found.files, rendering(run / found.files))
        file = next((file for file in here.problems if file.name.partition("_")[0].lstrip("0") == str(number)), None)
        drawn = None if file is None else here.nest(file, f"{row.name} on {found.files}")
        if isinstance(drawn, LoopNest):
            yield row.name, drawn
