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
from tqhw.system.ask import ask

ENGINES = ("docker", "podman")
INSTALL = "install docker (https://docs.docker.com/engine/install) or podman (`sudo apt install podman`)"
_QUESTION_S = 60
# Of docker's daemon; podman has none, but tells this only where its storage and runtime are fit for use.
_VERSIONS = {
    "docker": ("version", "--format", "{{.Server.Version}}"),
    "podman": ("info", "--format", "{{.Version.Version}}"),
}


@dataclass(frozen=True)
class Engine:
    """A container engine on PATH."""

    name: str
    path: Path

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs a short command of the engine and returns what it says. Raises TqhwError where it does not answer."""
        try:
            return ask([str(self.path), *arguments], _QUESTION_S)
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
        """The engine's version. Raises TqhwError where it does not work: a client alone would answer, too."""
        question = _VERSIONS[self.name]
        answer = self.ask(*question)
        if answer.returncode != 0:
            raise explain(self, "", answer.stdout)
        return answer.stdout.strip().splitlines()[-1] if answer.stdout.strip() else "unknown"

    def image_id(self, image: str) -> str:
        """The image's id. Raises TqhwError that says how to make it where it is missing."""
        answer = self.ask("image", "inspect", "--format", "{{.Id}}", image)
        if answer.returncode != 0:
            raise explain(self, image, answer.stdout)
        if not answer.stdout.strip():
            raise explain(self, image, f"it prints no id of image {image}")
        return answer.stdout.strip().splitlines()[-1].removeprefix("sha256:")[:16]

    @property
    def rootless_podman(self) -> bool:
        return self.name == "podman" and os.getuid() != 0


def find_engine(name: str | None = None) -> Engine:
    """The engine of that name, or without one the first that works.

    Raises TqhwError where it is not installed, or where none works: then with what is wrong with each. What is wrong
    with an engine that was named is told when it is used.
    """
    if name is not None and name not in ENGINES:
        raise unknown("container engine", name, ENGINES, "container engine")
    names = ENGINES if name is None else (name,)
    installed = [Engine(candidate, Path(path)) for candidate in names if (path := shutil.which(candidate))]
    if not installed:
        raise TqhwError(f"{' or '.join(names)} was not found on PATH", place="backend container", lever=INSTALL)
    if name is not None:
        return installed[0]
    failures = []
    for engine in installed:
        try:
            engine.version()
        except TqhwError as error:
            failures.append(error)
        else:
            return engine
    if len(failures) == 1:
        raise failures[0]
    message = "; ".join(error.message for error in failures)
    lever = "; or ".join(str(error.lever) for error in failures)
    raise TqhwError(f"no container engine works: {message}", place="backend container", lever=lever)


def _daemon(engine: Engine, image: str) -> tuple[str, str]:
    return "the docker daemon is not running", "sudo systemctl start docker (or start Docker Desktop)"


def _permission(engine: Engine, image: str) -> tuple[str, str]:
    lever = "sudo usermod -aG docker $USER and log in again, or install podman, which needs no daemon"
    return "you may not talk to the docker daemon", lever


def _image(engine: Engine, image: str) -> tuple[str, str]:
    return f"there is no image '{image}'", f"tqhw docker build --engine {engine.name} --tag {image}"


def _platform(engine: Engine, image: str) -> tuple[str, str]:
    lever = f"tqhw docker build --engine {engine.name} --tag {image}, which makes one for this machine"
    return f"the image '{image}' is for another processor than this {platform.machine()}", lever


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
