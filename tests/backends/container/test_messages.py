"""What docker and podman say when they fail, and what a container's end means.

The engines are stand-ins: scripts that print what the real ones print in these cases.
"""

from __future__ import annotations

import itertools
import os
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.backends.cases import MAPPER_PREFIX, layer, recorded_target, rendered_design
from tqhw.backends.container import ContainerBackend
from tqhw.backends.container.backend import _no_answer
from tqhw.backends.container.engines import Engine, find_engine
from tqhw.backends.container.image import build_command, build_image, source_tree
from tqhw.backends.container.run import run_arguments
from tqhw.backends.embedded import Embedded
from tqhw.backends.protocol import Job, Search
from tqhw.errors import TqhwError
from tqhw.options import ContainerOptions
from tqhw.spec import Constraints, parse_mapping


def engine(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str, name: str = "docker") -> Engine:
    path = folder / name
    path.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))  # engines of this machine are not found
    return Engine(name, path)


@pytest.mark.parametrize(
    ("name", "said", "message"),
    [
        (
            "docker",
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
            r"daemon is not running \(sudo systemctl start docker",
        ),
        (
            "docker",
            "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock",
            r"may not talk to the docker daemon \(sudo usermod -aG docker \$USER",
        ),
        ("docker", "Error response from daemon: No such image: tqhw:latest", r"no image 'tqhw'.*tqhw docker build"),
        ("podman", "Error: tqhw: image not known", r"no image 'tqhw' \(tqhw docker build --engine podman --tag tqhw\)"),
        (
            "docker",
            "WARNING: The requested image's platform (linux/amd64) does not match the detected host platform",
            r"for another processor than this \S+ \(tqhw docker build --engine docker --tag tqhw, which makes",
        ),
        ("podman", "exec /opt/tqhw/bin/python: exec format error", r"for another processor than this"),
        ("podman", "write /var/lib/x: no space left on device", r"the disk is full \(podman system prune\)"),
        ("podman", "something new", r"podman failed: something new \(try `podman info` by hand\)"),
    ],
)
def test_each_failure_has_its_own_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, said: str, message: str
) -> None:
    found = engine(tmp_path, monkeypatch, f'echo "{said}" >&2; exit 125', name)
    with pytest.raises(TqhwError, match=message):
        found.image_id("tqhw")


def test_an_engine_that_prints_no_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = engine(tmp_path, monkeypatch, "exit 0", "podman")
    with pytest.raises(TqhwError, match=r"podman failed: it prints no id of image tqhw \(try `podman info` by hand\)"):
        found.image_id("tqhw")


def test_no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TqhwError, match=r"docker or podman was not found on PATH.*sudo apt install podman"):
        find_engine()
    with pytest.raises(TqhwError, match=r"unknown container engine 'poodman'.*did you mean 'podman'"):
        find_engine("poodman")


NO_DAEMON = "echo 'Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?' >&2; exit 1"


