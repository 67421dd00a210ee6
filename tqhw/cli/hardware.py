"""``tqhw evaluate``, ``map`` and ``conformance``: single problems on an architecture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tqhw.cli.common import BAD_INPUT, NO, console, guarded, parameters, say, write_json
from tqhw.cli.convert import Allow, Data, template_data

if TYPE_CHECKING:
    from tqhw.backends import Backend, Target
    from tqhw.spec import Invalid, Problem, Stats

Arch = Annotated[
    list[str],
    typer.Option(help="The name or folder of a template, or Timeloop's files, patterns, folders; repeatable."),
]
Params = Annotated[list[str] | None, typer.Option("--param", metavar="NAME=VALUE", help="A parameter of the template.")]
ProblemFile = Annotated[
    list[str], typer.Option(help="A Timeloop problem; repeatable, where it stands in several files.")
]
ErtFile = Annotated[Path | None, typer.Option(help="Energies; without it, from the engine's own tables.")]
ArtFile = Annotated[Path | None, typer.Option(help="Areas; with it, the area is reported too.")]
Adder = Annotated[str, typer.Option(help="aladdin or neurosim: who answers an intadder with n_bits (docs/energy.md).")]
Table = Annotated[
    Path | None,
    typer.Option(help="Your own numbers for some components, as {COMPONENT: {read: pJ, ..., area: um^2}}; YAML."),
]
Source = Annotated[
    str | None, typer.Option(help="packaged or accelergy (on PATH): where energies come from; else the engine's own.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Refuses attributes that nothing reads; else a warning.")]
Words = Annotated[
    str | None,
    typer.Option(
        "--word-bits",
        metavar="Weights=2,Inputs=8,Outputs@DRAM=8",
        help="Bits of a word by data space, and by DATA_SPACE@LEVEL.",
    ),
]
Rows = Annotated[
    str | None, typer.Option("--packing", help="How words of --word-bits fill a row: pack (whole words) or ideal.")
]
Factors = Annotated[
    str | None, typer.Option("--multiplier", help="Its operands: match (as wide as --word-bits) or fixed.")
]
Json = Annotated[str | None, typer.Option("--json", metavar="FILE|-", help="Writes the statistics as JSON.")]
Engine = Annotated[str, typer.Option(help="The engine: embedded, timeloop or container.")]


@guarded
def evaluate(
    arch: Arch,
    problem: ProblemFile,
    mapping: Annotated[list[str], typer.Option(help="A Timeloop mapping; repeatable.")],
    ert: ErtFile = None,
    art: ArtFile = None,
    param: Params = None,
    word_bits: Words = None,
    packing: Rows = None,
    multiplier: Factors = None,
    data: Data = None,
    allow: Allow = None,
    json: Json = None,
    backend: Engine = "embedded",
    strict: Strict = False,
    adder: Adder = "aladdin",
    energy_source: Source = None,
    energy_table: Table = None,
) -> None:
    """Evaluates one mapping: counts, cycles and energy. Exit code 1 where the mapping is invalid.

    A mapping whose factors do not multiply to the problem's bounds is none of this problem: exit code 2.
    """
    from tqhw import frontend
    from tqhw.spec import Invalid

    values = template_data(data)
    layer = frontend.load_problem(frontend.sources(problem, values, allow or ()))
    steps = frontend.sources(mapping, values, allow or ())
    words = _words(word_bits, packing, multiplier)
    engine, target = _target(
        backend, arch, param, (energy_source, adder, energy_table, ert, art), strict, values, allow, layer, words
    )
    loops = frontend.load_mapping(steps, layer, target.hardware)
    _tell(layer, target)
    stats = engine.evaluate(layer, target, loops)
    if isinstance(stats, Invalid) and any(reason.rule == "factors" for reason in stats.reasons):
        if json is not None:
            write_json(stats.as_json(), json)
        say(f"{', '.join(mapping)}: {'; '.join(reason.message for reason in stats.reasons)}")
        raise typer.Exit(BAD_INPUT)
    _answer(stats, json, {**_area(target), **_notes(layer, target)})


@guarded
def search(
    arch: Arch,
    problem: ProblemFile,
    ert: ErtFile = None,
    art: ArtFile = None,
    param: Params = None,
    word_bits: Words = None,
    packing: Rows = None,
    multiplier: Factors = None,
    data: Data = None,
    allow: Allow = None,
    objective: Annotated[str, typer.Option(help="energy, edp, latency, or one that was added.")] = "energy",
    budget: Annotated[float | None, typer.Option(help="Seconds after which the best so far is the answer.")] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Searches anew, and keeps nothing.")] = False,
    out: Annotated[Path | None, typer.Option(help="Writes the mapping, as `tqhw evaluate --mapping` reads it.")] = None,
    json: Json = None,
    backend: Engine = "embedded",
    strict: Strict = False,
    adder: Adder = "aladdin",
    energy_source: Source = None,
    energy_table: Table = None,
) -> None:
    """Finds the best mapping of a problem. Exit code 1 where there is none."""
    from tqhw import frontend
    from tqhw.backends import Job, Search
    from tqhw.objectives import objective_of
    from tqhw.spec import Invalid, directives, dump_mapping
    from tqhw.system.files import write_text

    wanted = objective_of(objective, "--objective")
    values = template_data(data)
    layer = frontend.load_problem(frontend.sources(problem, values, allow or ()))
    words = _words(word_bits, packing, multiplier)
    engine, target = _target(
        backend, arch, param, (energy_source, adder, energy_table, ert, art), strict, values, allow, layer, words
    )
    _tell(layer, target)
    (found,) = engine.search([Job(layer, target)], Search(wanted, budget, cache=not no_cache))
    if isinstance(found, Invalid):
        _answer(found, json, {}, refusal="No mapping was found:")
        return
    more = {
        "mapping": directives(found.mapping, layer.shape.dimensions),
        "proved_optimal": found.proved_optimal,
        "evaluated": found.evaluated,
        "seconds": found.seconds,
        "lower_bound": found.lower_bound,
        "gap": found.gap,
    }
    for warning in found.warnings:
        say(warning)
    _answer(found.stats, json, {**_area(target), **more, **_notes(layer, target)})
    text = dump_mapping(found.mapping, layer.shape.dimensions)
    if out is not None:
        write_text(out, text)
    elif json != "-":
        console().print(text, highlight=False)


@guarded
def conformance(
    folder: Annotated[
        Path | None, typer.Argument(help="A folder with arch/, ert/ and cases/, recorded with Timeloop.")
    ] = None,
    json: Json = None,
    record: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Records such a folder first: random mappings, by --backend.")
    ] = None,
    backend: Annotated[str | None, typer.Option(help="Records with this engine: timeloop, the one that can.")] = None,
    arch: Annotated[list[str] | None, typer.Option(help="Records on this architecture, as --arch elsewhere.")] = None,
    param: Params = None,
    problem: Annotated[list[str] | None, typer.Option(help="Records mappings of this problem; repeatable.")] = None,
    cases: Annotated[
        int | None, typer.Option(min=1, help="Cases to record, 50 unless said; one in five is an invalid mapping.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the random mappings, 0 unless said.")] = None,
) -> None:
    """Checks the engine against recorded Timeloop runs. Exit code 1 unless every case agrees."""
    from tqhw.engine.conformance import check_folder
    from tqhw.errors import TqhwError
    from tqhw.system.progress import bars

    if (folder is None) == (record is None):
        raise TqhwError("name one folder", place="conformance", lever="one to check, or --record and a new one")
    if record is not None:
        from tqhw.cli.reference import record_folder

        params = parameters(param or [])
        record_folder(record, backend or "timeloop", arch, params, problem or [], cases or 50, seed or 0)
        folder = record
    else:
        given = {"backend": backend, "arch": arch, "param": param, "problem": problem, "cases": cases, "seed": seed}
        for name, value in given.items():
            if value is not None:
                lever = "leave it out, or record with --record DIR in place of a folder"
                raise TqhwError("nothing is recorded here", place=f"conformance --{name}", lever=lever)
    assert folder is not None
    files = len(list((folder / "cases").glob("*.jsonl"))) if folder.is_dir() else 0
    with bars(console(stderr=True))("conformance", files) as tick:
        found = check_folder(folder, lambda name, cases: tick())
    if json is not None:
        write_json(found.as_json(), json)
    if json != "-":
        screen = console()
        for difference in found.differences:
            screen.print(
                f"{difference.case}: {difference.field} is {difference.ours}, recorded {difference.theirs}",
            )
        failed = len({difference.case for difference in found.differences})
        screen.print(f"{found.cases - failed} of {found.cases} cases agree", highlight=False)
    if found.differences:
        raise typer.Exit(NO)


def _words(word_bits: str | None, packing: str | None, multiplier: str | None) -> tuple[str, str, str] | None:
    """The options of words as given; None where there are none."""
    from tqhw.errors import TqhwError

    if word_bits is not None:
        return word_bits, packing or "pack", multiplier or "match"
    for name, value, does in (("packing", packing, "fill a row"), ("multiplier", multiplier, "do to its operands")):
        if value is not None:
            rule = "says how" if name == "packing" else "says what"
            raise TqhwError(f"--{name} {rule} --word-bits {does}, and there are none", lever="give --word-bits, too")
    return None


def _target(
    backend: str,
    arch: list[str],
    param: list[str] | None,
    energies: tuple[str | None, str, Path | None, Path | None, Path | None],
    strict: bool,
    data: dict[str, Any],
    allow: list[Path] | None,
    problem: Problem,
    words: tuple[str, str, str] | None,
) -> tuple[Backend, Target]:
    from dataclasses import replace

    from tqhw import architecture, energy
    from tqhw.backends import Design, with_word_bits
    from tqhw.backends import backend as backend_named
    from tqhw.backends.costing import costed, load_table
    from tqhw.options import EnergyOptions
    from tqhw.spec import load_art
    from tqhw.spec.word_bits import parse_word_bits

    source, adder, table, ert, art = energies
    engine = backend_named(backend)
    found = architecture.load(arch, parameters(param or []), data, allow or (), problem)
    design = Design(found.name, found.architecture, found.hardware, found.text, found.components_text)
    if words is not None:
        design = with_word_bits(
            design, parse_word_bits(words[0], words[1], "--word-bits"), problem.shape, words[2], "--word-bits"
        )
    own = energy.own_components(found.components_text, found.name)
    told = (*found.architecture.notes, *energy.unread(found.architecture, own, strict=strict))
    if ert is not None and design.operands:
        told += ("energies are those of --ert: the multiplier's does not follow --word-bits",)
    options = EnergyOptions(
        source=source if ert is None else "file",  # type: ignore[arg-type]
        adder=adder,  # type: ignore[arg-type]
        ert=None if ert is None else str(ert),
        art=None if ert is None or art is None else str(art),
        table={} if table is None else load_table(table),
    )
    (target,) = costed(engine, [design], options)
    if ert is None and art is not None:
        target = replace(target, art=load_art(art))
    return engine, replace(target, notes=(*told, *target.notes))


def _tell(problem: Problem, target: Target) -> None:
    for note in _notes(problem, target)["notes"]:
        say(note)


def _notes(problem: Problem, target: Target) -> dict[str, list[str]]:
    """What a reader of the figures must know."""
    return {"notes": [*problem.notes, *target.notes]}


def _area(target: Target) -> dict[str, Any]:
    """The areas of all instances by component, and in all; nothing where none are known."""
    from tqhw.errors import unknown

    if not target.art.areas:
        return {}
    names = [*(level.name for level in target.hardware.levels if level.kind == "storage"), target.hardware.compute.name]
    for name in names:
        if name not in target.art.areas:
            raise unknown("component in the ART", name, target.art.areas, target.art.source)
    areas = {name: target.art.areas[name] * target.hardware.instances(name) for name in names}
    return {"area_um2": sum(areas.values()), "areas_um2": areas}


def _answer(
    stats: Stats | Invalid, json: str | None, more: dict[str, Any], refusal: str = "The mapping is invalid:"
) -> None:
    from tqhw.spec import Invalid

    if json is not None:
        write_json({**stats.as_json(), **(more if stats.valid else {})}, json)
    if json != "-":
        _show(stats, more, refusal)
    if isinstance(stats, Invalid):
        raise typer.Exit(NO)


def _show(stats: Stats | Invalid, more: dict[str, Any], refusal: str) -> None:
    from rich.table import Table

    from tqhw.spec import Invalid

    screen = console()
    if isinstance(stats, Invalid):
        screen.print(refusal, highlight=False)
        for reason in stats.reasons:
            screen.print(f"  {reason.message}", highlight=False, soft_wrap=True)
        return
    table = Table("level", "data space", "instances", "tile words", "reads", "fills", "updates", "pJ")
    for name, level in stats.levels.items():
        if level.kind == "compute":
            table.add_row(name, "", str(level.instances), "", "", "", "", f"{level.energy_pj:,.1f}")
        for space, found in level.dataspaces.items():
            counts = (found.utilized_instances, found.tile_words, found.reads, found.fills, found.updates)
            table.add_row(name, space, *(f"{count:,}" for count in counts), f"{found.energy_pj:,.1f}")
    screen.print(table)
    leakage = sum(level.leakage_pj for level in stats.levels.values())
    screen.print(
        f"{stats.energy_pj:,.1f} pJ (leakage {leakage:,.1f}), {stats.cycles:,} cycles, "
        f"{stats.computes:,} multiply-accumulates, utilization {stats.utilization:.1%}",
        highlight=False,
    )
    formats = {
        "area_um2": ",.0f",
        "proved_optimal": "",
        "evaluated": ",",
        "seconds": ".2f",
        "lower_bound": ",.1f",
        "gap": ".2%",
    }
    if more.get("areas_um2"):
        areas = Table("component", "um^2")
        for name, area in more["areas_um2"].items():
            areas.add_row(name, f"{area:,.0f}")
        screen.print(areas)
    for key, form in formats.items():
        if more.get(key) is not None:
            screen.print(f"{key}: {more[key]:{form}}", highlight=False)
