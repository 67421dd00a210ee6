"""``tqhw show``: an architecture, a mapping or the results of a run as pictures and as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tqhw.cli.answer import show_refusal
from tqhw.cli.common import NO, bundled, console, guarded, parameters, say
from tqhw.cli.convert import Allow, Data, template_data
from tqhw.cli.machine import ARCHITECTURES, Params, Words

if TYPE_CHECKING:
    from tqhw.architecture import Rendered
    from tqhw.spec import Hardware, Invalid, Problem, Stats
    from tqhw.spec import Mapping as LoopMapping

RESULTS, ARCHITECTURE, MAPPINGS, PROBLEMS = "results.json", "architecture.yaml", "mappings", "problems"
_LEVER = "name the results folder of a finished run"


@dataclass(frozen=True)
class Shown:
    """A picture: the text of it, the SVG, and the file's name without its ending."""

    name: str
    text: str
    svg: str


@dataclass(frozen=True)
class ReadingOptions:
    """What an architecture, or that of a mapping, is read with."""

    problem: Annotated[
        list[str] | None, typer.Option(help="The problem of a mapping; or where an architecture depends on sizes.")
    ] = None
    param: Params = None
    word_bits: Words = None
    data: Data = None
    allow: Allow = None

    def layer(self) -> Problem | None:
        """The problem, where one is given."""
        from tqhw import frontend

        if not self.problem:
            return None
        return frontend.load_problem(frontend.sources(self.problem, template_data(self.data), self.allow or ()))

    def architecture(self, given: list[str], layer: Problem | None) -> Rendered:
        """What ``--arch`` means by ``given``."""
        from tqhw import architecture

        return architecture.load(given, parameters(self.param or []), template_data(self.data), self.allow or (), layer)

    def in_words(self, found: Rendered, spaces: Iterable[str]) -> Hardware:
        """Its hardware, with words of ``--word-bits``."""
        from tqhw.spec.word_bits import apply_word_bits, parse_word_bits

        if self.word_bits is None:
            return found.hardware
        words = parse_word_bits(self.word_bits, place="--word-bits", otherwise=found.word_bits)
        if found.digits is not None:
            words.check_whole(found.digits.data_space, "--word-bits")
        return apply_word_bits(found.hardware, words, spaces, "--word-bits")


@guarded
@bundled
def show(
    what: Annotated[
        list[str],
        typer.Argument(help=f"What --arch takes ({ARCHITECTURES}), a mapping's file, or the folder of a run."),
    ],
    arch: Annotated[
        list[str] | None, typer.Option(help="The architecture of a mapping; of one in a run's folder, that run's.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Writes the SVG; of a run, a folder of them.")] = None,
    *,
    reading: ReadingOptions,
) -> None:
    """Draws an architecture, a mapping, or those of a run."""
    from tqhw.errors import TqhwError
    from tqhw.system.files import write_text

    given = Path(what[0])
    if len(what) == 1 and (given / RESULTS).is_file():
        pictures = list(_run(given))
        printed = [picture for picture in pictures if Path(picture.name).parent == Path(pictures[0].name).parent]
        if out is not None:
            for picture in pictures:
                write_text(out / f"{picture.name}.svg", picture.svg)
    else:
        if len(what) == 1 and _is_mapping(given):
            printed = [_mapping(given, arch, reading)]
        elif arch:
            raise TqhwError("--arch is that of a mapping", place=", ".join(what), lever="name a mapping")
        else:
            printed = [_architecture(what, reading)]
        if out is not None:
            write_text(out, printed[0].svg)
    if out is not None:
        say(f"{out}: written")
    console().print("\n".join(picture.text for picture in printed), highlight=False, soft_wrap=True, end="")


def _is_mapping(path: Path) -> bool:
    """Whether it is a mapping's file; what cannot be read is left to the reader of architectures, which says why."""
    from tqhw.errors import TqhwError
    from tqhw.spec import yamlio

    if not path.is_file():
        return False
    try:
        document = yamlio.load(path)
    except TqhwError:
        return False
    if isinstance(document, dict):
        return "mapping" in document and "architecture" not in document
    return isinstance(document, list) and all(isinstance(item, dict) and "target" in item for item in document)


def _architecture(what: list[str], reading: ReadingOptions) -> Shown:
    from tqhw.drawing import chart, chart_svg, chart_text
    from tqhw.drawing.chart import data_spaces

    layer = reading.layer()
    found = reading.architecture(what, layer)
    spaces = data_spaces(found.hardware) if layer is None else layer.shape.data_space_names
    drawn = chart(reading.in_words(found, spaces), found.architecture)
    return Shown(found.name, chart_text(drawn), chart_svg(drawn))


