"""``tqhw evaluate`` and ``map``: single problems on an architecture."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from tqhw.cli.answer import show, show_refusal
from tqhw.cli.common import NO, bundled, guarded, json_text, say, write_json
from tqhw.cli.machine import CaseOptions
from tqhw.cli.padded import free_file, has_other_bounds, is_ours, misfit_lever, padded_file, padded_text
from tqhw.errors import TqhwError

if TYPE_CHECKING:
    from tqhw.spec import Invalid

Json = Annotated[str | None, typer.Option("--json", metavar="FILE|-", help="Writes the statistics as JSON.")]


@guarded
@bundled
def evaluate(
    mapping: Annotated[list[str], typer.Option(help="A Timeloop mapping; repeatable.")],
    json: Json = None,
    *,
    options: CaseOptions,
) -> None:
    """Evaluates one mapping: counts, cycles and energy. Exit code 1 where the mapping is invalid.

    A mapping whose factors do not multiply to the problem's bounds is none of this problem: exit code 2.
    """
    from tqhw import frontend
    from tqhw.spec import Invalid

    steps = options.sources(mapping)
    case = options.read()
    loops = frontend.load_mapping(steps, case.problem, case.target.hardware)
    for note in case.notes:
        say(note)
    stats = case.engine.evaluate(case.problem, case.target, loops)
    if isinstance(stats, Invalid) and has_other_bounds(stats):
        if json is not None:
            write_json(stats.as_json(), json)
        wrong = "; ".join(reason.message for reason in stats.reasons)
        raise TqhwError(wrong, place=", ".join(mapping), lever=misfit_lever(case.problem, loops, mapping))
    if isinstance(stats, Invalid):
        _refuse(stats, json, "The mapping is invalid:")
    more = {**case.areas(), "notes": case.notes}
    if json is not None:
        write_json({**stats.as_json(), **more}, json)
    if json != "-":
        show(stats, more)


@guarded
@bundled
def search(
    objective: Annotated[
        str, typer.Option(help="energy, edp, latency, or one that was added; two, as energy,latency, for their front.")
    ] = "energy",
    budget: Annotated[float | None, typer.Option(help="Seconds after which the best so far is the answer.")] = None,
    factors: Annotated[
        str, typer.Option(help="perfect: factors that divide; imperfect: also ones with remainders.")
    ] = "perfect",
    pad: Annotated[bool, typer.Option("--pad", help="Pads dimensions where that fills the array better.")] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Searches anew, and keeps nothing.")] = False,
    point: Annotated[
        int, typer.Option(help="Of a front: which mapping is told and written; 1 is best in the first objective.")
    ] = 1,
    out: Annotated[
        Path | None,
        typer.Option(help="Writes the mapping, as `tqhw evaluate --mapping` reads it, and the problem if padded."),
    ] = None,
    figure: Annotated[Path | None, typer.Option(help="Draws the front: a .svg, .png or .pdf file.")] = None,
    json: Json = None,
    *,
    options: CaseOptions,
) -> None:
    """Finds the best mapping of a problem, or a front of mappings. Exit code 1 where there is none."""
    from math import prod

    from tqhw.backends import Job, Search
    from tqhw.backends.uneven import idle_hint, indivisible_hint, way_of
    from tqhw.cli.front import FrontOptions
    from tqhw.objectives import Tradeoff, goal_of
    from tqhw.spec import Invalid, directives, dump_mapping
    from tqhw.system.files import check_destinations, is_read, write_together

    goal, way = goal_of(objective, "--objective"), way_of(factors, pad)
    asked, how = FrontOptions(goal, point, figure), Search(goal, budget, cache=not no_cache)
    inputs = [*options.problem, *options.arch]
    beside = free_file(out, options.problem) if pad and out is not None else None
    check_destinations({"--json": json, "--out": out, "--figure": figure, "--pad": beside}, inputs)
    case = options.read()
    for note in case.notes:
        say(note)
    (found,) = case.engine.search([Job(case.problem, case.target, way)], how)
    if isinstance(found, Invalid):
        _refuse(found, json, "No mapping was found:")
    dimensions = case.problem.shape.dimensions
    chosen = asked.chosen(found)
    more = {
        **case.areas(),
        "mapping": directives(chosen.mapping, dimensions),
        "proved_optimal": found.proved_optimal,
        "evaluated": found.evaluated,
        "seconds": found.seconds,
        **({"lower_bound": found.lower_bound, "gap": found.gap} if found.front is None else {}),
        "notes": case.notes,
        **asked.told(found, dimensions),
    }
    if chosen.whole is not None:
        more["whole"] = vars(chosen.whole)
    if chosen.padded is not None:
        wasted = prod(chosen.padded.values()) - case.problem.computes
        more["padded"] = {"bounds": dict(chosen.padded), "wasted_computes": wasted}
    hint = idle_hint(case.problem, case.target.hardware, found.stats) if way == "perfect" else None
    if way == "perfect" and hint is None and (isinstance(goal, Tradeoff) or goal.energy_power):
        hint = indivisible_hint(case.problem)
    for warning in (*found.warnings, *filter(None, [hint])):
        say(warning)
    text = dump_mapping(chosen.mapping, dimensions)
    told = json_text({**chosen.stats.as_json(), **more})
    files = asked.drawn(found)
    if json is not None and json != "-":
        files[json] = told.encode()
    if out is not None:
        files[out] = text.encode()
    if beside is not None and chosen.padded is not None:
        files[beside] = padded_text(case.problem, chosen.padded).encode()
    write_together(files)
    if out is not None and (old := padded_file(out)) not in files and is_ours(old) and not is_read(old, inputs):
        old.unlink()
        say(f"removed {old}: the padded problem of an earlier mapping")
    if found.kept:
        say("kept from an earlier search, whose seconds these are (--no-cache searches anew)")
    if json == "-":
        sys.stdout.write(told)
    else:
        show(chosen.stats, more, text if out is None else None, goal)
        asked.show(found)
    if beside in files:
        say(f"wrote {beside}: the mapping is one of this padded problem, which `tqhw evaluate --problem` takes")
    elif beside is not None:
        say(f"nothing is padded: the mapping is one of {case.problem.name} as it is")
    if figure is not None:
        say(f"wrote {figure}")


def _refuse(found: Invalid, json: str | None, text: str) -> NoReturn:
    if json is not None:
        write_json(found.as_json(), json)
    if json != "-":
        show_refusal(found, text)
    raise typer.Exit(NO)
