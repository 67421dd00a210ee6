"""Post-training: rounding for all precisions together, fitted scales, measured norms; from data and from none."""

import warnings

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from tests.quant.nets import images, tiny  # noqa: E402
from tqhw.datasets import digits  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.quant import (  # noqa: E402
    Normalization,
    PostTraining,
    QuantConfig,
    convert,
    integer_codes,
    load,
    post_train,
    quantize,
    quantized_layers,
    running_on_codes,
    save,
    save_onnx,
    set_bits,
    storage,
)
from tqhw.quant.post_training.fitting import fit, fit_whole  # noqa: E402
from tqhw.quant.post_training.moments import second_moments  # noqa: E402
from tqhw.quant.post_training.nested import Line, level_of, nested_codes  # noqa: E402

BITS = (2, 3, 4, 8)
PRIORITIES = {bits: 2.0**bits for bits in BITS}
LINEAR = Normalization("linear", scales="own", offset=True)


def seeded(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def lines_of(weight, groups, bits=BITS):
    """Some scales and offsets of each precision: those of the plain codes."""
    columns = weight.shape[1]
    own = quantize(weight, 8, group=columns // groups, normalization=LINEAR)
    return {b: Line(own.own[b].scale, own.own[b].offset) for b in bits}, own.codes.int()


def correlated(columns, seed=3):
    x = seeded(400, columns, seed=seed) @ seeded(columns, columns, seed=seed + 1)
    return x.T @ x / len(x)


def numbers(codes, bits, line):
    width = codes.shape[1] // line.scale.shape[1]
    scale, offset = (part.repeat_interleave(width, dim=1) for part in (line.scale, line.offset))
    return level_of(codes, 8, bits) * scale + offset


def test_a_code_is_the_best_of_all_256_for_the_precisions_together():
    weight = seeded(500, 16)
    lines, _ = lines_of(weight, 1)
    codes = nested_codes(weight, torch.eye(16), lines, PRIORITIES, stored=8, damping=0.01)

    def cost(candidates):
        width = candidates.shape[1]
        found = torch.zeros(len(weight), width, 16)
        for bits, line in lines.items():
            scale, offset = line.scale[:, :, None], line.offset[:, :, None]
            real = level_of(candidates, 8, bits) * scale + offset
            found += PRIORITIES[bits] * (real - weight[:, None]).square()
        return found

    every = torch.arange(256, dtype=torch.int32)[None, :, None].expand(500, 256, 16)
    least = cost(every).amin(dim=1)
    got = cost(codes[:, None])[:, 0]
    assert (got <= least * 1.001 + 1e-9).float().mean() > 0.999
    assert got.sum() <= least.sum() * 1.001


def test_one_precision_alone_is_rounded_to_the_nearest():
    weight = seeded(50, 8)
    lines, _ = lines_of(weight, 1, bits=(8,))
    codes = nested_codes(weight, torch.eye(8), lines, {8: 1.0}, stored=8, damping=0.01)
    apart = (numbers(codes, 8, lines[8]) - weight).abs()
    inside = apart < lines[8].scale / 255 * 1.01
    assert inside.float().mean() > 0.99


@pytest.mark.parametrize("groups", [1, 4])
def test_compensation_lessens_the_error_of_outputs_at_every_precision(groups):
    weight, moments = seeded(64, 128), correlated(128)
    lines, plain = lines_of(weight, groups)
    codes = nested_codes(weight, moments, lines, PRIORITIES, stored=8, damping=0.01)

    def error(codes, bits):
        d = numbers(codes, bits, lines[bits]) - weight
        return float(((d @ moments) * d).sum())

    for bits in (2, 3, 4):
        assert error(codes, bits) < 0.9 * error(plain, bits)
    assert error(codes, 8) < error(plain, 4) / 10


def test_priorities_move_what_is_best():
    weight, moments = seeded(64, 128), correlated(128)
    lines, _ = lines_of(weight, 1)

    def error(bits, priorities):
        codes = nested_codes(weight, moments, lines, priorities, stored=8, damping=0.01)
        d = numbers(codes, bits, lines[bits]) - weight
        return float(((d @ moments) * d).sum())

    low, high = {**PRIORITIES, 2: 1000.0}, {**PRIORITIES, 8: 1e5}
    assert error(2, low) < error(2, PRIORITIES) < error(2, high)
    assert error(8, high) < error(8, PRIORITIES) < error(8, low)


@pytest.mark.parametrize("offset", [False, True])
@pytest.mark.parametrize("groups", [1, 3])
def test_scales_are_those_of_least_squares(groups, offset):
    """Held to torch's solver on the outputs themselves."""
    weight, x = seeded(5, 12), seeded(300, 12, seed=1)
    levels = [(seeded(5, 12, seed=7).clamp(-1, 1), 1.0), (seeded(5, 12, seed=8).clamp(-1, 1), 3.0)]
    line = fit(weight, levels, x.T @ x / len(x), groups, offset=offset)
    width = 12 // groups
    for row in range(5):
        blocks = []
        for level, counts in levels:
            columns = [
                x[:, g * width : (g + 1) * width] @ level[row, g * width : (g + 1) * width] for g in range(groups)
            ]
            columns += [x[:, g * width : (g + 1) * width].sum(1) for g in range(groups)] if offset else []
            blocks.append((torch.stack(columns, 1) * counts**0.5, x @ weight[row] * counts**0.5))
        a, b = torch.cat([one for one, _ in blocks]), torch.cat([one for _, one in blocks])
        expected = torch.linalg.lstsq(a, b[:, None]).solution[:, 0]
        found = torch.cat([line.scale[row], line.offset[row]]) if offset else line.scale[row]
        torch.testing.assert_close(found, expected, atol=3e-3, rtol=3e-3)
    whole = fit_whole(weight, levels, None, offset=offset)
    assert whole.scale.shape == (5, 1) and len(whole.scale.unique()) == 1


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(6, 4, 3, stride=2, padding=1),
        nn.Conv2d(6, 4, (3, 5), dilation=(2, 1), padding="same"),
        nn.Conv2d(6, 6, 3, groups=3, padding=1, padding_mode="circular"),
        nn.Conv1d(6, 4, 5, padding=2),
        nn.Conv3d(2, 4, 2),
        nn.Linear(6, 4),
    ],
    ids=str,
)
def test_second_moments_are_those_of_what_the_weight_is_multiplied_with(layer):
    """The mean square of a layer's outputs is w^T E[x x^T] w; of several groups, of their mean."""
    shape = {nn.Conv1d: (3, 6, 9), nn.Conv2d: (3, 6, 8, 9), nn.Conv3d: (2, 2, 4, 5, 4), nn.Linear: (3, 7, 6)}[
        type(layer)
    ]
    x = seeded(*shape, seed=5)
    model = convert(nn.Sequential(layer), QuantConfig(precisions=(2, 8), first=None, last=None))
    (moments,) = second_moments(model, [x[:1], x[1:]]).values()
    groups = getattr(layer, "groups", 1)
    weight = seeded(1, *layer.weight.shape[1:], seed=6)
    with torch.no_grad():
        plain = type(layer)(*_arguments(layer)).requires_grad_(False)
        plain.weight.copy_(weight.expand_as(layer.weight))
        plain.bias.zero_()
        out = plain(x)
    expected = out.square().mean()
    got = weight.reshape(-1) @ moments @ weight.reshape(-1)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
    assert moments.shape == (layer.weight[0].numel(),) * 2 and groups


