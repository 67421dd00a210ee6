"""The results folder is whole or as it was."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tqhw.errors import TqhwError
from tqhw.pipeline.results_folder import MANIFEST, OutputFolder


def fill(folder: OutputFolder, **files: str) -> None:
    with folder.staging() as staged:
        for name, text in files.items():
            path = staged / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


def found(path: Path) -> dict[str, str]:
    return {str(f.relative_to(path)): f.read_text() for f in sorted(path.rglob("*")) if f.is_file()}


def test_files_take_their_places_together(tmp_path: Path) -> None:
    folder = OutputFolder(tmp_path / "out")
    with folder.staging() as staged:
        (staged / "results.json").write_text("{}")
        assert found(tmp_path / "out") == {f"{staged.name}/results.json": "{}"}
    assert found(tmp_path / "out") == {MANIFEST: '[\n "results.json"\n]\n', "results.json": "{}"}


def test_a_failure_leaves_the_earlier_results(tmp_path: Path) -> None:
    folder = OutputFolder(tmp_path)
    fill(folder, results="old", a__b="old")
    before = found(tmp_path)
    with pytest.raises(KeyboardInterrupt), folder.staging() as staged:
        (staged / "results").write_text("half")
        raise KeyboardInterrupt
    assert found(tmp_path) == before


def test_files_of_the_run_before_go_and_files_of_others_stay(tmp_path: Path) -> None:
    folder = OutputFolder(tmp_path)
    fill(folder, results="1", hardware__w2__map="1")
    (tmp_path / "notes.txt").write_text("mine")
    fill(folder, results="2", hardware__w4__map="2")
    assert set(found(tmp_path)) == {"results", "hardware/w4/map", "notes.txt", MANIFEST}
    assert not (tmp_path / "hardware/w2").exists()


def test_a_manifest_that_points_outside_removes_nothing(tmp_path: Path) -> None:
    outside = tmp_path / "precious"
    outside.write_text("mine")
    folder = OutputFolder(tmp_path / "out")
    (tmp_path / "out" / MANIFEST).write_text(json.dumps(["../precious", 3]))
    fill(folder, results="1")
    assert outside.read_text() == "mine"


def test_what_a_killed_run_left_is_swept(tmp_path: Path) -> None:
    left = tmp_path / ".writing-dead"
    left.mkdir()
    (left / "results.json").write_text("half")
    fill(OutputFolder(tmp_path), results="1")
    assert not left.exists()


HOLDS = """
import sys
from tqhw.pipeline.results_folder import OutputFolder
with OutputFolder(sys.argv[1]):
    print("in", flush=True)
    input()
"""


def test_a_second_run_in_the_folder_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-c", HOLDS, str(out)]
    for end in ("by itself", "killed"):
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == "in\n"
            with pytest.raises(TqhwError, match=r"out: another run is at work in this folder \(wait for its end, or"):
                OutputFolder(out).__enter__()
            if end == "killed":
                other.kill()
            else:
                other.communicate("\n", timeout=30)
        with OutputFolder(out) as folder:
            fill(folder, results="1")
    assert set(found(out)) == {"results", MANIFEST}


def test_without_locks_on_the_disk_it_works_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(number: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with OutputFolder(tmp_path) as folder:
        fill(folder, results="1")
    assert set(found(tmp_path)) == {"results", MANIFEST}


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("mine")
    with pytest.raises(TqhwError, match=r"out: is a file, not a folder \(choose another --out\)"):
        OutputFolder(path)
    assert path.read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(TqhwError, match=r"cannot be written: Permission denied"):
        OutputFolder(tmp_path)


def test_a_place_that_cannot_hold_a_folder_is_refused() -> None:
    with pytest.raises(TqhwError, match=r"/proc/nowhere/out: cannot be written"):
        OutputFolder("/proc/nowhere/out")


def test_a_run_that_fails_early_leaves_no_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="refused"), OutputFolder(tmp_path / "new" / "out"):
        raise ValueError("refused")
    assert not (tmp_path / "new").exists()
    (tmp_path / "mine").mkdir()
    with pytest.raises(ValueError, match="refused"), OutputFolder(tmp_path / "mine"):
        raise ValueError("refused")
    assert (tmp_path / "mine").is_dir()
    with pytest.raises(ValueError, match="late"), OutputFolder(tmp_path / "new" / "out") as folder:
        folder.kept("training").mkdir(parents=True)
        raise ValueError("late")
    assert (tmp_path / "new/out/kept/training").is_dir()


def test_a_folder_of_somebody_elses_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("mine")
    with pytest.raises(
        TqhwError, match=r"holds a report.html that no run wrote \(choose another --out, or move it away"
    ):
        OutputFolder(tmp_path)
    assert found(tmp_path) == {"report.html": "mine"}


@pytest.mark.parametrize("sign", ["results.json", MANIFEST, "kept"])
def test_a_folder_of_ours_is(tmp_path: Path, sign: str) -> None:
    for name in ("report.html", sign):
        (tmp_path / name).write_text("{}")
    OutputFolder(tmp_path)
