"""Figures of earlier runs: the same bytes without drawing, drawn anew whenever anything that decides them changes."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.report.sample import drawn, sample, with_hardware
from tqhw import report
from tqhw.errors import TqhwError
from tqhw.report import figure_files, style
from tqhw.report.figure_files import FigureFiles, KeptFigures
from tqhw.report.figures import FIGURES, FigureKind, pictures
from tqhw.system import packaged

FIGURE = FigureFiles(b"\x89PNG", "<svg>", b"%PDF")


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def registry() -> Iterator[None]:
    before = dict(FIGURES._things)
    yield
    FIGURES._things = before


def draw() -> FigureFiles:
    return FIGURE


def refuse() -> FigureFiles:
    raise AssertionError("drawn")


def test_figures_are_taken_byte_for_byte(registry: None, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("energy", "accuracy", "roofline")
    expected = tuple(picture for picture in drawn() if picture.name in names)  # drawn once for all tests: all of them
    FIGURES._things = {name: FIGURES[name] for name in names}
    assert [picture.name for picture in expected] == list(names)
    assert pictures(sample(), cache=True) == expected
    monkeypatch.setattr(style, "rendered", lambda *_: refuse())
    assert pictures(sample(), cache=True) == expected
    assert pictures(replace(sample(), provenance={"wall_seconds": 3.0}), cache=True) == expected
    with pytest.raises(AssertionError, match="drawn"):
        pictures(sample())


def test_a_report_with_kept_figures_is_the_same_and_loads_no_matplotlib(tmp_path: Path) -> None:
    results = with_hardware(tmp_path / "run", dram_bandwidth=64)
    report.write(results, tmp_path / "one", run=tmp_path / "run", cache=True)
    report.write(results, tmp_path / "two", run=tmp_path / "run")
    again = (
        "import sys; from tqhw import report\n"
        f"report.write(report.load({str(tmp_path / 'one')!r}), {str(tmp_path / 'three')!r}, "
        f"run={str(tmp_path / 'run')!r}, cache=True)\n"
        "assert 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", again], check=True)
    one, two, three = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.*")}
        for name in ("one", "two", "three")
    )
    assert one == two == three and len(one) > 20


def test_results_architectures_and_code_decide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = with_hardware(tmp_path / "run")
    KeptFigures(results, tmp_path / "run").taken("roofline", draw)
    assert KeptFigures(results, tmp_path / "run").taken("roofline", refuse) == FIGURE
    (architecture,) = (tmp_path / "run").rglob("architecture.yaml")
    others = (
        lambda: KeptFigures(results, None).taken("roofline", refuse),
        lambda: KeptFigures(results, tmp_path / "run").taken("layers", refuse),
        lambda: KeptFigures(replace(results, notes=("other",)), tmp_path / "run").taken("roofline", refuse),
    )
    for other in others:
        with pytest.raises(AssertionError, match="drawn"):
            other()
    with monkeypatch.context() as patch, pytest.raises(AssertionError, match="drawn"):
        patch.setattr(figure_files, "code_digest", lambda *_: "of other code")
        KeptFigures(results, tmp_path / "run").taken("roofline", refuse)
    architecture.write_text(architecture.read_text("utf-8") + "# of 64 bits\n", "utf-8")
    with pytest.raises(AssertionError, match="drawn"):
        KeptFigures(results, tmp_path / "run").taken("roofline", refuse)


def test_figures_of_others_are_drawn_each_time(registry: None) -> None:
    kind = FIGURES["energy"]
    FIGURES._things["energy"] = FigureKind(kind.rows, kind.caption, lambda _: refuse())
    for _ in range(2):
        with pytest.raises(AssertionError, match="drawn"):
            pictures(sample(), cache=True)


def test_what_was_drawn_by_code_that_is_no_longer_there_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packaged, "LOADED_AT", 0.0)  # every source was changed since
    assert KeptFigures(sample(), None).taken("energy", draw) == FIGURE
    with pytest.raises(AssertionError, match="drawn"):
        KeptFigures(sample(), None).taken("energy", refuse)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("no_such_module:energy", "ModuleNotFoundError(\"No module named 'no_such_module'\")"),
        ("tqhw.report.bars:no_such", "AttributeError("),
        ("no name", "ValueError("),
        ("tqhw.report.bars:__name__", "TypeError('it is no function')"),
    ],
)
def test_a_draw_that_names_no_function_is_told(registry: None, text: str, why: str) -> None:
    FIGURES.add("mine", FigureKind("energy", "Mine.", text))
    with pytest.raises(TqhwError) as caught:
        pictures(sample())
    assert str(caught.value).startswith(f"figure 'mine': its draw '{text}' cannot be had: {why}")
    assert str(caught.value).endswith("(give a function, or its name as 'package.module:function')")


def test_rows_that_results_do_not_have_are_told(registry: None) -> None:
    FIGURES.add("mine", FigureKind("energies", "Mine.", "tqhw.report.bars:energy"))
    with pytest.raises(
        TqhwError, match=r"^figure 'mine': unknown list of the results 'energies' \(did you mean 'energy'"
    ):
        pictures(sample())


def test_a_draw_may_be_a_name(registry: None) -> None:
    FIGURES._things = {}
    FIGURES.add("mine", FigureKind("energy", "Mine.", "tqhw.report.bars:energy"))
    (picture,) = pictures(sample())
    assert picture.name == "mine" and picture.png


def test_a_place_that_cannot_be_written_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "cache").write_text("no folder")
    kept = KeptFigures(sample(), None)
    assert [kept.taken(name, draw) for name in ("energy", "layers")] == [FIGURE, FIGURE]
    (record,) = caplog.records
    assert "the cache of figures cannot be written" in record.message


def test_what_is_no_figure_is_drawn_anew_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = KeptFigures(sample(), None)
    kept.taken("energy", draw)
    path = tmp_path / "cache" / "tqhw" / "figures.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("UPDATE figures SET payload = replace(payload, '<svg>', '<other>')")
    connection.commit()
    connection.close()
    assert kept.taken("energy", draw) == FIGURE
    kept._answers.put(figure_files.digest(["energy", kept._of]), {"png": "not base64", "svg": "", "pdf": ""})
    assert kept.taken("energy", draw) == FIGURE
    path.chmod(0o666)
    assert kept.taken("energy", draw) == FIGURE
    assert [record.message for record in caplog.records] == [
        f"{path}: what is kept is damaged; it is drawn anew",
        f"{path}: what is kept is no figure; it is drawn anew",
        f"{path}: the cache of figures is not used, for other users may write to {path} (chmod go-w '{path}'); "
        "going on without it",
    ]
