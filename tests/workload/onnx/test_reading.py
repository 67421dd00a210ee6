"""Files that are none, inputs that do not fit, and numbers that lie beside the model."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("onnx")

import numpy as np
import onnx
from onnx import external_data_helper, numpy_helper

from tests.cli.test_app import refused as command_refused
from tests.cli.test_app import tqhw
from tests.workload.onnx.graphs import node, save, tensor
from tqhw.errors import TqhwError
from tqhw.workload import InputSpec, extract_file, generate


def net(folder: Path) -> str:
    nodes = [node("Reshape", "x to", "f"), node("MatMul", "f w", "y")]
    numbers = [numpy_helper.from_array(np.array([1, -1]), "to"), tensor("w", [12, 500])]
    return save(folder / "net.onnx", nodes, {"x": [1, 3, 4]}, numbers)


def refused(path: str | Path, *inputs: InputSpec) -> str:
    with pytest.raises(TqhwError) as caught:
        extract_file(path, inputs)
    return str(caught.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    whole = Path(net(tmp_path)).read_bytes()
    cut, empty, text = tmp_path / "cut.onnx", tmp_path / "empty.onnx", tmp_path / "text.onnx"
    cut.write_bytes(whole[: len(whole) // 2])
    empty.write_bytes(b"")
    text.write_text("no graph at all")
    assert refused(cut) == f"{cut}: is no ONNX file, or was cut off (write or fetch it again, whole)"
    assert refused(text).startswith(f"{text}: is no ONNX file, or was cut off")
    assert refused(empty).startswith(f"{empty}: has no graph")
    nowhere = tmp_path / "none.onnx"
    assert refused(nowhere) == f"{nowhere}: cannot be read: No such file or directory (check the path)"
    assert refused(tmp_path).startswith(f"{tmp_path}: cannot be read: Is a directory")


def test_every_cut_of_a_file_is_refused_or_read(tmp_path: Path) -> None:
    whole = Path(net(tmp_path)).read_bytes()
    cut = tmp_path / "cut.onnx"
    for length in [*range(0, 200, 7), *range(200, len(whole), 997)]:
        cut.write_bytes(whole[:length])
        refused(cut)


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = net(tmp_path)
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert refused(path) == f"{path}: ONNX is not installed (pip install 'tqhw[onnx]')"


def test_inputs_that_do_not_fit(tmp_path: Path) -> None:
    path = net(tmp_path)
    told = "the inputs do not fit: the file has x:float32[1,3,4]; given: x:float32"
    assert refused(path, InputSpec((2, 3, 4), "float32")) == (
        f"{path}: {told}[2,3,4] (give 1, or export the network with this dimension open)"
    )
    assert refused(path, InputSpec((3, 4), "float32")) == f"{path}: {told}[3,4] (give 3 sizes, batch first)"
    assert refused(path, InputSpec((1, 3, 4), "int64")).endswith("(give it as float32)")
    assert refused(path, InputSpec((1, 3, 4), name="y")).startswith(f"{path}: unknown input 'y' (")
    assert "2 inputs are given, and the graph has 1: x" in refused(path, InputSpec((1, 3, 4)), InputSpec((1, 3, 4)))


def test_one_letter_is_one_size(tmp_path: Path) -> None:
    nodes = [node("Add", "a b", "c"), node("MatMul", "c w", "y")]
    path = save(tmp_path / "net.onnx", nodes, {"a": ["n", 3], "b": ["n", 3]}, [tensor("w", [3, 3])])
    told = refused(path, InputSpec((2, 3), name="a"), InputSpec((4, 3), name="b"))
    assert told == f"{path}: the inputs do not fit: 'n' is 2 and 4 (give inputs that agree)"


def test_numbers_outside_of_the_folder_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "secret.bin").write_bytes(np.array([1, -1]).tobytes())
    for where in ("../secret.bin", str(tmp_path / "secret.bin")):
        model = onnx.load(net(tmp_path))
        external_data_helper.set_external_data(model.graph.initializer[0], where)
        model.graph.initializer[0].ClearField("raw_data")
        (tmp_path / "model" / "net.onnx").write_bytes(model.SerializeToString())
        path = tmp_path / "model" / "net.onnx"
        assert f"its numbers are in '{where}', outside of the model's folder, and are not read" in refused(path)


def test_numbers_beside_the_model(tmp_path: Path) -> None:
    """Of weights nothing but the size is needed, and their file is not opened."""
    expected = extract_file(net(tmp_path))
    model = onnx.load(net(tmp_path))
    onnx.save(model, tmp_path / "split.onnx", save_as_external_data=True, location="numbers.bin", size_threshold=0)
    assert extract_file(tmp_path / "split.onnx").layers == expected.layers
    weights = onnx.load(tmp_path / "split.onnx", load_external_data=False)
    next(e for e in weights.graph.initializer[1].external_data if e.key == "location").value = "../not/there"
    (tmp_path / "split.onnx").write_bytes(weights.SerializeToString())
    assert extract_file(tmp_path / "split.onnx").layers == expected.layers
    (tmp_path / "numbers.bin").unlink()
    assert "its numbers cannot be read from 'numbers.bin'" in refused(tmp_path / "split.onnx")


def test_a_broken_graph(tmp_path: Path) -> None:
    nodes = [node("MatMul", "x nowhere", "y")]
    path = save(tmp_path / "net.onnx", nodes, {"x": [1, 3]}, [])
    assert refused(path).startswith(f"{path}, node y: 'nowhere' is read and nowhere made before")


def test_a_tensor_that_the_file_lost(tmp_path: Path) -> None:
    """Exporters say the type of every tensor, so that this alone does not make one; a bias decides no size."""
    nodes = [node("Gemm", "x w b", "h"), node("Relu", "h", "y")]
    whole = save(tmp_path / "net.onnx", nodes, {"x": [2, 3]}, [tensor("w", [3, 4]), tensor("b", [4])])
    for name in ("w", "b"):
        model = onnx.load(whole)
        kept = [one for one in model.graph.initializer if one.name != name]
        del model.graph.initializer[:]
        model.graph.initializer.extend(kept)
        shape = [3, 4] if name == "w" else [4]
        model.graph.value_info.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape))
        onnx.save(model, tmp_path / "lost.onnx")
        assert f"'{name}' is read and nowhere made before" in refused(tmp_path / "lost.onnx")


def test_the_command(tmp_path: Path) -> None:
    path = net(tmp_path)
    told = " ".join(tqhw("workload", path, "--out", tmp_path / "out").output.split())
    assert "1 distinct layers, 6,000 multiply-accumulates, 6,000 parameters" in told
    assert (tmp_path / "out" / "summary.json").exists()
    told = command_refused("workload", path, "--out", tmp_path / "no", "--input", "x.1:float32[1,3,4]")
    assert "unknown input 'x.1'" in told
    assert not (tmp_path / "no").exists()


def test_a_name_that_is_no_argument_of_python(tmp_path: Path) -> None:
    nodes = [node("MatMul", "input:0 w", "y")]
    path = save(tmp_path / "net.onnx", nodes, {"input:0": ["n", 3]}, [tensor("w", [3, 4])])
    assert generate(path, tmp_path / "out", "input:0:float32[2,3]").macs == 24
