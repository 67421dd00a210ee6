import warnings

import pytest

torch = pytest.importorskip("torch")

from tests.quant.nets import images, tiny  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.quant import (  # noqa: E402
    QuantConfig,
    convert,
    integer_codes,
    load,
    quantized_layers,
    running_on_codes,
    save,
    set_bits,
    shift_is_exact,
)

PRECISIONS = (1, 2, 3, 8)


def model_of(scheme="truncquant", **options):
    options = {"first": None, "last": None, **options}
    return convert(tiny(), QuantConfig(scheme, PRECISIONS, **options)).eval()


@pytest.mark.parametrize("bits", PRECISIONS)
def test_shifted_integers_give_the_logits_of_the_quantizer(bits):
    model = model_of()
    codes = integer_codes(model)
    set_bits(model, bits)
    expected = model(images())
    for layer in quantized_layers(model):
        layer.real_weight.data.fill_(float("nan"))
    with running_on_codes(model, codes, bits):
        assert torch.equal(model(images()), expected)
    assert model(images()).isnan().all(), "only the codes were read"


def test_the_shift_is_exact_for_truncquant_only():
    for scheme, exact in (("truncquant", True), ("dorefa", False)):
        model = model_of(scheme)
        codes = integer_codes(model)
        assert shift_is_exact(model, codes, 2) == exact
        assert shift_is_exact(model, codes, 8)


def test_one_wrong_code_is_noticed():
    model = model_of()
    codes = integer_codes(model)
    codes["fc"].codes[0, 0] ^= 0x80
    assert not shift_is_exact(model, codes, 2)


def test_fixed_layers_keep_their_bits():
    model = model_of(first=4)
    codes = integer_codes(model)
    assert [stored.bits for stored in codes.values()] == [4, 8, 8]
    assert shift_is_exact(model, codes, 2)
    with running_on_codes(model, codes, 2):
        assert len(model.conv1.weight.unique()) > 4


def test_missing_codes_and_plain_models_are_refused():
    model = model_of()
    with pytest.raises(TqhwError, match=r"no codes for layer 'conv1'"), running_on_codes(model, {}, 2):
        pass
    with pytest.raises(TqhwError, match=r"the model is not quantized"):
        integer_codes(tiny())
    with (
        pytest.raises(TqhwError, match=r"the codes are stored at 2 bits"),
        running_on_codes(model, integer_codes(model, 2), 8),
    ):
        model(images())


@pytest.mark.parametrize("scheme", ["truncquant", "dorefa"])
def test_a_model_read_from_its_file_keeps_the_codes_it_has(tmp_path, scheme):
    save(model_of(scheme, first=4), tmp_path / "m")
    deployed = load(tmp_path / "m", 8)
    model = deployed.into(tiny())
    for name, held in integer_codes(model).items():
        assert torch.equal(held.codes, deployed.codes[name].codes) and held.bits == deployed.codes[name].bits
    assert torch.equal(integer_codes(model, 3)["fc"].codes, deployed.codes["fc"].codes >> 5)
    save(model, tmp_path / "again")
    for name, again in load(tmp_path / "again", 8).codes.items():
        assert torch.equal(again.codes, deployed.codes[name].codes) and torch.equal(
            again.scale, deployed.codes[name].scale
        )
    before = model(images())
    with running_on_codes(model, integer_codes(model), 2):
        assert not torch.equal(model(images()), before)
    set_bits(model, 8)
    assert torch.equal(model(images()), before)
    with pytest.raises(TqhwError, match=r"8 bits cannot be had: the codes are stored at 3 bits"):
        integer_codes(load(tmp_path / "m", 3).into(tiny()))
    with pytest.raises(TqhwError, match=r"computes with stored codes: the codes cannot be compared"):
        shift_is_exact(model, deployed.codes, 2)


def test_activations_that_follow_keep_how_they_are_stored():
    model = model_of("dorefa", activations="dorefa", activation_bits=None)
    model.fc.input_quantizer.stored = 5
    with running_on_codes(model, integer_codes(model), 2):
        assert model.fc.input_quantizer.stored == 8
    assert model.fc.input_quantizer.stored == 5 and model.conv2.input_quantizer.stored is None


def test_a_model_on_codes_can_be_traced():
    model = model_of()
    with running_on_codes(model, integer_codes(model), 2), torch.no_grad():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch calls tracing deprecated
            traced = torch.jit.trace(model, images(2))
        assert torch.equal(traced(images()), model(images()))
