"""Tensors that are one, modules with two names, and parameters that are views of one storage, in files and counts."""

import json

import pytest

torch = pytest.importorskip("torch")
from safetensors import safe_open  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn.utils import parameters_to_vector, vector_to_parameters  # noqa: E402

from tqhw.errors import TqhwError  # noqa: E402
from tqhw.quant import QuantConfig, convert, is_quantized, load, quantized_layers, save, set_bits, storage  # noqa: E402
from tqhw.quant.identity import aliases, each_once, identity  # noqa: E402

EVERY = {"precisions": (2, 4, 8), "first": None, "last": None}
IDS, PICTURES = torch.arange(6).reshape(2, 3), torch.linspace(-1, 1, 2 * 4 * 6 * 6).reshape(2, 4, 6, 6)


class Text(nn.Module):
    """The head is the embedding; ``twice``: so is a second head."""

    def __init__(self, head_first=False, twice=False):
        super().__init__()
        if head_first:
            self.head = nn.Linear(8, 20, bias=False)
        self.embed = nn.Embedding(20, 8)
        self.mid = nn.Linear(8, 8)
        if not head_first:
            self.head = nn.Linear(8, 20, bias=False)
        self.other = nn.Linear(8, 20, bias=False)
        self.head.weight = self.embed.weight
        if twice:
            self.other.weight = self.embed.weight

    def forward(self, ids):
        x = self.mid(self.embed(ids)).relu()
        return self.head(x) + self.other(x)


class SharedConvolution(nn.Module):
    """The first layer's weight again in a later one; ``turned``: of it transposed, another parameter in one memory."""

    def __init__(self, turned=False):
        super().__init__()
        self.a, self.b, self.c = (nn.Conv2d(4, 4, 3, padding=1, bias=False) for _ in range(3))
        weight = self.a.weight
        self.b.weight = nn.Parameter(weight.detach().transpose(0, 1)) if turned else weight

    def forward(self, x):
        return self.c(self.b(self.a(x).relu()).relu()).mean((2, 3))


class Parts(nn.Module):
    """A backbone as a whole and in parts."""

    def __init__(self):
        super().__init__()
        self.base = nn.ModuleDict({"conv": nn.Conv2d(4, 8, 3), "norm": nn.BatchNorm2d(8), "next": nn.Conv2d(8, 8, 3)})
        self.stages = nn.Sequential(self.base["conv"], self.base["norm"], nn.ReLU(), self.base["next"])
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.stages(x).mean((2, 3)))


class Cut(nn.Module):
    """Query, key and value are rows, or ``columns``, of one matrix."""

    def __init__(self, columns=False):
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(6, 6, bias=False) for _ in range(4))
        fused = torch.randn(6, 18) if columns else torch.randn(18, 6)
        for layer, weight in zip((self.q, self.k, self.v), fused.chunk(3, dim=int(columns)), strict=True):
            layer.weight = nn.Parameter(weight)

    def forward(self, x):
        return self.out(torch.tanh(self.q(x)) * self.k(x) + self.v(x))


def flat():
    model = SharedConvolution.__new__(SharedConvolution)
    nn.Module.__init__(model)
    model.a, model.b, model.c = (nn.Conv2d(4, 4, 3, padding=1, bias=False) for _ in range(3))
    vector_to_parameters(parameters_to_vector(model.parameters()).detach(), model.parameters())
    return model


NETS = {
    "tied": (Text, IDS),
    "head registered first": (lambda: Text(head_first=True), IDS),
    "two heads": (lambda: Text(twice=True), IDS),
    "a convolution twice": (SharedConvolution, PICTURES),
    "a convolution turned": (lambda: SharedConvolution(turned=True), PICTURES),
    "two names": (Parts, PICTURES),
    "rows of one matrix": (Cut, torch.linspace(-1, 1, 12).reshape(2, 6)),
    "columns of one matrix": (lambda: Cut(columns=True), torch.linspace(-1, 1, 12).reshape(2, 6)),
    "one flat buffer": (flat, PICTURES),
}
OPTIONS = [{}, {"first": "full"}, {"granularity": "channel", "last": 4}, {"norms": "shared"}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("kind", NETS)
def test_a_file_gives_the_models_logits_bit_for_bit(tmp_path, kind, options):
    make, x = NETS[kind]
    torch.manual_seed(0)
    model = convert(make(), QuantConfig(**{**EVERY, **options})).eval()
    size = save(model, tmp_path / "m")
    assert size > storage(model).total
    for bits in (2, 4, 8):
        set_bits(model, bits)
        read = load(tmp_path / "m", bits).into(make())
        with torch.no_grad():
            assert torch.equal(read(x), model(x))


def entries(path):
    """The shapes of what stands in the file, blocks and their tables' tensors, and its header."""
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["tqhw"])
        shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    return shapes | {name: shape for name, shape, *_ in [*header["common"], *header["each"]]}, header


