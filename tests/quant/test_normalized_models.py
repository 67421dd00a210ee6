"""Models whose weights are normalised in other ways than the paper's: training, codes, files, ONNX, storage."""

import warnings
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from tests.quant.nets import images, tiny  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.quant import (  # noqa: E402
    Normalization,
    QuantConfig,
    convert,
    coverage,
    integer_codes,
    load,
    quantized_layers,
    running_on_codes,
    save,
    save_onnx,
    set_bits,
    shared_normalization,
    shift_is_exact,
    storage,
)

WAYS = [
    Normalization("linear"),
    Normalization("linear", "searched"),
    Normalization("linear", "learned"),
    Normalization("linear", "searched", "own"),
    Normalization("linear", scales="own", offset=True),
    Normalization("linear", scales="own", zero=True),
    Normalization("linear", offset=True),
]
SIZES = ["tensor", "channel", 4]


class Net(nn.Module):
    """Layers whose output channels lie along the first and along the second axis, without a norm."""

    def __init__(self):
        super().__init__()
        self.up = nn.ConvTranspose2d(1, 8, 2)
        self.conv = nn.Conv2d(8, 8, 3, stride=2)
        self.fc = nn.Linear(128, 10)

    def forward(self, x):
        return self.fc(self.conv(self.up(x).relu()).relu().flatten(1))


def model_of(way, size, **options):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = Net()
    config = QuantConfig(first=None, last=None, precisions=(2, 4, 8), normalization=way, granularity=size, **options)
    return convert(net, config).eval()


def name(value):
    if isinstance(value, Normalization):
        return "-".join([value.clip, value.scales, *(["offset"] if value.offset else []), *(["zero"] * value.zero)])
    return str(value)


