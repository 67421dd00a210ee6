import json
from pathlib import Path

import pytest
from rich.console import Console

from tests.report.sample import sample, with_hardware
from tqhw import report
from tqhw.errors import TqhwError
from tqhw.report import figures
from tqhw.report.figure_files import FigureFiles
from tqhw.report.figures import FIGURES, FigureKind
from tqhw.results import Results


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_report_can_be_made_again_from_its_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its figures hang on all that there is; that they are drawn the same again is tests/report/test_figures.py's."""

    def drawn(name: str, kind: FigureKind, results: Results, run: Path | None) -> FigureFiles:
        return FigureFiles(repr((name, results)).encode(), f"<svg>{name}</svg>", name.encode())

    monkeypatch.setattr(figures, "_drawn", drawn)
    report.write(sample(), tmp_path / "one")
    found = contents(tmp_path / "one")
    assert set(found) == {
        *(
            f"{n}.csv"
            for n in (
                *("accuracy", "energy", "traffic", "storage", "area", "amortised", "schedule", "layers", "summary"),
                *("levels", "fronts", "layer_fronts"),
            )
        ),
        *(f"figures/{name}.{ending}" for name in FIGURES for ending in ("png", "svg", "pdf")),
        "report.html",
        "results.json",
    }
    assert report.load(tmp_path / "one") == sample()
    report.write(report.load(tmp_path / "one"), tmp_path / "two")
    assert contents(tmp_path / "two") == found


def test_without_figures(tmp_path: Path) -> None:
    report.write(sample(), tmp_path, figures=False)
    assert not (tmp_path / "figures").exists()
    assert "<svg" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_results_json_is_the_contract(tmp_path: Path) -> None:
    report.write(sample(), tmp_path, figures=False)
    document = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert document == json.loads(json.dumps(sample().as_json()))


def test_folders_that_hold_no_results(tmp_path: Path) -> None:
    with pytest.raises(TqhwError, match=r"results\.json: no such file \(name the results folder"):
        report.load(tmp_path)
    (tmp_path / "results.json").write_text('{"schema_version": ')
    with pytest.raises(TqhwError, match=r"results\.json: not valid JSON: .*line 1 column 20.*run the experiment again"):
        report.load(tmp_path)
    (tmp_path / "results.json").write_text('{"schema_version": 0}')
    with pytest.raises(TqhwError, match="schema_version is 0"):
        report.load(tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(TqhwError, match=r"cannot be written"):
        report.write(sample(), tmp_path / "file", figures=False)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_mapping_that_cannot_be_read_leaves_nothing_half_written(tmp_path: Path) -> None:
    results = with_hardware(tmp_path / "run")
    (mapping,) = (tmp_path / "run").rglob("mappings/*.yaml")
    mapping.with_name("notes.yaml").write_text("mine")
    with pytest.raises(TqhwError, match=r"notes\.yaml: its problem is not in the run's folder"):
        report.write(results, tmp_path / "out", run=tmp_path / "run")
    assert not (tmp_path / "out").exists()
    mapping.with_name("notes.yaml").unlink()
    report.write(results, tmp_path / "out", run=tmp_path / "run")
    assert "Accelerator and mappings" in (tmp_path / "out/report.html").read_text("utf-8")


def test_the_terminal_shows_the_headline_last() -> None:
    console = Console(width=120)
    with console.capture() as captured:
        for table in report.tables(sample()):
            console.print(table)
    text = captured.get()
    titles = ["Accuracy, top-1", "Energy in mJ", "DRAM traffic in Mbit", "Storage in DRAM", "Area in mm^2", "3.53x"]
    assert [text.index(t) for t in titles] == sorted(text.index(t) for t in titles)
