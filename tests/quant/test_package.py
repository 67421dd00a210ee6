import builtins
import hashlib
import io
import json
import struct
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
from safetensors import safe_open  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from tests.quant.nets import images, tiny  # noqa: E402
from tqhw.datasets import digits  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.quant import (  # noqa: E402
    QuantConfig,
    convert,
    integer_codes,
    is_quantized,
    load,
    quantization_of,
    revert,
    running_on_codes,
    save,
    set_bits,
)
from tqhw.quant.files.rangefile import RangeFile  # noqa: E402
from tqhw.train import TrainConfig, train  # noqa: E402

PRECISIONS = (1, 2, 4, 8)
NORMS = 2 * 8 + 4 * (8 + 16) * 4
"""Bytes of the norms of one precision."""
OTHER = 4 * (8 + 10) + 3 * 4
"""Bytes of the biases and the scales."""


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


def test_headers_that_were_tampered_with_are_refused(path):
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    entries, data = json.loads(content[8 : 8 + length]), content[8 + length :]
    start, end = entries["plane/0"]["data_offsets"]

    def refused(changed, message):
        text = json.dumps(changed).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + data)
        with pytest.raises(TqhwError, match=f"is no whole model exported by tqhw: .*{message}"):
            load(path, 2)

    for change in (
        {"data_offsets": [0, 10**15], "shape": [10**15]},
        {"data_offsets": [0, 2**70], "shape": [2**70]},
        {"data_offsets": [start - 10**9, end - 10**9]},
        {"data_offsets": [2**70 + start, 2**70 + end]},
        {"data_offsets": [start, float(end)]},
        {"data_offsets": [end, start], "shape": [start - end]},
    ):
        refused({**entries, "plane/0": {**entries["plane/0"], **change}}, "'plane/0' is missing or does not fill")
    refused({**entries, "__metadata__": {"tqhw": "[" * 100_000, "tqhw_sha256": ""}}, "it has no header of tqhw")
    for text in ("3", "[1]"):
        checksum = hashlib.sha256(text.encode()).hexdigest()
        refused({**entries, "__metadata__": {"tqhw": text, "tqhw_sha256": checksum}}, "it has no header of tqhw")
    refused([1], "it has no header of tqhw")
    header = json.loads(entries["__metadata__"]["tqhw"])
    first, *others = header["layers"]
    for change in (
        {"stored": 99},
        {"stored": "8"},
        {"norms": []},
        {"recipe": 3},
        {"layers": [{**first, "shape": [2**70]}, *others]},
        {"layers": [{**first, "fixed": True, "bits": 99}, *others]},
    ):
        text = json.dumps({**header, **change})
        checksum = hashlib.sha256(text.encode()).hexdigest()
        refused({**entries, "__metadata__": {"tqhw": text, "tqhw_sha256": checksum}}, "its header does not describe it")


def test_scales_that_do_not_fit_the_codes_are_refused(tmp_path):
    config = QuantConfig(precisions=(2, 8), first=None, last=None, granularity="channel")
    save(convert(tiny(), config), tmp_path / "m")
    with safe_open(tmp_path / "m", framework="pt") as file:
        header = json.loads(file.metadata()["tqhw"])
    assert header["layers"][0]["shape"] == [8, 1, 3, 3]
    header["layers"][0]["shape"] = [1, 8, 3, 3]
    text = json.dumps(header)
    checksum = hashlib.sha256(text.encode()).hexdigest()
    save_file(load_file(tmp_path / "m"), tmp_path / "n", {"tqhw": text, "tqhw_sha256": checksum})
    with pytest.raises(TqhwError, match=r"its header does not describe it"):
        load(tmp_path / "n", 2)


class Buffers(torch.nn.Module):
    def __init__(self, dtype=None, extra=None):
        super().__init__()
        self.fc = torch.nn.Linear(4, 4)
        self.extra = extra
        if dtype is not None:
            self.register_buffer("mask", torch.tensor([1, 0, 1, 3]).to(dtype))
        if extra is None:
            self.register_buffer("none", torch.empty(0, dtype=torch.int16))

    def get_extra_state(self):
        return torch.ones(2) if self.extra is None else self.extra

    def set_extra_state(self, state):
        self.got = state


SMALL = QuantConfig(precisions=(2, 8), first=None, last=None)


