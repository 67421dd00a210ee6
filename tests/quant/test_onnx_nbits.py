"""Linear layers on packed codes in onnxruntime: MatMulNBits, with half a code that no whole zero point has."""

import warnings

import pytest

torch = pytest.importorskip("torch")
np = pytest.importorskip("numpy")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from torch import nn  # noqa: E402

from tests.quant.nets import tiny  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.quant import (  # noqa: E402
    Normalization,
    OnnxModel,
    QuantConfig,
    convert,
    integer_codes,
    post_train,
    running_on_codes,
    save_onnx,
)

PRECISIONS = (1, 2, 3, 4, 8)


class Layers(nn.Module):
    """Linear layers with and without bias, of odd numbers of groups, on two axes and on three."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(first, second), nn.Linear(second, 24, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(torch.relu(self.a(x)))


def written(path, granularity, normalization, shape=(7, 96), second=64):
    torch.manual_seed(0)
    config = QuantConfig(
        precisions=PRECISIONS, first=None, last=None, granularity=granularity, normalization=normalization
    )
    model = convert(Layers(shape[-1], second), config).eval()
    if normalization.scales == "own":
        post_train(model, None)  # offsets and scales of each precision
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save_onnx(model, path, shape)
    return model, torch.randn(3, *shape)


@pytest.mark.parametrize("shape", [(96,), (7, 96), (2, 3, 96)], ids=["rows", "tokens", "four axes"])
@pytest.mark.parametrize(
    ("granularity", "normalization"),
    [
        ("tensor", Normalization()),
        ("channel", Normalization("linear")),
        (32, Normalization("linear", scales="own", offset=True)),
        (16, Normalization("linear", offset=True)),
    ],
)
def test_packed_codes_give_the_models_answers(tmp_path, granularity, normalization, shape):
    model, x = written(tmp_path / "m.onnx", granularity, normalization, shape)
    packed, codes = OnnxModel(tmp_path / "m.onnx", 4, packed=True), integer_codes(model)
    for bits in PRECISIONS:
        with running_on_codes(model, codes, bits), torch.no_grad():
            wanted = model(x)
        with packed.using(bits):
            found = torch.from_numpy(packed(x.numpy()))
        assert torch.allclose(found, wanted, atol=2e-5 * float(wanted.abs().max())), bits


def test_the_graph_reads_packed_codes_up_to_four_bits(tmp_path):
    import onnx

    written(tmp_path / "m.onnx", 32, Normalization("linear"))
    packed = OnnxModel(tmp_path / "m.onnx", 4, packed=True)
    operators = {bits: [n.op_type for n in onnx.load_from_string(packed._at(bits)).graph.node] for bits in (2, 4, 8)}
    assert [operators[bits].count("MatMulNBits") for bits in (2, 4, 8)] == [2, 2, 0]


def test_rounded_inputs_are_near(tmp_path):
    model, x = written(tmp_path / "m.onnx", 32, Normalization("linear"))
    near = OnnxModel(tmp_path / "m.onnx", 4, packed=True, rounded_inputs=True)(x.numpy())
    with running_on_codes(model, integer_codes(model), 4), torch.no_grad():
        wanted = model(x).numpy()
    assert np.abs(near - wanted).max() < 0.05 * np.abs(wanted).max()


def test_what_cannot_be_packed_is_said(tmp_path):
    with pytest.raises(TqhwError, match=r"rounded_inputs: inputs are rounded with packed codes alone .add packed=True"):
        OnnxModel(tmp_path / "m.onnx", 4, rounded_inputs=True)
    written(tmp_path / "m.onnx", 12, Normalization("linear"), second=60)
    with pytest.raises(
        TqhwError, match=r"no layer can keep packed codes .linear layers can, with one scale per tensor"
    ):
        OnnxModel(tmp_path / "m.onnx", 4, packed=True)
    model = convert(tiny(), QuantConfig(precisions=(2, 8), first=None, last="full")).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save_onnx(model, tmp_path / "c.onnx", (1, 8, 8))
    with pytest.raises(TqhwError, match="no layer can keep packed codes"):
        OnnxModel(tmp_path / "c.onnx", 2, packed=True)


def test_a_million_packed_codes_are_the_stored_ones_shifted(tmp_path):
    import onnx

    model = convert(nn.Linear(1024, 1024, bias=False), QuantConfig(precisions=(1, 2, 3, 4, 8), first=None, last=None))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save_onnx(model.eval(), tmp_path / "m.onnx", (1024,))
    (stored,) = (tensor.codes for tensor in integer_codes(model).values())
    assert stored.numel() == 1 << 20
    for bits in (1, 2, 3, 4):
        graph = onnx.load_from_string(OnnxModel(tmp_path / "m.onnx", bits, packed=True)._at(bits)).graph
        (packed,) = [e for e in graph.initializer if e.name.endswith("/packed/codes")]
        pairs = torch.from_numpy(onnx.numpy_helper.to_array(packed).copy())
        codes = torch.stack([pairs & 15, pairs >> 4], dim=-1).reshape(stored.shape)
        assert torch.equal(codes, stored >> (8 - bits)), bits
