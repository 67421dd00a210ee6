"""Layers of every shape in an ONNX file: as sums of integers where these have them, and the model's answers anyway."""

import copy
import warnings

import pytest

torch = pytest.importorskip("torch")
np = pytest.importorskip("numpy")
onnx = pytest.importorskip("onnx")
from torch import nn  # noqa: E402

from tests.quant.onnx_files import differences, started  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.quant import save_onnx  # noqa: E402

IMAGE, TOKENS = (4, 7, 9), (5, 8)
WITHOUT, ABOVE, ALWAYS = "no", "inputs above zero", "yes"
"""Where a layer can be sums of integers."""

SHAPES = {
    "1x1": (nn.Conv2d(4, 5, 1), IMAGE, ALWAYS),
    "1x1, strided": (nn.Conv2d(4, 5, 1, stride=3), IMAGE, ALWAYS),
    "a row": (nn.Conv2d(4, 5, (1, 3)), IMAGE, ALWAYS),
    "rectangle, stride, dilation": (nn.Conv2d(4, 5, (3, 2), stride=(2, 1), dilation=(2, 1)), IMAGE, ALWAYS),
    "the whole picture": (nn.Conv2d(4, 3, (7, 9)), IMAGE, ALWAYS),
    "no bias": (nn.Conv2d(4, 5, 3, bias=False), IMAGE, ALWAYS),
    "one channel each": (nn.Conv2d(4, 1, 3), IMAGE, ALWAYS),
    "padding": (nn.Conv2d(4, 5, 3, padding=1), IMAGE, ABOVE),
    "padding, a side more than the other": (nn.Conv2d(4, 5, 2, padding="same"), IMAGE, ABOVE),
    "padding, rectangle": (nn.Conv2d(4, 5, (5, 2), (2, 1), (3, 1), (2, 1)), IMAGE, ABOVE),
    "padding by reflection": (nn.Conv2d(4, 5, 3, padding=1, padding_mode="reflect"), IMAGE, WITHOUT),
    "groups": (nn.Conv2d(4, 6, 3, groups=2), IMAGE, WITHOUT),
    "depthwise": (nn.Conv2d(4, 4, 3, padding=1, groups=4), IMAGE, WITHOUT),
    "depthwise, two each, strided": (nn.Conv2d(4, 8, 3, stride=2, groups=4, bias=False), IMAGE, WITHOUT),
    "transposed": (nn.ConvTranspose2d(4, 3, 3, stride=2, output_padding=1, padding=1), IMAGE, WITHOUT),
    "one axis": (nn.Conv1d(4, 5, 3, dilation=2), (4, 9), ALWAYS),
    "three axes": (nn.Conv3d(4, 3, (1, 2, 3), padding=(0, 1, 0)), (4, 3, 5, 6), ABOVE),
    "linear": (nn.Linear(8, 3), (8,), ALWAYS),
    "linear, no bias": (nn.Linear(8, 3, bias=False), (8,), ALWAYS),
    "linear of tokens": (nn.Linear(8, 3), TOKENS, ALWAYS),
    "linear of tokens, no bias": (nn.Linear(8, 1, bias=False), TOKENS, ALWAYS),
    "linear of four axes": (nn.Linear(8, 3), (2, 5, 8), ALWAYS),
}


class Behind(nn.Module):
    """The layer behind another, whose outputs are above zero or not; what the first layer reads stays real."""

    def __init__(self, layer, below):
        super().__init__()
        if isinstance(layer, nn.Linear):
            self.before = nn.Linear(layer.in_features, layer.in_features)
        else:
            kind = {3: nn.Conv1d, 4: nn.Conv2d, 5: nn.Conv3d}[layer.weight.ndim]
            self.before = kind(layer.in_channels, layer.in_channels, 1)
        self.layer, self.below = layer, below

    def forward(self, x):
        x = self.before(x)
        return self.layer(x if self.below else x.relu())


def agrees(model, path, *given):
    """The file's answers are the model's, but where a code of an input lies on a bin's edge."""
    for _, apart, expected in differences(model, path, *given):
        assert apart.max() < 0.1
        assert np.median(apart) < 1e-5 * max(1, np.abs(expected).max())


@pytest.fixture(autouse=True)
def no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", "Using padding='same'")  # torch's own
        yield


@pytest.mark.parametrize("below", [False, True], ids=["above zero", "below zero"])
@pytest.mark.parametrize(("layer", "shape", "where"), SHAPES.values(), ids=SHAPES)
def test_a_layer_of_any_shape_gives_the_models_answers(layer, shape, where, below, tmp_path):
    generator = torch.Generator().manual_seed(3)
    torch.manual_seed(0)
    x, layer = torch.randn(5, *shape, generator=generator), copy.deepcopy(layer)
    model = started(Behind(layer, below), x, granularity="channel", layers={"before": "full"})
    whole = where == ALWAYS or (where == ABOVE and not below)
    if whole:
        save_onnx(model, tmp_path / "m.onnx", shape, integers=True)
    else:
        with pytest.raises(TqhwError, match="integers: no layer can be a sum of integers"):
            save_onnx(model, tmp_path / "m.onnx", shape, integers=True)
        save_onnx(model, tmp_path / "m.onnx", shape)
    operators = [node.op_type for node in onnx.load(tmp_path / "m.onnx").graph.node]
    assert sum(name.endswith("Integer") for name in operators) == whole * (1 if isinstance(layer, nn.Linear) else 2)
    agrees(model, tmp_path / "m.onnx", x)
    agrees(model, tmp_path / "m.onnx", x[:1])


class Several(nn.Module):
    """Two inputs, one of which two layers read, and a third that is optional."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 6)
        self.a, self.b = nn.Linear(6, 4), nn.Conv1d(3, 4, 3, padding=1)
        self.again = nn.Linear(6, 4, bias=False)

    def forward(self, rows, signal, shift=None):
        rows = self.first(rows)
        found = self.a(rows) * self.again(rows) + self.b(signal.relu()).mean(2)
        return found if shift is None else found + shift


@pytest.mark.parametrize("count", [2, 3])
def test_layers_with_inputs_of_their_own(tmp_path, count):
    generator = torch.Generator().manual_seed(5)
    shapes = [(7, 6), (7, 3, 11), (7, 4)][:count]
    given = [torch.randn(*shape, generator=generator) for shape in shapes]
    torch.manual_seed(0)
    model = started(Several(), *given, granularity="channel")
    save_onnx(model, tmp_path / "m.onnx", tuple(given), integers=True)
    graph = onnx.load(tmp_path / "m.onnx").graph
    assert [entry.name for entry in graph.input] == [*["rows", "signal", "shift"][:count], "bits"]
    assert [node.op_type for node in graph.node].count("MatMulInteger") == 2
    agrees(model, tmp_path / "m.onnx", *given)
    agrees(model, tmp_path / "m.onnx", *(x[:3] for x in given))
