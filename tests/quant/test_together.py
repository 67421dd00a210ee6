import copy
from threading import Thread

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

from tqhw.options import Normalization  # noqa: E402
from tqhw.quant import QuantConfig, at_bits, convert, quantized_layers, set_bits, shared_normalization, together  # noqa: E402


class Net(nn.Module):
    """Layers whose weights, of 54, 48, 16 and 15 numbers, do not all begin where a tensor of their own would."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3)
        self.up = nn.ConvTranspose2d(3, 4, 2)
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.unused = nn.Linear(5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.up(self.conv(x)).mean(dim=(2, 3))
        return self.second(self.first(x).relu() + self.first(x))


def built(**options):
    torch.manual_seed(1)
    how = {"first": None, "last": None, "precisions": (2, 4, 8), "order": ()} | options
    order = how.pop("order")
    return convert(Net(), QuantConfig(**how), order=order)


def gradients(model, most, monkeypatch, passes=1):
    """Of two parts of a batch at each precision, as a training step has them, with buffers of ``most`` numbers."""
    monkeypatch.setattr(together, "_MOST", most)
    model.zero_grad()
    parts = torch.randn(2, 3, 2, 6, 6, generator=torch.Generator().manual_seed(4))
    answers = []
    with shared_normalization(model) as switching:
        for part in parts[:passes]:
            for bits in model.quantization.precisions[::-1]:
                switching.set_bits(bits)
                answers.append(model(part))
                answers[-1].square().sum().backward()
    return answers, [p.grad for p in model.parameters()]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scheme": "dorefa"},
        {"gradient": "exact", "granularity": "channel"},
        {"precisions": (1, 32)},
        {"precisions": (4,)},
        {"layers": {"up": 3, "first": "full"}},
        {"normalization": Normalization(kind="linear"), "granularity": "channel"},
        {"normalization": Normalization(kind="linear", offset=True)},
        {"normalization": Normalization(kind="linear", clip="searched", zero=True), "granularity": "channel"},
        {"normalization": Normalization(kind="linear", clip="learned", scales="own")},
        {"through_maximum": True},
    ],
    ids=str,
)
def test_numbers_and_gradients_are_those_of_each_weight_alone_bit_for_bit(options, monkeypatch):
    alone = gradients(built(**options), 0, monkeypatch, passes=2)
    common = gradients(built(**options), 1 << 19, monkeypatch, passes=2)
    for one, other in zip([*alone[0], *alone[1]], [*common[0], *common[1]], strict=True):
        assert (one is None and other is None) or torch.equal(one, other)


def test_several_buffers_give_the_same(monkeypatch):
    _, alone = gradients(built(), 0, monkeypatch)
    _, common = gradients(built(), 100, monkeypatch)
    assert all((a is None and b is None) or torch.equal(a, b) for a, b in zip(alone, common, strict=True))


def test_a_layer_that_does_not_run_has_no_gradient(monkeypatch):
    model = built()
    gradients(model, 1 << 19, monkeypatch)
    assert model.unused.parametrizations.weight.original.grad is None


def test_weights_are_made_in_common_where_they_are_alike_and_used_once():
    model = built(layers={"unused": 4})
    with shared_normalization(model):
        common = {layer.name: layer.quantizer.common for layer in quantized_layers(model)}
        assert common["conv"] is common["up"] is not None
        assert common["first"] is common["second"] is common["unused"] is None
    assert all(layer.quantizer.common is None for layer in quantized_layers(model))


def test_frozen_weights_stay_frozen_and_reading_without_gradients_is_no_reading_with_them():
    model = built()
    model.conv.parametrizations.weight.original.requires_grad_(False)
    set_bits(model, 4)
    with shared_normalization(model):
        assert not model.conv.weight.requires_grad
        with torch.no_grad():
            assert not model.up.weight.requires_grad
        assert model.up.weight.requires_grad


def test_a_weight_in_the_place_of_the_layers_own_is_quantized_itself():
    model = built()
    other = {f"{name}.parametrizations.weight.original": torch.ones(()) for name in ("conv",)}
    other = {name: torch.randn(3, 2, 3, 3) for name in other}
    x = torch.randn(2, 2, 6, 6)
    wanted = torch.func.functional_call(model, other, x)
    with shared_normalization(model):
        assert torch.equal(torch.func.functional_call(model, other, x), wanted)


class Checkpointed(Net):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        x = checkpoint(lambda x: self.up(x).mean(dim=(2, 3)), x, use_reentrant=self.reentrant)
        return self.second(self.first(x).relu() + self.first(x))


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("precisions", [(4,), (2, 4, 8)])
@pytest.mark.parametrize("clip", ["max", "searched"])
def test_gradient_checkpoints_change_no_gradient(reentrant, precisions, clip, monkeypatch):
    options = {"precisions": precisions, "normalization": Normalization(kind="linear", clip=clip)}
    model = built(**options)
    model.__class__, model.reentrant = Checkpointed, reentrant
    _, found = gradients(model, 1 << 19, monkeypatch, passes=2)
    _, wanted = gradients(built(**options), 1 << 19, monkeypatch, passes=2)
    assert all((a is None and b is None) or torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


def test_a_hook_of_a_weight_sees_no_gradient_that_is_not_there(monkeypatch):
    model = built()
    seen = []
    for layer in (model.conv, model.unused):
        layer.parametrizations.weight.original.register_hook(lambda grad: seen.append(grad.shape) or grad)
    _, found = gradients(model, 1 << 19, monkeypatch)
    assert {*seen} == {(3, 2, 3, 3)}
    assert all(
        (a is None and b is None) or torch.equal(a, b)
        for a, b in zip(found, gradients(built(), 1 << 19, monkeypatch)[1], strict=True)
    )


def test_a_copy_made_inside_of_a_step_has_weights_of_its_own():
    model, negated, x = built(), built(), torch.randn(2, 2, 6, 6)
    with torch.no_grad():
        negated.conv.parametrizations.weight.original.mul_(-1)
    with shared_normalization(model):
        model.conv.weight  # noqa: B018 - the others are made, and wait
        copied = copy.deepcopy(model)
        assert torch.equal(copied(x), model(x))
        with torch.no_grad():
            copied.conv.parametrizations.weight.original.mul_(-1)
        assert torch.equal(copied.conv.weight, negated.conv.weight)


def test_a_replica_of_a_layer_quantizes_the_weight_that_it_has():
    model = built()
    quantizer, weight = model.conv.parametrizations.weight[0], model.conv.parametrizations.weight.original
    with shared_normalization(model):
        replica = quantizer._replicate_for_data_parallel()
        assert torch.equal(replica(weight), quantizer(weight))


def test_threads_at_different_precisions_read_their_own():
    model, x, odd = built(precisions=(2, 8)), torch.randn(2, 2, 6, 6), []
    wanted = {}
    for bits in (2, 8):
        set_bits(model, bits)
        wanted[bits] = model(x)

    def run(bits):
        for _ in range(30):
            with at_bits(model, bits):
                odd.extend([bits] * (not torch.equal(model(x), wanted[bits])))

    with shared_normalization(model):
        threads = [Thread(target=run, args=(bits,)) for bits in (2, 8, 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not odd
