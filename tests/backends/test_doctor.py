from __future__ import annotations

from pathlib import Path

import pytest

from tests.backends.cases import StandIns
from tqhw.backends.doctor import checks

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
    assert found["backend timeloop"]["lever"] == "put timeloop-model, timeloop-mapper, accelergy on PATH"
    assert "install docker" in str(found["podman"]["lever"])
    assert found["image tqhw"]["lever"] == found["backend container"]["lever"] == "see docker and podman"
    assert found["GPU"]["lever"] == "nothing: everything runs without one"
    assert not any(row["needed"] for row in found.values())


def test_programs_that_work(stand_ins: StandIns) -> None:
    found = rows()
    assert found["backend timeloop"] == {
        "what": "backend timeloop",
        "version": "runs a known case as it should",
        "found": True,
        "needed": False,
        "lever": "",
    }
    assert str(found["timeloop-model"]["version"]).startswith("sha256 ")


def test_programs_that_do_not_work(stand_ins: StandIns) -> None:
    (stand_ins.folder / "timeloop-model").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    found = rows()
    assert found["backend timeloop"]["version"] == "cannot run"
    assert "supported: Timeloop with v0.4 inputs" in str(found["backend timeloop"]["lever"])


def test_an_engine_without_the_image(stand_ins: StandIns) -> None:
    body = 'if [ "$1" = version ]; then echo 27.0; exit 0; fi; echo "Error: No such image: tqhw"; exit 1'
    stand_ins.put("docker", body)
    found = rows()
    assert (found["docker"]["version"], found["docker"]["found"]) == ("27.0", True)
    assert found["image tqhw"]["lever"] == "tqhw docker build --engine docker --tag tqhw"
    assert (found["backend container"]["found"], found["backend container"]["lever"]) == (False, "make image tqhw")


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