def _arguments(layer):
    if isinstance(layer, nn.Linear):
        return (layer.in_features, layer.out_features)
    parts = (layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    return (*parts, layer.groups, True, layer.padding_mode)


@pytest.fixture(scope="module")
def trained():
    """A network in floating point, and its data: some images to calibrate with, others to measure."""
    data = digits(size=8) if "size" in digits.__code__.co_varnames else digits()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(16 * (data.input_shape[1] // 2) ** 2, 32),
            nn.GELU(),
            nn.Linear(32, 10),
        )
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    for epoch in range(4):
        for x, labels in data.train_batches(64, 0, epoch):
            optimizer.zero_grad()
            functional.cross_entropy(network(x), labels).backward()
            optimizer.step()
    (calibration, _), *_ = data.train_batches(128, 1, 0)
    return network.eval(), calibration, next(iter(data.test_batches(450)))


def apart(model, x, real, bits):
    set_bits(model, bits)
    with torch.no_grad():
        return float((model(x) - real).norm() / real.norm())


def config_of(**options):
    chosen = {"first": None, "last": None, "granularity": "channel", "normalization": LINEAR, **options}
    return QuantConfig(precisions=BITS, **chosen)


def copy_of(network):
    import copy

    return copy.deepcopy(network)


def test_a_trained_network_keeps_its_outputs_better_than_by_truncation_and_as_well_as_anew(trained):
    network, calibration, (x, labels) = trained
    with torch.no_grad():
        real = network(x)
    truncated = convert(copy_of(network), config_of())
    free = post_train(convert(copy_of(network), config_of()), None)
    fitted = post_train(convert(copy_of(network), config_of()), [calibration], PostTraining(compensate=False))
    found = post_train(convert(copy_of(network), config_of()), [calibration])
    for bits in BITS:
        anew = convert(
            copy_of(network),
            QuantConfig(precisions=(bits,), first=None, last=None, granularity="channel", normalization=LINEAR),
        )
        of = {name: apart(model, x, real, bits) for name, model in (("t", truncated), ("f", fitted), ("p", found))}
        assert of["f"] < 1.05 * of["t"] and of["p"] < max(0.8 * of["t"], 0.01)
        assert of["p"] < max(1.01 * apart(anew, x, real, bits), 0.01)
        assert apart(free, x, real, bits) < max(1.1 * of["t"], 0.01)
        set_bits(found, bits)
        accuracy = (found(x).argmax(1) == labels).float().mean()
        assert bits == 2 or accuracy > (real.argmax(1) == labels).float().mean() - 0.02


@pytest.mark.parametrize("scales", ["own", "shared"])
@pytest.mark.parametrize("offset", [False, True])
@pytest.mark.parametrize("granularity", ["tensor", "channel", 4])
def test_codes_are_one_model_shifted_saved_and_in_onnx(granularity, offset, scales, tmp_path):
    way = Normalization("linear", "searched", scales, offset=offset)
    model = convert(_net(), config_of(granularity=granularity, normalization=way, layers={"up": "full", "conv": 5}))
    post_train(model, [images(4)])
    codes = integer_codes(model)
    expected = {}
    for bits in BITS:
        set_bits(model, bits)
        with torch.no_grad():
            expected[bits] = model(images())
        for layer in quantized_layers(model):
            held = layer.quantizer.codes
            at = 5 if layer.name == "conv" else bits
            assert torch.equal(held.truncate(at).codes, held.codes >> (held.bits - at))
            assert torch.equal(layer.module.weight, codes[layer.name].truncate(at).dequantize())
    save(model, tmp_path / "m")
    read = load(tmp_path / "m", 2).into(_net())
    assert storage(model).total < (tmp_path / "m").stat().st_size
    for bits in BITS:
        set_bits(read, bits)
        with torch.no_grad():
            assert torch.equal(read(images()), expected[bits])
    runtime = pytest.importorskip("onnxruntime")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        save_onnx(model, tmp_path / "m.onnx", (1, 8, 8))
    session = runtime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    for bits in BITS:
        (got,) = session.run(None, {"images": images().numpy(), "bits": torch.tensor(bits).numpy()})
        torch.testing.assert_close(torch.from_numpy(got), expected[bits], atol=1e-5, rtol=1e-4)


def _net():
    from tests.quant.test_normalized_models import Net

    with torch.random.fork_rng():
        torch.manual_seed(1)
        return Net()


def test_norms_move_by_what_quantizing_does_to_their_inputs():
    x = images(64)
    network = tiny()
    network.bn1.running_mean += 0.5  # as a long training may have left it
    network.bn1.running_var *= 2.0
    model = convert(
        network, QuantConfig(precisions=(2, 8), first=None, last=None, normalization=LINEAR, granularity="channel")
    )

    def inputs(weight):
        return functional.conv2d(x, weight, model.conv1.bias, padding=1).transpose(0, 1).reshape(8, -1).detach()

    real = inputs(quantized_layers(model)[0].real_weight)
    post_train(model, [x])
    for bits in (2, 8):
        set_bits(model, bits)
        norm, now = model.bn1.active, inputs(model.conv1.weight)
        torch.testing.assert_close(norm.running_mean, 0.5 + now.mean(1) - real.mean(1), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(norm.running_var, 2 * now.var(1) / real.var(1), atol=1e-5, rtol=1e-4)
    assert not torch.equal(model.bn1.of(2).running_var, model.bn1.of(8).running_var)


def test_the_papers_normalisation_and_zero_keep_their_own_codes():
    for way in (Normalization(), Normalization("linear", zero=True)):
        options = {"normalization": way, "granularity": "tensor"}
        model = convert(tiny(), config_of(**options))
        before = integer_codes(model)
        post_train(model, [images()])
        assert all(torch.equal(own.codes, before[name].codes) for name, own in integer_codes(model).items())


def test_tied_layers_share_their_codes_and_inputs_get_ranges():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)
            self.b.weight = self.a.weight

        def forward(self, x):
            return self.b(self.a(x))

    model = post_train(convert(Tied(), config_of(activations="pact")), (seeded(32, 8),))
    assert model.a.parametrizations.weight[0].codes is model.b.parametrizations.weight[0].codes
    assert model.b.input_quantizer.started and float(model.b.input_quantizer.low) < 0


class Dead(nn.Module):
    """Layers that read nothing but zeros, and one that does not run."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.never = nn.Linear(8, 8), nn.Linear(8, 4), nn.Linear(4, 4)
        nn.init.zeros_(self.a.weight[0])

    def forward(self, x):
        return self.b(self.a(x).clamp(0, 0))


def test_inputs_of_zeros_and_layers_that_do_not_run_are_quantized_too():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Dead()
    model = post_train(convert(network, config_of()), [seeded(16, 8)])
    for layer in quantized_layers(model):
        for bits in BITS:
            set_bits(model, bits)
            assert torch.isfinite(layer.module.weight).all()
    set_bits(model, 8)
    assert float((model.never.weight - network.never.weight).abs().max()) < 0.01
    assert not model.a.weight[0].any()


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([], r"calibration data: there is none .give at least one batch, or quantize without."),
        ([torch.full((2, 1, 8, 8), torch.nan)], r"calibration data: 128 of 128 numbers are NaN or infinite"),
        ([torch.zeros(2, 3, 8, 8)], r"the model refuses an input of shape \[2, 3, 8, 8\]: RuntimeError"),
        ([{"y": torch.zeros(2, 1, 8, 8)}], r"the model refuses an input of shape .*TypeError.*'y'"),
    ],
)
def test_bad_calibration_data_are_refused_and_the_model_is_as_it_was(batches, message):
    model = convert(tiny(), config_of())
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(TqhwError, match=message):
        post_train(model, batches)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert not any(layer.quantizer.off or layer.quantizer.codes is not None for layer in quantized_layers(model))


def test_what_cannot_be_quantized_so_is_refused():
    with pytest.raises(TqhwError, match=r"codes of scheme 'dorefa' cannot be shifted .use truncquant."):
        post_train(convert(tiny(), QuantConfig(scheme="dorefa")), None)
    model = post_train(convert(tiny(), config_of()), None)
    with pytest.raises(TqhwError, match=r"it was quantized already .start from the network in floating point"):
        post_train(model, None)
    with pytest.raises(TqhwError, match="not quantized"):
        post_train(tiny(), None)
    with pytest.raises(TqhwError, match=r"the model has no 5 bits .it has 2, 3, 4, 8."):
        post_train(convert(tiny(), config_of()), None, PostTraining({5: 1.0}))
    with pytest.raises(TqhwError, match=r"-1 for 2 bits is no priority"):
        PostTraining({2: -1.0})
    with pytest.raises(TqhwError, match=r"0 is no damping"):
        PostTraining(damping=0)


def test_it_is_the_same_every_time():
    models = [post_train(convert(tiny(), config_of()), [images()]) for _ in range(2)]
    first, second = (integer_codes(model) for model in models)
    assert all(torch.equal(first[name].codes, second[name].codes) for name in first)
    with running_on_codes(models[0], second, 4):
        pass
