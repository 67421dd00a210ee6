import builtins
import hashlib
import io
import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
from safetensors import safe_open  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from tests.quant.nets import images, tiny  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.quant import QuantConfig, convert, integer_codes, load, running_on_codes, save  # noqa: E402
from tqhw.train import TrainConfig, digits, train  # noqa: E402

PRECISIONS = (1, 2, 4, 8)


def trained(**options):
    config = QuantConfig(**{"precisions": PRECISIONS, "first": None, "last": None, **options})
    return train(convert(tiny(), config), digits(), TrainConfig(1, 64, threads=1)).model.eval()


@pytest.fixture(scope="module")
def model():
    return trained()


@pytest.fixture
def path(tmp_path, model):
    save(model, tmp_path / "model.safetensors", recipe={"model": "tiny"})
    return tmp_path / "model.safetensors"


def expected(model, bits, stored=8):
    with running_on_codes(model, integer_codes(model, stored), bits), torch.no_grad():
        return model(images())


@pytest.mark.parametrize("bits", PRECISIONS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"norms": "shared"},
        {"granularity": "channel"},
        {"first": 4, "last": "full"},
        {"activations": "pact", "activation_bits": None},
        {"scheme": "dorefa", "layers": {"conv2": 8}},
    ],
)
def test_the_file_gives_the_logits_of_the_shifted_model(tmp_path, options, bits):
    model = trained(**options)
    size = save(model, tmp_path / "m")
    deployed = load(tmp_path / "m", bits)
    assert (tmp_path / "m").stat().st_size == size == deployed.file_bytes
    with torch.no_grad():
        got = deployed.into(tiny(seed=5))(images())
    if options.get("activation_bits", 8) is None:
        torch.testing.assert_close(got, expected(model, bits))
    else:
        assert torch.equal(got, expected(model, bits))


def test_a_single_layer_is_a_model_too(tmp_path):
    layer = convert(torch.nn.Linear(64, 10), QuantConfig(precisions=(2, 8), first=None, last=None)).eval()
    save(layer, tmp_path / "m")
    x = torch.randn(3, 64)
    with running_on_codes(layer, integer_codes(layer), 2):
        assert torch.equal(load(tmp_path / "m", 2).into(torch.nn.Linear(64, 10))(x), layer(x))


def test_a_loaded_model_can_be_moved(path):
    moved = load(path, 2).into(tiny()).to("meta")
    assert moved.conv2.weight.device.type == "meta" == moved(images().to("meta")).device.type


def test_only_the_planes_and_norms_of_the_precision_are_read(path, monkeypatch):
    """The bytes that reach us from the file itself, counted outside of the code under test."""
    counted = {}
    for bits in PRECISIONS:
        total = []

        class Counting(io.FileIO):
            def read(self, size=-1, total=total):
                content = super().read(size)
                total.append(len(content))
                return content

        with monkeypatch.context() as patch:
            patch.setattr(Path, "open", lambda self, *_, kind=Counting, **__: kind(self))
            patch.setattr(builtins, "open", None)
            deployed = load(path, bits)
        counted[bits] = sum(total)
        assert deployed.bytes_read == counted[bits]
    codes = sum(p.numel() for name, p in tiny().named_parameters() if name.endswith("weight") and "bn" not in name)
    plane = (codes + 7) // 8
    assert counted[2] - counted[1] == plane
    assert counted[4] - counted[2] == 2 * plane
    assert counted[8] - counted[4] == 4 * plane
    unread = 3 * (8 + 16) * 4 * 4 + 3 * 2 * 8
    assert path.stat().st_size - counted[8] == unread, "the norms of the other three precisions"


def test_codes_and_recipe_come_back(model, path):
    deployed = load(path, 2)
    assert deployed.recipe == {"model": "tiny"} and deployed.quantization.scheme == "truncquant"
    for name, stored in integer_codes(model).items():
        assert torch.equal(deployed.codes[name].codes, stored.truncate(2).codes)
        assert torch.equal(deployed.codes[name].dequantize(), stored.truncate(2).dequantize())


def test_a_model_stored_at_fewer_bits(tmp_path, model):
    save(model, tmp_path / "m", stored=4)
    with torch.no_grad():
        assert torch.equal(load(tmp_path / "m", 2).into(tiny())(images()), expected(model, 2))
    with pytest.raises(TqhwError, match=r"8 bits cannot be had: the codes are stored at 4 bits .use 1 to 4."):
        load(tmp_path / "m", 8)
    with pytest.raises(TqhwError, match=r"none of the precisions .8. can be had from 4 bits"):
        save(trained(precisions=(8,)), tmp_path / "n", stored=4)


def test_precisions_without_norms_are_refused(path):
    with pytest.raises(TqhwError, match=r"holds no batch norms for 5 bits .use one of 1, 2, 4, 8."):
        load(path, 5)
    with pytest.raises(TqhwError, match=r"'two' is not a whole number"):
        load(path, "two")


def test_a_file_cut_short_at_any_place_is_refused(path):
    content = path.read_bytes()
    for length in [*range(9), *range(9, len(content), 97), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(TqhwError, match=r"is no whole model exported by tqhw: .*export or copy it again"):
            load(path, 8)
            for bits in PRECISIONS:
                load(path, bits)


def test_a_flipped_bit_in_what_is_read_is_noticed(path):
    content = path.read_bytes()
    for place in range(0, len(content), 53):
        damaged = bytearray(content)
        damaged[place] ^= 4
        path.write_bytes(damaged)
        with pytest.raises(TqhwError, match=r"is no whole model|holds .* version"):
            for bits in PRECISIONS:
                load(path, bits)


def test_other_files_and_versions_are_refused(path, tmp_path):
    save_file({"x": torch.ones(1)}, tmp_path / "x")
    with pytest.raises(TqhwError, match=r"it has no header of tqhw"):
        load(tmp_path / "x", 2)
    with pytest.raises(TqhwError, match=r"nowhere: cannot be read: No such file"):
        load(tmp_path / "nowhere", 2)
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["tqhw"])
    for change, message in (
        ({"version": 7}, "holds tqhw model version 7, not tqhw model version 1"),
        ({"layers": None}, "its header does not describe it"),
        ({"quantization": {"odd": 1}}, "its header does not describe it"),
        ({"layers": [{**layer, "dtype": "load"} for layer in header["layers"]]}, "its header does not describe it"),
        ({"layers": [{**layer, "shape": [3, 3]} for layer in header["layers"]]}, "its header does not describe it"),
        ({"layers": [{**layer, "shape": [10**13]} for layer in header["layers"]]}, "its header does not describe it"),
        ({"layers": [{**layer, "shape": [-1]} for layer in header["layers"]]}, "its header does not describe it"),
    ):
        text = json.dumps({**header, **change})
        checksum = hashlib.sha256(text.encode()).hexdigest()
        save_file(load_file(path), tmp_path / "y", {"tqhw": text, "tqhw_sha256": checksum})
        with pytest.raises(TqhwError, match=message):
            load(tmp_path / "y", 2)


def test_another_architecture_is_refused(path):
    other = tiny()
    other.fc = torch.nn.Linear(16, 11)
    with pytest.raises(TqhwError, match=r"the exported model is of another architecture: .*fc"):
        load(path, 2).into(other)


def test_a_place_that_cannot_be_written_is_refused(tmp_path, model):
    (tmp_path / "file").write_text("")
    with pytest.raises(TqhwError, match=r"cannot be written"):
        save(model, tmp_path / "file" / "model")
