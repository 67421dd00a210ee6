import logging

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from tqhw import models  # noqa: E402
from tqhw.quant import QuantConfig, convert, losing_magnitude, magnitude_warning, revert, set_bits  # noqa: E402


class Block(nn.Module):
    """One of a transformer, with the norm in front as in a ViT or behind as in BERT."""

    def __init__(self, behind, width=8):
        super().__init__()
        self.n1, self.qkv, self.o = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.n2, self.f1, self.f2 = nn.LayerNorm(width), nn.Linear(width, 16), nn.Linear(16, width)
        self.behind = behind

    def attend(self, x):
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        return self.o(functional.scaled_dot_product_attention(q, k, v))

    def forward(self, x):
        if self.behind:
            x = self.n1(x + self.attend(x))
            return self.n2(x + self.f2(functional.gelu(self.f1(x))))
        x = x + self.attend(self.n1(x))
        return x + self.f2(functional.gelu(self.f1(self.n2(x))))


class Untraceable(nn.Module):
    """A network that looks at its numbers, which torch.fx cannot follow."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return self.layers(x) if x.sum() > 0 else x


def conv(inputs, outputs, bias=False):
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)


def lost(net, **options):
    """Names of layers that lose their magnitude, all layers quantized."""
    return list(losing_magnitude(convert(net, QuantConfig(first=None, last=None, **options))))


@pytest.mark.parametrize("granularity", ["tensor", "channel"])
@pytest.mark.parametrize("name", ["resnet20", "resnet50", "mobilenet_v2"])
def test_networks_with_a_batch_norm_behind_every_convolution_lose_none(name, granularity):
    assert lost(models.build(name), granularity=granularity) == []


@pytest.mark.parametrize("behind", [False, True])
def test_a_layer_norm_beside_a_shortcut_gives_nothing_back(behind):
    net = nn.Sequential(nn.Linear(8, 8), Block(behind), Block(behind), nn.Linear(8, 4))
    expected = [f"{block}.{layer}" for block in (1, 2) for layer in ("qkv", "o", "f1", "f2")]
    assert lost(net) == ["0", *expected], "all but the answer, whose size does not matter"


def test_a_network_without_norms_loses_all_but_the_answer():
    vgg = nn.Sequential(conv(3, 8, True), nn.ReLU(), conv(8, 8, True), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
    assert lost(nn.Sequential(vgg, nn.Linear(128, 10))) == ["0.0", "0.2"]


@pytest.mark.parametrize(
    ("net", "granularity", "expected"),
    [
        # in proportion to a batch norm: ReLU, pooling, another convolution
        ((conv(3, 8), nn.ReLU(), nn.MaxPool2d(2), nn.BatchNorm2d(8)), "tensor", []),
        ((conv(3, 8), conv(8, 8), nn.BatchNorm2d(8)), "tensor", []),
        # a factor for each channel is mixed by the next layer
        ((conv(3, 8), conv(8, 8), nn.BatchNorm2d(8)), "channel", ["0"]),
        # a bias does not shrink with the weights, which a norm right behind takes off and a ReLU bends
        ((conv(3, 8, True), nn.BatchNorm2d(8), nn.ReLU()), "tensor", []),
        ((conv(3, 8, True), nn.ReLU(), nn.BatchNorm2d(8)), "tensor", ["0"]),
        ((conv(3, 8), nn.ReLU6(), nn.BatchNorm2d(8)), "tensor", ["0"]),
        # one factor for all is taken off by a norm over all channels, too
        ((conv(3, 8), nn.GroupNorm(1, 8)), "tensor", []),
        ((conv(3, 8), nn.GroupNorm(1, 8)), "channel", ["0"]),
        ((conv(3, 8, True), nn.GroupNorm(1, 8)), "tensor", ["0"]),
        ((conv(3, 8, True), nn.InstanceNorm2d(8)), "channel", []),
    ],
)
def test_what_stands_between_a_layer_and_its_norm_decides(net, granularity, expected):
    answer = nn.Sequential(nn.Flatten(1), nn.LazyLinear(10))
    model = nn.Sequential(*net, answer)
    model(torch.zeros(2, 3, 8, 8))
    assert lost(model, granularity=granularity) == expected


@pytest.mark.parametrize(
    "net",
    [
        (conv(3, 8), nn.ReLU(), nn.BatchNorm2d(8)),
        (conv(3, 8, True), nn.BatchNorm2d(8)),
        (conv(3, 8), nn.GroupNorm(1, 8)),
        (conv(3, 8, True), nn.GroupNorm(1, 8)),
        (conv(3, 8, True), nn.ReLU(), nn.BatchNorm2d(8)),
        (conv(3, 8), nn.GELU(), nn.BatchNorm2d(8)),
        (conv(3, 8), conv(8, 8), nn.ReLU(), nn.BatchNorm2d(8)),
    ],
)
def test_it_is_so_for_the_function_of_the_network(net):
    """A weight times a number leaves the function as it is where, and only where, the magnitude is given back."""
    torch.manual_seed(0)
    model = nn.Sequential(*net, nn.Flatten(), nn.Linear(8 * 64, 4)).double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
            module.eps = 1e-30
        if getattr(module, "bias", None) is not None:
            nn.init.normal_(module.bias)
    x = torch.randn(16, 3, 8, 8, dtype=torch.float64)
    before = model(x)
    with torch.no_grad():
        model[0].weight.mul_(7)
    same = torch.allclose(model(x), before, rtol=1e-8, atol=1e-8)
    assert same == ("0" not in lost(model))


class Dense(nn.Module):
    def __init__(self, norm):
        super().__init__()
        self.one, self.two, self.norm, self.fc = conv(3, 4), conv(3, 4), norm, nn.Linear(8, 2)

    def forward(self, x):
        y = torch.cat([self.one(x), self.two(x)], dim=1)
        return self.fc(self.norm(y).mean(dim=(2, 3)))


def test_beside_other_channels_only_a_norm_of_each_channel_counts():
    assert lost(Dense(nn.BatchNorm2d(8))) == []
    assert lost(Dense(nn.GroupNorm(1, 8))) == ["one", "two"]


class SqueezeExcite(nn.Module):
    def __init__(self):
        super().__init__()
        self.main, self.bn, self.se, self.fc = conv(3, 4), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1), nn.Linear(4, 2)

    def forward(self, x):
        assert x.shape[1] == 3
        y = self.bn(self.main(x))
        return self.fc((y * self.se(y.mean((2, 3), keepdim=True)).sigmoid()).mean((2, 3)))


def test_gates_are_named_beside_convolutions_that_keep_theirs():
    assert lost(SqueezeExcite()) == ["se"]


def test_what_cannot_be_traced_is_judged_by_what_is_registered_next():
    chain = (conv(3, 8), nn.BatchNorm2d(8), nn.ReLU(), conv(8, 8), nn.LayerNorm(8), conv(8, 8))
    assert lost(Untraceable(*chain)) == ["layers.3"]
    assert lost(Untraceable(conv(3, 8), nn.BatchNorm2d(4), conv(8, 8))) == ["layers.0"]


def test_tracing_leaves_the_model_as_it_is():
    class Counting(nn.Sequential):
        calls = 0

        def forward(self, x):
            self.calls += 1
            self.last = x
            return super().forward(x)

    net = Counting(conv(3, 8), nn.BatchNorm2d(8), conv(8, 8))
    assert lost(net) == [] and net.calls == 0 and not hasattr(net, "last")


def test_conversion_names_the_layers(caplog):
    with caplog.at_level(logging.WARNING, "tqhw"):
        model = convert(nn.Sequential(nn.Linear(8, 8), Block(False), nn.Linear(8, 4)), QuantConfig())
        (record,) = caplog.records
        assert record.getMessage() == magnitude_warning(model)
        assert record.getMessage().startswith("4 of 4 quantized layers lose their magnitude: ")
        assert record.getMessage().endswith("The layers: 1.qkv, 1.o, 1.f1, 1.f2")
        caplog.clear()
        convert(models.build("resnet20"), QuantConfig())
        assert not caplog.records


def test_a_network_that_loses_its_magnitude_is_another_function_at_32_bits_already():
    torch.manual_seed(0)
    model = nn.Sequential(*(Block(False) for _ in range(3)), nn.Linear(8, 4)).eval()
    x = torch.randn(64, 5, 8)
    before = model(x)
    set_bits(convert(model, QuantConfig(precisions=(8, 32), first=None)), 32)
    assert (model(x) - before).norm() > 0.1 * before.norm()
    assert torch.equal(revert(model)(x), before)
