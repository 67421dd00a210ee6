"""Every way in which naming a model can go wrong, and the message it gives."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from tqhw.errors import TqhwError  # noqa: E402
from tqhw.models import MODELS, build  # noqa: E402

FACTORIES = """
from torch import nn
from tqhw.errors import TqhwError
width = 3
def good(width=4): return nn.Linear(2, width)
def needs(width): return nn.Linear(2, width)
def broken(): raise ValueError("no such depth")
def silent(): raise KeyError
def ours(): raise TqhwError("width 3 is odd", place="my config")
def wrong(): return {"a": 1}
def nothing(): return None
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a package of factories; nothing of it stays importable afterwards."""
    package = tmp_path / "mynets"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "nets.py").write_text(FACTORIES)
    (package / "raises.py").write_text("raise RuntimeError('the weights are gone')\n")
    (package / "imports.py").write_text("import not_installed_anywhere\n")
    (package / "lazy.py").write_text("def __getattr__(name): raise ModuleNotFoundError(f'no backend for {name}')\n")
    (package / "syntax.py").write_text("def f(:\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p not in ("", str(tmp_path))])
    for name in [m for m in sys.modules if m.split(".")[0] == "mynets"]:
        monkeypatch.delitem(sys.modules, name)
    yield tmp_path
    for name in [m for m in sys.modules if m.split(".")[0] == "mynets"]:
        del sys.modules[name]


def test_factory_from_the_current_directory(here: Path) -> None:
    assert build("mynets.nets:good").out_features == 4
    assert build("mynets.nets:good", width=9).out_features == 9
    assert str(here) not in sys.path


def test_a_class_is_a_factory() -> None:
    assert isinstance(build("torch.nn:Linear", in_features=2, out_features=3), torch.nn.Linear)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mynets.nets:broken", "model mynets.nets:broken: the factory raised ValueError: no such depth"),
        ("mynets.nets:silent", "model mynets.nets:silent: the factory raised KeyError"),
        ("mynets.nets:ours", "my config: width 3 is odd"),
        ("mynets.nets:wrong", "the factory returned a dict, not a torch.nn.Module"),
        ("mynets.nets:nothing", "the factory returned None, not a torch.nn.Module"),
        ("mynets.nets:needs", "the factory raised TypeError: needs() missing 1 required positional argument"),
        ("mynets.nets:width", "'width' is an int, which cannot be called"),
        ("mynets.nets:goood", "unknown factory 'goood' (did you mean 'good'?"),
        ("mynets.nest:good", "there is no module 'mynets.nest' (run from the folder that holds it"),
        ("nowhere_to_be_found:good", "there is no module 'nowhere_to_be_found'"),
        ("mynets.raises:f", "importing 'mynets.raises' raised RuntimeError: the weights are gone"),
        (
            "mynets.imports:f",
            "importing 'mynets.imports' raised ModuleNotFoundError: No module named 'not_in",
        ),
        ("mynets.lazy:Net", "'Net' of 'mynets.lazy' raised ModuleNotFoundError: no backend for Net, at "),
        ("mynets.syntax:f", "importing 'mynets.syntax' raised SyntaxError"),
        ("mynets.nets:", "is not of the form package.module:factory"),
        (":good", "is not of the form package.module:factory"),
        ("a/b.py:good", "is not of the form package.module:factory"),
    ],
)
def test_bad_factories(here: Path, name: str, message: str) -> None:
    with pytest.raises(TqhwError) as caught:
        build(name)
    assert message in str(caught.value)
    assert str(here) not in sys.path


@pytest.mark.parametrize(
    ("name", "file"), [("broken", "nets"), ("silent", "nets"), ("raises:f", "raises"), ("imports:f", "imports")]
)
def test_what_a_users_own_code_raises_has_its_file_and_line(here: Path, name: str, file: str) -> None:
    with pytest.raises(TqhwError, match=rf", at {re.escape(str(here))}/mynets/{file}\.py:\d+"):
        build(f"mynets.{name}" if ":" in name else f"mynets.nets:{name}")
    with pytest.raises(TqhwError) as caught:
        build("mynets.nets:needs")
    assert ", at " not in str(caught.value)


def test_unknown_model_offers_the_nearest() -> None:
    with pytest.raises(TqhwError, match=r"unknown model 'resnet5' \(did you mean 'resnet50'\?") as caught:
        build("resnet5")
    assert "or package.module:factory" in str(caught.value)
    assert all(name in str(caught.value) for name in MODELS)


def test_unknown_option_offers_the_nearest() -> None:
    with pytest.raises(TqhwError, match=r"unknown option of model resnet18 'num_class'.*'num_classes'"):
        build("resnet18", num_class=10)
    with pytest.raises(TqhwError, match="unknown option of model resnet50 'expansion'"):
        build("resnet50", expansion=5)


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "10"])
def test_options_are_whole_numbers_from_one_up(value: object) -> None:
    with pytest.raises(TqhwError) as caught:
        build("resnet20", expansion=value)
    assert str(caught.value) == (f"model resnet20: expansion is {value!r}, but must be a whole number from 1 up")
