"""The ONNX file in onnxruntime, switched: the weights of a precision are made once, threads have their own bits."""

import threading
import warnings

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

from tests.quant.nets import images, tiny  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.quant import (  # noqa: E402
    Normalization,
    OnnxModel,
    QuantConfig,
    convert,
    integer_codes,
    running_on_codes,
    save_onnx,
    set_bits,
)
from tqhw.quant.onnx.model import at_precision  # noqa: E402

PRECISIONS = (2, 4, 8)


@pytest.fixture(scope="module", params=["paper", "groups"])
def case(request, tmp_path_factory):
    options = (
        {} if request.param == "paper" else {"granularity": 4, "normalization": Normalization("linear", scales="own")}
    )
    layers = {} if request.param == "paper" else {"conv1": "full"}
    config = QuantConfig(precisions=PRECISIONS, first=None, last=None, layers=layers, **options)
    model = convert(tiny(), config).train()
    with torch.no_grad():
        for bits in PRECISIONS:
            set_bits(model, bits)
            model(images() * bits)
    path = tmp_path_factory.mktemp("onnx") / "m.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        save_onnx(model.eval(), path, (1, 8, 8))
    logits = {}
    for bits in PRECISIONS:
        with running_on_codes(model, integer_codes(model), bits), torch.no_grad():
            logits[bits] = model(images())
    return path, logits


def close(found, expected):
    return torch.allclose(torch.from_numpy(found), expected, atol=1e-5)


def test_it_gives_the_models_answers_at_every_precision(case):
    path, logits = case
    model, x = OnnxModel(path, 8), images().numpy()
    assert model.served == PRECISIONS and model.bits == 8
    for bits in (8, 2, 4, 8):
        model.set_bits(bits)
        assert close(model(x), logits[bits])
    with model.using(2), model.using(4):
        assert model.bits == 4 and close(model(x), logits[4])
    assert model.bits == 8 and close(model(x), logits[8])


def test_nothing_is_dequantized_in_a_call(case, tmp_path):
    import onnx

    path, _ = case
    options = runtime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "folded.onnx")
    options.log_severity_level = 4  # it warns that a file of one machine is not for others
    runtime.InferenceSession(at_precision(onnx.load(path), 4), options, providers=["CPUExecutionProvider"])
    operators = {node.op_type for node in onnx.load(tmp_path / "folded.onnx").graph.node}
    assert "Conv" in str(operators) and not operators & {"BitShift", "Cast", "Gather", "Mul", "Where", "Less"}


def test_threads_have_bits_of_their_own(case):
    path, logits = case
    model, x, wrong = OnnxModel(path, 2), images().numpy(), []

    def work(bits):
        for _ in range(20):
            with model.using(bits):
                if not close(model(x), logits[bits]):
                    wrong.append(bits)

    threads = [threading.Thread(target=work, args=(bits,)) for bits in (2, 4, 8, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [] and model.bits == 2


def test_what_cannot_be_had_is_said(case, tmp_path):
    path, _ = case
    with pytest.raises(TqhwError, match=r"m.onnx: does not serve 5 bits .use one of 2, 4, 8."):
        OnnxModel(path, 5)
    model = OnnxModel(path, 2)
    for bits in (0, -1, 9, 32):
        with pytest.raises(TqhwError, match=f"does not serve {bits} bits"):
            model.set_bits(bits)
    assert model.bits == 2
    with pytest.raises(TqhwError, match=r"2 inputs for 1 .give \['images'\]"):
        model(images().numpy(), images().numpy())
    with pytest.raises(TqhwError, match="nowhere: cannot be read: No such file"):
        OnnxModel(tmp_path / "nowhere", 2)
    (tmp_path / "text").write_text("no graph")
    with pytest.raises(TqhwError, match="text: is no ONNX file"):
        OnnxModel(tmp_path / "text", 2)
    import onnx

    graph = onnx.helper.make_graph([], "empty", [], [])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "other")
    with pytest.raises(TqhwError, match=r"other: is no ONNX file of tqhw .write it with tqhw export."):
        OnnxModel(tmp_path / "other", 2)
