"""What works of the real Timeloop on this machine, and what to do about the rest."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

from tqhw.backends.container.backend import Container, ContainerOptions
from tqhw.backends.container.engines import ENGINES, Engine, find_engine
from tqhw.backends.container.image import DEFAULT_IMAGE
from tqhw.backends.timeloop import front_end
from tqhw.backends.timeloop.backend import Timeloop
from tqhw.backends.timeloop.programs import INSTALL, PROGRAMS
from tqhw.errors import TqhwError


def checks() -> list[dict[str, Any]]:
    """One row each: what, version, found, needed (all are optional), lever ("" where nothing is to be done)."""
    return [*_programs(), _front_end(), *_engines(), _gpu()]


def _row(what: str, version: str, found: bool, lever: str = "") -> dict[str, Any]:
    return {"what": what, "version": version, "found": found, "needed": False, "lever": lever}


def _programs() -> Iterator[dict[str, Any]]:
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    for name in missing:
        yield _row(name, "missing", False, INSTALL)
    backend = Timeloop()
    if missing:
        yield _row("backend timeloop", "cannot run", False, f"put {', '.join(missing)} on PATH")
        return
    try:
        versions = backend.versions()
    except TqhwError as error:
        yield _row("backend timeloop", "cannot run", False, str(error))
        return
    for name in PROGRAMS:
        yield _row(name, versions[name], True)
    yield _row("backend timeloop", "runs a known case as it should", True)


def _front_end() -> dict[str, Any]:
    try:
        found = front_end.find()
    except TqhwError as error:
        return _row("timeloopfe", "unsupported", False, str(error))
    if found is None:
        return _row("timeloopfe", "missing", False, "nothing: tqhw renders what the programs read on its own")
    return _row("timeloopfe", found.version, True)


def _engines() -> Iterator[dict[str, Any]]:
    works: Engine | None = None
    for name in ENGINES:
        try:
            engine = find_engine(name)
            yield _row(name, engine.version(), True)
            works = works or engine
        except TqhwError as error:
            yield _row(
                name, "missing" if shutil.which(name) is None else "cannot run", False, error.lever or str(error)
            )
    if works is None:
        yield _row(f"image {DEFAULT_IMAGE}", "no container engine works", False, "see docker and podman")
        yield _row("backend container", "cannot run", False, "see docker and podman")
        return
    try:
        yield _row(f"image {DEFAULT_IMAGE}", works.image_id(DEFAULT_IMAGE), True)
    except TqhwError as error:
        yield _row(f"image {DEFAULT_IMAGE}", f"{works.name} has none", False, error.lever or str(error))
        yield _row("backend container", "cannot run", False, f"make image {DEFAULT_IMAGE}")
        return
    yield _container(works)


def _container(engine: Engine) -> dict[str, Any]:
    """By a container that is started: an engine may answer and yet run none."""
    try:
        versions = Container(ContainerOptions(engine=engine.name)).versions()
    except TqhwError as error:
        return _row("backend container", "cannot run", False, str(error))
    inside = versions.get("timeloop-model (in the image)")
    return _row("backend container", f"runs with {engine.name}, Timeloop {inside}", True)


def _gpu() -> dict[str, Any]:
    """By the driver's own tool; PyTorch is not imported to find out."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return _row("GPU", "none", False, "nothing: everything runs without one")
    question = [program, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(question, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return _row("GPU", "nvidia-smi does not answer", False, "check the driver")
    name = answer.stdout.strip().splitlines()[0] if answer.returncode == 0 and answer.stdout.strip() else ""
    if not name:
        return _row("GPU", "nvidia-smi finds none", False, "check the driver")
    lever = "" if importlib.util.find_spec("torch") else "install a PyTorch that is built for it"
    return _row("GPU", name, True, lever)
