"""``tqhw show``: an architecture, a mapping or the results of a run as pictures and as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tqhw.cli.answer import show_refusal
from tqhw.cli.common import NO, bundled, console, guarded, in_options, parameters, say
from tqhw.cli.convert import Allow, Data, template_data
from tqhw.cli.machine import ARCHITECTURES, Params, Words
from tqhw.cli.padded import has_other_bounds, misfit_lever

if TYPE_CHECKING:
    from tqhw.architecture import Rendered
    from tqhw.drawing import LoopNest
    from tqhw.spec import Hardware, Invalid, Problem

RESULTS = "results.json"
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
    from tqhw.errors import TqhwError, no_file
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
        elif arch and given.suffix and not given.exists():
            raise no_file(given)
        elif arch:
            raise TqhwError("--arch is that of a mapping", place=", ".join(what), lever="name a mapping")
        else:
            with in_options():
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
    from tqhw.report.drawings import ARCHITECTURE, MAPPINGS, rendering

    path = path.absolute()
    folder = path.parent.parent
    in_a_run = path in folder.glob(f"{MAPPINGS}/*.yaml") and (folder / ARCHITECTURE).is_file()
    if in_a_run and not arch and not reading.problem:
        here = rendering(folder)
        return _nest(path, here.problems[path], here.hardware, folder.name)
    problem = reading.layer()
    if not arch or problem is None:
        lever = "give --arch and --problem, too"
        raise TqhwError("a mapping is drawn on its architecture and problem", place=str(path), lever=lever)
    found = reading.architecture(arch, problem)
    hardware = reading.in_words(found, problem.shape.data_space_names)
    return _nest(path, Design.of(found).problem(problem), hardware, found.name)


def _nest(path: Path, problem: Problem, hardware: Hardware, name: str) -> Shown:
    from tqhw import frontend
    from tqhw.report.drawings import nest

    mapping = frontend.load_mapping(frontend.sources([str(path)]), problem, hardware)
    drawn = nest(mapping, problem, hardware, f"{problem.name} on {name}")
    lever = misfit_lever(problem, mapping, [str(path)]) if has_other_bounds(drawn) else None
    return _shown(path, path.stem, drawn, lever)


def _shown(path: Path, name: str, drawn: LoopNest | Invalid, lever: str | None = None) -> Shown:
    from tqhw.drawing import LoopNest, nest_svg, nest_text

    if isinstance(drawn, LoopNest):
        return Shown(name, nest_text(drawn), nest_svg(drawn))
    show_refusal(drawn, f"{path}: the mapping is invalid:")
    if lever is not None:
        console().print(f"  ({lever})", highlight=False, soft_wrap=True)
    raise typer.Exit(NO)


def _run(results: Path) -> Iterator[Shown]:
    """Every architecture of a run with its mappings, that of the widest weights first."""
    from tqhw.drawing import chart_svg, chart_text
    from tqhw.errors import TqhwError
    from tqhw.report import load
    from tqhw.report.drawings import ARCHITECTURE, HARDWARE, rendering, renderings

    found = load(results)  # says what is wrong with a folder that only looks like a run's
    folders = renderings(results, found.experiment.get("stored_bits"))
    if not folders:
        raise TqhwError(f"there is no {HARDWARE}/*/{ARCHITECTURE} in it", place=str(results), lever=_LEVER)
    for folder in folders:
        here, where = rendering(folder), str(folder.relative_to(results / HARDWARE))
        drawn = here.chart(where)
        yield Shown(f"{where}/architecture", chart_text(drawn), chart_svg(drawn))
        for file, problem in here.problems.items():
            yield _shown(file, f"{where}/{file.stem}", here.nest(file, f"{problem.name} on {where}"))
