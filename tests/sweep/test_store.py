"""The file of a sweep: what is no such file, and what cannot be written."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from tqhw.backends import Found
from tqhw.errors import TqhwError
from tqhw.mapper.result import Whole
from tqhw.objectives import OBJECTIVES
from tqhw.spec import Invalid, Mapping, Reason, Stats
from tqhw.sweep.store import FILE, opened
from tqhw.train import Accuracy

ENERGY = OBJECTIVES["energy"]
MEASURED = ("truncquant", [Accuracy("truncquant", 2, 50.0, 10, True, "shifted")])


def test_a_folder_without_one(tmp_path: Path) -> None:
    with (
        pytest.raises(TqhwError, match=r"sweep\.sqlite: no such file \(name the folder of a sweep\)"),
        opened(tmp_path),
    ):
        pass


def test_a_file_of_something_else(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("CREATE TABLE mappings (key TEXT)")
    connection.close()
    for write in (False, True):
        with pytest.raises(TqhwError, match="is not the results of a sweep"), opened(tmp_path, write):
            pass


def test_a_file_of_another_form(tmp_path: Path) -> None:
    with opened(tmp_path, write=True):
        pass
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("PRAGMA user_version = 77")
    connection.close()
    with pytest.raises(TqhwError, match="is of version 77, this tqhw reads 4"), opened(tmp_path, write=True):
        pass


def test_a_damaged_file(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"SQLite format 3\0" + bytes(5000))
    with pytest.raises(TqhwError, match="the file is damaged: move it away"), opened(tmp_path, write=True):
        pass
    (tmp_path / FILE).write_text("no database")
    with pytest.raises(TqhwError, match="the file is damaged: move it away"), opened(tmp_path, write=True):
        pass


def test_an_answer_that_is_none_of_a_search(tmp_path: Path) -> None:
    with opened(tmp_path, write=True) as store:
        with store.writing() as connection:
            connection.execute("""INSERT INTO searches VALUES ('abc', '{"mapping": 3}')""")
        with pytest.raises(TqhwError, match="search abc: not the document: mapping"):
            store.search("abc", ENERGY)


def test_a_file_that_may_only_be_read(tmp_path: Path) -> None:
    with opened(tmp_path, write=True):
        pass
    with opened(tmp_path) as store:
        with pytest.raises(TqhwError, match="readonly database \\(may it be written to"):
            store.put_meta(name="x")
        assert store.meta("name") is None


def test_a_folder_that_may_only_be_read_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests may run as root, who may write everywhere: SQLite makes no file beside this one, or it would need to."""
    with opened(tmp_path, write=True) as store:
        store.plan_points([(0, "{}", None, "too small")])
    monkeypatch.setattr("os.access", lambda *_: False)
    with opened(tmp_path) as store:
        assert store.counts() == {"impossible": 1}
        assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize("name", ["50%20of it", "what?mode=rw", "#1"])
def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    """SQLite reads from an address, where these characters mean something."""
    with opened(tmp_path / name, write=True) as store:
        store.put_meta(name="a sweep")
    with opened(tmp_path / name) as store:
        assert store.meta("name") == "a sweep"


def test_a_place_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TqhwError, match="cannot be written"), opened(tmp_path / "file" / "out", write=True):
        pass


def test_readers_beside_the_writer(tmp_path: Path) -> None:
    with opened(tmp_path, write=True) as store, opened(tmp_path) as reader:
        assert reader.known("searches") == set()
        store.put_search("abc", Invalid((Reason("glb", "capacity", 3, 2, "too much"),)), 1.0)
        store.put_search("def", "out of luck", 1.0)
        store.put_training("ghi", MEASURED, 1.0)
        store.put_training("jkl", "no data", 1.0)
        assert reader.known("searches") == {"abc", "def"}
        assert reader.search("abc", ENERGY) == Invalid((Reason("glb", "capacity", 3, 2, "too much"),))
        assert reader.search("def", ENERGY) == "out of luck"
        assert reader.search("xyz", ENERGY) is None
        assert reader.training("ghi") == MEASURED
        assert reader.training("jkl") == "no data"
        assert reader.training("xyz") is None


@pytest.mark.parametrize("more", [{}, {"padded": {"M": 8}}, {"whole": Whole(12.5, 9)}])
def test_an_answer_with_what_is_padded_or_left_out(tmp_path: Path, more: dict[str, Any]) -> None:
    answer = Found(Mapping(()), Stats(9, 72, 1.0, 10.5, {}), True, 3, 0.0, 1.0, 0.0, **more)
    with opened(tmp_path, write=True) as store:
        store.put_search("abc", answer, 1.0)
        assert store.search("abc", ENERGY) == answer