def _mapping(path: Path, arch: list[str] | None, reading: ReadingOptions) -> Shown:
    from tqhw.backends import Design
    from tqhw.errors import TqhwError

    path = path.absolute()
    folder = path.parent.parent
    in_a_run = path in folder.glob(f"{MAPPINGS}/*.yaml") and (folder / ARCHITECTURE).is_file()
    if in_a_run and not arch and not reading.problem:
        hardware, mappings = _rendering(folder)
        layer = next(layer for file, layer in mappings if file.name == path.name)
        return _nest(path, layer, hardware, folder.name)
    problem = reading.layer()
    if not arch or problem is None:
        lever = "give --arch and --problem, too"
        raise TqhwError("a mapping is drawn on its architecture and problem", place=str(path), lever=lever)
    found = reading.architecture(arch, problem)
    hardware = reading.in_words(found, problem.shape.data_space_names)
    return _nest(path, Design.of(found).problem(problem), hardware, found.name)


def _nest(path: Path, problem: Problem, hardware: Hardware, name: str) -> Shown:
    from tqhw import frontend
    from tqhw.drawing import loop_nest, nest_svg, nest_text
    from tqhw.spec import Invalid

    mapping = frontend.load_mapping(frontend.sources([str(path)]), problem, hardware)
    stats = _counts(problem, hardware, mapping)
    if isinstance(stats, Invalid):
        show_refusal(stats, f"{path}: the mapping is invalid:")
        raise typer.Exit(NO)
    nest = loop_nest(mapping, stats, hardware, f"{problem.name} on {name}")
    return Shown(path.stem, nest_text(nest), nest_svg(nest))


def _counts(problem: Problem, hardware: Hardware, mapping: LoopMapping) -> Stats | Invalid:
    """Tiles and cycles, which need no energies: a class that nobody can cost is drawn all the same."""
    from tqhw import engine
    from tqhw.spec import ERT

    nothing = dict.fromkeys(("read", "write", "update", "leak", "compute"), 0.0)
    names = [*hardware.level_names, hardware.compute.name]
    return engine.evaluate(problem, hardware, ERT(dict.fromkeys(names, nothing)), mapping)


def _run(results: Path) -> Iterator[Shown]:
    """Every architecture of a run with its mappings, that of the widest weights first."""
    from dataclasses import replace

    from tqhw.drawing import chart, chart_svg, chart_text
    from tqhw.errors import TqhwError
    from tqhw.report import load
    from tqhw.spec import load_architecture

    load(results)  # says what is wrong with a folder that only looks like a run's
    folders = [path.parent for path in sorted((results / "hardware").glob(f"**/{ARCHITECTURE}"))]
    if not folders:
        raise TqhwError(f"there is no hardware/*/{ARCHITECTURE} in it", place=str(results), lever=_LEVER)
    stored = load(results).experiment.get("stored_bits")
    folders.sort(key=lambda folder: folder.name != f"fetch{stored}_weights{stored}")
    for folder in folders:
        hardware, mappings = _rendering(folder)
        where = str(folder.relative_to(results / "hardware"))
        drawn = replace(chart(hardware, load_architecture(folder / ARCHITECTURE)), title=where)
        yield Shown(f"{where}/architecture", chart_text(drawn), chart_svg(drawn))
        for file, layer in mappings:
            nest = _nest(file, layer, hardware, where)
            yield Shown(f"{where}/{nest.name}", nest.text, nest.svg)


def _rendering(folder: Path) -> tuple[Hardware, list[tuple[Path, Problem]]]:
    """The hardware in a folder of a run, and its mappings with their problems."""
    from tqhw.errors import TqhwError
    from tqhw.spec import flatten, load_architecture, load_problem, yamlio
    from tqhw.spec.word_bits import WORDS, apply_word_bits, parse_word_bits

    hardware = flatten(load_architecture(folder / ARCHITECTURE, folder.name))
    mappings = []
    for file in sorted((folder / MAPPINGS).glob("*.yaml")):
        places = [place / PROBLEMS / file.name for place in (folder, *folder.parents)]
        problem = next((place for place in places if place.is_file()), None)
        if problem is None:
            raise TqhwError(
                "its problem is not in the run's folder", place=str(file), lever="give --arch and --problem"
            )
        mappings.append((file, load_problem(problem)))
    if mappings and (folder / WORDS).is_file():
        document = yamlio.as_map(yamlio.load(folder / WORDS), str(folder / WORDS), "words of a run")
        words = parse_word_bits(document.get("word_bits", {}), document.get("packing", "pack"), str(folder / WORDS))
        names = mappings[0][1].shape.data_space_names
        hardware = apply_word_bits(hardware, words, names, str(folder / WORDS), wide=names)
    return hardware, mappings
