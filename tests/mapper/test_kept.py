"""A kept answer is not believed: what is no answer of the engine to this search is searched anew, with a word."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.mapper.places import conv, machine
from tqhw.mapper import MappingCache, SearchResult, Task, cache_key, search, search_many
from tqhw.mapper.kept import payload
from tqhw.mapper.search import key_part
from tqhw.objectives import goal_of

SMALL, OTHER = conv(C=4, M=4, R=3, P=4), conv(C=2, M=8, S=3, Q=4)
ANEW = "what is kept for .* on eyeriss_like is not what the engine says; it is searched anew"


@pytest.fixture(scope="module")
def known() -> SearchResult:
    return search(SMALL, *machine("eyeriss_like"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "tqhw"
    folder.mkdir(mode=0o700)
    return folder / "mappings.sqlite"


def forged(path: Path, text: str) -> SearchResult:
    """Searches with a cache that holds ``text`` under the search's key, sealed as we seal."""
    key = cache_key(SMALL, *machine("eyeriss_like"), "energy")
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE mappings (key TEXT PRIMARY KEY, payload TEXT NOT NULL)")
    connection.execute(
        "INSERT INTO mappings VALUES (?, ?)", (key, f"{hashlib.sha256(text.encode()).hexdigest()} {text}")
    )
    connection.commit()
    connection.close()
    return search(SMALL, *machine("eyeriss_like"), cache=MappingCache(path))


def test_what_was_kept_is_evaluated_and_taken(path: Path, known: SearchResult) -> None:
    found = forged(path, json.dumps(payload(known, None)))
    assert (found.cached, found.stats, found.mapping, found.warnings) == (True, known.stats, known.mapping, ())


def _cheaper(row: dict[str, Any]) -> None:
    row["stats"]["energy_pj"] /= 2


def _all_outside(row: dict[str, Any]) -> None:
    for level in row["mapping"]["levels"]:
        level["temporal"]["factors"] = {"C": 4, "M": 4, "R": 3, "P": 4} if level["target"] == "DRAM" else {}
        level["spatial"] = None


def _huge(row: dict[str, Any]) -> None:
    row["mapping"]["levels"][0]["temporal"]["factors"] = {"C": 10**300}


def _twice(row: dict[str, Any]) -> None:
    row["mapping"]["levels"][0]["temporal"]["permutation"] = ["C", "C", "M"]


@pytest.mark.parametrize(
    "change",
    [
        _cheaper,
        _all_outside,
        _huge,
        _twice,
        lambda row: next(iter(row["stats"]["levels"].values())).update(energy_pj=1.0),
        lambda row: row.update(objective="edp"),
        lambda row: row.update(proved_optimal=False),
        lambda row: row.update(lower_bound=1e30),
        lambda row: row.update(gap=0.5),
        lambda row: row.update(evaluated="many"),
        lambda row: row.update(warnings=[3]),
        lambda row: row.update(mapping=3),
        lambda row: row.update(more=1),
        lambda row: row.pop("stats"),
        lambda row: row["stats"].update(levels=[]),
        lambda row: row["mapping"]["levels"][0].update(target=7),
    ],
)
def test_what_is_no_answer_is_searched_anew(
    path: Path, known: SearchResult, change: Callable[[dict[str, Any]], object]
) -> None:
    row = json.loads(json.dumps(payload(known, None)))
    change(row)
    found = forged(path, json.dumps(row))
    assert not found.cached
    assert (found.stats, found.mapping) == (known.stats, known.mapping)
    (warning,) = found.warnings
    assert warning.startswith(f"{path}: what is kept for ") and warning.endswith("it is searched anew")


@pytest.mark.parametrize("text", ["", "[", "[]", "{}", "3", "NaN", 5000 * "[", '{"mapping": 1e400}', '"\\ud800"'])
def test_what_is_no_row_is_searched_anew(path: Path, known: SearchResult, text: str) -> None:
    found = forged(path, text)
    assert (found.cached, found.stats) == (False, known.stats)
    assert found.warnings[-1].endswith("it is searched anew")


def _whole_cheaper(row: dict[str, Any]) -> None:
    row["whole"]["energy_pj"] /= 2


@pytest.mark.parametrize("change", [None, _whole_cheaper, lambda row: row.update(whole=None)])
def test_the_whole_work_of_a_mapping_with_remainders_is_evaluated_too(
    path: Path, change: Callable[[dict[str, Any]], object] | None
) -> None:
    problem, (hardware, ert), cache = conv(M=17), machine("weight_stationary"), MappingCache(path)
    fresh = search(problem, hardware, ert, "latency", cache=cache, way="imperfect")
    assert fresh.whole is not None
    key = cache_key(problem, hardware, ert, key_part(goal_of("latency"), "imperfect"))
    row = json.loads(json.dumps(payload(fresh, None)))
    if change is not None:
        change(row)
    cache.put(key, row)
    found = search(problem, hardware, ert, "latency", cache=MappingCache(path), way="imperfect")
    assert (found.cached, found.whole, found.mapping) == (change is None, fresh.whole, fresh.mapping)


