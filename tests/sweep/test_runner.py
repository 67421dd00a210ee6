"""Sweeps of a tiny network, in this process."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from torch import nn

from tests.sweep.sample import GRID, Here, content, done, given
from tqhw.backends.embedded import Embedded
from tqhw.errors import TqhwError
from tqhw.experiment import Experiment
from tqhw.pipeline.run import run as run_experiment
from tqhw.spec import Invalid, Reason
from tqhw.sweep import plan
from tqhw.sweep.folder import first_reason, read_point, status, write_report
from tqhw.sweep.runner import POINTS, reports_in
from tqhw.sweep.store import FILE, opened
from tqhw.system import locks

BOTH = "energy,latency"
STATES = {"states": [["steady"], ["initial_loading"]]}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    assert done(given(folder), folder / "out") == {"done": 4}
    return folder / "out"


def test_a_point_has_what_a_run_of_its_experiment_has(finished: Path, tmp_path: Path) -> None:
    point = [*given(tmp_path)][3]
    alone = run_experiment(point.experiment())
    found = read_point(finished, 3)
    assert found.as_json() | {"provenance": {}} == alone.as_json() | {"provenance": {}}
    assert found.provenance["point"] == 3
    with opened(finished) as store:
        energy, parts, cycles, area, bits, method = next(
            store.read(
                "SELECT energy_mj, dram_mj + glb_mj + array_mj + quantizer_mj, cycles, area_mm2, bits, method"
                " FROM outcomes WHERE point = 3"
            )
        )
    assert (bits, method) == (4, "truncquant")
    assert energy == pytest.approx(parts, rel=1e-12)
    assert energy == sum(row.energy_mj for row in alone.energy)
    assert cycles == sum(
        layer.count * e.cycles for layer in alone.layers for e in layer.evaluations if e.fetch_bits == 4
    )
    with opened(finished) as store:
        levels = json.loads(store.one("SELECT levels_mj FROM outcomes WHERE point = 3"))
    assert sum(levels.values()) == pytest.approx(energy), "steady: an inference and nothing before it"
    assert area == pytest.approx(sum(row.area_um2 or 0 for row in alone.area if row.fetch_bits == 4) / 1e6)


def test_widths_of_words_in_shared_memories_have_one_table_and_searches_of_their_own(tmp_path: Path) -> None:
    """DRAM that delivers 32 bits of a weight, and 2: the same file, the same energies, not the same rows."""
    sweep = given(tmp_path, grid={"architecture.name": ["nvdla_like"], "methods": [["any_precision", "truncquant"]]})
    assert done(sweep, tmp_path / "out") == {"done": 1}
    ran = run_experiment(next(iter(sweep)).experiment())
    found = read_point(tmp_path / "out", 0)
    assert (found.energy, found.traffic, found.area) == (ran.energy, ran.traffic, ran.area)
    with opened(tmp_path / "out") as store:
        bits = dict(store.read("SELECT method, dram_bits FROM outcomes"))
    assert bits == {method: sum(f.dram_bits for f in ran.traffic if f.method == method) for method in bits}


def test_each_distinct_search_is_done_once(tmp_path: Path) -> None:
    cluster = Here()
    sweep = given(tmp_path, grid={**GRID, **STATES, "scenario.inferences_per_switch": [[1], [2, 3]]})
    assert done(sweep, tmp_path / "out", cluster) == {"done": 16}
    searches = [task.key for task in cluster.asked if task.kind == "search"]
    assert len(searches) == len({*searches}) == 3 * 4, "three layers on two arrays at two widths, for 16 points"
    with opened(tmp_path / "out") as store:
        assert store.one("SELECT count(*) FROM outcomes") == 16


def test_what_was_killed_goes_on_and_nothing_is_lost(tmp_path: Path, finished: Path) -> None:
    out = tmp_path / "out"
    first, second = Here(stop_after=8), Here()
    with pytest.raises(KeyboardInterrupt):
        done(given(tmp_path), out, first)
    assert "  8 of 12 distinct searches" in status(out)
    assert "KeyboardInterrupt" in status(out)[-1]
    assert done(given(tmp_path), out, second) == {"done": 4}
    assert len(second.asked) == 4
    assert content(out) == content(finished)
    third = Here()
    assert done(given(tmp_path), out, third) == {"done": 4}
    assert third.asked == [], "all of it is kept"


def test_points_that_are_impossible_are_results(tmp_path: Path) -> None:
    sweep = given(tmp_path, grid={"architecture.params.psum_glb_rows": [16384, 8], "stored_bits": [8, 1]})
    assert done(sweep, tmp_path / "out") == {"done": 1, "impossible": 3}
    with opened(tmp_path / "out") as store:
        reasons = dict(store.read("SELECT number, reason FROM points"))
    assert reasons[2] is None
    assert "the partial sums leave no row of the global buffer for inputs: " in reasons[0]
    assert reasons[3].startswith("2 bits cannot be shifted out of a model stored with 1")
    assert first_reason(tmp_path / "out") == reasons[0]
    assert f"  2 impossible: {reasons[3]}" in status(tmp_path / "out")
    with pytest.raises(TqhwError, match="point 3: has no results: "):
        read_point(tmp_path / "out", 3)


def test_points_that_are_impossible_for_one_reason_are_counted_together(tmp_path: Path) -> None:
    sweep = given(tmp_path, grid={"stored_bits": [1], "architecture.params.pe_columns": [2, 4, 6]})
    assert done(sweep, tmp_path / "out") == {"impossible": 3}
    assert [line for line in status(tmp_path / "out") if "3 impossible: 2 bits cannot be shifted out" in line]


def test_points_that_have_no_mapping_say_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing, search = Invalid((Reason("weights_spad", "capacity", 9, 1, "the tiles need 9 words"),)), Embedded.search

    def small(self: Embedded, jobs: Any, asked: Any, done: Any = None) -> Any:
        narrow = "pe_columns: 2" in jobs[0].target.design.text
        return [nothing for _ in jobs] if narrow else search(self, jobs, asked, done)

    monkeypatch.setattr(Embedded, "search", small)
    assert done(given(tmp_path), tmp_path / "out") == {"done": 2, "impossible": 2}
    assert "3 layers have no valid mapping: conv1 (weights of 2 bits): the tiles need 9" in first_reason(
        tmp_path / "out"
    )


def test_a_search_that_is_refused_is_its_points_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    search = Embedded.search

    def refusing(self: Embedded, jobs: Any, asked: Any, done: Any = None) -> Any:
        if "pe_columns: 2" in jobs[0].target.design.text:
            raise TqhwError("costs less than nothing", place="conv1")
        return search(self, jobs, asked, done)

    monkeypatch.setattr(Embedded, "search", refusing)
    assert done(given(tmp_path), tmp_path / "out") == {"done": 2, "impossible": 2}
    assert first_reason(tmp_path / "out") == "conv1: costs less than nothing"


def test_a_fault_of_one_search_is_not_the_end_of_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    search = Embedded.search

    def failing(self: Embedded, jobs: Any, asked: Any, done: Any = None) -> Any:
        if "pe_columns: 2" in jobs[0].target.design.text:
            raise ZeroDivisionError("division by zero")
        return search(self, jobs, asked, done)

    monkeypatch.setattr(Embedded, "search", failing)
    assert done(given(tmp_path), tmp_path / "out") == {"done": 2, "impossible": 2}
    assert first_reason(tmp_path / "out") == "search ended by ZeroDivisionError: division by zero"


def test_what_was_refused_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any) -> Any:
        raise OSError("no such program")

    with monkeypatch.context() as broken:
        broken.setattr(Embedded, "search", failing)
        assert done(given(tmp_path), tmp_path / "out") == {"impossible": 4}
    assert done(given(tmp_path), tmp_path / "out") == {"done": 4}


def test_a_point_that_cannot_be_planned_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: Any) -> Any:
        raise TqhwError("no such file", place="arch.yaml")

    out, cluster = tmp_path / "out", Here()
    assert done(given(tmp_path), out) == {"done": 4}
    before = content(out)
    with monkeypatch.context() as broken:
        broken.setattr("tqhw.sweep.plan.render", lost)
        assert done(given(tmp_path), out) == {"impossible": 4}
    assert content(out)["outcomes"] == [], "nothing is left of what is impossible"
    assert done(given(tmp_path), out, cluster) == {"done": 4}
    assert (cluster.asked, content(out)) == ([], before)


def test_a_network_with_another_number_of_equal_layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def net() -> nn.Module:
        same = [nn.Conv2d(4, 4, 3, padding=1) for _ in range(layers)]
        return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), *same, nn.Flatten(), nn.Linear(256, 10))

    found = []
    monkeypatch.setattr("tests.pipeline.tiny.net", net)
    for layers in (2, 3):  # noqa: B007 - net reads it
        assert done(given(tmp_path), tmp_path / "out") == {"done": 4}
        with opened(tmp_path / "out") as store:
            found.append(dict(store.read("SELECT point, energy_mj FROM outcomes")))
            assert len(store.known("searches")) == 3 * 4, "the same searches"
    assert all(found[1][point] > 1.2 * energy for point, energy in found[0].items())


def test_a_training_that_points_share_is_done_once(tmp_path: Path) -> None:
    training = {"schemes": ["truncquant"], "epochs": 1, "batch_size": 512}
    keys = {"training": [training], "data.name": ["digits"], "data.size": [8]}
    sweep = given(tmp_path, grid={**keys, "architecture.params.pe_columns": [2, 4]})
    cluster = Here()
    assert done(sweep, tmp_path / "out", cluster) == {"done": 2}
    assert [task.kind for task in cluster.asked].count("training") == 1
    with opened(tmp_path / "out") as store:
        tops = [top for (top,) in store.read("SELECT top1 FROM outcomes")]
    assert len(tops) == 2
    assert 0 < tops[0] == tops[1] <= 100
    assert [row.top1 for row in read_point(tmp_path / "out", 1).accuracy if row.weights == "shifted"] == tops[:1]


TRAINED = {
    "training": [{"schemes": ["truncquant"], "epochs": 1, "batch_size": 16, "learning_rate": 0.5}],
    "data": [{"name": "arrays", "path": "data.npz"}],
}


def _write_data(seed: int) -> None:
    source = np.random.default_rng(seed)
    images, labels = source.integers(0, 256, (96, 8, 8), np.uint8), np.arange(96) % 10
    np.savez("data.npz", train_images=images, train_labels=labels, test_images=images, test_labels=labels)


def _tops(out: Path) -> list[float]:
    with opened(out) as store:
        return [top for (top,) in store.read("SELECT top1 FROM outcomes ORDER BY point, bits")]


def test_other_contents_of_the_same_data_file_are_trained_on_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sweep, out, trained = given(tmp_path, grid=TRAINED), tmp_path / "out", []
    for seed in (0, 0, 1):
        _write_data(seed)
        cluster = Here()
        assert done(sweep, out, cluster) == {"done": 1}
        trained.append([task.kind for task in cluster.asked].count("training"))
    assert trained == [1, 0, 1]
    with opened(out) as store:
        kept = [json.loads(answer)[1][0]["top1"] for (answer,) in store.read("SELECT answer FROM trainings")]
    assert len(kept) == 2 and _tops(out)[0] in kept
    assert len([*(out / "kept").iterdir()]) == 2, "nor do checkpoints of the one start the other"
    _write_data(2)
    with pytest.raises(TqhwError, match="point 0: its inputs have changed since"):
        read_point(out, 0)


def test_networks_that_were_trained_before_are_measured_and_not_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _write_data(0)
    first = given(tmp_path, grid=TRAINED)
    assert done(first, tmp_path / "first") == {"done": 1}
    joined = {"training": [{"from": ["first/kept"]}, {"from": ["nowhere"]}], "data": TRAINED["data"]}
    sweep, cluster = given(tmp_path, grid=joined), Here()
    assert done(sweep, tmp_path / "out", cluster) == {"done": 1, "impossible": 1}
    assert [type(task.arguments[0]).__name__ for task in cluster.asked if task.kind == "training"] == ["TrainedNetwork"]
    assert _tops(tmp_path / "out") == _tops(tmp_path / "first")
    assert "nowhere: there is no such file" in first_reason(tmp_path / "out")
    alone = run_experiment(next(iter(sweep)).experiment())
    found = read_point(tmp_path / "out", 0)
    assert (found.accuracy, found.notes) == (alone.accuracy, alone.notes)


@pytest.mark.parametrize(
    ("key", "values", "told"),
    [
        ("architecture.name", ["eyeriss_like", "eyerissss"], "unknown architecture 'eyerissss' (did you mean"),
        ("architecture.name", ["eyeriss_like", "here/nowhere.yaml"], "no such architecture file or template folder"),
        ("architecture.files", [[], ["nowhere.yaml"]], "nowhere.yaml"),
        ("model.name", ["tests.pipeline.tiny:net", "resnet999"], "unknown model 'resnet999' (did you mean"),
        ("model.name", ["tests.pipeline.tiny:net", "tests.pipeline.tiny:nett"], "nett"),
        ("model.name", ["tests.pipeline.tiny:net", "nowhere.onnx"], "nowhere.onnx"),
        ("search.objective", ["edp", "speed"], "search.objective: unknown value 'speed'"),
        ("backend", ["embedded", "paper"], "unknown backend 'paper'"),
    ],
)
def test_a_name_that_one_point_alone_gets_wrong_is_that_points_result(
    tmp_path: Path, key: str, values: list[Any], told: str
) -> None:
    sweep = given(tmp_path, grid={key: values, "architecture.params.pe_columns": [2]})
    assert done(sweep, tmp_path / "out") == {"done": 1, "impossible": 1}
    assert told in first_reason(tmp_path / "out")


def test_the_results_of_another_sweep_or_version(
    tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(finished)
    with pytest.raises(TqhwError, match=r"sweep\.sqlite: holds results of another sweep \(choose another --out\)"):
        done(given(tmp_path, grid={"bits": [2]}), finished)
    monkeypatch.setattr("tqhw.sweep.runner.versions", lambda: {"tqhw": "9.9"})
    with pytest.raises(TqhwError, match="holds results of another version"):
        done(given(tmp_path), finished)
    assert content(finished) == before


def test_a_folder_in_which_planning_ended_early_is_nobodys(tmp_path: Path, finished: Path) -> None:
    out, bad = tmp_path / "out", given(tmp_path, grid={**GRID, "bits": [2, 4, [2, 4], 8]}, where=["bits <= 4"])
    with pytest.raises(TqhwError, match="where: cannot evaluate 'bits <= 4'"):
        done(bad, out)
    assert status(out)[0] == "tiny: 0 points planned"
    with pytest.raises(TqhwError, match=r"sweep\.sqlite: its points are not all planned yet"):
        read_point(out, 0)
    assert done(given(tmp_path), out) == {"done": 4}
    assert content(out) == content(finished)


def test_reports_of_points_that_are_not_what_they_were_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, render = tmp_path / "out", plan.render

    def lost(experiment: Experiment, *rest: Any) -> Any:
        if experiment.architecture.params == {"pe_columns": 2}:
            raise TqhwError("no such file", place="arch.yaml")
        return render(experiment, *rest)

    assert done(given(tmp_path), out) == {"done": 4}
    for number in range(4):
        assert write_report(out, number, figures=False).is_file()
    monkeypatch.setattr("tqhw.sweep.plan.render", lost)
    assert done(given(tmp_path), out) == {"done": 2, "impossible": 2}
    assert {*reports_in(out / POINTS)} == {1, 3}
    monkeypatch.setattr("tqhw.sweep.plan.versions", lambda: {"tqhw": "9.9"})
    done(given(tmp_path), out)
    assert reports_in(out / POINTS) == {}, "another version has other keys"


def test_inputs_that_have_changed_since(tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tqhw.sweep.plan.versions", lambda: {"tqhw": "9.9"})
    with pytest.raises(TqhwError, match="point 1: its inputs have changed since"):
        read_point(finished, 1)


def test_points_that_are_not_there(finished: Path) -> None:
    with pytest.raises(TqhwError, match="point 99: there is no such point"):
        read_point(finished, 99)


def test_two_sweeps_in_one_folder(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    held = locks.claim(tmp_path / "out" / ".lock", tmp_path / "out", "sweep", "--out")
    try:
        with pytest.raises(TqhwError, match="another sweep is at work in this folder"):
            done(given(tmp_path), tmp_path / "out")
    finally:
        locks.release(tmp_path / "out" / ".lock", held)


def test_a_disk_that_fills_up(tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = sqlite3.connect

    def small(*args: object, **options: object) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **options)  # type: ignore[call-overload]
        connection.execute("PRAGMA max_page_count = 20")
        return connection

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", small)
        with pytest.raises(
            TqhwError, match=r"sweep\.sqlite: database or disk is full \(make room and start the sweep again"
        ):
            done(given(tmp_path), tmp_path / "out")
    assert done(given(tmp_path), tmp_path / "out") == {"done": 4}
    assert content(tmp_path / "out") == content(finished)


def test_the_log_says_how_fast_it_goes(finished: Path) -> None:
    lines = (finished / "sweep.log").read_text().splitlines()
    assert lines[0].endswith("started: 12 searches and trainings to do for 4 points")
    assert "done: 12 of 12 searches and trainings, 4 of 4 points, " in lines[-1]
    assert lines[-1].endswith("/s, 0 s left")
    assert (finished / FILE).is_file()


def test_points_have_the_fronts_that_a_run_has(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    from tqhw.sweep import to_frame, write_page

    sweep = given(tmp_path, grid={"architecture.params.pe_columns": [2, 4], "search.objective": [BOTH, "energy"]})
    first, second = Here(stop_after=7), Here()
    with pytest.raises(KeyboardInterrupt):
        done(sweep, tmp_path / "out", first)
    assert done(sweep, tmp_path / "out", second) == {"done": 4}
    assert len(second.asked) == 5, "what was killed goes on, fronts too"
    alone = run_experiment([*sweep][2].experiment())
    found = read_point(tmp_path / "out", 2)
    assert (found.fronts, found.layer_fronts) == (alone.fronts, alone.layer_fronts)
    assert len(alone.fronts) > 1
    frame = to_frame(tmp_path / "out", fronts=True)
    mine = frame[frame["point"] == 2]
    assert [*zip(mine["energy_mj"], mine["cycles"], strict=True)] == [(r.energy_mj, r.cycles) for r in alone.fronts]
    assert {*frame["point"]} == {0, 2}, "the others were searched for one objective"
    page = write_page(tmp_path / "out").read_text()
    assert "Cycles of an inference by any mapping" in page
    assert "has a front of its own (fronts.csv)" in page


def test_a_folder_on_a_disk_that_is_only_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr(locks, "hold", refuse)
    message = r"out: cannot be written: Read-only file system \(choose another --out\)"
    with pytest.raises(TqhwError, match=message):
        done(given(tmp_path), tmp_path / "out")
