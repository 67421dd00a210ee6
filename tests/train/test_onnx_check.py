import sys

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from tests.quant.nets import tiny  # noqa: E402
from tqhw.datasets import digits  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.quant import QuantConfig, add_precision, convert, quantized_layers, save_onnx  # noqa: E402
from tqhw.train import TrainConfig, compare_onnx, recalibrate, train  # noqa: E402


@pytest.fixture(scope="module")
def model():
    found = convert(tiny(), QuantConfig(precisions=(2, 8), first=None, last=None))
    return train(found, digits(), TrainConfig(1, 64, threads=1)).model


def test_every_precision_agrees_on_all_test_samples(model, tmp_path):
    for bits in (1, 3, 4, 5, 6, 7):
        add_precision(model, bits)
        recalibrate(model, digits(), bits, threads=1)
    save_onnx(model, tmp_path / "m.onnx", (1, 8, 8))
    found = compare_onnx(tmp_path / "m.onnx", model, digits())
    assert [row.bits for row in found] == list(range(1, 9))
    assert all(row.agrees and row.same == row.samples == 450 for row in found)
    save_onnx(model, tmp_path / "four.onnx", (1, 8, 8), stored=4)
    assert [row.bits for row in compare_onnx(tmp_path / "four.onnx", model, digits(), stored=4)] == [1, 2, 3, 4]


def test_another_model_does_not_agree(model, tmp_path):
    save_onnx(model, tmp_path / "m.onnx", (1, 8, 8))
    weight = quantized_layers(model)[-1].real_weight
    with torch.no_grad():
        weight.neg_()
    try:
        assert not any(row.agrees for row in compare_onnx(tmp_path / "m.onnx", model, digits()))
    finally:
        with torch.no_grad():
            weight.neg_()


def test_a_file_that_is_no_onnx_is_refused(model, tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"not a graph")
    with pytest.raises(TqhwError, match=r"m.onnx: onnxruntime refuses it: .* \(export it again\)"):
        compare_onnx(tmp_path / "m.onnx", model, digits())


def test_a_missing_runtime_comes_with_what_a_shell_takes(model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(TqhwError, match=r"onnxruntime is not installed \(pip install 'tqhw\[onnx\]'\)"):
        compare_onnx(tmp_path / "m.onnx", model, digits())
