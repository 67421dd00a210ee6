"""Weights that no layer of its own multiplies: of recurrent layers, of stacked experts, of embeddings on request."""

import copy

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

import tqhw  # noqa: E402
from examples.device import reader  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.quant import (  # noqa: E402
    Normalization,
    QuantConfig,
    convert,
    coverage,
    execution_order,
    integer_codes,
    is_quantized,
    load,
    quantized_layers,
    revert,
    running_on_codes,
    save,
    set_bits,
    shift_is_exact,
)

EVERY = {"precisions": (2, 4, 8), "first": None, "last": None}
IDS = torch.arange(1, 25).reshape(4, 6) % 20


class Tagger(nn.Module):
    def __init__(self, kind=nn.LSTM, **options):
        super().__init__()
        self.words, self.rnn = nn.Embedding(20, 8), kind(8, 6, batch_first=True, **options)
        ways = 2 if options.get("bidirectional") else 1
        self.out = nn.Linear(ways * (options.get("proj_size") or 6), 5)

    def forward(self, ids):
        return self.out(self.rnn(self.words(ids))[0])


class Cells(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.one, self.two = nn.Embedding(20, 8), nn.LSTMCell(8, 6), nn.GRUCell(6, 6)

    def forward(self, ids):
        state, memory, other = (torch.zeros(len(ids), 6) for _ in range(3))
        for word in self.words(ids).unbind(1):
            state, memory = self.one(word, (state, memory))
            other = self.two(state, other)
        return other


class SomeExperts(nn.Module):
    """As transformers and torchtitan have them: a matrix for each expert in one parameter, all but a bias."""

    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Parameter(torch.randn(4, 8, 16)), nn.Parameter(torch.randn(4, 16, 8))
        self.bias = nn.Parameter(torch.randn(4, 16))

    def forward(self, x):
        parts = [(part @ self.up[i] + self.bias[i]).relu() @ self.down[i] for i, part in enumerate(x.chunk(4))]
        return torch.cat(parts)


class Mixture(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.experts, self.out = nn.Embedding(20, 8), SomeExperts(), nn.Linear(8, 5)

    def forward(self, ids):
        return self.out(self.experts(self.words(ids).flatten(0, 1)))


TWICE = {"num_layers": 2, "bidirectional": True}
GROUPS = {"granularity": 8, "normalization": Normalization("linear", scales="own")}


@pytest.mark.parametrize(
    ("make", "options", "count"),
    [
        (Tagger, {}, 3),
        (lambda: Tagger(**TWICE), {}, 9),
        (lambda: Tagger(proj_size=3), {"granularity": "channel"}, 4),
        (lambda: Tagger(nn.GRU), {}, 3),
        (lambda: Tagger(nn.RNN), {"layers": {"words": None}}, 4),
        (Cells, {}, 4),
        (Mixture, {}, 3),
        (Mixture, GROUPS, 3),
        (Mixture, {"layers": {"words": 4, "experts.bias": None}}, 5),
    ],
    ids=["lstm", "twice", "projected", "gru", "words", "cells", "experts", "groups", "asked"],
)
@pytest.mark.filterwarnings("ignore:LSTM with projections")
def test_they_are_trained_shifted_and_written_as_other_weights_are(make, options, count, tmp_path):
    torch.manual_seed(0)
    plain = make()
    model = convert(copy.deepcopy(plain), QuantConfig(**{**EVERY, **options}))
    assert len(quantized_layers(model)) == count and model.state_dict().keys() == plain.state_dict().keys()
    before = {layer.name: layer.real_weight.detach().clone() for layer in quantized_layers(model)}
    for bits in (8, 4, 2):
        set_bits(model, bits)
        model(IDS).square().mean().backward()
    torch.optim.SGD(model.parameters(), 1.0).step()
    assert not any(torch.equal(before[layer.name], layer.real_weight) for layer in quantized_layers(model))
    codes, answers = integer_codes(model), {}
    with torch.no_grad():
        for bits in (2, 4, 8):
            set_bits(model, bits)
            answers[bits] = model(IDS)
            assert torch.equal(copy.deepcopy(model)(IDS), answers[bits])
            with running_on_codes(model, codes, bits):
                assert torch.equal(model(IDS), answers[bits])
            assert shift_is_exact(model, codes, bits)
        assert not torch.equal(answers[2], answers[8])
        save(model, tmp_path / "model.tqhw")
        read = reader.Model(tmp_path / "model.tqhw", bits=2)
        for bits in (2, 4, 8):
            set_bits(model, bits)
            assert torch.equal(load(tmp_path / "model.tqhw", bits).into(make())(IDS), answers[bits])
            read.set_bits(bits)
            for layer in quantized_layers(model):
                weight = getattr(layer.module, layer.tensor)
                assert torch.allclose(torch.from_numpy(read.weight(layer.name)), weight, atol=1e-6)
        whole = revert(model)(IDS)
    plain.load_state_dict(model.state_dict())
    assert torch.equal(whole, plain(IDS)), "what torch keeps of the weights is the real ones again"


def test_what_the_hardware_is_asked_about_has_their_bits():
    model = convert(Tagger(**TWICE), QuantConfig(**EVERY, layers={"rnn.weight_hh_*": 4}))
    found = {layer.names[0]: layer.weight_bits for layer in tqhw.extract(model, IDS).layers}
    assert found["rnn.weight_ih_l0"] == 8 and found["rnn.weight_hh_l0"] == 4
    model = convert(Mixture(), QuantConfig(**EVERY, layers={"experts.down": 2}))
    found = {layer.names[0]: layer.weight_bits for layer in tqhw.extract(model, IDS).layers}
    assert (found["experts.up"], found["experts.down"]) == (8, 2)


def test_the_first_that_runs_is_the_one_that_reads_the_words():
    assert execution_order(Tagger(nn.GRU), (IDS,)) == ("rnn.weight_ih_l0", "rnn.weight_hh_l0", "out")
    model = convert(Tagger(), QuantConfig())
    assert [layer.name for layer in quantized_layers(model)] == ["rnn.weight_hh_l0"]


def test_embeddings_are_quantized_where_their_name_says_so():
    assert "words" not in {layer.name for layer in quantized_layers(convert(Tagger(), QuantConfig(layers={"*": 8})))}
    model = convert(Tagger(), QuantConfig(layers={"wor*": None, "out": 8, "rnn.weight_ih_l0": 8}))
    assert {layer.name for layer in quantized_layers(model)} > {"words"}
    assert "words" not in coverage(model).text
    with pytest.raises(TqhwError, match=r"layers: unknown layer 'wrods' \(known: rnn"):
        convert(Tagger(), QuantConfig(layers={"wrods": None}))
    model = nn.Sequential(nn.Embedding(20, 8, max_norm=1.0), nn.Linear(8, 4))
    with pytest.raises(TqhwError, match=r"0\.weight: an embedding with max_norm changes its own weight row by row"):
        convert(model, QuantConfig(**EVERY, layers={"0": None}))
    assert not is_quantized(model)


def test_of_an_embedding_and_a_head_that_are_one_there_is_one_set_of_codes(tmp_path):
    model = nn.ModuleDict({"words": nn.Embedding(20, 8), "mid": nn.Linear(8, 8), "head": nn.Linear(8, 20, bias=False)})
    model["head"].weight = model["words"].weight
    convert(model, QuantConfig(**EVERY, layers={"words": None}))
    codes = integer_codes(model)
    assert codes["words"] is codes["head"] and coverage(model).share == 1


@pytest.mark.parametrize("make", [Tagger, Mixture])
def test_inputs_that_a_module_reads_by_itself_are_not_said_to_be_quantized(make):
    with pytest.raises(
        TqhwError, match=r"(rnn|experts): a?\w+ computes with its weights itself, so that its inputs can"
    ):
        convert(make(), QuantConfig(**EVERY, activations="dorefa"))
