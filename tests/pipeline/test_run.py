"""A whole run on a small network: what it finds, what it writes, and that it finds the same again."""

from __future__ import annotations

import html
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from typer.testing import CliRunner

from tqhw import engine, report
from tqhw.cli import app
from tqhw.experiment import Experiment
from tqhw.results import Results
from tqhw.run import default_experiment, run
from tqhw.spec import flatten, load_architecture, load_art, load_ert, load_mapping, load_problem
from tqhw.system.progress import Tick
from tqhw.train import extent_of

TINY: dict[str, Any] = {
    "name": "tiny",
    "model": {"name": "tests.pipeline.tiny:net", "input": [1, 1, 8, 8]},
    "bits": [2, 8],
    "quantization": {"first": None},
    "spad_models": ["smartbuffer_rf", "sram"],
    "training": {"size": 8, "epochs": 1, "threads": 1},
    "scenario": {"schedule": [8, {"bits": 2, "inferences": 5}], "inferences_per_switch": [1, 10]},
}


class Stages:
    """Remembers what was watched."""

    def __init__(self) -> None:
        self.seen: dict[str, int] = {}

    @contextmanager
    def __call__(self, stage: str, total: int) -> Iterator[Tick]:
        self.seen[stage] = 0

        def tick(done: int | None = None) -> None:
            self.seen[stage] = self.seen[stage] + 1 if done is None else done

        yield tick


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Results, Path, Stages]:
    out, stages = tmp_path_factory.mktemp("run") / "out", Stages()
    results = run(Experiment.model_validate(TINY), out, watch=stages, command=["tqhw", "run"])
    return results, out, stages


