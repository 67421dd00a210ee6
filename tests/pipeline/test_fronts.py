"""A run that searches for fronts: those of layers and network, as rows, tables, figures and files."""

from __future__ import annotations

import csv
import json
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")

from tests.pipeline.test_run import TINY
from tqhw import engine, report
from tqhw.errors import TqhwError
from tqhw.experiment import Experiment, load
from tqhw.pipeline import fronts
from tqhw.results import Results
from tqhw.run import run
from tqhw.scenario.fronts import network_front
from tqhw.scenario.network import Width
from tqhw.spec import flatten, load_architecture, load_ert, load_mapping, load_problem
from tqhw.spec.mapping import has_remainders

FRONTED: dict[str, Any] = {
    **{key: value for key, value in TINY.items() if key != "training"},
    "spad_models": ["smartbuffer_rf"],
    "search": {"objective": "energy,latency"},
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Results, Path]:
    out = tmp_path_factory.mktemp("run") / "out"
    return run(Experiment.model_validate(FRONTED), out), out


def test_the_first_objective_is_that_of_the_tables(ran: tuple[Results, Path]) -> None:
    """All rows but those of the fronts are the rows of a run for energy alone."""
    results, _ = ran
    alone = run(Experiment.model_validate({**FRONTED, "search": {"objective": "energy"}}))
    assert (alone.energy, alone.traffic, alone.layers) == (results.energy, results.traffic, results.layers)
    assert alone.fronts == ()
    assert "fronts" not in alone.as_json()


def test_points_are_sums_of_the_choices(ran: tuple[Results, Path]) -> None:
    results, _ = ran
    layer = {(row.bits, row.layer, row.point): row for row in results.layer_fronts}
    counts = {row.name: row.count for row in results.layers}
    for row in results.fronts:
        taken = [
            (layer[row.bits, name, point], number)
            for name, choice in row.choices.items()
            for point, number in enumerate(choice, 1)
        ]
        assert {name: sum(choice) for name, choice in row.choices.items()} == counts
        assert row.energy_mj == pytest.approx(sum(one.energy_pj * n for one, n in taken) / 1e9, rel=1e-12)
        assert row.cycles == sum(one.cycles * n for one, n in taken)
        assert row.within == 0.0
    for bits in (2, 8):
        mine = [row for row in results.fronts if row.bits == bits]
        assert len(mine) > 1
        assert [row.point for row in mine] == list(range(1, 1 + len(mine)))
        assert all(a.energy_mj < b.energy_mj and a.cycles > b.cycles for a, b in pairwise(mine))
        least = {
            row.name: min(e.energy_pj for e in row.evaluations if e.weight_bits == (row.bits or bits))
            for row in results.layers
        }
        cheapest = sum(counts[name] * energy for name, energy in least.items())
        assert mine[0].energy_mj == pytest.approx(cheapest / 1e9, rel=1e-9)


def test_every_mapping_of_a_front_is_a_file_that_gives_its_numbers(ran: tuple[Results, Path]) -> None:
    results, out = ran
    problems = {
        row.name: path for row, path in zip(results.layers, sorted((out / "problems").glob("*.yaml")), strict=True)
    }
    for row in results.layer_fronts:
        folder = (out / row.file).parents[2]
        problem, hardware = load_problem(problems[row.layer]), flatten(load_architecture(folder / "architecture.yaml"))
        mapping = load_mapping(out / row.file)
        stats = engine.evaluate(problem, hardware, load_ert(folder / "ERT.yaml"), mapping)
        assert (stats.energy_pj, stats.cycles) == (pytest.approx(row.energy_pj, rel=1e-9), row.cycles)


