import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
import numpy as np  # noqa: E402

from tests.quant.nets import tiny  # noqa: E402
from tqhw.datasets import digits  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.quant import QuantConfig, convert, integer_codes, running_on_codes, save_onnx  # noqa: E402
from tqhw.train import TrainConfig, train  # noqa: E402

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


@pytest.mark.parametrize(
    ("options", "unserved"),
    [({}, (-(2**62), -5, -1, 0, 3, 5, 8, 2**62)), ({"norms": "shared"}, (-5, -4, -1, 0, 5, 300))],
)
def test_a_precision_that_is_not_there_is_refused_at_run_time(tmp_path, options, unserved):
    save_onnx(trained(**options), tmp_path / "m.onnx", (1, 8, 8), stored=4)
    refuses(session(tmp_path / "m.onnx"), np.zeros((1, 1, 8, 8), np.float32), unserved)


def test_a_model_without_norms_refuses_them_too(tmp_path):
    model = convert(torch.nn.Linear(4, 3), QuantConfig(precisions=(2, 8), first=None, last=None))
    save_onnx(model, tmp_path / "m.onnx", (4,))
    refuses(session(tmp_path / "m.onnx"), np.zeros((1, 4), np.float32), (-1, 0, 3, 9))


def refuses(running, images, unserved):
    for bits in unserved:
        with pytest.raises(Exception, match=r"out of|indices element"):
            running.run(None, {"images": images, "bits": np.array(bits, np.int64)})


def test_layers_that_share_a_weight(tmp_path):
    first, last = torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)
    last.weight = first.weight
    model = torch.nn.Sequential(first, torch.nn.ReLU(), last).eval()
    convert(model, QuantConfig(precisions=(2, 8), first=None, last=4))
    save_onnx(model, tmp_path / "m.onnx", (4,))
    assert model[0].parametrizations.weight.original is model[2].parametrizations.weight.original
    running, codes, x = session(tmp_path / "m.onnx"), integer_codes(model), torch.randn(5, 4)
    for bits in (2, 8):
        (got,) = running.run(None, {"images": x.numpy(), "bits": np.array(bits, np.int64)})
        with running_on_codes(model, codes, bits), torch.no_grad():
            assert np.abs(got - model(x).numpy()).max() < 1e-5


def test_what_cannot_be_exported_is_refused(tmp_path):
    with pytest.raises(TqhwError, match=r"quantized activations cannot be exported to ONNX yet"):
        save_onnx(convert(tiny(), QuantConfig(activations="pact")), tmp_path / "m", (1, 8, 8))
    with pytest.raises(TqhwError, match=r"torch cannot export the model to ONNX"):
        save_onnx(convert(tiny(), QuantConfig()), tmp_path / "m", (3, 8, 8))
    with pytest.raises(TqhwError, match=r"stored: none of the precisions .2, 8. can be had from 1 bits"):
        save_onnx(convert(tiny(), QuantConfig(precisions=(2, 8))), tmp_path / "m", (1, 8, 8), stored=1)
    untracked = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2, track_running_stats=False))
    with pytest.raises(TqhwError, match=r"1: a batch norm without running statistics cannot be exported .* .train it"):
        save_onnx(convert(untracked, QuantConfig(first=None, last=None)), tmp_path / "m", (1, 8, 8))
    assert not (tmp_path / "m").exists()
