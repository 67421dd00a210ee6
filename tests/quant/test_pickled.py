"""Whole models in copies and pickles: they compute the same, switch by themselves, and are plain again on request."""

import copy
import io
import pickle

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from tests.quant.nets import images, tiny  # noqa: E402
from tests.quant.test_norm import NormPReLU, NormReLU  # noqa: E402
from tests.quant.test_recurrent_and_stacked import IDS, Cells, Mixture, Tagger  # noqa: E402
from tqhw.quant import (  # noqa: E402
    QuantConfig,
    SwitchableBatchNorm,
    at_bits,
    convert,
    load,
    post_train,
    post_training_config,
    revert,
    save,
    set_bits,
)


def pickled(model):
    return pickle.loads(pickle.dumps(model))  # noqa: S301 - of its own making


def saved(model):
    stream = io.BytesIO()
    torch.save(model, stream)
    stream.seek(0)
    return torch.load(stream, weights_only=False)


WAYS = pytest.mark.parametrize("again", [copy.deepcopy, pickled, saved])
SWITCHED = {"precisions": (2, 4, 8), "first": None, "last": None}


def quantized(network, x, **options):
    model = convert(network, QuantConfig(**{**SWITCHED, **options}))
    with torch.no_grad():
        for bits in (8, 4, 2):
            set_bits(model, bits)
            model(x)
    return model.eval()


def post_trained():
    model = tiny()
    convert(model, post_training_config(model, (2, 4, 8)))
    return post_train(model, [images()]).eval()


def norms():
    network = nn.Sequential(nn.Conv2d(1, 3, 3), NormReLU(3), nn.Conv2d(3, 3, 3), NormPReLU(3), nn.Flatten())
    return quantized(network, images())


MODELS = {
    "switchable norms": (lambda: quantized(tiny(), images()), images()),
    "one norm": (lambda: quantized(tiny(), images(), norms="shared"), images()),
    "norms of other classes": (norms, images()),
    "pact": (lambda: quantized(tiny(), images(), activations="pact"), images()),
    "dorefa": (lambda: quantized(tiny(), images(), activations="dorefa"), images()),
    "lsq_plus": (lambda: quantized(tiny(), images(), activations="lsq_plus"), images()),
    "channels": (lambda: quantized(tiny(), images(), granularity="channel"), images()),
    "post-training": (post_trained, images()),
    "lstm": (lambda: quantized(Tagger(), IDS), IDS),
    "lstm, inputs": (lambda: quantized(Tagger(), IDS, activations="pact", layers={"rnn*": "full"}), IDS),
    "cells": (lambda: quantized(Cells(), IDS), IDS),
    "experts": (lambda: quantized(Mixture(), IDS), IDS),
}


@WAYS
@pytest.mark.parametrize(("make", "x"), MODELS.values(), ids=MODELS)
def test_a_model_computes_the_same_and_is_one_of_its_own(make, x, again):
    torch.manual_seed(0)
    model = make()
    twin = again(model)
    assert {*model.state_dict()} == {*twin.state_dict()}
    with torch.no_grad():
        for bits in (2, 4, 8):
            set_bits(model, bits)
            set_bits(twin, bits)
            assert torch.equal(twin(x), model(x))
        set_bits(twin, 2)
        with at_bits(twin, 8):
            assert torch.equal(twin(x), model(x))
        assert not torch.equal(twin(x), model(x))
    for parameter in twin.parameters():
        parameter.data.zero_()
    with torch.no_grad():
        assert model(x).abs().max() > 0
    assert torch.equal(again(again(model))(x), model(x))


@WAYS
def test_a_copy_trains_and_is_plain_again_on_request(again):
    model = quantized(tiny(), images(), activations="pact")
    twin = again(model).train()
    twin(images()).square().mean().backward()
    assert all(parameter.grad is not None for parameter in twin.conv2.parameters())
    plain = revert(twin)
    assert type(plain.conv2) is nn.Conv2d and type(plain.bn2) is nn.BatchNorm2d
    assert torch.equal(plain.conv2.weight, model.conv2.parametrizations.weight.original)
    assert again(plain)(images()).shape == (6, 10)
    set_bits(convert(again(plain), QuantConfig(**SWITCHED)), 2)


@WAYS
def test_a_norm_alone(again):
    norm = SwitchableBatchNorm(nn.BatchNorm1d(3), (2, 8))
    norm.at["2"].weight.data.fill_(2)
    norm.select(2)
    twin, x = again(norm.eval()), torch.randn(5, 3)
    assert type(twin) is type(norm) and torch.equal(twin(x), norm(x))
    assert twin.at["2"].weight.data_ptr() != norm.at["2"].weight.data_ptr()


@WAYS
def test_what_a_file_holds(again, tmp_path):
    model = quantized(tiny(), images())
    save(model, tmp_path / "m.tqhw")
    fresh = load(tmp_path / "m.tqhw", 4).into(tiny()).eval()
    twin = again(fresh)
    with torch.no_grad():
        assert torch.equal(twin(images()), fresh(images()))


def test_hooks_of_state_dicts_stay():
    model = quantized(tiny(), images())
    twin = pickled(model)
    assert [*twin.state_dict()] == [*model.state_dict()]
    twin.load_state_dict(model.state_dict())


def test_what_a_class_keeps_of_itself_is_kept():
    """torch's own ``__getstate__`` of recurrent layers leaves out what cannot be pickled."""
    layer = pickled(quantized(Tagger(), IDS)).rnn
    assert isinstance(layer, nn.LSTM) and all(torch.is_tensor(w) for w in layer._flat_weights)


def test_a_class_that_no_pickle_can_name_is_told_by_pickle():
    class Local(nn.Linear):
        pass

    model = convert(nn.Sequential(Local(4, 4), nn.Linear(4, 2)), QuantConfig(**SWITCHED))
    with pytest.raises((AttributeError, pickle.PicklingError), match="Local"):
        pickle.dumps(model)
