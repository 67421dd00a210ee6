"""``tqhw verify``, ``tqhw docker`` and recording: what has to do with the real Timeloop."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from tqhw.cli.common import NO, console, guarded, say, write_json

ENGINE_HELP = "docker or podman; without it, the first that works."
docker = typer.Typer(name="docker", help="The image of backend container.", no_args_is_help=True)


@guarded
def verify(
    results: Annotated[Path, typer.Argument(help="The results folder of an embedded run.")],
    backend: Annotated[str, typer.Option(help="timeloop or container.")] = "timeloop",
    image: Annotated[str | None, typer.Option(help="The container's image; without it, tqhw.")] = None,
    engine: Annotated[str | None, typer.Option(help=ENGINE_HELP)] = None,
    json: Annotated[str | None, typer.Option("--json", metavar="FILE|-", help="Writes the outcome as JSON.")] = None,
) -> None:
    """Derives a run again with the real Timeloop and prints every difference. Exit code 1 on any."""
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
    if found.differences:
        raise typer.Exit(NO)


def record_folder(
    folder: Path,
    backend: str,
    arch: list[str] | None,
    params: Mapping[str, str],
    problems: list[str],
    cases: int,
    seed: int,
) -> None:
    """Records reference cases. Raises TqhwError for a backend that cannot, or where something is not said."""
    from tqhw import architecture, frontend
    from tqhw.backends import Design, Settings
    from tqhw.backends import backend as backend_named
    from tqhw.backends.reference.record import UNFINISHED, destination, record
    from tqhw.backends.timeloop import Timeloop
    from tqhw.errors import TqhwError
    from tqhw.system.progress import bars

    if not arch or not problems:
        raise TqhwError("--arch and --problem say what to record", place="conformance --record")
    # Runs stay in the folder until all are done: what was stopped goes on from there.
    chosen = backend_named(backend, Settings(folder=folder / UNFINISHED))
    if not isinstance(chosen, Timeloop):
        raise TqhwError(f"backend {backend} cannot record", place="--backend", lever="choose timeloop")
    found = architecture.load(arch, params)
    design = Design(found.name, found.architecture, found.hardware, found.text, found.components_text)
    layers = [frontend.load_problem(frontend.sources(path)) for path in problems]
    with destination(folder), bars(console(stderr=True))("recording", cases) as tick:
        recording = record(folder, chosen.target(design), layers, cases, chosen, seed, lambda _: tick())
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
    """Builds the image, as `docker build -f docker/Dockerfile -t tqhw .` does."""
    from tqhw.backends.container import build_image

    built = build_image(tag, target, base_image, engine, option or [])
    console().print(f"{tag}: {built.image_id}, made by {built.engine.name}", highlight=False)
