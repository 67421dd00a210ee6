"""Answers that are kept: the key, the file, and whatever can be wrong with it."""

from __future__ import annotations

import os
import sqlite3
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest

from tests.mapper.places import conv, machine
from tqhw.mapper import MappingCache, cache_key, search
from tqhw.mapper.cache import default_path

SMALL = conv(C=4, M=4, R=3, P=4)
OTHER = conv(C=2, M=8, S=3, Q=4)


@pytest.fixture
def eyeriss():
    return machine("eyeriss_like")


def test_answers_are_kept(eyeriss, tmp_path):
    cache = MappingCache(tmp_path / "deep" / "mappings.sqlite")
    one = search(SMALL, *eyeriss, cache=cache)
    two = search(SMALL, *eyeriss, cache=cache)
    assert not one.cached
    assert two.cached
    assert replace(two, cached=False) == one
    assert cache.warning is None


def test_the_key_hashes_every_input(eyeriss):
    hardware, ert = eyeriss
    energies = {**ert.energies, "psum_spad": {**ert.energies["psum_spad"], "read": 1.0}}
    first = replace(hardware.levels[0], effective_size=15)
    looser = replace(hardware.levels[0], constraints=replace(hardware.levels[0].constraints, bypass=()))
    keys = {
        cache_key(SMALL, hardware, ert, "energy"),
        cache_key(SMALL, hardware, ert, "edp"),
        cache_key(OTHER, hardware, ert, "energy"),
        cache_key(conv(C=4, M=4, R=3, P=4, Wstride=2), hardware, ert, "energy"),
        cache_key(SMALL, hardware, replace(ert, energies=energies), "energy"),
        cache_key(SMALL, replace(hardware, levels=(first, *hardware.levels[1:])), ert, "energy"),
        cache_key(SMALL, replace(hardware, levels=(looser, *hardware.levels[1:])), ert, "energy"),
    }
    assert len(keys) == 7 - (looser == hardware.levels[0])
    assert cache_key(replace(SMALL, name="again"), replace(hardware, name="b"), ert, "energy") in keys


def test_a_damaged_file_is_done_without(eyeriss, tmp_path):
    path = tmp_path / "mappings.sqlite"
    path.write_bytes(b"not a database, whatever the name says" * 50)
    result = search(SMALL, *eyeriss, cache=MappingCache(path))
    assert result.proved_optimal
    assert "the mapping cache cannot be read (file is not a database)" in result.warnings[-1]


def test_a_file_that_is_still_empty_is_used(tmp_path):
    path = tmp_path / "mappings.sqlite"
    path.touch()  # as another process leaves it for a moment, or one that was killed then for good
    cache = MappingCache(path)
    assert cache.get("k") is None
    cache.put("k", {"a": 1})
    assert cache.get("k") == {"a": 1}
    assert cache.warning is None


def test_a_place_that_cannot_even_be_looked_at_is_done_without(tmp_path):
    cache = MappingCache(tmp_path / ("x" * 300) / "mappings.sqlite")
    assert cache.get("k") is None
    assert "the mapping cache cannot be read" in str(cache.warning)


def test_a_file_that_cannot_be_written_is_done_without(eyeriss, tmp_path):
    (tmp_path / "file").write_text("")
    result = search(SMALL, *eyeriss, cache=MappingCache(tmp_path / "file" / "mappings.sqlite"))
    assert result.proved_optimal
    assert "the mapping cache cannot be written" in result.warnings[-1]


def test_a_read_only_file_still_answers(eyeriss, tmp_path, monkeypatch):
    path = tmp_path / "mappings.sqlite"
    search(SMALL, *eyeriss, cache=MappingCache(path))
    # As root, permission bits do not stop a writer; SQLite's own read-only mode does.
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda p, **k: connect(f"file:{p}?mode=ro", uri=True, **k))
    assert search(SMALL, *eyeriss, cache=MappingCache(path)).cached
    result = search(OTHER, *eyeriss, cache=MappingCache(path))
    assert "cannot be written (attempt to write a readonly database)" in result.warnings[-1]


def test_a_damaged_entry_is_searched_again(eyeriss, tmp_path):
    path = tmp_path / "mappings.sqlite"
    one = search(SMALL, *eyeriss, cache=MappingCache(path))
    connection = sqlite3.connect(path)
    connection.execute("UPDATE mappings SET payload = '{\"mapping\": 3}'")
    connection.commit()
    connection.close()
    two = search(SMALL, *eyeriss, cache=MappingCache(path))
    assert not two.cached
    assert two.stats == one.stats


def write_many(path: str) -> str | None:
    cache = MappingCache(Path(path))
    for i in range(50):
        cache.put(f"{os.getpid()}-{i}", {"i": i})
    return cache.warning


def test_two_processes_write_one_file(tmp_path):
    path = tmp_path / "mappings.sqlite"
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        assert list(pool.map(write_many, [str(path)] * 2)) == [None, None]
    connection = sqlite3.connect(path)
    (number,) = connection.execute("SELECT COUNT(*) FROM mappings").fetchone()
    connection.close()
    assert number in (50, 100)  # one process may have taken both turns: then its keys are the same


def test_default_place_follows_xdg(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_path() == tmp_path / "tqhw" / "mappings.sqlite"
