"""docker and podman: finding one, and saying what is wrong with it and which command mends it."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqhw.errors import TqhwError, unknown

ENGINES = ("docker", "podman")
INSTALL = "install docker (https://docs.docker.com/engine/install) or podman (`sudo apt install podman`)"
_QUESTION_S = 60


@dataclass(frozen=True)
class Engine:
    """A container engine on PATH."""

    name: str
    path: Path

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs a short command of the engine and returns what it says. Raises TqhwError where it does not answer."""
        try:
            return subprocess.run(
                [str(self.path), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=_QUESTION_S,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            raise TqhwError(
                f"{self.name} {arguments[0]} did not answer within {_QUESTION_S} s",
                place=str(self.path),
                lever=f"restart it: sudo systemctl restart {self.name}",
            ) from None
        except OSError as error:
            message = f"{self.name} cannot be run: {error.strerror}"
            raise TqhwError(message, place=str(self.path), lever=INSTALL) from None

    def version(self) -> str:
        """The server's version where there is one. Raises TqhwError where the engine does not work."""
        template = "{{.Server.Version}}" if self.name == "docker" else "{{.Client.Version}}"
        answer = self.ask("version", "--format", template)
        if answer.returncode != 0:
            raise explain(self, "", answer.stdout)
        return answer.stdout.strip().splitlines()[-1] if answer.stdout.strip() else "unknown"

    def image_id(self, image: str) -> str:
        """The image's id. Raises TqhwError that says how to make it where it is missing."""
        answer = self.ask("image", "inspect", "--format", "{{.Id}}", image)
        if answer.returncode != 0:
            raise explain(self, image, answer.stdout)
        return answer.stdout.strip().splitlines()[-1].removeprefix("sha256:")[:16]

    @property
    def rootless_podman(self) -> bool:
        return self.name == "podman" and os.getuid() != 0


def find_engine(name: str | None = None) -> Engine:
    """The engine of that name, or the first that is installed. Raises TqhwError where there is none."""
    if name is not None and name not in ENGINES:
        raise unknown("container engine", name, ENGINES, "container engine")
    for candidate in ENGINES if name is None else (name,):
        if path := shutil.which(candidate):
            return Engine(candidate, Path(path))
    wanted = " or ".join(ENGINES if name is None else (name,))
    raise TqhwError(f"{wanted} was not found on PATH", place="backend container", lever=INSTALL)


def _daemon(engine: Engine, image: str) -> tuple[str, str]:
    return "the docker daemon is not running", "sudo systemctl start docker (or start Docker Desktop)"


def _permission(engine: Engine, image: str) -> tuple[str, str]:
    lever = "sudo usermod -aG docker $USER and log in again, or install podman, which needs no daemon"
    return "you may not talk to the docker daemon", lever


def _image(engine: Engine, image: str) -> tuple[str, str]:
    return f"there is no image '{image}'", f"tqhw docker build --engine {engine.name} --tag {image}"


def _platform(engine: Engine, image: str) -> tuple[str, str]:
    machine = platform.machine()
    base = "timeloopaccelergy/accelergy-timeloop-infrastructure:latest-arm64"
    lever = f"tqhw docker build --engine {engine.name} --base-image {base}"
    return f"the image '{image}' is for another processor than this {machine}", lever


def _full(engine: Engine, image: str) -> tuple[str, str]:
    return "the disk is full", f"{engine.name} system prune"


# The first pattern that is found in what the engine said.
_SAYINGS: Sequence[tuple[str, Callable[[Engine, str], tuple[str, str]]]] = (
    (r"permission denied.*(docker\.sock|daemon socket)|dial unix .*permission denied", _permission),
    (r"cannot connect to the docker daemon|is the docker daemon running|error during connect", _daemon),
    (r"exec format error|does not match the (specified|detected host) platform|no matching manifest", _platform),
    (r"no such image|image not known|unable to find image|pull access denied|no such object", _image),
    (r"no space left on device", _full),
)


def explain(engine: Engine, image: str, output: str) -> TqhwError:
    """The error for what an engine said when it failed, with the command that mends it."""
    for pattern, meaning in _SAYINGS:
        if re.search(pattern, output, flags=re.IGNORECASE | re.DOTALL):
            message, lever = meaning(engine, image)
            return TqhwError(message, place=f"backend container ({engine.name})", lever=lever)
    said = " ".join(output.split())[-600:] or "it said nothing"
    return TqhwError(
        f"{engine.name} failed: {said}", place="backend container", lever=f"try `{engine.name} info` by hand"
    )
