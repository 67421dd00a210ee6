"""The outcomes as a table."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

pytest.importorskip("torch")

from tests.sweep.sample import done, given
from tqhw.errors import TqhwError
from tqhw.sweep import export, has_fronts, to_frame
from tqhw.sweep.outcomes import COLUMNS
from tqhw.sweep.store import opened

GRID = {"bits": [[2, 4], [8]], "stored_bits": [8, 4], "scenario.layout": ["bitplane"], "model.options": [{"width": 4}]}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    assert done(given(folder, grid=GRID), folder / "out") == {"done": 3, "impossible": 1}
    return folder / "out"


def test_a_csv_has_a_row_for_every_precision_and_one_for_an_impossible_point(finished: Path, tmp_path: Path) -> None:
    assert export(finished, tmp_path / "new" / "points.csv") == 6
    rows = [*csv.DictReader((tmp_path / "new" / "points.csv").read_text().splitlines())]
    assert [*rows[0]] == ["point", "set.bits", *[*GRID][1:], "status", "reason", *COLUMNS]
    assert [(row["point"], row["status"]) for row in rows] == [
        ("0", "done"),
        ("0", "done"),
        ("1", "done"),
        ("1", "done"),
        ("2", "done"),
        ("3", "impossible"),
    ]
    assert [row["bits"] for row in rows] == ["2", "4", "2", "4", "8", ""]
    assert rows[0]["set.bits"] == "[2, 4]"
    assert rows[0]["model.options"] == '{"width": 4}'
    assert float(rows[0]["energy_mj"]) < float(rows[1]["energy_mj"])
    assert rows[5]["energy_mj"] == ""
    assert "8 bits cannot be shifted out of a model stored with 4" in rows[5]["reason"]


def test_parquet_and_frames_have_the_same_rows(finished: Path, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    assert export(finished, tmp_path / "points.parquet") == 6
    kept, frame = pandas.read_parquet(tmp_path / "points.parquet"), to_frame(finished)
    assert [*kept.columns] == [*frame.columns]
    assert kept["energy_mj"].equals(frame["energy_mj"])
    assert [*kept["stored_bits"]] == ["8", "8", "4", "4", "8", "4"]


def test_other_kinds_of_tables(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(TqhwError, match=r"points\.xlsx: '\.xlsx' is no kind of table \(end the name in \.csv or"):
        export(finished, tmp_path / "points.xlsx")
    (tmp_path / "file").write_text("")
    with pytest.raises(TqhwError, match="cannot be written"):
        export(finished, tmp_path / "file" / "points.csv")
    assert [*tmp_path.iterdir()] == [tmp_path / "file"]


def test_a_key_that_only_late_points_set_has_its_column(tmp_path: Path) -> None:
    with opened(tmp_path, write=True) as store:
        rows = [(number, '{"seed": 1}', None, "too small") for number in range(1500)]
        store.plan_points([*rows, (1500, '{"seed": 1, "stored_bits": 4}', None, "too small")])
    export(tmp_path, tmp_path / "points.csv")
    last = [*csv.DictReader((tmp_path / "points.csv").read_text().splitlines())][-1]
    assert (last["point"], last["stored_bits"]) == ("1500", "4")


def test_without_fronts_their_table_is_empty(finished: Path, tmp_path: Path) -> None:
    assert not has_fronts(finished)
    assert export(finished, tmp_path / "fronts.csv", fronts=True) == 0
    assert (tmp_path / "fronts.csv").read_text().startswith("point,set.bits,stored_bits,")
