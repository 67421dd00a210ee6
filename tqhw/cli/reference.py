"""``tqhw verify``, ``conformance`` and ``docker``: what has to do with the real Timeloop."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

import typer

from tqhw.cli.common import NO, bundled, console, guarded, parameters, say, write_json
from tqhw.cli.machine import Params

Json = Annotated[str | None, typer.Option("--json", metavar="FILE|-", help="Writes the outcome as JSON.")]
ENGINE_HELP = "docker or podman; without it, the first that works."
docker = typer.Typer(name="docker", help="The image of backend container.", no_args_is_help=True)


@guarded
def verify(
    results: Annotated[Path, typer.Argument(help="The results folder of an embedded run.")],
    backend: Annotated[str, typer.Option(help="timeloop or container.")] = "timeloop",
    image: Annotated[str | None, typer.Option(help="The container's image; without it, tqhw.")] = None,
    engine: Annotated[str | None, typer.Option(help=ENGINE_HELP)] = None,
    json: Json = None,
) -> None:
    """Derives a run again with the real Timeloop and compares.

    Prints every difference; exit code 1 on any.
    """
    from tqhw.backends import Settings
    from tqhw.backends import backend as backend_named
    from tqhw.backends.reference.verify import Reference, read_run, verify
    from tqhw.errors import TqhwError
    from tqhw.options import DEFAULT_IMAGE, ContainerOptions
    from tqhw.system.progress import bars

    options = None
    if (image, engine) != (None, None):
        options = ContainerOptions(image=image or DEFAULT_IMAGE, engine=engine)  # type: ignore[arg-type]  # checked there
    chosen = backend_named(backend, Settings(container=options))
    if not isinstance(chosen, Reference):
        raise TqhwError(
            f"backend {backend} is what is to be verified", place="--backend", lever="choose timeloop or container"
        )
    run = read_run(results)
    with bars(console(stderr=True))("verifying", len(run.architectures) + run.mappings) as tick:
        found = verify(run, chosen, lambda _: tick())
    if json is not None:
        write_json(found.as_json(), json)
    if json != "-":
        for difference in found.differences:
            console().print(str(difference), highlight=False, soft_wrap=True)
        versions = ", ".join(f"{name} {version}" for name, version in chosen.versions().items())
        console().print(f"backend {backend}: {versions}", highlight=False, soft_wrap=True)
        console().print(
            f"{found.mappings} mappings on {found.architectures} architectures, {found.values} values compared: "
            f"{len(found.differences)} differences",
            highlight=False,
        )
    for note in found.notes:
        say(note)
    if found.differences:
        raise typer.Exit(NO)


@dataclass(frozen=True)
class RecordingOptions:
    """What ``conformance --record`` records."""

    backend: Annotated[str | None, typer.Option(help="Records with this engine: timeloop, the one that can.")] = None
    arch: Annotated[list[str] | None, typer.Option(help="Records on this architecture, as --arch elsewhere.")] = None
    param: Params = None
    problem: Annotated[list[str] | None, typer.Option(help="Records mappings of this problem; repeatable.")] = None
    cases: Annotated[
        int | None, typer.Option(min=1, help="Cases to record, 50 unless said; one in five is an invalid mapping.")
    ] = None
    seed: Annotated[int | None, typer.Option(min=0, help="Of the random mappings, 0 unless said.")] = None


@guarded
@bundled
def conformance(
    folder: Annotated[
        Path | None, typer.Argument(help="A folder with arch/, ert/ and cases/, recorded with Timeloop.")
    ] = None,
    json: Json = None,
    record: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Records such a folder first: random mappings, by --backend.")
    ] = None,
    *,
    recording: RecordingOptions,
) -> None:
    """Checks the engine against recorded Timeloop runs. Exit code 1 unless every case agrees."""
    from tqhw.engine.conformance import check_folder
    from tqhw.errors import TqhwError
    from tqhw.system.progress import bars

    if (folder is None) == (record is None):
        raise TqhwError("name one folder", place="conformance", lever="one to check, or --record and a new one")
    if record is not None:
        _record(record, recording)
        folder = record
    else:
        for field in fields(recording):
            if getattr(recording, field.name) is not None:
                lever = "leave it out, or record with --record DIR in place of a folder"
                raise TqhwError("nothing is recorded here", place=f"conformance --{field.name}", lever=lever)
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


def _record(folder: Path, wanted: RecordingOptions) -> None:
    """Records reference cases. Raises TqhwError for a backend that cannot, or where something is not said."""
    from tqhw import architecture, frontend
    from tqhw.backends import Design, Settings
    from tqhw.backends import backend as backend_named
    from tqhw.backends.reference.record import UNFINISHED, destination, record
    from tqhw.backends.timeloop import Timeloop
    from tqhw.errors import TqhwError
    from tqhw.system.progress import bars

    if not wanted.arch or not wanted.problem:
        raise TqhwError("--arch and --problem say what to record", place="conformance --record")
    backend, cases = wanted.backend or "timeloop", wanted.cases or 50
    # Runs stay in the folder until all are done: what was stopped goes on from there.
    chosen = backend_named(backend, Settings(folder=folder / UNFINISHED))
    if not isinstance(chosen, Timeloop):
        raise TqhwError(f"backend {backend} cannot record", place="--backend", lever="choose timeloop")
    found = architecture.load(wanted.arch, parameters(wanted.param or []))
    design = Design.of(found)
    layers = [design.problem(frontend.load_problem(frontend.sources(path))) for path in wanted.problem]
    with destination(folder), bars(console(stderr=True))("recording", cases) as tick:
        recording = record(folder, chosen.target(design), layers, cases, chosen, wanted.seed or 0, lambda _: tick())
    say(f"{folder}: {recording}")


@docker.callback()
def _docker() -> None:
    """The image of backend container."""


@docker.command("build")
@guarded
def build(
    tag: Annotated[str, typer.Option(help="Name of the image.")] = "tqhw",
    target: Annotated[str, typer.Option(help="timeloop, or embedded for an image without Timeloop.")] = "timeloop",
    base_image: Annotated[str | None, typer.Option(help="What it stands on; else as docker/Dockerfile says.")] = None,
    engine: Annotated[str | None, typer.Option(help=ENGINE_HELP)] = None,
    option: Annotated[list[str] | None, typer.Option(help="Handed to the engine's build; repeatable.")] = None,
) -> None:
    """Builds the image of backend container.

    `docker build -f docker/Dockerfile -t tqhw .` gives the same.
    """
    from tqhw.backends.container import build_image

    built = build_image(tag, target, base_image, engine, option or [])
    console().print(f"{tag}: {built.image_id}, made by {built.engine.name}", highlight=False)
