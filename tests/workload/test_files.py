"""The files of a workload: names, comments, summary, and what happens to what lay there before."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tqhw.errors import TqhwError
from tqhw.spec import load_problem
from tqhw.workload import Layer, Workload, problems, write

CONV = problems.convolution("stem", (8, 1, 3, 5), (1, 8, 7, 9), stride=(2, 1), dilation=(1, 3), groups=8)
FC = problems.product("fc", batch=1, rows=4, inner=8, columns=10)
SCORES = problems.product("attn:matmul", batch=6, rows=5, inner=4, columns=5)
NET = Workload(
    model="net",
    input_shape=(1, 8, 16, 21),
    layers=(
        Layer(("stem", "stem/two"), CONV, weight_count=120, stored_weights=240, weight_bits=4),
        Layer(("attn:matmul",), SCORES, weight_count=0, stored_weights=0),
        Layer(("fc", "fc"), FC, weight_count=80, stored_weights=80, weight_bits=32, fixed_bits=True),
    ),
    parameters=400,
    norm_channels=8,
    norm_parameters=16,
    other_parameters=64,
    folded=("mix",),
)
FILES = ["01_stem.yaml", "02_attn_matmul.yaml", "03_fc.yaml", "summary.json"]


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_problems_read_back(tmp_path: Path) -> None:
    assert write(NET, tmp_path / "deep" / "net") == tmp_path / "deep" / "net"
    folder = tmp_path / "deep" / "net"
    assert listing(folder) == FILES
    for file, layer in zip(FILES, NET.layers, strict=False):
        read = load_problem(folder / file)
        assert (read.shape, read.bounds) == (layer.problem.shape, layer.problem.bounds)
        assert read.coefficients == layer.problem.coefficients


def test_the_document_is_timeloops(tmp_path: Path) -> None:
    """Read by plain PyYAML: version 0.4, a shape with lists of lists, every dimension and coefficient a number."""
    write(NET, tmp_path)
    problem = yaml.safe_load((tmp_path / "01_stem.yaml").read_text())["problem"]
    assert problem["version"] == "0.4"
    assert problem["shape"]["dimensions"] == ["C", "M", "R", "S", "N", "P", "Q", "G"]
    assert problem["shape"]["data_spaces"][1] == {
        "name": "Inputs",
        "projection": [
            [["N"]],
            [["C"]],
            [["R", "Wdilation"], ["P", "Wstride"]],
            [["S", "Hdilation"], ["Q", "Hstride"]],
            [["G"]],
        ],
    }
    bounds = {"C": 1, "M": 1, "R": 5, "S": 3, "N": 1, "P": 9, "Q": 7, "G": 8}
    assert problem["instance"] == bounds | {"Wstride": 1, "Hstride": 2, "Wdilation": 3, "Hdilation": 1}


def test_comments_say_what_a_file_stands_for(tmp_path: Path) -> None:
    write(NET, tmp_path)
    heads = [(tmp_path / file).read_text().split("problem:")[0].splitlines() for file in FILES[:3]]
    assert heads == [
        [
            "# Written by tqhw workload: net, input 1,8,16,21",
            "# 2 x convolution 3x5, 8 -> 8 channels, stride 2x1, dilation 1x3, 8 groups, output 7x9; weights",
            "# stem, stem/two",
        ],
        [
            "# Written by tqhw workload: net, input 1,8,16,21",
            "# 1 x product 6 x [5, 4] x [4, 5]; no weights: the Weights data space is an activation",
            "# attn:matmul",
        ],
        [
            "# Written by tqhw workload: net, input 1,8,16,21",
            "# 2 x product [4, 8] x [8, 10]; weights",
            "# fc",
        ],
    ]


def test_names_cannot_break_out_of_a_comment_or_a_folder(tmp_path: Path) -> None:
    layer = dataclasses.replace(NET.layers[0], names=("../a\nproblem: 1", "é" * 300))
    write(dataclasses.replace(NET, model="net\nproblem: 2", layers=(layer,)), tmp_path / "out")
    (file,) = (tmp_path / "out").glob("*.yaml")
    assert file.name == "01_.._a_problem__1.yaml"
    assert load_problem(file).bounds == CONV.bounds
    assert listing(tmp_path) == ["out"]


def test_many_layers_still_sort(tmp_path: Path) -> None:
    write(dataclasses.replace(NET, layers=NET.layers[2:] * 100), tmp_path)
    assert listing(tmp_path)[:2] == ["001_fc.yaml", "002_fc.yaml"]
    assert len(listing(tmp_path)) == 101


def test_summary(tmp_path: Path) -> None:
    write(NET, tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text())
    layers = summary.pop("layers")
    conv_macs, scores_macs, fc_macs = 8 * 15 * 63, 6 * 5 * 4 * 5, 4 * 8 * 10
    assert summary == {
        "model": "net",
        "input": [1, 8, 16, 21],
        "macs": 2 * conv_macs + scores_macs + 2 * fc_macs,
        "parameters": 400,
        "weights": 320,
        "norm_channels": 8,
        "norm_parameters": 16,
        "other_parameters": 64,
        "folded": ["mix"],
    }
    assert layers[0] == {
        "file": "01_stem.yaml",
        "names": ["stem", "stem/two"],
        "count": 2,
        "macs": conv_macs,
        "weight_count": 120,
        "stored_weights": 240,
        "weight_bits": 4,
        "fixed_bits": False,
    }
    assert [layer["file"] for layer in layers] == FILES[:3]
    assert [layer["weight_bits"] for layer in layers] == [4, None, 32]


def test_a_second_run_replaces_its_own_files_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("# my own problem\n")
    (tmp_path / "notes.txt").write_text("# Written by tqhw workload\n")
    (tmp_path / "broken.yaml").write_bytes(b"\xff\xfe")
    write(NET, tmp_path)
    write(dataclasses.replace(NET, layers=NET.layers[2:]), tmp_path)
    assert listing(tmp_path) == ["01_fc.yaml", "broken.yaml", "mine.yaml", "notes.txt", "summary.json"]
    assert len(json.loads((tmp_path / "summary.json").read_text())["layers"]) == 1


def test_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    write(NET, tmp_path)
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    write(NET, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first


def test_the_folder_is_a_file(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_text("keep me")
    with pytest.raises(TqhwError) as caught:
        write(NET, target)
    assert str(caught.value) == f"{target}: is not a folder (choose another place)"
    assert target.read_text() == "keep me"


def test_the_folder_lies_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TqhwError, match=r"cannot be written: Not a directory \(choose another place\)"):
        write(NET, tmp_path / "file" / "out")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_the_folder_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(TqhwError, match=r"cannot be written: Permission denied \(choose another place\)"):
        write(NET, tmp_path / "out")


def test_a_folder_that_cannot_be_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "exists", denied)
    with pytest.raises(TqhwError, match=r"out: cannot be written: Permission denied \(choose another place\)"):
        write(NET, tmp_path / "out")


def test_a_stale_file_that_cannot_be_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(NET, tmp_path)

    def denied(path: Path, missing_ok: bool = False) -> None:
        if path.name == "01_stem.yaml":
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", denied)
    message = r"01_stem.yaml: a file of an earlier run cannot be removed: Permission denied \(remove it, or write"
    with pytest.raises(TqhwError, match=message):
        write(dataclasses.replace(NET, layers=NET.layers[2:]), tmp_path)


def test_an_interrupted_run_leaves_the_earlier_summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(NET, tmp_path)
    before = (tmp_path / "summary.json").read_text()
    monkeypatch.setattr(Path, "replace", lambda self, target: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write(dataclasses.replace(NET, layers=NET.layers[2:]), tmp_path)
    assert (tmp_path / "summary.json").read_text() == before
    assert listing(tmp_path) == FILES  # no temporary file stays


def test_everything_but_the_extraction_starts_without_torch() -> None:
    code = "import sys, tqhw.workload; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