def test_another_problems_answer_is_none(path: Path, known: SearchResult) -> None:
    other = search(OTHER, *machine("eyeriss_like"))
    found = forged(path, json.dumps(payload(other, None)))
    assert (found.cached, found.stats) == (False, known.stats)


def test_many_doubt_as_one_does(path: Path, known: SearchResult) -> None:
    row = json.loads(json.dumps(payload(known, None)))
    _cheaper(row)
    forged(path, json.dumps(row))
    connection = sqlite3.connect(path)
    text = json.dumps(row)
    connection.execute("UPDATE mappings SET payload = ?", (f"{hashlib.sha256(text.encode()).hexdigest()} {text}",))
    connection.commit()
    connection.close()
    (found,) = search_many([Task(SMALL, *machine("eyeriss_like"))], cache=MappingCache(path))
    assert isinstance(found, SearchResult)
    assert (found.cached, found.stats) == (False, known.stats)
    assert "searched anew" in found.warnings[-1]


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="there are no such owners here")
class TestOthers:
    """A cache that another user can write is no memory of ours."""

    def told(self, path: Path) -> str:
        found = search(SMALL, *machine("eyeriss_like"), cache=MappingCache(path))
        assert not found.cached
        return found.warnings[-1]

    @pytest.fixture
    def filled(self, path: Path) -> Path:
        search(SMALL, *machine("eyeriss_like"), cache=MappingCache(path))
        assert search(SMALL, *machine("eyeriss_like"), cache=MappingCache(path)).cached
        return path

    def test_a_file_that_others_may_write(self, filled: Path) -> None:
        before = filled.read_bytes()
        filled.chmod(0o666)
        told = self.told(filled)
        assert told == (
            f"{filled}: the mapping cache is not used, for other users may write to {filled} (chmod go-w '{filled}'); "
            "going on without it"
        )
        assert filled.read_bytes() == before

    def test_a_folder_that_others_may_write_to(self, filled: Path) -> None:
        filled.parent.chmod(0o777)
        assert f"other users may write to {filled.parent} (chmod" in self.told(filled)

    def test_a_file_of_another_user(self, filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
        for place in (filled, filled.parent):
            if place.stat().st_uid == 0:
                os.chown(place, 4242, -1)
        assert f"{filled.parent} belongs to another user" in self.told(filled)

    def test_a_new_folder_is_ours_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "new" / "mappings.sqlite"
        before = os.umask(0o002)  # as many systems have it
        try:
            search(SMALL, *machine("eyeriss_like"), cache=MappingCache(path))
        finally:
            os.umask(before)
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert search(SMALL, *machine("eyeriss_like"), cache=MappingCache(path)).cached


@pytest.fixture(scope="module")
def front() -> SearchResult:
    return search(FRONTED, *machine("eyeriss_like"), "energy,latency")


FRONTED = conv(C=3, M=4, R=3, P=5)


def test_a_kept_front_is_evaluated_and_taken(path: Path, front: SearchResult) -> None:
    cache = MappingCache(path)
    assert len(front.front.points) > 1
    assert not search(FRONTED, *machine("eyeriss_like"), "energy,latency", cache=cache).cached
    found = search(FRONTED, *machine("eyeriss_like"), "energy,latency", cache=cache)
    assert (found.cached, found.front, found.stats) == (True, front.front, front.stats)
    for other in ("latency,energy", "energy"):
        assert not search(FRONTED, *machine("eyeriss_like"), other, cache=cache).cached


@pytest.mark.parametrize(
    "change",
    [
        lambda kept: kept["front"]["points"].reverse(),
        lambda kept: kept["front"]["points"].pop(0),
        lambda kept: kept["front"]["points"][1]["stats"].update(cycles=1),
        lambda kept: kept["front"]["least"].pop(),
        lambda kept: kept["front"].update(least=[1e30, 1.0]),
        lambda kept: kept["front"].update(share=0.5),
        lambda kept: kept.pop("front"),
    ],
)
def test_a_forged_front_is_searched_anew(path: Path, front: SearchResult, change: Callable[[Any], object]) -> None:
    cache = MappingCache(path)
    kept = json.loads(json.dumps(payload(front, None)))
    change(kept)
    cache.put(cache_key(FRONTED, *machine("eyeriss_like"), goal_of("energy,latency").key), kept)
    found = search(FRONTED, *machine("eyeriss_like"), "energy,latency", cache=cache)
    assert (found.cached, found.front) == (False, front.front)
    assert any("is searched anew" in warning for warning in found.warnings)
