"""Options, budgets, diagnoses, and answers that are kept."""

from __future__ import annotations

import os
import sqlite3
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest

from tests.mapper.custom import MACHINES, build, shape
from tests.mapper.places import conv, machine
from tqhw.errors import TqhwError
from tqhw.mapper import MappingCache, NoMapping, NoMappingError, Task, cache_key, search, search_many
from tqhw.mapper.cache import default_path
from tqhw.spec import LoopConstraint, make_problem

SMALL = conv(C=4, M=4, R=3, P=4)
OTHER = conv(C=2, M=8, S=3, Q=4)


@pytest.fixture
def eyeriss():
    return machine("eyeriss_like")


def test_objectives_differ(eyeriss):
    problem = conv(C=16, M=16, R=3, S=3, P=8, Q=8)
    found = {o: search(problem, *eyeriss, objective=o) for o in ("energy", "latency", "edp")}
    assert all(r.proved_optimal and r.gap == 0.0 for r in found.values())
    energy, latency, edp = (found[o].stats for o in ("energy", "latency", "edp"))
    assert energy.energy_pj < latency.energy_pj
    assert latency.cycles < energy.cycles
    assert edp.energy_pj * edp.cycles <= min(s.energy_pj * s.cycles for s in (energy, latency))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"objective": "power"}, "unknown objective 'power'.*known: energy, edp, latency"),
        ({"objective": "Energy"}, "did you mean 'energy'"),
        ({"budget_s": 0}, "a budget of 0 s leaves no time"),
        ({"budget_s": -1.5}, "a budget of -1.5 s leaves no time"),
    ],
)
def test_bad_options(eyeriss, options, message):
    with pytest.raises(TqhwError, match=message):
        search(SMALL, *eyeriss, **options)


def test_a_budget_gives_a_bound():
    """A space too large to finish at once: what is found lies above the bound."""
    problem = conv(C=12, M=16, R=3, S=3, P=8, Q=8)
    result = search(problem, *machine("eyeriss_like_free"), budget_s=0.1)
    assert result.lower_bound <= result.stats.energy_pj
    assert result.gap == pytest.approx(1 - result.lower_bound / result.stats.energy_pj)
    assert not result.proved_optimal


def without_room(hardware, words):
    """The same machine with a smaller psum_spad."""
    levels = tuple(replace(v, effective_size=words) if v.name == "psum_spad" else v for v in hardware.levels)
    return replace(hardware, levels=levels)


def test_no_mapping_names_demand_bound_and_lever(eyeriss):
    hardware, ert = eyeriss
    levels = tuple(
        replace(v, constraints=replace(v.constraints, temporal=LoopConstraint(factors={"M": 0})))
        if v.name == "psum_spad"
        else v
        for v in hardware.levels
    )
    with pytest.raises(
        NoMappingError, match="psum_spad: the smallest tile of Outputs has 32 words, the capacity is 16"
    ) as e:
        search(conv(M=32, C=2), replace(hardware, levels=levels), ert)
    (reason,) = e.value.diagnosis.reasons
    assert (reason.level, reason.rule, reason.demand, reason.bound) == ("psum_spad", "capacity", 32, 16)
    assert e.value.diagnosis.levers == ("the temporal constraint of psum_spad", "what is kept of psum_spad")
    assert "relax the temporal constraint of psum_spad" in str(e.value)


def test_no_mapping_with_a_fanout_too_small(eyeriss):
    hardware, ert = eyeriss
    levels = tuple(
        replace(v, constraints=replace(v.constraints, spatial=LoopConstraint(factors={"S": 0})))
        if v.node == "PE"
        else v
        for v in hardware.levels
    )
    with pytest.raises(NoMappingError, match="PE: the spatial factors multiply to at least 13, the fan-out is 12"):
        search(conv(S=13, M=2), replace(hardware, levels=levels), ert)


def test_no_mapping_with_one_axis_too_small(eyeriss):
    """M along X and C along Y (the six dimensions of size 1 stand before them): 26 of 168 units, but 13 of 12 rows."""
    hardware, ert = eyeriss
    fixed = LoopConstraint(factors={"M": 2, "C": 13}, permutation=("M", "C"), split=7)
    levels = tuple(
        replace(v, fanoutX=14, fanoutY=12, constraints=replace(v.constraints, spatial=fixed)) if v.node == "PE" else v
        for v in hardware.levels
    )
    with pytest.raises(NoMappingError, match=r"puts at least 13 units along Y \(rows\), there are 12"):
        search(conv(C=13, M=2), replace(hardware, levels=levels), ert)


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


def test_many_is_the_same_for_any_jobs(eyeriss, tmp_path):
    big = [conv(C=32, M=32, R=3, S=3, P=16, Q=16), conv(C=64, M=32, P=32, Q=32)]
    tasks = [Task(p, *eyeriss) for p in (SMALL, big[0], OTHER, big[1], SMALL)]
    seen: list[int] = []
    one = search_many(tasks, jobs=1)
    two = search_many(tasks, jobs=2, progress=lambda i, _: seen.append(i), cache=MappingCache(tmp_path / "m.sqlite"))
    assert sorted(seen) == [0, 1, 2, 3, 4]
    for a, b in zip(one, two, strict=True):
        assert a.mapping == b.mapping
        assert a.stats == b.stats
    again = search_many(tasks, jobs=2, cache=MappingCache(tmp_path / "m.sqlite"))
    assert all(r.cached for r in again)


def test_many_answers_a_layer_without_mapping(eyeriss):
    hardware, ert = eyeriss
    answers = search_many([Task(SMALL, without_room(hardware, 0), ert), Task(OTHER, hardware, ert)])
    assert isinstance(answers[0], NoMapping)
    assert "psum_spad: the smallest tile of Outputs has 1 words, the capacity is 0" in answers[0].message
    assert answers[1].proved_optimal


def test_many_refuses_no_jobs(eyeriss):
    with pytest.raises(TqhwError, match="0 jobs cannot search"):
        search_many([Task(SMALL, *eyeriss)], jobs=0)


def test_costs_below_nothing_are_refused():
    # Outputs [P * 9]: eight of nine words of its box are never written, and each is credited.
    holes = shape("holes", "KP", "a", Weights="[[[K]]]", Inputs="[[[P]]]", Outputs="[[[K]],[[P,a]]]")
    problem = make_problem(holes, {"K": 6, "P": 5, "a": 9}, "layer")
    with pytest.raises(TqhwError, match="a mapping of holes costs less than nothing: Outputs leaves words") as caught:
        search(problem, *build(MACHINES["line"]))
    assert caught.value.place == "layer"
