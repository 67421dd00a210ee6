import pytest

torch = pytest.importorskip("torch")

from tests.quant.nets import tiny  # noqa: E402
from tqhw import quant  # noqa: E402
from tqhw.datasets import digits  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.quant import QuantConfig, convert, set_bits  # noqa: E402
from tqhw.train import TrainConfig, evaluate_both, evaluate_requantized, evaluate_shifted, train  # noqa: E402

PRECISIONS = (2, 4, 8)


def trained(scheme):
    model = convert(tiny(), QuantConfig(scheme, PRECISIONS, first=None, last=None))
    return train(model, digits(), TrainConfig(epochs=3, batch_size=32, threads=1)).model


def test_truncquant_is_verified_and_loses_nothing_to_the_shift():
    model = trained("truncquant")
    shifted = evaluate_shifted(model, digits(), PRECISIONS)
    requantized = evaluate_requantized(model, digits(), PRECISIONS)
    assert [a.top1 for a in shifted] == [a.top1 for a in requantized]
    assert all(a.verified and a.samples == 450 and a.scheme == "truncquant" for a in shifted)
    assert not any(a.verified for a in requantized)


def test_both_accuracies_are_had_together():
    model = trained("dorefa")
    both = evaluate_both(model, digits(), PRECISIONS)
    assert [anew for anew, _ in both] == evaluate_requantized(model, digits(), PRECISIONS)
    assert [shifted for _, shifted in both] == evaluate_shifted(model, digits(), PRECISIONS)


def test_ordinary_training_loses_to_the_shift_and_is_not_verified():
    model = trained("dorefa")
    at_two, at_eight = evaluate_shifted(model, digits(), (2, 8))
    (anew,) = evaluate_requantized(model, digits(), (2,))
    assert at_two.top1 < anew.top1 - 10
    assert not at_two.verified
    assert at_eight.verified, "nothing is shifted at the stored precision"


def test_verified_needs_the_codes_of_every_layer(monkeypatch):
    model = convert(tiny(), QuantConfig("truncquant", PRECISIONS, first=None, last=None))
    true_codes = quant.integer_codes(model)
    true_codes["conv2"].codes[0, 0, 0, 0] ^= 0x80
    monkeypatch.setattr("tqhw.train.evaluate.integer_codes", lambda *_: true_codes)
    assert [a.verified for a in evaluate_shifted(model, digits(), (2, 8))] == [False, False]


def test_verified_needs_the_codes_even_where_the_logits_are_the_same(monkeypatch):
    model = convert(tiny(), QuantConfig("truncquant", PRECISIONS, first=None, last=None, norms="shared"))
    torch.nn.init.zeros_(model.bn2.weight)  # what conv2 gives is not seen in the logits
    wrong = quant.integer_codes(model)
    wrong["conv2"].codes[0, 0, 0, 0] ^= 0x80
    monkeypatch.setattr("tqhw.train.evaluate.integer_codes", lambda *_: wrong)
    both = evaluate_both(model, digits(), (2, 8))
    assert [anew.top1 for anew, _ in both] == [shifted.top1 for _, shifted in both]
    assert [shifted.verified for _, shifted in both] == [False, False]


def test_a_deployed_model_is_measured_on_its_codes_and_not_verified(tmp_path):
    model = trained("truncquant")
    expected = evaluate_shifted(model, digits(), (8,))
    quant.save(model, tmp_path / "m")
    deployed = quant.load(tmp_path / "m", 8).into(tiny())
    codes = quant.integer_codes(deployed)
    for _ in range(2):
        (found,) = evaluate_shifted(deployed, digits(), (8,))
        assert found.top1 == expected[0].top1 and not found.verified
    assert all(torch.equal(kept.codes, codes[name].codes) for name, kept in quant.integer_codes(deployed).items())
    for evaluate in (evaluate_both, evaluate_requantized):
        with pytest.raises(
            TqhwError, match=r"stored codes: there are no real weights to quantize anew \(use evaluate_sh"
        ):
            evaluate(deployed, digits(), (8,))
    with pytest.raises(TqhwError, match=r"model: the model computes with stored codes: training would move weights"):
        train(deployed, digits(), TrainConfig(epochs=1))


def test_verified_needs_the_logits_bit_for_bit(monkeypatch):
    model = convert(tiny(), QuantConfig("truncquant", PRECISIONS, first=None, last=None))
    true_set = quant.set_bits
    monkeypatch.setattr("tqhw.train.evaluate.set_bits", lambda m, bits: true_set(m, 8))
    assert [a.verified for a in evaluate_shifted(model, digits(), (2, 8))] == [False, True]


def test_a_model_stored_at_fewer_bits():
    model = trained("truncquant")
    (accuracy,) = evaluate_shifted(model, digits(), (2,), stored=4)
    assert accuracy.verified


def test_training_mode_is_given_back():
    model = convert(tiny(), QuantConfig()).train()
    evaluate_requantized(model, digits(), (2,))
    assert model.training and model.conv2.training
    set_bits(model, 8)
