"""What works of the real Timeloop on this machine, and what to do about the rest."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tqhw.backends.container.backend import ContainerBackend
from tqhw.backends.container.engines import ENGINES, Engine, find_engine
from tqhw.backends.timeloop import front_end
from tqhw.backends.timeloop.backend import Timeloop
from tqhw.backends.timeloop.probe import LIMIT_S, PROBES
from tqhw.backends.timeloop.programs import INSTALL, PROGRAMS, check_accelergy, version_of
from tqhw.errors import TqhwError
from tqhw.options import DEFAULT_IMAGE, ContainerOptions
from tqhw.system.ask import ask
from tqhw.system.programs import Children

_CONTAINER_S = 60.0


def checks() -> list[dict[str, Any]]:
    """One row each: what, version, found, needed (all are optional), lever ("" where nothing is to be done)."""
    return [*_programs(), _front_end(), *_engines(), _gpu()]


def _row(what: str, version: str, found: bool, lever: str = "") -> dict[str, Any]:
    return {"what": what, "version": version, "found": found, "needed": False, "lever": lever}


def _programs() -> Iterator[dict[str, Any]]:
    """Every program that is there is tried, whatever becomes of the others."""
    levers = {}
    for name in PROGRAMS:
        path = shutil.which(name)
        if path is None:
            levers[name] = f"put {name} on PATH"
            yield _row(name, "missing", False, INSTALL)
            continue
        try:
            version = version_of(Path(path))
            if name == "accelergy":
                check_accelergy(version)
            PROBES[name](Path(path), Children())
        except TqhwError as error:
            levers[name] = f"mend {name}"
            yield _row(name, f"{path} does not work", False, str(error))
        else:
            yield _row(name, f"{version}, {path}", True)
    yield _timeloop(levers)


def _timeloop(levers: Mapping[str, str]) -> dict[str, Any]:
    """``levers``: what is to be done about each program that is missing or broken."""
    if levers:
        return _row("backend timeloop", "cannot run", False, "; ".join(levers.values()))
    try:
        Timeloop().versions()
    except TqhwError as error:
        return _row("backend timeloop", "cannot run", False, str(error))
    return _row("backend timeloop", "answers known cases as it should", True)


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
        yield _row("backend container", "cannot run", False, f"see image {DEFAULT_IMAGE}")
        return
    yield _container(works)


def _container(engine: Engine) -> dict[str, Any]:
    """By a container that is started: an engine may answer and yet run none."""
    try:
        options = ContainerOptions(engine=engine.name, time_limit_s=_CONTAINER_S)  # type: ignore[arg-type]
        versions = ContainerBackend(options).versions()
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
        answer = ask(question, LIMIT_S, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return _row("GPU", "nvidia-smi does not answer", False, "check the driver")
    name = answer.stdout.strip().splitlines()[0] if answer.returncode == 0 and answer.stdout.strip() else ""
    if not name:
        return _row("GPU", "nvidia-smi finds none", False, "check the driver")
    lever = "" if importlib.util.find_spec("torch") else "install a PyTorch that is built for it"
    return _row("GPU", name, True, lever)
