"""Requests and answers through a folder, and the worker that a container runs, without a container."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest

from tests.backends.cases import DATA, MAPPER_PREFIX, layer, rendered_design
from tqhw import energy, engine
from tqhw.backends.container import exchange, worker
from tqhw.backends.container.exchange import Request, read_answer, read_request, write_request
from tqhw.backends.embedded import Embedded
from tqhw.backends.protocol import Found, Search, Target
from tqhw.backends.reference.random_mappings import random_mappings
from tqhw.errors import TqhwError
from tqhw.options import TimeloopOptions
from tqhw.spec import Stats, load_mapping

DESIGN = rendered_design(weight_bits=3)


@pytest.fixture(scope="module")
def target() -> Target:
    return Embedded().target(DESIGN)


def test_a_request_comes_back_as_it_was(target: Target, tmp_path: Path) -> None:
    problem = layer(14, 16)
    mapping = next(random_mappings(problem, target.hardware, 1))
    search = Search("edp", 2.5, cache=False)
    request = Request("embedded", "evaluate", {"jobs": 2}, 10, (DESIGN,), ((problem, target, mapping),) * 2, (), search)
    write_request(tmp_path, request)
    found = read_request(tmp_path)
    assert (found.inner, found.verb, found.options, found.memory_bytes) == ("embedded", "evaluate", {"jobs": 2}, 10)
    assert found.search == search
    assert found.designs[0].text == DESIGN.text
    (again, same, loops), second = found.evaluations
    assert again == problem
    assert same.ert.energies == target.ert.energies
    assert same.ert.full_names == target.ert.full_names
    assert same.hardware == target.hardware
    assert second[1] is same  # the tables travel once
    ours = engine.evaluate(problem, target.hardware, target.ert, mapping)
    assert engine.evaluate(again, same.hardware, same.ert, loops) == ours


def test_the_worker_evaluates_bit_for_bit(target: Target, tmp_path: Path) -> None:
    problem = layer(14, 16)
    stream = random_mappings(problem, target.hardware, 5)
    chosen = [next(stream) for _ in range(30)]
    request = Request("embedded", "evaluate", {}, evaluations=tuple((problem, target, m) for m in chosen))
    write_request(tmp_path, request)
    assert worker.main([str(tmp_path)]) == 0
    assert (tmp_path / exchange.PROGRESS).read_text() == 30 * "."
    found = [exchange.read_stats(answer) for answer in read_answer(tmp_path)["evaluations"]]  # type: ignore[index]
    assert found == [engine.evaluate(problem, target.hardware, target.ert, m) for m in chosen]
    assert any(isinstance(answer, Stats) for answer in found)
    assert not all(isinstance(answer, Stats) for answer in found)


def test_the_worker_makes_tables_and_tells_versions(tmp_path: Path) -> None:
    write_request(tmp_path, Request("embedded", "target", {}, designs=(DESIGN,)))
    worker.main([str(tmp_path)])
    (table,) = read_answer(tmp_path)["targets"]  # type: ignore[index]
    assert (tmp_path / exchange.PROGRESS).read_text() == "."
    found = exchange.read_target(table, DESIGN)
    assert found.ert.energies == energy.tables(DESIGN.architecture).ert.energies
    write_request(tmp_path, Request("embedded", "versions", {}))
    assert read_answer(tmp_path) is None  # the old answer is gone
    worker.main([str(tmp_path)])
    assert "engine" in read_answer(tmp_path)["versions"]  # type: ignore[index]


def test_another_form_has_another_number() -> None:
    """Whoever changes what is exchanged comes here: FORMAT counts up, so that an old image says what is wrong."""
    exchanged = {kind.__name__: [field.name for field in fields(kind)] for kind in (Request, Search, TimeloopOptions)}
    assert (exchange.FORMAT, exchanged) == (
        4,
        {
            "Request": ["inner", "verb", "options", "memory_bytes", "designs", "evaluations", "jobs", "search"],
            "Search": ["objective", "budget_s", "jobs", "cache"],
            "TimeloopOptions": [
                *("algorithm", "victory_condition", "timeout", "search_size", "num_threads", "jobs"),
                *("budget_s", "model_budget_s"),
            ],
        },
    )


def test_a_search_answer_comes_back_as_it_was(target: Target) -> None:
    mapping = load_mapping(DATA / "mapper_eyeriss_like" / f"{MAPPER_PREFIX}.map.yaml")
    problem = layer(14, 16)
    stats = next(
        answer
        for m in random_mappings(problem, target.hardware, 2)
        if isinstance(answer := engine.evaluate(problem, target.hardware, target.ert, m), Stats)
    )
    found = Found(mapping, stats, False, 12, 0.1)
    text = json.dumps(exchange.found_json(found, problem.shape.dimensions))
    assert exchange.read_found(json.loads(text)) == found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 0}, r"format 0, this image reads 4.*tqhw docker build"),
        ({"inner": "other"}, r"unknown engine in the container 'other'"),
        ({"verb": "dance"}, r"unknown verb 'dance'"),
    ],
)
def test_errors_inside_come_out(tmp_path: Path, change: dict[str, object], message: str) -> None:
    write_request(tmp_path, Request("embedded", "versions", {}))
    path = tmp_path / exchange.REQUEST
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert worker.main([str(tmp_path)]) == 0
    with pytest.raises(TqhwError, match=f"in the container: .*{message}"):
        read_answer(tmp_path)


def test_a_damaged_answer(tmp_path: Path) -> None:
    (tmp_path / exchange.ANSWER).write_text('{"ok": ')
    with pytest.raises(TqhwError, match=r"not valid JSON.*was the disk full"):
        read_answer(tmp_path)
