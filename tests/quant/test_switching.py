"""Switching at run time: whole models and single layers, in one thread and in several, from a file and in memory."""

import copy
import threading

import pytest

torch = pytest.importorskip("torch")

from tests.quant.nets import images, tiny  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.quant import (  # noqa: E402
    QuantConfig,
    at_bits,
    convert,
    integer_codes,
    load,
    quantized_layers,
    running_on_codes,
    save,
    set_bits,
)
from tqhw.quant.files.rangefile import RangeFile  # noqa: E402

PRECISIONS = (2, 4, 8)


def trained(**options):
    model = convert(tiny(), QuantConfig(**{"precisions": PRECISIONS, "first": None, "last": None, **options})).train()
    with torch.no_grad():
        for bits in PRECISIONS:
            set_bits(model, bits)
            for _ in range(5):
                model(images() * (1 + bits / 8))
    return model.eval()


@pytest.fixture(scope="module")
def model():
    return trained()


@pytest.fixture
def path(tmp_path, model):
    save(model, tmp_path / "m")
    return tmp_path / "m"


@pytest.fixture(scope="module")
def logits(model):
    found = {}
    for bits in PRECISIONS:
        with running_on_codes(model, integer_codes(model), bits), torch.no_grad():
            found[bits] = model(images())
    return found


def now(model):
    return {layer.name: layer.quantizer.bits for layer in quantized_layers(model)}


def test_a_context_switches_and_switches_back(path, logits):
    read = load(path, 2).into(tiny())
    with torch.no_grad():
        with at_bits(read, 8) as inside:
            assert inside is read and torch.equal(read(images()), logits[8])
            with at_bits(read, 4):
                assert torch.equal(read(images()), logits[4])
            set_bits(read, 4)  # for whoever has no context
            assert torch.equal(read(images()), logits[8])
        assert torch.equal(read(images()), logits[4])
        with pytest.raises(ZeroDivisionError), at_bits(read, 2):
            raise ZeroDivisionError
        assert torch.equal(read(images()), logits[4])


@pytest.mark.parametrize("source", ["memory", "file"])
@pytest.mark.parametrize("options", [{}, {"activations": "pact", "activation_bits": None}])
def test_threads_run_one_model_at_bits_of_their_own(tmp_path, source, options):
    model = trained(**options)
    expected = {}
    for bits in PRECISIONS:
        set_bits(model, bits)
        with torch.no_grad():
            expected[bits] = model(images())
    if source == "file":
        save(model, tmp_path / "m")
        model = load(tmp_path / "m", 2).into(tiny())
    set_bits(model, 2)
    wrong, start = [], threading.Barrier(5)

    def work(bits):
        start.wait()
        for _ in range(30):
            with torch.no_grad(), at_bits(model, bits):
                got = model(images())
                if not torch.allclose(got, expected[bits], atol=1e-5):
                    wrong.append(bits)

    threads = [threading.Thread(target=work, args=(bits,)) for bits in (2, 4, 8, 4, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [] and set(now(model).values()) == {2}


def test_threads_that_switch_a_model_read_each_plane_once(path, monkeypatch):
    read, opened = load(path, 2).into(tiny()), []
    block = RangeFile.block
    monkeypatch.setattr(RangeFile, "block", lambda self, name, sums: opened.append(name) or block(self, name, sums))
    start = threading.Barrier(6)

    def work():
        start.wait()
        with at_bits(read, 8):
            pass
        set_bits(read, 8)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened == ["at/8", *(f"plane/{number}" for number in range(2, 8))]


def test_layers_are_switched_by_name_and_pattern_and_norms_go_with_them(model, path):
    read = load(path, 8).into(tiny())
    for one in (read, copy.deepcopy(model)):
        set_bits(one, 8)
        set_bits(one, {"conv2": 2, "f*": 4})
        assert now(one) == {"conv1": 8, "conv2": 2, "fc": 4}
        assert (one.bn1.bits, one.bn2.bits) == (8, 2)
        codes = {name: found.truncate(now(one)[name]) for name, found in integer_codes(model).items()}
        plain = tiny().eval()
        for name, found in codes.items():
            getattr(plain, name).weight.data = found.dequantize()
        plain.load_state_dict(
            {k: v for k, v in model.state_dict().items() if "bias" in k and "bn" not in k}, strict=False
        )
        for norm, bits in (("bn1", 8), ("bn2", 2)):
            setattr(plain, norm, getattr(model, norm).of(bits) if bits == 2 else getattr(model, norm).copy_of(8))
        with torch.no_grad():
            assert torch.equal(one(images()), plain.eval()(images()))
        with at_bits(one, {"*": 2}):
            pass
        assert now(one) == {"conv1": 8, "conv2": 2, "fc": 4}


@pytest.mark.parametrize(
    ("bits", "message"),
    [
        ({"conv3": 2}, r"bits: unknown quantized layer 'conv3'.*conv2"),
        ({"fc": 9}, "9 bits cannot be had"),
        ({"conv2": 5}, "no batch norms? for 5 bits"),
        ({"conv1": 2}, r"layer 'conv1' has bits of its own and does not switch .convert it with null in layers."),
        (5, "no batch norms? for 5 bits"),
    ],
)
@pytest.mark.parametrize("switch", [set_bits, lambda model, bits: at_bits(model, bits).__enter__()])
def test_a_switch_that_cannot_be_had_changes_nothing(tmp_path, bits, message, switch):
    model = trained(layers={"conv1": 3})
    save(model, tmp_path / "m")
    for one in (model, load(tmp_path / "m", 2).into(tiny())):
        before = now(one), one.bn1.bits, one.bn2.bits
        with pytest.raises(TqhwError, match=message):
            switch(one, bits)
        assert (now(one), one.bn1.bits, one.bn2.bits) == before


def test_weights_of_codes_are_made_once_and_anew_after_a_switch(path, logits):
    read = load(path, 8).into(tiny())
    with torch.inference_mode():
        read(images())
    first = read.conv2.weight
    assert read.conv2.weight is first and not first.is_inference()
    set_bits(read, 2)
    assert read.conv2.weight is not first and len(read.conv2.weight.unique()) <= 4
    x = images().requires_grad_()
    read(x).sum().backward()
    assert x.grad is not None
    moved = copy.deepcopy(read).to("meta")
    assert moved.conv2.weight.is_meta and not read.conv2.weight.is_meta
    with torch.no_grad():
        assert torch.equal(read(images()), logits[2])
        assert torch.equal(read.eval()(images()), logits[2])


def test_codes_that_are_no_longer_run_leave_no_weights_behind(model):
    with running_on_codes(model, integer_codes(model), 4), torch.no_grad():
        model(images())
        assert all(layer.quantizer._made is not None for layer in quantized_layers(model))
    assert all(layer.quantizer._made is None for layer in quantized_layers(model))
