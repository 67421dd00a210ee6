"""``tqhw workload``: from a name to files; and the committed files of the four networks."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from tqhw.errors import TqhwError  # noqa: E402
from tqhw.models import MODELS  # noqa: E402
from tqhw.workload import generate  # noqa: E402

COMMITTED = Path(__file__).parents[2] / "workloads"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("name", MODELS)
def test_the_committed_files_are_what_the_tool_writes(name: str, tmp_path: Path) -> None:
    """``tqhw workload NAME --out workloads/NAME`` makes them anew."""
    generate(name, tmp_path)
    assert contents(tmp_path) == contents(COMMITTED / name)


def test_every_network_is_committed() -> None:
    assert {path.name for path in COMMITTED.iterdir() if path.is_dir()} == set(MODELS)


def test_input_and_factory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "factory_of_this_test.py").write_text(
        "from torch import nn\n"
        "def net():\n    return nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.LazyLinear(1))\n"
        "def small():\n    return nn.Conv2d(3, 2, 3)\n"
    )
    monkeypatch.chdir(tmp_path)
    try:
        workload = generate("factory_of_this_test:small", tmp_path / "out", "2,3,8,9")
        with pytest.raises(TqhwError, match=r"model factory_of_this_test:net: 2.weight, 2.bias not initialized"):
            generate("factory_of_this_test:net", tmp_path / "other")
    finally:
        del sys.modules["factory_of_this_test"]
    assert workload.macs == 2 * 27 * 2 * 6 * 7
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["model"], summary["input"]) == ("factory_of_this_test:small", [2, 3, 8, 9])
    assert (summary["macs"], summary["parameters"]) == (workload.macs, 56)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("model", "shape", "message"),
    [
        ("resnet81", None, "unknown model 'resnet81' (did you mean 'resnet8'?"),
        ("resnet18", "1,3,0,224", "input, position 3: 0 is not a size"),
        ("resnet18", "1,1,64,64", "model resnet18: on an input of 1,1,64,64 the forward pass raised RuntimeError"),
        ("torch.nn:ReLU", None, "model torch.nn:ReLU: no quantizable layer"),
    ],
)
def test_bad_input_leaves_earlier_results(tmp_path: Path, model: str, shape: str | None, message: str) -> None:
    (tmp_path / "summary.json").write_text("{}")
    with pytest.raises(TqhwError) as caught:
        generate(model, tmp_path, shape)
    assert message in str(caught.value)
    assert contents(tmp_path) == {"summary.json": b"{}"}
