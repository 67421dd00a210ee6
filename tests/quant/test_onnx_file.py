import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
import numpy as np  # noqa: E402

from tests.quant.nets import tiny  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.quant import QuantConfig, convert, integer_codes, running_on_codes, save_onnx  # noqa: E402
from tqhw.train import TrainConfig, digits, train  # noqa: E402

PRECISIONS = (1, 2, 4, 8)


def trained(**options):
    config = QuantConfig(**{"precisions": PRECISIONS, "first": None, "last": None, **options})
    return train(convert(tiny(), config), digits(), TrainConfig(2, 64, threads=1)).model.eval()


def session(path):
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    return runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("options", [{}, {"norms": "shared"}, {"granularity": "channel", "first": 4, "last": "full"}])
def test_one_file_serves_every_precision_at_run_time(tmp_path, options):
    model = trained(**options)
    size = save_onnx(model, tmp_path / "m.onnx", (1, 8, 8))
    assert (tmp_path / "m.onnx").stat().st_size == size
    running = session(tmp_path / "m.onnx")
    ((images, _),) = digits().test_batches(1000)
    codes = integer_codes(model)
    for bits in PRECISIONS:
        (got,) = running.run(None, {"images": images.numpy(), "bits": np.array(bits, np.int64)})
        with running_on_codes(model, codes, bits), torch.no_grad():
            expected = model(images).numpy()
        assert np.array_equal(got.argmax(1), expected.argmax(1))
        assert np.abs(got - expected).max() < 1e-4


def test_the_codes_are_stored_once_as_bytes(tmp_path):
    save_onnx(trained(), tmp_path / "m.onnx", (1, 8, 8))
    graph = onnx.load(tmp_path / "m.onnx").graph
    kinds = {entry.name: entry.data_type for entry in graph.initializer}
    assert kinds["conv2.weight/codes"] == onnx.TensorProto.UINT8 and "conv2.weight" not in kinds
    assert sum(node.op_type == "BitShift" for node in graph.node) == 4


def test_a_precision_that_is_not_there_is_refused_at_run_time(tmp_path):
    save_onnx(trained(), tmp_path / "m.onnx", (1, 8, 8), stored=4)
    running = session(tmp_path / "m.onnx")
    images = np.zeros((1, 1, 8, 8), np.float32)
    for bits in (3, 8):
        with pytest.raises(Exception, match=r"out of"):
            running.run(None, {"images": images, "bits": np.array(bits, np.int64)})


def test_what_cannot_be_exported_is_refused(tmp_path):
    with pytest.raises(TqhwError, match=r"quantized activations cannot be exported to ONNX yet"):
        save_onnx(convert(tiny(), QuantConfig(activations="pact")), tmp_path / "m", (1, 8, 8))
    with pytest.raises(TqhwError, match=r"torch cannot export the model to ONNX"):
        save_onnx(convert(tiny(), QuantConfig()), tmp_path / "m", (3, 8, 8))
