"""Timeloop's front end where it fails: stand-in packages. test_real.py uses the real one where it is importable."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backends.cases import REFERENCE, reference_design
from tqhw.backends.doctor import checks
from tqhw.backends.timeloop import front_end
from tqhw.backends.timeloop.render import Renderer
from tqhw.errors import TqhwError

WRITER = "def _specification_to_yaml_string(specification, for_model):\n    return specification\n"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An importable ``timeloopfe`` whose v4 the test writes."""
    folder = tmp_path / "timeloopfe"
    for part in ("", "v4", "common"):
        (folder / part).mkdir(exist_ok=True)
        (folder / part / "__init__.py").touch()
    (folder / "common" / "backend_calls.py").write_text(WRITER)
    (folder / "common" / "nodes.py").write_text("class ParseError(Exception):\n    pass\n")
    monkeypatch.setattr(front_end, "PACKAGES", ("timeloopfe",))
    monkeypatch.syspath_prepend(str(tmp_path))
    kept = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "timeloopfe"}
    importlib.invalidate_caches()
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "timeloopfe"]:
        del sys.modules[name]
    sys.modules.update(kept)


def specification(package: Path, body: str) -> None:
    text = f"class Specification:\n    @staticmethod\n    def from_yaml_files(*paths):\n        {body}\n"
    (package / "v4" / "__init__.py").write_text(text)


def test_none_is_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front_end, "PACKAGES", ("no_such_front_end",))
    assert front_end.find() is None


def test_one_of_another_make(package: Path) -> None:
    message = r"the front end timeloopfe at .*v4.__init__.py is not of the supported make \(Timeloop v0.4\)"
    with pytest.raises(TqhwError, match=message):
        front_end.find()
    row = next(row for row in checks() if row["what"] == "timeloopfe")
    assert (row["version"], row["found"]) == ("unsupported", False)
    assert "the programs alone suffice" in row["lever"]


def test_what_it_refuses_is_told_with_our_line(package: Path) -> None:
    specification(package, "raise KeyError('nothing known of architecture.nodes[2].buffer.attributes')")
    design = reference_design("two_level")
    line = next(c.place for c in design.architecture.components() if c.name == "buffer")
    assert line.startswith(f"{REFERENCE / 'arch' / 'two_level.yaml'}:")
    with pytest.raises(
        TqhwError, match=r"refuses it: unknown name 'nothing .*nodes\[2\].buffer.*\(mend what"
    ) as caught:
        Renderer(use_front_end=True).accelergy(design)
    assert caught.value.place == line


def test_its_own_error_counts_as_a_refusal(package: Path) -> None:
    specification(package, "from timeloopfe.common.nodes import ParseError\n        raise ParseError('a tag it lacks')")
    with pytest.raises(TqhwError, match="front end refuses it: a tag it lacks") as caught:
        Renderer(use_front_end=True).accelergy(reference_design("two_level"))
    assert caught.value.place == str(REFERENCE / "arch" / "two_level.yaml")