def document(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found


def test_the_files_hold_the_results(ran: tuple[Results, Path, Stages]) -> None:
    results, out, _ = ran
    assert report.load(out) == results
    assert {"report.html", "results.json", "README.txt", "files.json"} <= {f.name for f in out.iterdir()}


def test_accuracies_are_those_of_shifted_integers(ran: tuple[Results, Path, Stages]) -> None:
    rows = {(row.scheme, row.bits, row.weights): row for row in ran[0].accuracy}
    assert set(rows) == {
        (s, b, w) for s in ("truncquant", "dorefa") for b in (2, 8) for w in ("shifted", "requantized")
    }
    assert all(rows["truncquant", b, "shifted"].verified for b in (2, 8))
    assert not rows["dorefa", 2, "shifted"].verified
    assert all(row.samples == 450 and row.top1 is not None for row in rows.values())


def test_every_state_of_every_method_has_its_energy_and_traffic(ran: tuple[Results, Path, Stages]) -> None:
    results = ran[0]
    keys = {(row.method, row.bits, row.state) for row in results.energy}
    assert keys == {(row.method, row.bits, row.state) for row in results.traffic}
    assert len(keys) == 3 * (3 * 2 + 1)  # fixed runs at the stored bits alone
    totals: dict[tuple[str, int, str], float] = {}
    for row in results.energy:
        key = (row.method, row.bits, row.state)
        totals[key] = totals.get(key, 0.0) + row.energy_mj
    assert totals["truncquant", 2, "steady"] < totals["truncquant", 8, "steady"] == totals["fixed", 8, "steady"]
    assert totals["any_precision", 2, "precision_switching"] > totals["truncquant", 2, "precision_switching"]
    assert totals["any_precision", 2, "steady"] == totals["truncquant", 2, "steady"]


def test_the_steady_traffic_is_that_of_the_layers(ran: tuple[Results, Path, Stages]) -> None:
    """Two FP32 numbers for each of 12 norm channels at a switch; weights as the mappings deliver them."""
    results = ran[0]
    bits = {
        (row.state, row.dataspace): row.dram_bits
        for row in results.traffic
        if (row.method, row.bits) == ("truncquant", 2)
    }
    assert bits["precision_switching", "Normalization"] == 2 * 12 * 32
    expected = 0
    for layer in results.layers:
        width = 32 if layer.bits == 32 else 2
        (one,) = (
            e
            for e in layer.evaluations
            if (e.weight_bits, e.fetch_bits, e.spad_model) == (width, width, "smartbuffer_rf")
        )
        expected += one.dram_bits["Weights"] * layer.count
    assert bits["steady", "Weights"] == expected


def test_areas_are_those_of_the_tables(ran: tuple[Results, Path, Stages]) -> None:
    results, out, _ = ran
    folders = {(e.fetch_bits, e.weight_bits, e.spad_model): e.files for row in results.layers for e in row.evaluations}
    rows = {(r.fetch_bits, r.weight_bits, r.spad_model, r.component): r for r in results.area}
    assert {key[:3] for key in rows} == {*folders}
    for key, folder in folders.items():
        hardware = flatten(load_architecture(out / folder / "architecture.yaml"))
        told = load_art(out / folder / "ART.yaml").areas
        areas = {name: area for name, area in told.items() if not name.startswith("inter_")}  # wires have none
        for name, area in areas.items():
            assert rows[*key, name].area_um2 == area * hardware.instances(name)
            assert rows[*key, name].instances == hardware.instances(name)
        assert {key[3] for key in rows} == {*areas}
    assert rows[2, 2, "sram", "mac"].area_um2 < rows[8, 8, "sram", "mac"].area_um2


def test_headlines_are_given_for_every_scratchpad_model(ran: tuple[Results, Path, Stages]) -> None:
    rows = [row for row in ran[0].summary if row.quantity == "energy"]
    assert {row.spad_model for row in rows} == {"smartbuffer_rf", "sram"}
    for row in ran[0].summary:
        assert row.value == pytest.approx(row.numerator_value / row.denominator_value)


def test_schedule_and_amortised_curve(ran: tuple[Results, Path, Stages]) -> None:
    results = ran[0]
    assert [(r.step, r.bits, r.inferences) for r in results.schedule if r.method == "truncquant"] == [
        (1, 8, 1),
        (2, 2, 5),
    ]
    assert {(r.method, r.inferences) for r in results.amortised} >= {("any_precision", 1), ("fixed", 10)}


def test_what_was_written_gives_the_numbers_again(ran: tuple[Results, Path, Stages]) -> None:
    """The written architecture, ERT, problem and mapping, evaluated afresh, give the energy in the results."""
    results, out, _ = ran
    files = [layer["file"] for layer in json.loads((out / "problems/summary.json").read_text())["layers"]]
    checked = 0
    for layer, file in zip(results.layers, files, strict=True):
        for one in layer.evaluations:
            folder = out / one.files
            stats = engine.evaluate(
                load_problem(out / "problems" / file),
                flatten(load_architecture(folder / "architecture.yaml")),
                load_ert(folder / "ERT.yaml"),
                load_mapping(folder / "mappings" / file),
            )
            assert stats.valid
            assert stats.energy_pj == pytest.approx(one.energy_pj, rel=1e-9)
            checked += 1
    assert checked == sum(len(layer.evaluations) for layer in results.layers) >= 3 * 2


def test_tables_of_energies_are_watched(ran: tuple[Results, Path, Stages]) -> None:
    results, _, stages = ran
    made = len({one.files for layer in results.layers for one in layer.evaluations})
    (told,) = (n for stage, n in stages.seen.items() if re.fullmatch(rf"tables of {made} architectures", stage))
    assert told == made


def test_a_second_run_finds_the_same_and_trains_nothing(
    ran: tuple[Results, Path, Stages], caplog: pytest.LogCaptureFixture
) -> None:
    _, out, first = ran
    before, stages = document(out), Stages()
    with caplog.at_level(logging.INFO, "tqhw.pipeline"):
        run(Experiment.model_validate(TINY), out, watch=stages)
    told = [text for text in caplog.messages if text.startswith("kept training")]
    assert sorted(told) == [f"kept training taken from {folder}" for folder in sorted(out.glob("kept/*"))]
    assert len(told) == 2
    after = document(out)
    assert {**before, "provenance": None} == {**after, "provenance": None}
    assert (first.seen["training, truncquant"], stages.seen["training, truncquant"]) == (10, 0)
    assert stages.seen["mapping 3 layers"] == first.seen["mapping 3 layers"] > 0


def test_a_changed_experiment_trains_anew_where_it_must(ran: tuple[Results, Path, Stages]) -> None:
    _, out, _ = ran
    stages = Stages()
    changed = {**TINY, "seed": 1, "training": {**TINY["training"], "schemes": ["truncquant"]}}
    run(Experiment.model_validate(changed), out, watch=stages)
    assert stages.seen["training, truncquant"] == 10
    run(Experiment.model_validate(TINY), out)  # as the fixture left it


def test_without_training_accuracies_are_not_measured() -> None:
    found = run(Experiment.model_validate({**TINY, "training": None, "methods": ["truncquant"], "bits": [8]}))
    assert [(row.top1, row.samples, row.verified) for row in found.accuracy] == [(None, 0, False)]
    assert {row.quantity for row in found.summary} == {"storage", "switching_weights"}


@pytest.mark.parametrize("name", ["quickstart", "paper", "paper_mobilenetv2"])
def test_the_packaged_experiments_are_valid(name: str) -> None:
    from tqhw import experiment

    found = experiment.load(default_experiment().with_name(f"{name}.yaml"))
    assert (found.training is None) == name.startswith("paper")


def test_the_command_prints_the_tables_and_says_where_the_rest_is(tmp_path: Path) -> None:
    path, out = tmp_path / "e.yaml", tmp_path / "out"
    path.write_text(json.dumps({**TINY, "training": None, "bits": [2]}))
    found = CliRunner().invoke(app, ["run", str(path), "--out", str(out), "--jobs", "1"])
    assert found.exit_code == 0, found.output
    assert "which this run replaces" not in found.output
    for table in ("Energy in mJ", "DRAM traffic", "Storage", "Headline ratios"):
        assert table in found.stdout
    assert "not measured" in found.stdout
    assert "% of the weights switch their bits (" in " ".join(found.stdout.split())
    assert f"Everything is in {out}" in " ".join(found.stdout.split())
    anew = CliRunner().invoke(app, ["run", str(path), "--out", str(out), "--jobs", "1"])
    assert f"{out} holds results of 2" in anew.stdout
    assert "which this run replaces when it is done; another --out keeps them" in anew.stdout
    refused = CliRunner().invoke(app, ["run", str(path), "--out", str(out), "--set", "architecture.params.pe_rows=0"])
    assert (refused.exit_code, refused.stdout) == (2, ""), "what is refused replaces nothing, and does not say so"
    again = CliRunner().invoke(app, ["report", str(out), "--no-figures", "--out", str(tmp_path / "again")])
    assert again.exit_code == 0
    assert document(tmp_path / "again") == document(out)
    assert CliRunner().invoke(app, ["report", str(tmp_path)]).exit_code == 2


def test_layers_that_lose_their_magnitude_are_told_on_the_screen_and_in_the_results(tmp_path: Path) -> None:
    lost = {**TINY, "model": {"name": "tests.pipeline.tiny:without_norms"}, "methods": ["truncquant"], "bits": [8]}
    (tmp_path / "lost.yaml").write_text(json.dumps({**lost, "spad_models": ["sram"], "scenario": {}}))
    found = CliRunner().invoke(app, ["run", str(tmp_path / "lost.yaml"), "--out", str(tmp_path / "out"), "--jobs", "1"])
    assert found.exit_code == 0, found.output
    said = [line for line in found.stderr.splitlines() if "lose their magnitude" in line]
    (note,) = [note for note in document(tmp_path / "out")["notes"] if "lose their magnitude" in note]
    assert said == [f"tqhw: warning: {note}"] and note.endswith("The layers: 0, 2")
    assert note in html.unescape((tmp_path / "out" / "report.html").read_text())


def test_own_scales_of_a_linear_normalisation_reach_traffic_and_storage() -> None:
    linear = {"granularity": "channel", "normalization": {"kind": "linear", "scales": "own"}}
    choices = {**TINY, "training": None, "methods": ["truncquant"], "spad_models": ["sram"], "scenario": {}}
    found = run(Experiment.model_validate({**choices, "quantization": {"first": None, **linear}}))
    numbers = 4 + 8  # channels of the two convolutions
    rows = {(row.bits, row.state): row.dram_bits for row in found.traffic if row.dataspace == "Scales"}
    assert {bits for bits, _ in rows} == {2, 8} and all(bits % 64 == 0 for bits in rows.values())
    assert rows[2, "precision_switching"] == numbers * 32
    assert found.storage[0].parts["scales"] == 2 * numbers * 4 / 1e6


OWN = {"kind": "linear", "scales": "own"}


@pytest.mark.parametrize(
    ("granularity", "how", "numbers", "fetched"),
    [
        ("tensor", {"kind": "auto"}, 2, False),  # the paper's: a layer has one, which the norm takes up
        ("channel", {"kind": "linear"}, 4 + 8, True),
        ("channel", {"kind": "linear", "clip": "learned", "offset": True}, 2 * (4 + 8), True),
        ("channel", {**OWN, "clip": "searched", "zero": True}, 4 + 8, True),
        (
            9,
            {**OWN, "offset": True},
            2 * (4 * 1 + 8 * 4),
            True,
        ),  # 9 weights in a channel of the first, 36 of the second
    ],
)
def test_scales_of_every_normalisation_are_counted_in_traffic_energy_and_storage(
    granularity: str | int, how: dict[str, Any], numbers: int, fetched: bool
) -> None:
    """Counted by hand for convolutions of 4 and 8 channels, 1x3x3 and 4x3x3 weights each; at 2 and 8 bits."""
    choices = {**TINY, "training": None, "methods": ["truncquant"], "spad_models": ["sram"], "scenario": {}}
    quantization = {"first": None, "granularity": granularity, "normalization": how}
    found = run(Experiment.model_validate({**choices, "quantization": quantization}))
    rows = {(row.bits, row.state): row.dram_bits for row in found.traffic if row.dataspace == "Scales"}
    own = how.get("scales") == "own"
    assert found.storage[0].parts["scales"] == (2 if own else 1) * numbers * 4 / 1e6
    rows_of_dram = -(-numbers * 32 // 64) * 64 if fetched else 0
    states = ("initial_loading", "precision_switching", "steady")  # no buffer keeps them: each inference reads them
    assert {key: rows.get(key, 0) for key in product((2, 8), states)} == dict.fromkeys(
        product((2, 8), states), rows_of_dram
    )


def test_trainings_beside_the_mapping_are_waited_for(tmp_path: Path) -> None:
    two = {**TINY, "methods": ["truncquant"], "spad_models": ["sram"], "scenario": {}, "bits": [8]}
    training = {**TINY["training"], "schemes": ["truncquant", "dorefa"], "epochs": 2}
    chosen, stages = Experiment.model_validate({**two, "training": training}), Stages()
    run(chosen, tmp_path, watch=stages, jobs=2)
    assert stages.seen["waiting for the training, truncquant and dorefa"] > 0
    assert not [stage for stage in stages.seen if stage.startswith("training")]
    (kept, _) = tmp_path.glob("kept/*/checkpoint.safetensors")
    assert extent_of(kept).finished
