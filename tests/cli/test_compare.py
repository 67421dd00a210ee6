"""``tqhw compare`` and ``tqhw sweep`` as commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

pytest.importorskip("torch")
pytest.importorskip("distributed")

from tests.report.sample import sample as results
from tests.sweep.sample import GRID, write
from tqhw import report
from tqhw.cli.app import app


def _called(*arguments: str) -> tuple[int, str, str]:
    found = CliRunner().invoke(app, [*arguments])
    return found.exit_code, found.stdout, found.stderr


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("swept")
    sweep = write(folder, grid={**GRID, "stored_bits": [8, 2]})
    code, told, errors = _called("sweep", str(sweep), "--out", str(folder / "out"), "--jobs", "1", "--no-reports")
    assert code == 0, errors
    assert "6 points are done, 2 are impossible" in told
    return folder / "out"


def test_a_sweep_leaves_a_page_and_a_table(swept: Path) -> None:
    assert (swept / "sweep.html").is_file()
    assert len((swept / "points.csv").read_text().splitlines()) == 9
    code, told, _ = _called("sweep", "status", str(swept))
    assert code == 0
    assert "tiny: 8 points planned" in told
    assert "12 of 12 distinct searches" in told


def test_a_report_of_a_point_and_a_table_by_hand(swept: Path, tmp_path: Path) -> None:
    code, told, errors = _called("sweep", "report", str(swept), "0", "--no-figures")
    assert code == 0, errors
    assert (swept / "points" / "0" / "report.html").is_file()
    assert "points/0/report.html" in (swept / "sweep.html").read_text()
    code, told, _ = _called("sweep", "export", str(swept), "--out", str(tmp_path / "t.csv"))
    assert code == 0
    assert "8 rows are in" in told


def test_points_of_a_sweep_beside_each_other(swept: Path, tmp_path: Path) -> None:
    options = ("--csv", str(tmp_path / "c.csv"), "--page", str(tmp_path / "c.html"))
    code, told, errors = _called("compare", f"{swept}#0", f"{swept}#2", *options)
    assert code == 0, errors
    assert "architecture.params.pe_columns" in told
    assert "Totals" in told and "Cycles, per layer" not in told
    assert "Cycles, per layer (cycles)" in _called("compare", f"{swept}#0", f"{swept}#2", "--details")[1]
    assert (tmp_path / "c.csv").is_file()
    assert (tmp_path / "c.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("compare", "{run}", "{swept}"), "is a sweep of many points (name one of them, such as"),
        (("compare", "{run}", "{swept}#x"), "'x' is no number of a point"),
        (("compare", "{run}", "{swept}#99"), "point 99: there is no such point"),
        (("compare", "{run}", "{swept}#5"), "point 5: has no results"),
        (("compare", "{run}", "{run}"), "one of them is named twice"),
        (("compare", "{run}"), "nothing to compare with"),
        (("compare", "{run}", "nowhere"), "nowhere/results.json: no such file"),
        (("sweep", "status", "{run}"), "sweep.sqlite: no such file"),
        (("sweep", "nowhere.yaml"), "nowhere.yaml: no such file"),
        (("sweep", "{file}", "--jobs", "1", "--scheduler", "tcp://x:1"), "both are given"),
        (("sweep", "{file}", "--train-on", "GPU=x"), "'GPU=x' is not name=amount"),
        (("sweep", "{file}", "--out", "{swept}"), "holds results of another sweep"),
        (("sweep", "{many}"), "100,000 points, more than 10,000 (--yes goes on with all of them)"),
        (("sweep", "{file}", "--scheduler", "nowhere.json", "--out", "{new}"), "is no address and no file"),
    ],
)
def test_what_is_refused_in_one_line(swept: Path, tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    run = tmp_path / "run"
    report.write(results(), run, figures=False)
    (tmp_path / "many").mkdir()
    many = {"grid": {"architecture.params.glb_rows": {"from": 101, "to": 100_100}}}
    places = {
        "run": run,
        "swept": swept,
        "file": write(tmp_path),
        "many": write(tmp_path / "many", **many),
        "new": tmp_path / "new",
    }
    code, _, errors = _called(*(argument.format(**places) for argument in arguments))
    assert code == 2
    assert told in errors
    assert len(errors.splitlines()) == 1


def test_a_sweep_without_results_says_why(tmp_path: Path) -> None:
    file = write(tmp_path, grid={"stored_bits": [1]})
    code, told, errors = _called("sweep", str(file), "--out", str(tmp_path / "out"))
    assert code == 1
    assert "0 points are done, 1 are impossible" in told
    assert "no point has results; the first says: 2 bits cannot be shifted out of a model stored with 1" in errors