@pytest.mark.parametrize("kind", ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float64"])
def test_buffers_of_every_plain_type_come_back(tmp_path, kind):
    model = convert(Buffers(getattr(torch, kind)), SMALL)
    save(model, tmp_path / "m")
    deployed = load(tmp_path / "m", 2)
    assert deployed.state["mask"].dtype == model.mask.dtype and torch.equal(deployed.state["mask"], model.mask)
    blank = Buffers(getattr(torch, kind))
    blank.mask.zero_()
    assert torch.equal(deployed.into(blank).mask, model.mask) and torch.equal(blank.got, torch.ones(2))


def test_state_that_cannot_be_stored_is_refused_when_it_is_written(tmp_path):
    with pytest.raises(TqhwError, match=r"mask: a tensor of type complex64 cannot be stored .use bool, uint8, int8, "):
        save(convert(Buffers(torch.complex64), SMALL), tmp_path / "m")
    with pytest.raises(TqhwError, match=r"_extra_state: a dict cannot be stored, only tensors .let get_extra_state"):
        save(convert(Buffers(extra={"a": 1}), SMALL), tmp_path / "m")
    sparse = Buffers()
    sparse.register_buffer("mask", torch.eye(4).to_sparse())
    with pytest.raises(TqhwError, match=r"mask: a tensor of type sparse_coo cannot be stored"):
        save(convert(sparse, SMALL), tmp_path / "m")
    assert not (tmp_path / "m").exists()


def other_head():
    other = tiny()
    other.fc = torch.nn.Linear(16, 11)
    return other


def a_layer_of_another_kind():
    other = tiny()
    other.fc = torch.nn.Bilinear(1, 1, 10)
    other.fc.weight = torch.nn.Parameter(torch.zeros(10, 16))
    return other


@pytest.mark.parametrize("make", [other_head, a_layer_of_another_kind])
def test_another_architecture_is_refused_and_left_as_it_was(path, make):
    other = make()
    before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
    kinds = [type(module) for module in other.modules()]
    with pytest.raises(TqhwError, match=r"the exported model is of another architecture: .*fc"):
        load(path, 2).into(other)
    assert not is_quantized(other) and [type(module) for module in other.modules()] == kinds
    after = other.state_dict()
    assert list(after) == list(before) and all(torch.equal(after[name], before[name]) for name in before)


def test_a_place_that_cannot_be_written_is_refused(tmp_path, model):
    (tmp_path / "file").write_text("")
    with pytest.raises(TqhwError, match=r"cannot be written"):
        save(model, tmp_path / "file" / "model")


def test_a_model_that_was_read_is_switched_with_its_norms(path, model, monkeypatch):
    read = load(path, 8).into(tiny(seed=5))
    for bits in (2, 8, 1, 4, 2):
        set_bits(read, bits)
        with torch.no_grad():
            assert torch.equal(read(images()), expected(model, bits))
    monkeypatch.setattr(RangeFile, "__init__", None)  # what was read is there
    for bits in (8, 4):
        set_bits(read, bits)
        with torch.no_grad():
            assert torch.equal(read(images()), expected(model, bits))


def test_more_bits_read_the_missing_planes_alone(path, model):
    two, eight = load(path, 2), load(path, 8)
    more = two.at(8)
    codes = (72 + 1152 + 160 + 7) // 8
    header = load(path, 1).bytes_read - codes - NORMS - OTHER
    assert more.bytes_read - header == 6 * codes + NORMS
    for name, stored in eight.codes.items():
        assert torch.equal(more.codes[name].codes, stored.codes)
    assert more.at(4).bytes_read - header == NORMS
    read = two.into(tiny())
    for bits in (4, 8, 1):
        set_bits(read, bits)
        with torch.no_grad():
            assert torch.equal(read(images()), expected(model, bits))


def test_what_was_read_can_be_written_again(path, tmp_path, model):
    read = load(path, 4).into(tiny())
    set_bits(read, 2)
    save(read, tmp_path / "again", stored=4)
    assert load(tmp_path / "again", 2).quantization.precisions == (2, 4)
    for bits in (2, 4):
        with torch.no_grad():
            assert torch.equal(load(tmp_path / "again", bits).into(tiny())(images()), expected(model, bits))


def test_precisions_that_the_file_does_not_hold_are_refused_by_a_switch_that_changes_nothing(path, model):
    read = load(path, 4).into(tiny())
    with pytest.raises(TqhwError, match=r"holds no batch norms for 5 bits .use one of 1, 2, 4, 8."):
        set_bits(read, 5)
    with pytest.raises(TqhwError, match=r"32 bits cannot be had"):
        set_bits(read, 32)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(TqhwError, match=r"is no whole model exported by tqhw"):
        set_bits(read, 8)
    save(trained(precisions=(2, 8)), path)
    with pytest.raises(TqhwError, match=r"is another file than the one that the model was loaded from .load it again."):
        set_bits(read, 2)
    path.unlink()
    with pytest.raises(TqhwError, match=r"cannot be read: No such file"):
        set_bits(read, 1)
    with torch.no_grad():
        assert torch.equal(read(images()), expected(model, 4))
    assert quantization_of(read).precisions == (4,)


def test_shared_norms_serve_fewer_bits_without_the_file(tmp_path):
    model = trained(norms="shared")
    save(model, tmp_path / "m")
    read = load(tmp_path / "m", 4).into(tiny())
    (tmp_path / "m").unlink()
    set_bits(read, 3)
    with torch.no_grad():
        assert torch.equal(read(images()), expected(model, 3))
    with pytest.raises(TqhwError, match=r"cannot be read"):
        set_bits(read, 8)


def test_a_model_that_was_read_reverts_to_what_it_computes(path, model):
    read = load(path, 8).into(tiny())
    set_bits(read, 2)
    with torch.no_grad():
        assert torch.equal(revert(read)(images()), expected(model, 2))
    assert not hasattr(read, "deployed")
