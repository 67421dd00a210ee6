from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.backends.cases import DATA, StandIns
from tqhw.backends.doctor import checks
from tqhw.backends.timeloop.programs import PROGRAMS

PODMAN = """
case "$1" in
    info) echo 4.3.1;;
    image) echo sha256:0123456789abcdef0;;
    run)
        for argument; do case "$argument" in *:/run/tqhw:*) folder=${argument%%:*};; esac; done
        echo '{"ok": {"versions": {"timeloop-model": "sha256 1f"}}}' > "$folder/answer.json";;
esac
"""


def rows() -> dict[str, dict[str, object]]:
    return {str(row["what"]): row for row in checks()}


def test_a_machine_with_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = rows()
    assert not any(found[name]["found"] for name in ("timeloop-model", "timeloop-mapper", "accelergy", "docker"))
    assert found["backend timeloop"]["lever"] == (
        "put timeloop-model on PATH; put timeloop-mapper on PATH; put accelergy on PATH"
    )
    assert "install docker" in str(found["podman"]["lever"])
    assert found["image tqhw"]["lever"] == found["backend container"]["lever"] == "see docker and podman"
    assert found["GPU"]["lever"] == "nothing: everything runs without one"
    assert not any(row["needed"] for row in found.values())


def test_programs_that_work(stand_ins: StandIns) -> None:
    found = rows()
    assert found["backend timeloop"] == {
        "what": "backend timeloop",
        "version": "answers known cases as it should",
        "found": True,
        "needed": False,
        "lever": "",
    }
    for name in ("timeloop-model", "timeloop-mapper"):
        assert re.fullmatch(rf"sha256 [0-9a-f]{{16}}, {stand_ins.folder}/{name}", str(found[name]["version"]))
    assert found["accelergy"]["version"] == f"unknown, {stand_ins.folder}/accelergy"


def test_what_is_there_is_shown_where_one_is_missing(stand_ins: StandIns) -> None:
    (stand_ins.folder / "timeloop-mapper").unlink()
    found = rows()
    assert (found["timeloop-mapper"]["version"], found["timeloop-mapper"]["found"]) == ("missing", False)
    assert str(found["timeloop-model"]["version"]).endswith(f", {stand_ins.folder}/timeloop-model")
    assert found["timeloop-model"]["found"] is found["accelergy"]["found"] is True
    assert found["backend timeloop"]["lever"] == "put timeloop-mapper on PATH"


@pytest.mark.parametrize(
    ("name", "body", "message"),
    [
        ("timeloop-model", "exit 1", r"does not answer a known case .*supported: Timeloop with v0\.4 inputs"),
        ("timeloop-mapper", "echo 'libbarvinok.so.23: cannot open'; exit 127", r"log ends with: libbarvinok\.so\.23"),
        ("timeloop-mapper", f"cp '{DATA}'/mapper_eyeriss_like/timeloop-mapper.* .", r"does not answer a known case"),
        (
            "accelergy",
            "echo \"ModuleNotFoundError: No module named 'accelergy'\"; exit 1",
            r"No module named 'accelergy'",
        ),
        ("accelergy", "exit 0", r"wrote no tables \(exit code 0\)"),
    ],
)
def test_each_program_is_tried(stand_ins: StandIns, name: str, body: str, message: str) -> None:
    stand_ins.put_bare(name, f"#!/bin/sh\n{body}\n")
    found = rows()
    assert (found[name]["version"], found[name]["found"]) == (f"{stand_ins.folder}/{name} does not work", False)
    assert re.search(message, str(found[name]["lever"]))
    assert (found["backend timeloop"]["found"], found["backend timeloop"]["lever"]) == (False, f"mend {name}")
    assert sum(found[other]["found"] is True for other in PROGRAMS) == 2


def test_another_accelergy(stand_ins: StandIns) -> None:
    stand_ins.put("python-of-accelergy", "echo 0.3")
    stand_ins.put_bare("accelergy", f"#!{stand_ins.folder}/python-of-accelergy\n")
    assert "Accelergy 0.3 is not supported" in str(rows()["accelergy"]["lever"])


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_whose_interpreter_is_missing(stand_ins: StandIns, name: str) -> None:
    stand_ins.put_bare(name, "#!/no/such/python3\n")
    lever = str(rows()[name]["lever"])
    assert "cannot be run: /no/such/python3 is missing" in lever
    assert "not found" not in lever


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_that_hangs_is_ended_with_all_it_started(
    stand_ins: StandIns, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tqhw.backends.timeloop.probe.LIMIT_S", 1.0)
    started = stand_ins.folder / "started"
    stand_ins.put_bare(name, f"#!/bin/sh\nsleep 600 &\necho $! >> '{started}'\nwait\n")
    assert re.search(r"did not end within 1(\.0)? s", str(rows()[name]["lever"]))
    for pid in started.read_text().split():
        assert not _runs(int(pid))


def _runs(pid: int) -> bool:
    """A process that was killed counts as ended, whether its new parent has seen it or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_an_engine_without_the_image(stand_ins: StandIns) -> None:
    body = 'if [ "$1" = version ]; then echo 27.0; exit 0; fi; echo "Error: No such image: tqhw"; exit 1'
    stand_ins.put("docker", body)
    found = rows()
    assert (found["docker"]["version"], found["docker"]["found"]) == ("27.0", True)
    assert found["image tqhw"]["lever"] == "tqhw docker build --engine docker --tag tqhw"
    assert (found["backend container"]["found"], found["backend container"]["lever"]) == (False, "see image tqhw")


def test_podman_works_where_dockers_daemon_does_not_run(stand_ins: StandIns) -> None:
    stand_ins.put("docker", "echo 'Is the docker daemon running?'; exit 1")
    stand_ins.put("podman", PODMAN)
    found = rows()
    assert (found["docker"]["version"], found["docker"]["found"]) == ("cannot run", False)
    assert str(found["docker"]["lever"]).startswith("sudo systemctl start docker")
    assert found["podman"]["version"] == "4.3.1"
    assert found["image tqhw"]["version"] == "0123456789abcdef"
    assert found["backend container"]["version"] == "runs with podman, Timeloop sha256 1f"
    assert found["backend container"]["found"] is True


def test_an_engine_that_starts_no_container(stand_ins: StandIns) -> None:
    body = 'if [ "$1" = run ]; then echo "Error: crun: setrlimit: Operation not permitted"; exit 126; fi\n'
    stand_ins.put("docker", body + "echo 27.0")
    row = rows()["backend container"]
    assert (row["version"], row["found"]) == ("cannot run", False)
    assert "docker failed: Error: crun: setrlimit: Operation not permitted" in str(row["lever"])


def test_a_gpu_by_the_drivers_tool(stand_ins: StandIns) -> None:
    stand_ins.put("nvidia-smi", "echo 'NVIDIA H200, 570.1'")
    assert rows()["GPU"]["version"] == "NVIDIA H200, 570.1"
