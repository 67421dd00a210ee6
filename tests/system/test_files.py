"""Files are read with a reason and written whole."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tqhw.errors import TqhwError
from tqhw.system.files import (
    check_destinations,
    content_digest,
    exists,
    is_file,
    read_text,
    scratch,
    write_bytes,
    write_text,
)


def test_unreadable_files_say_why(tmp_path: Path) -> None:
    (tmp_path / "latin1.yaml").write_bytes(b"name: caf\xe9\n")
    for name, part in [
        ("missing.yaml", "no such file"),
        ("latin1.yaml", "not a text file in UTF-8"),
        ("", "cannot be read: Is a directory"),
        ("zero\0byte", "no path"),
    ]:
        with pytest.raises(TqhwError, match=part):
            read_text(tmp_path / name)


def test_writing_leaves_nothing_half_done(tmp_path: Path) -> None:
    target = tmp_path / "folder" / "f.txt"
    write_text(target, "one\n")
    write_bytes(target, b"two\r\n")
    assert target.read_bytes() == b"two\r\n"
    assert [p.name for p in target.parent.iterdir()] == ["f.txt"]
    with pytest.raises(TqhwError, match=r"cannot be written: .*choose another place"):
        write_text(target / "below_a_file", "")
    assert target.read_bytes() == b"two\r\n"
    with pytest.raises(TqhwError, match=r"folder: cannot be written: Is a directory"):
        write_text(target.parent, "")
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def _old(path: Path) -> Path:
    os.utime(path, (1, 1))
    return path


WRITES = """
import os, signal, sys
from pathlib import Path
from tqhw.system import files

real = os.fdopen
def dying(*arguments):
    stream = real(*arguments)
    stream.write(b"half")
    stream.flush()
    os.kill(os.getpid(), signal.SIGKILL)
os.fdopen = dying
files.write_text(Path(sys.argv[1]), "whole")
"""


def test_what_a_killed_writer_left_goes_with_the_next_write(tmp_path: Path) -> None:
    target = tmp_path / "checkpoint"
    ended = subprocess.run([sys.executable, "-c", WRITES, str(target)], check=False)
    (left,) = tmp_path.iterdir()
    assert (ended.returncode, left.read_text()) == (-signal.SIGKILL, "half")
    _old(left)
    (tmp_path / ".other.x").write_text("not ours")
    write_text(target, "whole")
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint", ".other.x"}
    assert target.read_text() == "whole"


def test_a_scratch_folder_goes_with_its_block_and_a_killed_ones_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "tqhw-x-left").mkdir()
    _old(tmp_path / "tqhw-x-left")
    (tmp_path / "tqhw-y-left").mkdir()
    with scratch("tqhw-x-") as folder:
        assert not (tmp_path / "tqhw-x-left").exists()
        (_old(folder) / "file").write_text("x")
        _old(folder)
        with scratch("tqhw-x-"):  # which leaves alone what is still held
            assert (folder / "file").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["tqhw-y-left"]


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "nothing", "file/below"])
def test_what_cannot_be_there_is_not(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert not exists(tmp_path / name)
    assert not is_file(tmp_path / name)
    assert exists(tmp_path) and not is_file(tmp_path) and is_file(tmp_path / "file")


def test_a_digest_of_contents(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    assert content_digest(folder) is None
    (folder / "train").mkdir(parents=True)
    (folder / "train" / "a").write_bytes(b"1")
    first, lone = content_digest(folder), content_digest(folder / "train" / "a")
    (folder / "train" / "a").touch()
    assert content_digest(folder) == first != lone, "times do not count"
    (folder / "train" / "a").rename(folder / "train" / "b")
    moved = content_digest(folder)
    (folder / "train" / "b").write_bytes(b"22")
    assert len({first, moved, content_digest(folder)}) == 3, "names and contents do"


def test_destinations_are_checked_and_nothing_is_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    check_destinations({"--a": None, "--b": "-", "--c": tmp_path / "new" / "x", "--d": tmp_path / "file"})
    assert [*tmp_path.iterdir()] == [tmp_path / "file"]
    with pytest.raises(TqhwError, match=r"--a .*: cannot be written: .*file is no folder .choose another place"):
        check_destinations({"--a": tmp_path / "file" / "x"})
    with pytest.raises(TqhwError, match=r"--b .*: --a names the same file .give each one"):
        check_destinations({"--a": tmp_path / "x", "--b": tmp_path / "." / "x"})


def test_a_folder_that_may_not_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(TqhwError, match=f"--out .*: cannot be written: {tmp_path} may not be written to"):
        check_destinations({"--out": tmp_path / "x"})