@pytest.mark.parametrize("way", [{"factors": "imperfect"}, {"pad": True}])
def test_fronts_of_uneven_mappings_are_of_the_whole_work(way: dict[str, Any], tmp_path: Path) -> None:
    """Each point's file, and of a padded one its problem, give its numbers; the network's are sums of them."""
    out = tmp_path / "out"
    results = run(Experiment.model_validate({**FRONTED, "search": {"objective": "energy,latency", **way}}), out)
    files = sorted((out / "problems").glob("*.yaml"))
    problems = {row.name: path for row, path in zip(results.layers, files, strict=True)}
    uneven = 0
    for row in results.layer_fronts:
        folder, mapping = (out / row.file).parents[2], load_mapping(out / row.file)
        padded = (out / row.file).with_suffix(".problem.yaml")
        problem = load_problem(padded if padded.exists() else problems[row.layer])
        hardware, ert = flatten(load_architecture(folder / "architecture.yaml")), load_ert(folder / "ERT.yaml")
        assert engine.evaluate(problem, hardware, ert, mapping).valid
        counts = engine.run_batch(
            engine.build_model(problem, hardware, ert), engine.encode(problem, hardware, [mapping])
        )
        whole = has_remainders(mapping)
        uneven += whole or padded.exists()
        energy, cycles = (counts.whole_pj, counts.whole_cycles) if whole else (counts.energy_pj, counts.cycles)
        assert (energy[0], cycles[0]) == (pytest.approx(row.energy_pj, rel=1e-9), row.cycles)
    assert uneven > 0
    costs = {(row.bits, row.layer, row.point): row.energy_pj for row in results.layer_fronts}
    for point in results.fronts:
        taken = [
            count * costs[point.bits, name, number]
            for name, choice in point.choices.items()
            for number, count in enumerate(choice, 1)
            if count
        ]
        assert point.energy_mj == pytest.approx(sum(taken) / 1e9, rel=1e-12)
    told = "the fronts are of the whole work" if "factors" in way else "padding wastes operations"
    assert any(note.startswith(told) for note in results.notes)


def test_files_and_page(ran: tuple[Results, Path]) -> None:
    results, out = ran
    assert report.load(out) == results
    with (out / "fronts.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["energy_mj"]) for row in rows] == [row.energy_mj for row in results.fronts]
    assert rows[0]["conv1"] == " ".join(map(str, results.fronts[0].choices["conv1"]))
    assert len(json.loads((out / "results.json").read_text())["layer_fronts"]) == len(results.layer_fronts)
    for ending in ("svg", "png", "pdf"):
        assert (out / "figures" / f"fronts.{ending}").stat().st_size > 1000
    page = (out / "report.html").read_text()
    assert "Front of energy and cycles: one inference" in page
    assert "figures/fronts: .svg, .pdf and .png" in page


def test_a_front_that_is_too_long_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fronts, "network_front", lambda layers: network_front(layers, most_points=3))
    results = run(Experiment.model_validate(FRONTED))
    points = [row.point for row in results.fronts if row.bits == 2]
    assert points == list(range(1, 1 + len(points)))
    assert len(points) <= 3
    told = f"front at 2 bits has more points than the {len(points)} that are told"
    assert any(told in note for note in results.notes)
    assert results.fronts[0].within > 0.0


@pytest.mark.parametrize(
    "objective, message",
    [
        ("energy,edp", "the front of a network is one of energy and latency, which add up over its layers"),
        ("energy,energy", "energy is named twice"),
        ("energy,latency,edp", "edp adds nothing to a front of energy and latency"),
        ("energy,speed", "unknown value 'speed'"),
    ],
)
def test_what_makes_no_front_of_a_network_is_refused(tmp_path: Path, objective: str, message: str) -> None:
    path = tmp_path / "experiment.yaml"
    path.write_text(f"search: {{objective: '{objective}'}}\n")
    with pytest.raises(TqhwError, match=message):
        load(path)


@pytest.mark.parametrize(
    ("asked", "weights", "told"),
    [([2, 4], {2, 4, 8}, [2, 4]), ([2, 4], {8}, [8]), ([2, 8], {8}, [8])],
)
def test_precisions_that_no_method_runs_at_have_no_front(asked: list[int], weights: set[int], told: list[int]) -> None:
    """The method `fixed` runs at the stored precision, whatever the others are."""
    layers = [SimpleNamespace(fixed_bits=None), SimpleNamespace(fixed_bits=16)]
    found = {(0, Width(bits, bits)): None for bits in weights} | {(1, Width(16, 16)): None}
    evaluated: Any = SimpleNamespace(network=SimpleNamespace(layers=layers), found=found)
    assert fronts._run_at(asked, evaluated) == told
