"""Layers of an ONNX file as sums of integers give the model's answers, at every precision."""

import warnings

import pytest

torch = pytest.importorskip("torch")
np = pytest.importorskip("numpy")
onnx = pytest.importorskip("onnx")
from torch import nn  # noqa: E402

from tests.quant.nets import images, tiny  # noqa: E402
from tests.quant.onnx_files import differences, started  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.quant import Normalization, save_onnx  # noqa: E402


class Tokens(nn.Module):
    """Linear layers on three axes; the last one reads what GELU leaves below zero."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(8, 16), nn.Linear(16, 8), nn.Linear(8, 5, bias=False)

    def forward(self, x):
        return self.c(nn.functional.gelu(self.b(self.a(x)))).mean(1)


class Convolutions(nn.Module):
    """Padding where inputs go below zero, groups, one axis: some of these are no sums of integers."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv1d(2, 8, 3)
        self.below, self.padded = nn.Conv1d(8, 8, 3, stride=2), nn.Conv1d(8, 8, 3, padding=1)
        self.groups, self.fc = nn.Conv1d(8, 8, 3, groups=2), nn.Linear(8, 4)

    def forward(self, x):
        x = self.padded(self.below(self.first(x)))
        return self.fc(self.groups(x.relu()).relu().mean(2))


def made(build, x, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build()
    return started(network, x, calls=3, **options)


def written(model, x, path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)
        save_onnx(model, path, tuple(x.shape[1:]), integers=True)
    return [node.op_type for node in onnx.load(path).graph.node]


OPTIONS = {
    "tensor": {},
    "follows": {"activation_bits": None, "granularity": "channel"},
    "own scales": {
        "granularity": "channel",
        "normalization": Normalization("linear", scales="own"),
        "activation_bits": 5,
    },
    "rounded": {"scheme": "dorefa"},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize(
    ("build", "shape", "fixed", "convolutions", "products"),
    [(tiny, (1, 8, 8), "fc", 2, 1), (Tokens, (4, 8), "b", 0, 2), (Convolutions, (2, 16), "below", 2, 1)],
    ids=["tiny", "tokens", "convolutions"],
)
def test_integers_give_the_models_answers(build, shape, fixed, convolutions, products, options, tmp_path):
    x = images() if build is tiny else torch.randn(6, *shape, generator=torch.Generator().manual_seed(4))
    for more in ({}, {"layers": {fixed: 3}}):
        model = made(build, x, **options, **more)
        operators = written(model, x, tmp_path / "m.onnx")
        assert operators.count("MatMulInteger") == products and operators.count("ConvInteger") == convolutions
        for bits, apart, expected in differences(model, tmp_path / "m.onnx", x):
            assert apart.max() < 0.1
            if bits > 2 or options != OPTIONS["follows"]:  # two bits: by their few values, inputs lie on bins' edges
                assert np.median(apart.max(axis=1)) < 1e-5 * max(1, np.abs(expected).max())


def test_a_layer_of_offsets_or_groups_stays_as_it_is_and_none_at_all_is_said(tmp_path):
    for options in (
        {"granularity": "channel", "normalization": Normalization("linear", offset=True)},
        {"granularity": 8, "normalization": Normalization("linear")},
        {"normalization": Normalization("linear", zero=True)},
        {"activations": "full"},
    ):
        x = torch.randn(4, 3, 8)
        model = made(Tokens, x, **options)
        with pytest.raises(
            TqhwError, match=r"integers: no layer can be a sum of integers .quantize activations, with a"
        ):
            written(model, x, tmp_path / "m.onnx")
        assert not (tmp_path / "m.onnx").exists()
