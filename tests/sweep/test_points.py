"""From a sweep file to its points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from tests.sweep.sample import EXPERIMENT, GRID, given, write
from tqhw.errors import TqhwError
from tqhw.experiment import Experiment
from tqhw.spec import yamlio
from tqhw.sweep.points import load

COLUMNS = "architecture.params.pe_columns"
ROWS = "architecture.params.pe_rows"


def test_a_grid_is_each_with_each_and_a_lone_value_is_a_list_of_one(tmp_path: Path) -> None:
    sweep = given(tmp_path)
    points = [*sweep]
    assert [point.settings for point in points] == [
        {"bits": 2, COLUMNS: 2},
        {"bits": 2, COLUMNS: 4},
        {"bits": 4, COLUMNS: 2},
        {"bits": 4, COLUMNS: 4},
    ]
    assert sweep.size == 4
    assert [point.number for point in points] == [0, 1, 2, 3]
    experiment = points[3].experiment()
    assert (experiment.bits, experiment.architecture.params) == ((4,), {"pe_columns": 4})
    assert experiment.search.objective == "edp", "what is not varied is the experiment's"


def test_blocks_go_with_each_other(tmp_path: Path) -> None:
    sweep = given(
        tmp_path,
        grid={"bits": [[2, 4], [8]]},
        zip={COLUMNS: [2, 4], ROWS: [3, 6]},
        list=[{"scenario.layout": "packed"}, {"scenario.layout": "bitplane", "states": ["initial_loading"]}],
        random={"samples": 3, "seed": 1, "keys": {"architecture.params.glb_rows": {"from": 1000, "to": 2000}}},
    )
    points = [*sweep]
    assert len(points) == sweep.size == 2 * 2 * 2 * 3
    assert {(p.settings[COLUMNS], p.settings[ROWS]) for p in points} == {(2, 3), (4, 6)}
    assert len({p.settings["architecture.params.glb_rows"] for p in points}) == 3, "the same draws at every choice"
    assert points[-1].experiment().states == ("initial_loading",)
    assert points[-1].experiment().bits == (8,)


def test_equal_draws_count_once(tmp_path: Path) -> None:
    sweep = given(tmp_path, random={"samples": 50, "keys": {COLUMNS: [2, 4]}})
    assert {point.settings[COLUMNS] for point in sweep} == {2, 4}
    assert len([*sweep]) == 2


def test_derived_keys_and_conditions_see_the_whole_experiment(tmp_path: Path) -> None:
    sweep = given(
        tmp_path,
        grid={COLUMNS: [2, 4, 8], ROWS: [3, 6]},
        derive={"architecture.params.glb_rows": "pe_rows * pe_columns * 1000", "bits": "[min(bits), 4]"},
        where=["pe_columns * pe_rows <= 24", "architecture.params.glb_rows > 6000", "search.objective == 'edp'"],
    )
    assert [p.settings["architecture.params.glb_rows"] for p in sweep] == [12000, 12000, 24000, 24000]
    assert next(iter(sweep)).experiment().bits == (2, 4)
    assert [p.number for p in sweep] == [0, 1, 2, 3], "numbers count what is left"


def test_one_condition_needs_no_list(tmp_path: Path) -> None:
    assert len([*given(tmp_path, grid=GRID, where="pe_columns > 2")]) == 2


def test_the_experiment_may_be_a_file_and_be_changed(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(yamlio.dump(EXPERIMENT))
    path = tmp_path / "sweep.yaml"
    path.write_text(yamlio.dump({"experiment": "base.yaml", "grid": GRID}))
    point = next(iter(load(path, ["search.objective=latency"])))
    assert point.experiment().search.objective == "latency"
    assert point.experiment().model.name == "tests.pipeline.tiny:net"


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("bits=[8]", "--set bits: the sweep varies bits (grid) (change the file, or leave bits out of grid)"),
        ("data.size=8", "--set data.size: the sweep varies data (list)"),
        ("scenario.layout=packed", None),
        ("architecture.params.glb_rows=4096", None),
        ("architecture.params={}", None),
    ],
)
def test_a_setting_that_no_point_would_see(tmp_path: Path, setting: str, told: str | None) -> None:
    rows = [{"data": None, "scenario.layout": "packed"}, {"data": {"name": "digits"}}]
    path = write(tmp_path, grid=GRID, list=rows)
    if told is None:
        assert load(path, [setting]).size == 8
    else:
        with pytest.raises(TqhwError) as error:
            load(path, [setting])
        assert told in str(error.value)


def test_keys_of_ones_own_may_have_dots(tmp_path: Path) -> None:
    sweep = given(tmp_path, grid={"quantization.layers.layer1.0.conv1": [2, 4]})
    assert [p.experiment().quantization.layers for p in sweep] == [{"layer1.0.conv1": 2}, {"layer1.0.conv1": 4}]


def test_values_that_do_not_fit_together_are_the_points_own_fault(tmp_path: Path) -> None:
    first, second = given(tmp_path, grid={"bits": [8], "stored_bits": [8, 4]})
    assert isinstance(first.experiment(), Experiment)
    with pytest.raises(TqhwError, match=r"point 1.*8 bits cannot be shifted out of a model stored with 4"):
        second.experiment()


@pytest.mark.parametrize(
    ("blocks", "told"),
    [
        ({"grid": {"bitz": [2]}}, "sweep.yaml: grid: unknown key 'bitz' (did you mean 'bits'?"),
        (
            {"grid": {"search.objectives": [2]}},
            "grid: unknown key 'search.objectives' (did you mean 'search.objective'?",
        ),
        ({"grid": {"bits.low": [2]}}, "bits has no keys of its own"),
        (
            {"grid": {"architecture.params.pe_colums": [2]}},
            "grid: unknown parameter 'pe_colums' (did you mean 'pe_columns'?",
        ),
        ({"zip": {COLUMNS: [2, 4], ROWS: [3]}}, f"zip: lists of unequal length: {COLUMNS} 2, {ROWS} 1"),
        ({"grid": {"bits": [2]}, "zip": {"bits": [4]}}, "bits is in grid, too (vary it in one block)"),
        ({"grid": {"bits": 4}}, "grid.bits: 4 is no list of values"),
        ({"grid": {"bits": [2, [2], 2]}}, "grid.bits: 2 is given twice (equal points are counted once: keep one)"),
        ({"list": [{"bits": 2}, {"bits": 2}]}, 'list: {"bits": 2} is given twice'),
        ({"zip": {COLUMNS: [2, 2], ROWS: [3, 3]}}, "zip: {"),
        (
            {"grid": {COLUMNS: {"from": 9, "to": 1}}},
            "values is empty: from 9 to 1 (give the lower end as from)",
        ),
        ({"grid": {"1": [2]}}, "unknown key '1'"),
        ({"grid": {"<script>": [2]}}, "unknown key '<script>'"),
        ({"grid": GRID, "derive": {ROWS: "().__class__.__mro__"}}, "a tuple has no '__class__' here"),
        ({"grid": GRID, "derive": {ROWS: "open('/etc/passwd').read()"}}, "unknown name 'open'"),
        ({"grid": GRID, "derive": {ROWS: "'{0.__class__}'.format_map({})"}}, "a str has no 'format_map' here"),
        ({"grid": GRID, "derive": {ROWS: "pe_rows + 1"}}, "unknown name 'pe_rows'"),
        ({"grid": GRID, "name": "../../etc"}, "'../../etc' does not fit"),
        ({"gird": {"bits": [4]}}, "unknown key 'gird' (did you mean 'grid'?"),
        ({"where": ["1"]}, "nothing is varied (give grid, zip, list or random)"),
        ({"random": {"keys": {"bits": [2]}, "samples": 0}}, "0 must be at least 1"),
    ],
)
def test_what_no_sweep_can_be_made_of(tmp_path: Path, blocks: dict[str, Any], told: str) -> None:
    with pytest.raises(TqhwError) as error:
        [*given(tmp_path, **blocks)]
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("pe_columns > 100", 'where leaves none of the 4 points (the last one was {"bits": 4'),
        ("pe_colums > 1", "unknown name 'pe_colums' (did you mean 'pe_columns'?"),
        ("__import__('os')", "unknown name '__import__'"),
        ("bits +", "is no expression"),
    ],
)
def test_conditions_that_leave_nothing_or_say_nothing(tmp_path: Path, where: str, told: str) -> None:
    with pytest.raises(TqhwError) as error:
        [*given(tmp_path, grid=GRID, where=[where])]
    assert told in str(error.value)
    assert "where" in str(error.value)


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("'2' < 3", "compares '2', a text, with 3, a number; a number has no quotes"),
        ("pe_columns > '2'", "compares pe_columns, a number, with '2', a text; a number has no quotes, here and where"),
        ("bits > 2 and stored_bits > 2", "compares bits, a list, with 2, a number"),
        ("bits == '2'", "where leaves none of the 4 points (the last one was"),
        ("bits == '2'", "'bits == '2'' compares bits, a list, with '2', a text"),
        ("search.objective == energy", "compares search.objective, a text, with energy, nothing"),
        ("pe_columns = 2", "is no expression: invalid syntax (write pe_columns == 2)"),
        ("pe_columns => 2", "(write pe_columns >= 2)"),
        ("pe_columns and", "(such as pe_rows * pe_columns <= 168)"),
        ("10 / (pe_columns - 2) > 1", "division by zero (where pe_columns is 2)"),
    ],
)
def test_values_of_two_kinds_are_told_apart(tmp_path: Path, where: str, told: str) -> None:
    with pytest.raises(TqhwError) as error:
        [*given(tmp_path, grid={"bits": [[2], [4]], COLUMNS: [2, 4]}, where=[where])]
    assert told in str(error.value)


def test_texts_that_look_like_numbers_are_told_where_they_are_compared(tmp_path: Path) -> None:
    with pytest.raises(TqhwError, match="compares pe_columns, a text, with 3, a number; a number has no quotes"):
        [*given(tmp_path, grid={COLUMNS: ["2", "4"]}, where=["pe_columns < 3"])]


def test_conditions_know_what_the_architecture_has_by_default(tmp_path: Path) -> None:
    where = ["architecture.params.pe_rows * pe_columns < 30 and architecture.params.glb_rows == 8192"]
    grid = {COLUMNS: [2, 4], "architecture.params.glb_rows": [8192, 16384]}
    assert [point.settings[COLUMNS] for point in given(tmp_path, grid=grid, where=where)] == [2]


def test_a_derived_key_without_a_value_is_the_points_own_fault(tmp_path: Path) -> None:
    derive = {"architecture.params.glb_rows": "16384 // (pe_columns - 2)"}
    first, second = given(tmp_path, grid={COLUMNS: [2, 4]}, derive=derive, where=["glb_rows > 1"])
    assert second.experiment().architecture.params == {"pe_columns": 4, "glb_rows": 8192}
    with pytest.raises(TqhwError, match=r"point 0: .*derive.*division by zero \(where pe_columns is 2\)"):
        first.experiment()
    (alone,) = given(tmp_path, grid={COLUMNS: [2, 4]}, derive=derive, where=["pe_columns > 2", "glb_rows > 1"])
    assert alone.number == 0
    with pytest.raises(TqhwError, match=r"unknown name 'pe_colums'"):
        [*given(tmp_path, grid={COLUMNS: [2, 4]}, derive={"architecture.params.glb_rows": "pe_colums * 1000"})]


def test_a_format_reaches_into_nothing(tmp_path: Path) -> None:
    for point in given(tmp_path, grid=GRID, derive={ROWS: "'{0.__class__}'.format(1)"}):
        with pytest.raises(TqhwError, match=r"the field '0\.__class__' reaches into a value"):
            point.experiment()


def test_many_points_are_asked_about(tmp_path: Path) -> None:
    sweep = given(
        tmp_path, grid={COLUMNS: {"from": 1, "to": 256}, "architecture.params.glb_rows": {"from": 3, "to": 99}}
    )
    with pytest.raises(TqhwError, match=r"24,832 points, more than 10,000 \(--yes goes on"):
        sweep.check_size(yes=False)
    sweep.check_size(yes=True)


def test_a_thousand_million_points_are_refused_at_once(tmp_path: Path) -> None:
    thousand = {"from": 1, "to": 1000}
    sweep = given(tmp_path, grid={COLUMNS: thousand, ROWS: thousand, "architecture.params.glb_rows": thousand})
    with pytest.raises(TqhwError, match=r"1,000,000,000 points, more than 10,000"):
        sweep.check_size(yes=False)


def test_a_file_that_is_no_sweep(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_text("- 1\n")
    with pytest.raises(TqhwError, match="a sweep must be a mapping"):
        load(path)
    path.write_text("experiment: nowhere.yaml\ngrid: {bits: [2]}\n")
    with pytest.raises(TqhwError, match=r"nowhere\.yaml: no such file"):
        load(path)


@pytest.mark.parametrize("where", ["max", "'no'", "states"])
def test_conditions_that_are_neither_true_nor_false(tmp_path: Path, where: str) -> None:
    with pytest.raises(TqhwError, match=r"gives .*, neither true nor false \(compare with something, such as"):
        [*given(tmp_path, grid=GRID, where=[where])]


def test_a_last_word_that_two_keys_share_is_neithers(tmp_path: Path) -> None:
    keys = {"architecture.name": ["eyeriss_like"], "data.name": ["digits"], "data.size": [8, 16]}
    assert len([*given(tmp_path, grid=keys, where=["architecture.name == 'eyeriss_like' and size == 8"])]) == 1
    with pytest.raises(TqhwError, match=r"(unknown name 'name'|where leaves none)"):
        [*given(tmp_path, grid=keys, where=["name == 'digits'"])]
    named = {"architecture.name": ["eyeriss_like"], "name": ["a", "b"]}
    assert [point.settings["name"] for point in given(tmp_path, grid=named, where=["name == 'b'"])] == ["b"]


def test_a_key_that_would_take_back_another(tmp_path: Path) -> None:
    grid = {COLUMNS: [2, 4], "architecture": [{"name": "eyeriss_like"}, {"name": "weight_stationary"}]}
    with pytest.raises(TqhwError, match=rf"grid: architecture would take back {COLUMNS}, of grid \(name"):
        given(tmp_path, grid=grid)
    sweep = given(tmp_path, grid=dict(reversed(grid.items())))
    assert [point.experiment().architecture.params for point in sweep] == [{"pe_columns": n} for n in (2, 4, 2, 4)]
