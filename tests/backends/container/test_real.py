"""A real image and real containers, where an engine works: `.ci/containers` makes the base image and calls this.

The base image has a Python and nothing else; the image is target ``embedded``, so what answers inside is our own
engine: these tests are about the container, not about Timeloop.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.backends.cases import layer, rendered_design
from tqhw import engine
from tqhw.backends.container import ContainerBackend, build_image
from tqhw.backends.container.engines import Engine, find_engine
from tqhw.backends.container.run import container_name, run_arguments
from tqhw.backends.embedded import Embedded
from tqhw.backends.reference.random_mappings import random_mappings
from tqhw.errors import TqhwError
from tqhw.options import ContainerOptions
from tqhw.spec import Stats

pytestmark = pytest.mark.container
BASE = os.environ.get("TQHW_TEST_BASE_IMAGE", "")
BUILD = os.environ.get("TQHW_TEST_BUILD_OPTIONS", "").split()
IMAGE = "tqhw-test-embedded"


@pytest.fixture(scope="module")
def container_engine() -> Engine:
    if not BASE:
        pytest.skip("TQHW_TEST_BASE_IMAGE names no base image; .ci/containers makes one")
    found = find_engine(os.environ.get("TQHW_TEST_ENGINE"))
    build_image(IMAGE, "embedded", BASE, found.name, BUILD)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all tests: compiled kernels are kept in it."""
    return tmp_path_factory.mktemp("runs")


def container(found: Engine, folder: Path | None = None, **options: object) -> ContainerBackend:
    chosen = ContainerOptions(IMAGE, found.name, **options)  # type: ignore[arg-type]
    return ContainerBackend(chosen, folder=folder, inner="embedded")


def names(found: Engine) -> list[str]:
    listed = found.ask("ps", "--all", "--format", "{{.Names}}").stdout.split()
    return [name for name in listed if name.startswith("tqhw-")]


def test_versions_name_engine_image_and_contents(container_engine: Engine, folder: Path) -> None:
    found = container(container_engine, folder).versions()
    assert found["image"].startswith(f"{IMAGE} ")
    assert found["tqhw (in the image)"]


def test_many_mappings_in_one_container_come_back_bit_for_bit(container_engine: Engine, folder: Path) -> None:
    backend = container(container_engine, folder)
    target = backend.target(rendered_design(weight_bits=3))
    problem = layer(14, 16)
    stream = random_mappings(problem, target.hardware, 1)
    chosen = [next(stream) for _ in range(20)]
    answers = backend.evaluate_all([(problem, target, mapping) for mapping in chosen])
    assert answers == [engine.evaluate(problem, target.hardware, target.ert, mapping) for mapping in chosen]
    assert any(isinstance(answer, Stats) for answer in answers)


def test_files_are_ours_and_nothing_is_left_behind(container_engine: Engine, folder: Path) -> None:
    container(container_engine, folder).versions()
    for path in folder.rglob("*"):
        assert (path.stat().st_uid, path.stat().st_gid) == (os.getuid(), os.getgid()), path
    assert names(container_engine) == []


def probe(found: Engine, folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Runs other Python code in a container with the backend's own arguments."""
    arguments = run_arguments(found, IMAGE, folder, "tqhw-probe", 512)
    arguments = [*arguments[: arguments.index(IMAGE) + 1], "-c", code]
    return subprocess.run(arguments, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def test_no_network_and_nothing_writable_but_the_run_folder(container_engine: Engine, folder: Path) -> None:
    code = """
import os, pathlib, socket
print("interfaces", sorted(name for _, name in socket.if_nameindex()))
for place in ("/etc/x", "/opt/tqhw/x", "/x", "/run/tqhw/x", "/tmp/x"):
    try:
        pathlib.Path(place).write_text("x")
        print(place, "written")
    except OSError as error:
        print(place, error.strerror)
print("user", os.getuid(), os.getgid())
"""
    ended = probe(container_engine, folder, code)
    assert ended.stdout.splitlines() == [
        "interfaces ['lo']",
        "/etc/x Read-only file system",
        "/opt/tqhw/x Read-only file system",
        "/x Read-only file system",
        "/run/tqhw/x written",
        "/tmp/x written",
        f"user {os.getuid()} {os.getgid()}",
    ], ended.stderr
    (folder / "x").unlink()


def test_the_memory_limit_is_told(container_engine: Engine, folder: Path) -> None:
    with pytest.raises(TqhwError, match=r"ran out of its 64 MB of memory"):
        container(container_engine, folder, memory_mb=64).target(rendered_design())


@pytest.mark.parametrize("limit", [0.05, 4])
def test_the_time_limit_ends_the_container(
    container_engine: Engine, folder: Path, monkeypatch: pytest.MonkeyPatch, limit: float
) -> None:
    """The first limit passes before the engine has made a container, which would otherwise run for ten minutes."""

    def sleeping(*given: Any) -> list[str]:
        arguments = run_arguments(*given)
        return [*arguments[: arguments.index(IMAGE) + 1], "-c", "import time; time.sleep(600)"]

    monkeypatch.setattr("tqhw.backends.container.run.run_arguments", sleeping)
    with pytest.raises(TqhwError, match=rf"stopped after its time limit of {limit} s"):
        container(container_engine, folder, time_limit_s=limit).target(rendered_design())
    assert names(container_engine) == []


def test_ctrl_c_ends_the_container(container_engine: Engine, folder: Path) -> None:
    backend = container(container_engine, folder)
    started = threading.Event()

    def interrupt() -> None:
        end = time.monotonic() + 60
        while not names(container_engine) and time.monotonic() < end:
            time.sleep(0.05)
        started.set()
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    problem = layer(56, 128)
    target = Embedded().target(rendered_design())
    with pytest.raises(KeyboardInterrupt):
        for _ in range(100):
            backend.evaluate(problem, target, next(random_mappings(problem, target.hardware, 1)))
    assert started.is_set()
    assert names(container_engine) == []


def test_a_container_that_a_killed_run_left_is_ended_first(container_engine: Engine, folder: Path) -> None:
    place = folder / "container"
    arguments = run_arguments(container_engine, IMAGE, place, container_name(place), 512)
    left = subprocess.Popen([*arguments[: arguments.index(IMAGE) + 1], "-c", "import time; time.sleep(600)"])
    end = time.monotonic() + 60
    while not names(container_engine) and time.monotonic() < end:
        time.sleep(0.05)
    assert container(container_engine, folder).versions()["tqhw (in the image)"]
    assert left.wait(60) != 0
    assert names(container_engine) == []


def test_an_image_that_is_not_there(container_engine: Engine) -> None:
    with pytest.raises(TqhwError, match=r"there is no image 'tqhw-no-such-image' \(tqhw docker build"):
        ContainerBackend(ContainerOptions("tqhw-no-such-image", container_engine.name)).versions()
