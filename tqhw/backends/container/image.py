"""Building the image, by the Dockerfile of the source tree."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqhw.backends.container.engines import Engine, explain, find_engine
from tqhw.errors import TqhwError, unknown
from tqhw.options import DEFAULT_IMAGE

DOCKERFILE = Path("docker") / "Dockerfile"
TARGETS = ("timeloop", "embedded")


@dataclass(frozen=True)
class Built:
    """An image and the engine that made it and can run it."""

    image_id: str
    engine: Engine


def source_tree() -> Path:
    """The folder with docker/Dockerfile: of this installation's sources, or the current one.

    Raises TqhwError where tqhw was installed from a wheel and the sources are elsewhere.
    """
    for folder in (Path(__file__).resolve().parents[3], Path.cwd()):
        if (folder / DOCKERFILE).is_file() and (folder / "pyproject.toml").is_file():
            return folder
    raise TqhwError(
        f"there is no {DOCKERFILE} here", place=str(Path.cwd()), lever="run it in a clone of tqhw's sources"
    )


def build_command(
    engine: Engine,
    root: Path,
    tag: str = DEFAULT_IMAGE,
    target: str = "timeloop",
    base_image: str | None = None,
    options: Sequence[str] = (),
) -> list[str]:
    """The argument list. ``base_image`` is what the target stands on; None takes the Dockerfile's own."""
    command = [str(engine.path), "build", "-f", str(root / DOCKERFILE), "-t", tag, "--target", target, *options]
    if base_image is not None:
        argument = "BASE_IMAGE" if target == "timeloop" else "PYTHON_IMAGE"
        command += ["--build-arg", f"{argument}={base_image}"]
    return [*command, str(root)]


def build_image(
    tag: str = DEFAULT_IMAGE,
    target: str = "timeloop",
    base_image: str | None = None,
    engine: str | None = None,
    options: Sequence[str] = (),
) -> Built:
    """Builds the image, with the engine's output on the terminal.

    ``options`` are handed to the engine's build as they are. Raises TqhwError where it fails; what was asked for is
    looked at before the engine is.
    """
    if target not in TARGETS:
        raise unknown("target", target, TARGETS, "--target")
    root = source_tree()
    found = find_engine(engine)
    found.version()
    command = build_command(found, root, tag, target, base_image, options)
    try:
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, env={**os.environ, "DOCKER_BUILDKIT": "1"})
    except OSError as error:
        raise explain(found, tag, str(error)) from None
    if ended.returncode != 0:
        raise TqhwError(
            f"{found.name} build ended with exit code {ended.returncode}",
            place=str(DOCKERFILE),
            lever="its last lines say why; where no image can be pulled, this machine does not reach the registry, "
            "where only the base image cannot, name another with --base-image",
        )
    return Built(found.image_id(tag), found)
