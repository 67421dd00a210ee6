"""The readers without PyTorch, NumPy's and the one in C, against the model that PyTorch runs."""

import importlib.util
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from tests.quant.nets import images, tiny  # noqa: E402
from tests.quant.test_normalized_models import SIZES, WAYS, model_of, name  # noqa: E402
from tqhw.quant import QuantConfig, convert, integer_codes, load, running_on_codes, save, set_bits  # noqa: E402

DEVICE = Path(__file__).parents[2] / "examples" / "device"


def reader(path, bits):
    spec = importlib.util.spec_from_file_location("tqhw_reader", DEVICE / "reader.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Model(path, bits)


def test_the_reader_is_short_and_needs_numpy_alone():
    text = (DEVICE / "reader.py").read_text("utf-8")
    assert len(text.splitlines()) <= 150
    program = f"import sys; sys.path.insert(0, {str(DEVICE)!r}); import reader; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "False\n"


@pytest.mark.parametrize("size", SIZES, ids=name)
@pytest.mark.parametrize("way", WAYS, ids=name)
def test_numpy_reads_the_weights_that_pytorch_computes_with(way, size, tmp_path):
    model = model_of(way, size)
    codes = integer_codes(model)
    save(model, tmp_path / "m")
    found = reader(tmp_path / "m", 2)
    for bits in (2, 8, 4):
        found.set_bits(bits)
        for layer, stored in codes.items():
            own, at = found.codes(layer)
            assert at == bits and np.array_equal(own, stored.truncate(bits).codes.numpy())
            expected = stored.truncate(bits).dequantize().numpy()
            np.testing.assert_allclose(found.weight(layer), expected, rtol=2e-6, atol=1e-7)
            if not way.offset and not way.zero:
                whole, scale = found.signed(layer)
                assert whole.dtype == np.int16 and np.all(whole % 2)
                np.testing.assert_allclose(whole * scale, expected, rtol=2e-6, atol=1e-7)


class Forked(nn.Module):
    """Tied layers, a fixed one, norms."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(6, 6)
        self.b = nn.Linear(6, 6)
        self.b.weight = self.a.weight
        self.c = nn.Linear(6, 6)
        self.norm = nn.BatchNorm1d(6, eps=0.01)

    def forward(self, x):
        return self.norm(self.c(self.b(self.a(x))))


@pytest.mark.parametrize("fold", [False, True])
def test_numpy_reads_tied_and_fixed_layers_and_norms(tmp_path, fold):
    config = QuantConfig(precisions=(2, 8), first=None, last=None, layers={"c": 3})
    model = convert(Forked(), config).train()
    for bits in (2, 8):
        set_bits(model, bits)
        model(torch.randn(16, 6))
    save(model.eval(), tmp_path / "m", fold=fold)
    found = reader(tmp_path / "m", 8)
    x = np.linspace(-1, 1, 6, dtype=np.float32)
    for bits in (2, 8):
        found.set_bits(bits)
        assert np.array_equal(found.weight("a"), found.weight("b")) and found.codes("c")[1] == 3
        y = x
        for layer in "abc":
            y = found.weight(layer) @ y + found.tensor(f"{layer}.bias")
        scale, shift = found.norm("norm", eps=0.01)
        with running_on_codes(model, integer_codes(model), bits), torch.no_grad():
            expected = model(torch.from_numpy(x)[None])[0].numpy()
        np.testing.assert_allclose(y * scale + shift, expected, rtol=1e-4, atol=1e-5)


def test_numpy_reads_only_the_planes_it_lacks_and_tells_what_is_wrong(tmp_path):
    save(convert(tiny(), QuantConfig(precisions=(2, 4, 8), first=None, last=None)), tmp_path / "m")
    found, plane = reader(tmp_path / "m", 2), (72 + 1152 + 160 + 7) // 8
    norms = 4 * 4 * 24 + 2 * 8
    before = found.bytes_read
    found.set_bits(4)
    assert found.bytes_read - before == 2 * plane + norms
    found.set_bits(2)
    assert found.bytes_read - before == 2 * plane + norms
    assert found.bytes_read == load(tmp_path / "m", 2).at(4).bytes_read + 2 * plane + norms + _common(found)
    with pytest.raises(ValueError, match=r"m: 5 bits cannot be had, but \[2, 4, 8\]"):
        found.set_bits(5)
    content = bytearray((tmp_path / "m").read_bytes())
    content[-1] ^= 1
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(ValueError, match="m: plane/7 does not have its checksum"):
        found.set_bits(8)
    assert found.bits == 2 and found.codes("fc")[1] == 2


def test_numpy_tells_a_file_that_was_cut_off_or_damaged_wherever_that_is(tmp_path):
    net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    path = tmp_path / "m"
    save(convert(net, QuantConfig(precisions=(2, 8), first=None, last=None)), path)
    whole = path.read_bytes()

    def read():
        found = reader(path, 2)
        found.set_bits(8)
        return found.weight("0")

    expected = read()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"m: (has no bytes|is no file of tqhw)"):
            read()
    told = re.compile(r".*m: (has no bytes|is no file of tqhw|.* does not have its checksum$|holds|.* bits cannot be)")
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        try:
            found = read()
        except ValueError as error:
            assert told.match(str(error)), (at, error)
        else:  # in what the reader does not need: the names of types and shapes of blocks
            assert at < 8 + int.from_bytes(whole[:8], "little") and np.array_equal(found, expected)


def _common(found):
    start, end = found._entries["common"]["data_offsets"]
    return end - start


def test_threads_of_numpys_reader_have_their_own_bits(tmp_path):
    model = convert(tiny(), QuantConfig(precisions=(2, 4, 8), first=None, last=None))
    save(model, tmp_path / "m")
    found, codes, wrong = reader(tmp_path / "m", 2), integer_codes(model), []

    def work(bits):
        for _ in range(50):
            with found.using(bits):
                wrong.extend(n for n in codes if not np.array_equal(found.codes(n)[0], codes[n].truncate(bits).codes))

    threads = [threading.Thread(target=work, args=(bits,)) for bits in (2, 4, 8, 4, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [] and found.bits == 2
    with found.using(8), found.using(4):
        assert found.bits == 4


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler on PATH")
    built = tmp_path_factory.mktemp("c") / "integers"
    flags = ["-std=c99", "-O2", "-Wall", "-Wextra", "-pedantic", "-Werror"]
    subprocess.run([compiler, *flags, DEVICE / "integers.c", "-o", built, "-lm"], check=True)
    return built


def run_c(program, *arguments, picture):
    return subprocess.run([program, *map(str, arguments)], input=picture, capture_output=True)


STEPS = ("conv,conv1,1,1,bn1", "conv,conv2,2,0,bn2", "mean", "linear,fc")


@pytest.mark.parametrize(
    "options",
    [
        {"activations": "pact"},
        {"activations": "dorefa"},
        {"activations": "pact", "activation_bits": None, "granularity": "channel"},
        {
            "activations": "pact",
            "granularity": "channel",
            "normalization": WAYS[3],
            "activation_bits": 6,
        },
    ],
    ids=["tensor", "dorefa", "channel", "own scales"],
)
def test_c_computes_what_pytorch_computes(program, tmp_path, options):
    pictures = (images(4).clamp(-2, 2).add(2).mul(63.75)).round().to(torch.uint8)
    model = convert(tiny(), QuantConfig(precisions=(2, 4, 8), first=None, last=None, **options)).train()
    with torch.no_grad():
        for bits in (8, 4, 2):
            set_bits(model, bits)
            for _ in range(20):
                model(pictures / 255)
    model.eval()
    save(model, tmp_path / "m", fold=True)
    apart = []
    for bits in (2, 4, 8):
        with running_on_codes(model, integer_codes(model), bits), torch.no_grad():
            expected = model(pictures / 255)
        for picture, row in zip(pictures, expected, strict=True):
            ran = run_c(program, tmp_path / "m", bits, "1x8x8", *STEPS, picture=picture.numpy().tobytes())
            assert ran.returncode == 0, ran.stderr
            got = torch.from_numpy(np.frombuffer(ran.stdout, np.float32).copy())
            apart.append(float((got - row).abs().max()))
    # Sums of floating-point numbers in another order may carry an input over a bin's edge; that is rare and small.
    assert sorted(apart)[len(apart) // 2] < 1e-5 and max(apart) < 0.01


SHAPES = {
    "groups": ((4, 6, 3), {"groups": 2}),
    "depthwise": ((4, 4, 3), {"groups": 4, "padding": 1}),
    "depthwise, twice": ((4, 8, 3), {"groups": 4, "stride": 2}),
    "1x1": ((4, 5, 1), {"stride": 3}),
    "dilation": ((4, 5, 3), {"dilation": 2, "padding": 1}),
    "rows": ((4, 5, (1, 3)), {}),
    "columns": ((4, 5, (5, 2)), {"stride": 2, "padding": 3, "dilation": 2}),
    "the whole": ((4, 3, (7, 9)), {}),
}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_c_runs_convolutions_of_any_shape(program, tmp_path, shape):
    sizes, options = SHAPES[shape]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = nn.Sequential(nn.Conv2d(*sizes, **options), nn.BatchNorm2d(sizes[1]), nn.ReLU())
        layers(torch.rand(8, 4, 7, 9))
    model = convert(layers, QuantConfig(precisions=(3, 8), first=None, last=None, granularity="channel")).eval()
    save(model, tmp_path / "m", fold=True)
    x = torch.randint(256, (4, 7, 9), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    step = f"conv,0,{options.get('stride', 1)},{options.get('padding', 0)},1,{options.get('dilation', 1)}"
    for bits in (3, 8):
        with running_on_codes(model, integer_codes(model), bits), torch.no_grad():
            expected = model(x[None] / 255).flatten()
        ran = run_c(program, tmp_path / "m", bits, "4x7x9", step, picture=x.numpy().tobytes())
        assert ran.returncode == 0, ran.stderr
        np.testing.assert_allclose(np.frombuffer(ran.stdout, np.float32), expected.numpy(), atol=2e-5)


def test_c_refuses_what_it_would_compute_wrongly(program, tmp_path):
    network = nn.Sequential(nn.Conv1d(4, 4, 3), nn.Linear(33026, 1), nn.Conv2d(1, 1, 3), nn.BatchNorm2d(1))
    save(convert(network, QuantConfig(precisions=(8,), first=None, last=None)).eval(), tmp_path / "m", fold=True)
    for size, step, message in (
        ("4x1x8", "conv,0,1,0,3", "0: is no convolution over height and width"),
        ("1x2x16513", "linear,1", "1: sums more products than 32 bits are sure to hold"),
        ("1x2x2", "conv,2,2,0,3", "2: has a kernel that is larger than what it reads"),
        ("1x5x5", "conv,2,1,0,3,0", "conv,2,1,0,3,0: has no such stride, padding or dilation"),
        ("3x5x5", "conv,0,1,0,3", "0: is no convolution over height and width"),
    ):
        ran = run_c(program, tmp_path / "m", 8, size, step, picture=bytes(33026))
        assert (ran.returncode, ran.stdout) == (2, b"") and ran.stderr.decode().strip() == message


def test_c_computes_with_inputs_below_zero(program, tmp_path):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(12, 30), nn.Linear(30, 5))
    model = convert(network, QuantConfig(precisions=(3, 8), first=None, last=None, activations="pact")).train()
    x = torch.randint(256, (12,), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    model(x[None] / 255)
    assert float(model[1].input_quantizer.low) < -0.3
    save(model.eval(), tmp_path / "m", fold=True)
    for bits in (3, 8):
        with running_on_codes(model, integer_codes(model), bits), torch.no_grad():
            expected = model(x[None] / 255)[0]
        ran = run_c(program, tmp_path / "m", bits, "1x1x12", "linear,0", "linear,1", picture=x.numpy().tobytes())
        np.testing.assert_allclose(np.frombuffer(ran.stdout, np.float32), expected.numpy(), atol=1e-5)


def test_c_sums_whole_numbers_exactly(program, tmp_path):
    """One layer, whose inputs are codes already: the sums are those of PyTorch's integers."""
    layer = convert(nn.Sequential(nn.Linear(40, 7)), QuantConfig(precisions=(3, 8), first=None, last=None)).eval()
    save(layer, tmp_path / "m")
    x = torch.randint(256, (40,), generator=torch.Generator().manual_seed(2))
    for bits in (3, 8):
        codes = integer_codes(layer)["0"].truncate(bits)
        sums = (2 * codes.codes.long() - (2**bits - 1)) @ x
        ran = run_c(program, tmp_path / "m", bits, "1x1x40", "linear,0", picture=x.to(torch.uint8).numpy().tobytes())
        got = np.frombuffer(ran.stdout, np.float32)
        real = sums.double() * float(codes.scale) / (2**bits - 1) / 255 + layer[0].bias.double().detach()
        np.testing.assert_allclose(got, real.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere", 2, "1x8x8", *STEPS), "nowhere: cannot be read"),
        (("m", 5, "1x8x8", *STEPS), "m: does not serve these bits"),
        (("m", 9, "1x8x8", *STEPS), "m: holds fewer bits"),
        (("m", 2, "1x8x8", "linear,conv9"), "conv9: is no layer for this example"),
        (("m", 2, "1x8x8", "linear,fc"), "fc: has other inputs"),
        (("m", 2, "1x8x8", "pool"), "pool: is no step"),
        (("m", 2, "1x9x9", *STEPS), "the picture: ends early"),
        (("w", 2, "1x8x8", *STEPS), "bn1: is not folded: export with --fold"),
    ],
)
def test_c_says_what_it_cannot_do(program, tmp_path, arguments, message):
    model = convert(tiny(), QuantConfig(precisions=(2, 8), first=None, last=None))
    save(model, tmp_path / "m", fold=True)
    save(model, tmp_path / "w")
    file, *others = arguments
    ran = run_c(program, tmp_path / file, *others, picture=bytes(64))
    assert (ran.returncode, ran.stdout) == (2, b"") and ran.stderr.decode().strip().endswith(message)
