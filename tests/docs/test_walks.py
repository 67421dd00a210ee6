"""CONTRIBUTING's walks through the code are true: every name is there, and is called in the order of the text."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import tqhw
from tests.cli.files import ARCH, ERT, write_case
from tests.docs.pages import ROOT
from tqhw.report import figures
from tqhw.report.figure_files import FigureFiles

pytest.importorskip("torch")

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
WALKS = dict(re.findall(r"^### `(\w+)`.*?\n(.*?)(?=^### |\Z)", TEXT, flags=re.DOTALL | re.MULTILINE))
NAME = re.compile(r"`((?:[a-z]+\.){1,3}[\w.]+)`")
PACKAGE = Path(tqhw.__file__).parent


def names(walk: str) -> list[str]:
    """The names of a walk, in the order of the text."""
    return [name for name in NAME.findall(WALKS[walk]) if not name.startswith("tqhw.")]


def found(name: str) -> Any:
    """The module or what stands in it; methods after their class."""
    parts = f"tqhw.{name}".split(".")
    for end in range(len(parts), 1, -1):
        try:
            thing: Any = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            thing = getattr(thing, part)
        return thing
    raise AssertionError(name)


def called_by(work: Callable[[], object]) -> list[str]:
    """Functions of tqhw in the order of their first calls."""
    order: dict[str, None] = {}

    def watch(frame: FrameType, event: str, _: object) -> None:
        path = frame.f_code.co_filename
        if event == "call" and path.startswith(str(PACKAGE)):
            module = Path(path).relative_to(PACKAGE).with_suffix("").as_posix().replace("/", ".")
            order.setdefault(f"{module.removesuffix('.__init__')}.{frame.f_code.co_qualname}")

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        work()
    finally:
        sys.setprofile(before)
    return [*order]


def check(walk: str, order: list[str], at_least: int) -> None:
    """What was called of the walk's names was called in the order of the text."""
    there = [name for name in names(walk) if name in order]
    assert there == sorted(there, key=order.index)
    assert len(there) >= at_least, sorted({*names(walk)} - {*there})


def test_there_are_three_walks() -> None:
    assert [*WALKS] == ["run", "search", "convert"]


@pytest.mark.parametrize("walk", WALKS)
def test_every_name_is_there(walk: str) -> None:
    assert len(names(walk)) > 10
    for name in names(walk):
        assert found(name) is not None
    for path in re.findall(r"`((?:tqhw|tests)/[\w/.]*)`", TEXT):
        assert (ROOT / path).exists(), path


def test_a_run_goes_that_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "_drawn", lambda *_: FigureFiles(b"", "<svg/>", b""))  # no walk goes there
    keys = {"model": {"name": "tests.quant.nets:TinyNet", "input": [1, 1, 8, 8]}, "bits": [2, 8]}
    experiment = tqhw.load_experiment({"spad_models": ["smartbuffer_rf"], **keys})
    tqhw.run_experiment(experiment)  # compiles, which nobody needs to watch
    check("run", called_by(lambda: tqhw.run_experiment(experiment, tmp_path / "out")), 18)


def test_a_search_goes_that_way(tmp_path: Path) -> None:
    problem, _ = write_case(tmp_path)

    def work() -> None:
        tqhw.search(ARCH, problem, ert=ERT, cache=False)

    work()  # compiles, which nobody needs to watch
    check("search", called_by(work), 16)


def test_a_conversion_goes_that_way() -> None:
    import torch

    from tests.quant.nets import TinyNet

    def work() -> None:
        tqhw.convert(TinyNet(), precisions=(2, 8))(torch.zeros(1, 1, 8, 8))

    check("convert", called_by(work), 13)