def test_what_is_tied_is_stored_once_and_counted_once(tmp_path):
    model = convert(Text(twice=True), QuantConfig(**EVERY))
    save(model, tmp_path / "m")
    shapes, header = entries(tmp_path / "m")
    assert [name for name in shapes if name.startswith("state/")] == ["state/embed.weight", "state/mid.bias"]
    assert shapes["plane/0"] == [(64 + 160) // 8] and [e.get("codes_of") for e in header["layers"]] == [
        None,
        None,
        "head",
    ]
    parts = storage(model)
    assert (parts.codes, parts.scales) == (64 + 160, 2 * 4)
    assert parts.unquantized == 4 * (160 + 8) and parts.fp32 == 4 * (160 + 64 + 8)
    read = load(tmp_path / "m", 2).into(Text(twice=True))
    own = {layer.name: layer for layer in quantized_layers(read)}
    assert own["head"].real_weight is own["other"].real_weight is not read.embed.weight
    assert own["head"].quantizer.codes is own["other"].quantizer.codes
    assert len(read.embed.weight.unique()) > 4 == len(read.head.weight.unique())


def test_a_module_with_two_names_is_stored_and_counted_once(tmp_path):
    model = convert(Parts(), QuantConfig(**EVERY))
    save(model, tmp_path / "m")
    shapes, header = entries(tmp_path / "m")
    assert [entry["name"] for entry in header["layers"]] == ["base.conv", "base.next", "head"]
    assert not any("stages" in name for name in shapes)
    parts = storage(model)
    norm = 4 * 8 * 4
    assert (parts.codes, parts.norms) == (288 + 576 + 24, 3 * norm)
    assert parts.fp32 == 4 * (288 + 576 + 24 + 8 + 8 + 3) + norm


def test_shared_norms_that_serve_chosen_precisions_are_still_one_set(tmp_path):
    from tqhw.quant import keep_precisions

    model = convert(Parts(), QuantConfig(**{**EVERY, "norms": "shared"}))
    alone, before = storage(model), save(model, tmp_path / "m")
    keep_precisions(model, (2, 8))
    assert storage(model) == alone
    assert save(model, tmp_path / "n") - before < 1000  # of names
    shapes, _ = entries(tmp_path / "n")
    assert sum(name.endswith("running_mean") for name in shapes) == 1
    x = PICTURES
    for bits in (2, 8):
        set_bits(model.eval(), bits)
        assert torch.equal(load(tmp_path / "n", bits).into(Parts())(x), model(x))


class Untied(Text):
    def __init__(self):
        super().__init__()
        self.extra = nn.Parameter(torch.ones(3))
        self.more = nn.Parameter(torch.zeros(3))


class TiesMore(Untied):
    def __init__(self):
        super().__init__()
        self.more = self.extra


def test_a_model_that_ties_what_the_file_does_not_is_refused(tmp_path):
    save(convert(Untied(), QuantConfig(**EVERY)), tmp_path / "m")
    other = TiesMore()
    with pytest.raises(TqhwError, match=r"another architecture: 'extra' and 'more' are tied in this model, and differ"):
        load(tmp_path / "m", 2).into(other)
    assert not is_quantized(other) and torch.equal(other.extra, torch.ones(3))


def test_types_that_torch_would_convert_are_refused(tmp_path):
    save(convert(Text().bfloat16(), QuantConfig(**EVERY)), tmp_path / "m")
    with pytest.raises(TqhwError, match=r"'mid.weight' is bfloat16 in the file and float32 .*model.to.torch"):
        load(tmp_path / "m", 2).into(Text())
    assert load(tmp_path / "m", 2).into(Text().bfloat16())(IDS).dtype == torch.bfloat16


def test_identity_tells_views_apart_and_finds_ties():
    buffer = torch.arange(8.0)
    a, b, twin = buffer[:4], buffer[4:], buffer[:4]
    assert identity(a) == identity(twin) == identity(nn.Parameter(a)) != identity(b)
    assert identity(a) != identity(a.reshape(2, 2)) != identity(a.reshape(2, 2).t())
    assert identity(torch.empty(0)) is not None and identity(torch.eye(2).to_sparse()) is not None
    one, other = torch.ones(2, device="meta"), torch.ones(2, device="meta")
    assert identity(one) != identity(other)
    assert aliases({"a": a, "b": b, "c": twin}) == {"c": "a"}
    assert [len(t) for t in each_once([a, buffer, twin])] == [4, 8]