@pytest.mark.parametrize("size", SIZES, ids=name)
@pytest.mark.parametrize("way", WAYS, ids=name)
def test_a_model_is_the_same_anew_on_shifted_codes_from_its_file_and_in_onnx(way, size, tmp_path):
    model = model_of(way, size)
    codes, expected = integer_codes(model), {}
    for bits in (2, 4, 8):
        set_bits(model, bits)
        expected[bits] = model(images()).detach()
        assert shift_is_exact(model, codes, bits)
        with running_on_codes(model, codes, bits):
            assert torch.equal(model(images()), expected[bits])
    bytes_of_file = save(model, tmp_path / "m")
    for start in (2, 8):
        loaded = load(tmp_path / "m", start).into(Net())
        for bits in (start, 4, 8, 2):
            set_bits(loaded, bits)
            assert torch.equal(loaded(images()), expected[bits])
    parts = storage(model)
    assert parts.total < bytes_of_file
    runtime = pytest.importorskip("onnxruntime")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        save_onnx(model, tmp_path / "m.onnx", (1, 8, 8))
    session = runtime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    feed = session.get_inputs()[0].name
    for bits in (2, 4, 8):
        (found,) = session.run(None, {feed: images().numpy(), "bits": torch.tensor(bits).numpy()})
        torch.testing.assert_close(torch.from_numpy(found), expected[bits], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("way", WAYS, ids=name)
def test_linear_weights_keep_the_function_of_the_network(way):
    model = model_of(way, "channel")
    with torch.no_grad():
        plain = Net()
        plain.load_state_dict({k: v for k, v in model.state_dict().items() if not k.endswith("share")})
        real = plain(images())
        set_bits(model, 8)
        assert (model(images()) - real).norm() < 0.1 * real.norm()


@pytest.mark.parametrize(
    ("way", "size", "numbers"),
    [
        (WAYS[0], "tensor", 3),
        (WAYS[0], "channel", 8 + 8 + 10),
        (WAYS[1], 4, 8 + 8 * 18 + 10 * 32),
        (WAYS[6], "channel", 2 * 26),
        (WAYS[3], "channel", 3 * 26),
        (WAYS[4], "channel", 2 * 3 * 26),
    ],
)
def test_scales_are_counted_and_stored_for_each_precision_that_has_its_own(way, size, numbers, tmp_path):
    model = model_of(way, size)
    assert storage(model).scales == 4 * numbers
    assert storage(model, 4).scales == (4 * numbers if way.scales == "shared" else 4 * numbers * 2 // 3)
    save(model, tmp_path / "m")
    two, eight = (load(tmp_path / "m", bits).bytes_read for bits in (2, 8))
    weights = sum(layer.real_weight.numel() for layer in quantized_layers(model))
    planes = sum((weights + 7) // 8 for _ in range(6))
    assert eight - two == planes, "at each precision its own scales are read and no others"


@pytest.mark.parametrize("way", WAYS, ids=name)
def test_gradients_reach_weights_and_shared_normalisation_changes_none(way):
    def gradients(shared):
        model = model_of(way, "channel").train()

        def step():
            for bits in (8, 2):
                set_bits(model, bits)
                model(images()).square().sum().backward()

        if shared:
            with shared_normalization(model):
                step()
        else:
            step()
        return {key: parameter.grad for key, parameter in model.named_parameters()}

    one, other = gradients(True), gradients(False)
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert all(gradient.abs().sum() > 0 for gradient in one.values())
    assert any(key.endswith("share") for key in one) == (way.clip == "learned")


def test_the_gradient_is_that_of_the_clipped_weight():
    model = model_of(replace(WAYS[1]), "tensor", gradient="plain")
    layer = quantized_layers(model)[2]
    weight = layer.module.weight
    upstream = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    weight.backward(upstream)
    a = float(layer.quantizer.share) * layer.real_weight.abs().max()
    inside = layer.real_weight.abs() <= a
    assert a < layer.real_weight.abs().max() and torch.equal(layer.real_weight.grad, upstream * inside)


def test_a_learned_clip_has_the_derivative_by_its_range_at_codes_that_stay():
    model = model_of(WAYS[2], "tensor")
    set_bits(model, 2)
    layer = quantized_layers(model)[2]
    upstream = torch.randn(layer.real_weight.shape, generator=torch.Generator().manual_seed(0))
    layer.module.weight.backward(upstream)
    share, largest = layer.quantizer.share.detach(), layer.real_weight.detach().abs().max()
    x = (layer.real_weight.detach() / (share * largest)).clamp(-1, 1)
    level = layer.module.weight.detach() / (share * largest)
    inside = x.abs() < 1
    expected = (upstream * torch.where(inside, level - x, level) * largest).sum()
    torch.testing.assert_close(layer.quantizer.share.grad, expected, rtol=1e-4, atol=1e-4)


def test_a_clip_is_searched_for_the_weights_that_are_loaded_and_kept_with_them():
    one, other = model_of(WAYS[1], "channel"), model_of(WAYS[1], "channel")
    one(images())
    other.load_state_dict({k: 3 * v**3 for k, v in one.state_dict().items() if not k.endswith("share")})
    other(images())
    assert not torch.equal(other.fc.parametrizations.weight[0].share, one.fc.parametrizations.weight[0].share)
    other.load_state_dict(one.state_dict())
    assert torch.equal(other(images()), one(images()))


def test_clips_are_no_weights():
    assert [coverage(model_of(way, 4)).share for way in WAYS[:3]] == [1, 1, 1]


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_a_clip_of_no_size_is_refused(value):
    model = model_of(WAYS[2], "tensor")
    state = {**model.state_dict(), "fc.parametrizations.weight.0.share": torch.tensor(value)}
    with pytest.raises(TqhwError, match=r"^fc.parametrizations.weight.0.share: a clip of .* leaves no range"):
        model.load_state_dict(state)


def test_groups_that_do_not_divide_a_layer_are_refused_with_its_name():
    with pytest.raises(TqhwError, match=r"^fc.weight: the 16 weights of an output channel .* 64 \(use groups of 16"):
        convert(tiny(), QuantConfig(last=None, normalization=WAYS[0], granularity=64, layers={"conv2": "full"}))


def test_bits_that_leave_nothing_but_zero_are_refused(tmp_path):
    model = model_of(Normalization("linear", zero=True), "channel")
    with pytest.raises(TqhwError, match="with zero, 1 bit is the sign alone and every weight 0"):
        set_bits(model, 1)
    save(model, tmp_path / "m")
    with pytest.raises(TqhwError, match="with zero, 1 bit is the sign alone"):
        load(tmp_path / "m", 1)


def test_bits_whose_scales_are_not_in_the_file_are_refused(tmp_path):
    save(model_of(WAYS[3], "channel", norms="shared"), tmp_path / "m")
    with pytest.raises(TqhwError, match=r"holds no scales for 3 bits \(use one of 2, 4, 8\)"):
        load(tmp_path / "m", 3)
    with pytest.raises(TqhwError, match="holds no scales for 5 bits"):
        set_bits(load(tmp_path / "m", 2).into(Net()), 5)
