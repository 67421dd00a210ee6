"""Files are read with a reason and written whole."""

from pathlib import Path

import pytest

from tqhw.errors import TqhwError
from tqhw.system.files import read_text, write_bytes, write_text


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
