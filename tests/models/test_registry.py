"""Every way in which naming a model can go wrong, and the message it gives."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from tqhw.errors import TqhwError  # noqa: E402
from tqhw.models import MODELS, build, check_declared  # noqa: E402

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
        ("a/b.py:good", "is not of the form package.module:factory (write a.b:good)"),
        ("./mynets/nets.py:good", "is not of the form package.module:factory (write mynets.nets:good)"),
        ("mynets/nets:good", "is not of the form package.module:factory (write mynets.nets:good)"),
        ("mynets/nets.py:", "is not of the form package.module:factory (write mynets.nets:FACTORY)"),
        ("nets.py:net", "there is no module 'nets.py' (write nets:net)"),
        ("../nets.py:net", "is not of the form package.module:factory (write nets:net, from the folder that holds"),
        ("/else/where/nets.py:net", "is not of the form package.module:factory (write nets:net, from the folder th"),
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
    with pytest.raises(TqhwError, match=r"unknown model 'mynets/nets.py' \(.*, or mynets.nets:FACTORY"):
        build("mynets/nets.py")


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


DECLARED = """
from __future__ import annotations
from functools import partial, wraps
from typing import Optional, TYPE_CHECKING
import torch
from torch import nn
if TYPE_CHECKING:
    from elsewhere import Net
def plain() -> nn.Module: return nn.Linear(2, 2)
def quoted() -> "torch.nn.Linear": return nn.Linear(2, 2)
def either() -> nn.Linear | nn.Conv2d: return nn.Linear(2, 2)
half = partial(plain)
def decorated(f):
    @wraps(f)
    def inner(): return f()
    return inner
wrapped = decorated(plain)
def none(): return nn.Linear(2, 2)
def number() -> int: return 3
def maybe() -> Optional[nn.Module]: return None
def elsewhere() -> Net: return nn.Linear(2, 2)
def nonsense() -> 1 / 0: return nn.Linear(2, 2)
"""


@pytest.mark.parametrize("name", ["plain", "quoted", "either", "half", "wrapped"])
def test_a_factory_that_declares_a_module_may_be_called(here: Path, name: str) -> None:
    (here / "mynets" / "declared.py").write_text(DECLARED)
    check_declared(f"mynets.declared:{name}")
    check_declared("torch.nn:Linear")
    check_declared("resnet20")


@pytest.mark.parametrize("name", ["none", "number", "maybe", "elsewhere", "nonsense"])
def test_a_factory_that_declares_none_is_not_called_for_a_file(here: Path, name: str) -> None:
    (here / "mynets" / "declared.py").write_text(DECLARED)
    with pytest.raises(TqhwError) as caught:
        check_declared(f"mynets.declared:{name}")
    assert str(caught.value) == (
        f"model mynets.declared:{name}: '{name}' does not declare that it gives a torch.nn.Module, so a file cannot "
        "have it called (annotate it, `-> nn.Module`; or, if you know what it does, say so with --trust or trust=True)"
    )


@pytest.mark.parametrize("name", ["os:system", "builtins:eval", "subprocess:Popen", "shutil:rmtree", "sys:exit"])
def test_functions_of_the_system_declare_none(name: str) -> None:
    with pytest.raises(TqhwError, match=r"does not declare that it gives a torch\.nn\.Module"):
        check_declared(name)