def test_docker_goes_before_podman(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("docker", "podman"):
        engine(tmp_path, monkeypatch, "exit 0", name)
    assert find_engine().name == "docker"
    assert find_engine("podman").name == "podman"


def test_the_first_engine_that_works_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine(tmp_path, monkeypatch, NO_DAEMON, "docker")
    with pytest.raises(TqhwError, match=r"^backend container \(docker\): the docker daemon is not running"):
        find_engine()
    engine(tmp_path, monkeypatch, "echo 4.3.1", "podman")
    assert find_engine().name == "podman"


def test_an_engine_that_was_named_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine(tmp_path, monkeypatch, NO_DAEMON, "docker")
    engine(tmp_path, monkeypatch, "echo 4.3.1", "podman")
    with pytest.raises(TqhwError, match="the docker daemon is not running"):
        ContainerBackend(ContainerOptions(engine="docker")).versions()


def test_no_engine_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine(tmp_path, monkeypatch, NO_DAEMON, "docker")
    engine(tmp_path, monkeypatch, "echo 'cannot clone: Operation not permitted' >&2; exit 125", "podman")
    message = r"no container engine works: the docker daemon is not running; podman failed: cannot.*systemctl.*; or"
    with pytest.raises(TqhwError, match=message):
        find_engine()


def test_an_engine_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tqhw.backends.container.engines._QUESTION_S", 0.2)
    found = engine(tmp_path, monkeypatch, "exec sleep 20", "podman")
    with pytest.raises(TqhwError, match=r"podman info did not answer within 0.2 s \(restart it"):
        found.version()


def test_the_container_sees_the_run_folder_and_nothing_else(tmp_path: Path) -> None:
    found = run_arguments(Engine("docker", Path("/usr/bin/docker")), "tqhw", tmp_path, "name", 512)
    assert found[:3] == ["/usr/bin/docker", "run", "--rm"]
    pairs = list(itertools.pairwise(found))
    for pair in (
        ("--network", "none"),
        ("--user", f"{os.getuid()}:{os.getgid()}"),
        ("--memory", "512m"),
        ("--cap-drop", "ALL"),
        ("--security-opt", "no-new-privileges"),
        ("--pull", "never"),
    ):
        assert pair in pairs
    assert "--read-only" in found
    assert [value for key, value in pairs if key == "--volume"] == [f"{tmp_path}:/run/tqhw:rw,Z"]
    assert "--privileged" not in found


def test_rootless_podman_keeps_our_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    found = run_arguments(Engine("podman", Path("podman")), "tqhw", tmp_path, "name", 512)
    assert ("--userns", "keep-id") in list(itertools.pairwise(found))
    assert "--userns" not in run_arguments(Engine("docker", Path("docker")), "tqhw", tmp_path, "name", 512)


def test_a_folder_that_cannot_be_mounted() -> None:
    with pytest.raises(TqhwError, match="a ':' in its path cannot be mounted"):
        run_arguments(Engine("docker", Path("docker")), "tqhw", Path("/a:b"), "name", 512)


@pytest.mark.parametrize(
    ("code", "timed_out", "log", "message"),
    [
        (137, True, "", r"stopped after its time limit of 5 s"),
        (137, False, "", r"ran out of its 4096 MB of memory \(exit code 137\).*raise memory_mb"),
        (1, False, "Traceback ...\nMemoryError", r"ran out of its 4096 MB of memory"),
        (1, False, "OpenBLAS error: Memory allocation still failed", r"ran out of its 4096 MB of memory"),
        (125, False, "Error: tqhw: image not known", r"there is no image 'tqhw'"),
        (1, False, "No module named tqhw", r"exit code 1 and no answer: No module named tqhw.*tqhw docker build"),
    ],
)
def test_a_container_without_an_answer(code: int, timed_out: bool, log: str, message: str) -> None:
    options = ContainerOptions(time_limit_s=5)
    error = _no_answer(Engine("podman", Path("podman")), code, timed_out, log, options, Path("/runs/x"))
    with pytest.raises(TqhwError, match=message):
        raise error


def test_the_log_is_kept_when_a_run_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine(tmp_path, monkeypatch, 'if [ "$1" = run ]; then echo boom; exit 1; fi; echo 1.0')
    found = ContainerBackend(ContainerOptions(engine="docker"), folder=tmp_path / "runs")
    with pytest.raises(TqhwError, match=r"exit code 1 and no answer: boom"):
        found.target(rendered_design())
    assert (tmp_path / "runs" / "container" / "container.log").read_text() == "boom\n"


def test_a_container_that_a_killed_run_left_is_ended_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = 'Error: creating container storage: the container name "tqhw-1" is already in use by 1f. You have to remove'
    body = f"""
echo "$1" >> '{tmp_path}/calls'
if [ "$1" = kill ]; then touch '{tmp_path}/killed'; fi
if [ "$1" = run ]; then
    if [ -e '{tmp_path}/killed' ]; then echo 'started'; exit 1; fi
    echo '{said}'; exit 125
fi
"""
    engine(tmp_path, monkeypatch, body, "podman")
    found = ContainerBackend(ContainerOptions(engine="podman"), folder=tmp_path / "runs")
    with pytest.raises(TqhwError, match="exit code 1 and no answer: started"):
        found.target(rendered_design())
    assert (tmp_path / "calls").read_text().split() == ["run", "kill", "rm", "run"]


def test_a_run_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    found = ContainerBackend(ContainerOptions(engine="docker"), folder=tmp_path / "file")
    with pytest.raises(TqhwError, match=r"the run folder cannot be made: Not a directory \(choose another folder"):
        found.target(rendered_design())


def test_two_runs_in_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine(tmp_path, monkeypatch, "exit 0")
    found = ContainerBackend(ContainerOptions(engine="docker"), folder=tmp_path / "runs")
    with (
        found._folder(),
        pytest.raises(TqhwError, match=r"runs/container: another run is at work in this folder \(wait for its end"),
    ):
        found.target(rendered_design())


def test_the_time_limit_kills_the_container_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = f"""
echo "$@" >> '{tmp_path}/calls'
if [ "$1" = run ]; then echo $$ > '{tmp_path}/pid'; exec sleep 60; fi
if [ "$1" = kill ]; then kill -9 $(cat '{tmp_path}/pid'); fi
"""
    engine(tmp_path, monkeypatch, body)
    found = ContainerBackend(ContainerOptions(engine="docker", time_limit_s=0.5))
    with pytest.raises(TqhwError, match=r"stopped after its time limit of 0.5 s"):
        found.target(rendered_design())
    calls = (tmp_path / "calls").read_text().splitlines()
    name = calls[0].split("--name ")[1].split()[0]
    assert calls[1:] == [f"kill {name}", f"rm --force {name}"]


def test_tables_of_many_designs_come_from_one_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = f"""
for argument; do case "$argument" in *:/run/tqhw:*) folder=${{argument%%:*}};; esac; done
echo "$1" >> '{tmp_path}/calls'
if [ "$1" = run ]; then exec '{sys.executable}' -m tqhw.backends.container.worker "$folder"; fi
echo 4.3.1
"""
    engine(tmp_path, monkeypatch, body, "podman")
    backend = ContainerBackend(inner="embedded")
    designs = [rendered_design(weight_bits=bits) for bits in (2, 3, 2)]
    told: list[int] = []
    found = backend.targets(designs, told.append)
    assert [target.design for target in found] == designs
    assert found[0].ert.energies == Embedded().target(designs[0]).ert.energies != found[1].ert.energies
    assert backend.target(designs[1]) == found[1]
    assert told == [0, 1]
    assert (tmp_path / "calls").read_text().split().count("run") == 1


def test_build_commands() -> None:
    root = source_tree()
    found = Engine("podman", Path("podman"))
    file = f"{root}/docker/Dockerfile"
    plain = ["podman", "build", "-f", file, "-t", "tqhw", "--target", "timeloop", str(root)]
    assert build_command(found, root) == plain
    embedded = build_command(found, root, target="embedded", base_image="mine", options=["--no-cache"])
    assert "PYTHON_IMAGE=mine" in embedded
    assert "--no-cache" in embedded
    assert "BASE_IMAGE=mine" in build_command(found, root, base_image="mine")


def test_what_is_asked_for_is_looked_at_before_the_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    engine(tmp_path, monkeypatch, "echo 'Cannot connect to the Docker daemon'; exit 1")
    with pytest.raises(TqhwError, match="unknown target 'timelop'"):
        build_image(target="timelop")
    with pytest.raises(TqhwError, match="the docker daemon is not running"):
        build_image(target="timeloop")


def test_the_base_image_is_pinned_in_one_place() -> None:
    """By digest: its project publishes no tag that stays."""
    lines = [line for line in (source_tree() / "docker" / "Dockerfile").read_text().splitlines() if "ARG BASE" in line]
    (line,) = lines
    assert re.fullmatch(r"ARG BASE_IMAGE=timeloopaccelergy/accelergy-timeloop-infrastructure@sha256:[0-9a-f]{64}", line)


def test_limits_that_cannot_be() -> None:
    with pytest.raises(TqhwError, match=r"memory_mb: 10 must be at least 64 .Memory of the container"):
        ContainerOptions(memory_mb=10)
    with pytest.raises(TqhwError, match=r"time_limit_s: 0 must be more than 0 .Seconds that one container may run"):
        ContainerOptions(time_limit_s=0)


def test_names_and_constraints_are_checked_before_a_container_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine(tmp_path, monkeypatch, f"touch '{tmp_path}/asked'")
    target = recorded_target("mapper_eyeriss_like", MAPPER_PREFIX, "eyeriss_like")
    document = [{"target": "DRAM", "type": "temporal", "factors": "Z4", "permutation": "CM"}]
    with pytest.raises(TqhwError, match=r"m.yaml: directive 1: level DRAM: unknown dimension 'Z'"):
        ContainerBackend().evaluate(layer(), target, parse_mapping(document, "m.yaml"))
    hardware = target.hardware
    wrong = replace(hardware.levels[-1], constraints=Constraints(keep=("Weight",), place="a.yaml:3"))
    design = replace(target.design, hardware=replace(hardware, levels=(*hardware.levels[:-1], wrong)))
    with pytest.raises(TqhwError, match=r"a.yaml:3: constraints of DRAM: unknown data space 'Weight'"):
        ContainerBackend().search([Job(layer(), replace(target, design=design))], Search())
    assert not (tmp_path / "asked").exists()
