"""The two versions of the deployable file: what old ones hold is read, what new ones hold is small."""

import hashlib
import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
from safetensors import safe_open  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from tests.quant.nets import images, tiny  # noqa: E402
from tqhw import models  # noqa: E402
from tqhw.quant import QuantConfig, convert, load, quantized_layers, save, set_bits, storage  # noqa: E402
from tqhw.quant.files.contents import at_precision  # noqa: E402

# Written by version 1 (quant.save of commit e80ca62, TinyNet after some batches); their recipes hold logits of then.
OLD = Path(__file__).parent / "data"


def header_of(path):
    with safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()["tqhw"])


@pytest.mark.parametrize("name", ["norms", "scales"])
def test_files_of_version_1_are_read_and_switched(name):
    path = OLD / f"version1_{name}.tqhw"
    assert header_of(path)["version"] == 1
    logits = {int(bits): torch.tensor(rows) for bits, rows in load(path, 2).recipe["logits"].items()}
    for start in logits:
        model = load(path, start).into(tiny())
        for bits in (start, *logits):
            set_bits(model, bits)
            with torch.no_grad():
                torch.testing.assert_close(model(images(2)), logits[bits], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["norms", "scales"])
def test_what_was_read_of_version_1_is_written_as_the_present_version(name, tmp_path):
    path = OLD / f"version1_{name}.tqhw"
    read = load(path, 8).into(tiny())
    set_bits(read, 2)
    save(read, tmp_path / "m")
    assert header_of(tmp_path / "m")["version"] == 2
    for bits in (2, 8):
        old, new = (load(file, bits).into(tiny()) for file in (path, tmp_path / "m"))
        assert torch.equal(old(images()), new(images()))


def test_a_small_network_of_many_precisions_has_a_small_header(tmp_path):
    config = QuantConfig(precisions=tuple(range(1, 9)), first=None, last=None)
    model = convert(models.build("resnet20", in_channels=1), config)
    counters = 8 * 19 * 8
    assert save(model, tmp_path / "m") - storage(model).total - counters < 12_000


def test_blocks_lie_as_the_format_says(tmp_path):
    model = convert(tiny(), QuantConfig(precisions=(2, 8), first=3, last=None))
    save(model, tmp_path / "m", recipe={"mine": 1})
    blocks, header = load_file(tmp_path / "m"), header_of(tmp_path / "m")
    assert [*blocks] == ["at/2", "at/8", "common", *(f"plane/{number}" for number in range(8))]
    for name, block in blocks.items():
        assert hashlib.sha256(block.numpy().tobytes()).hexdigest() == header["sha256"][name]
    assert header["layers"][:2] == [
        {"name": "conv1", "shape": [8, 1, 3, 3], "bits": 3},
        {"name": "conv2", "shape": [16, 8, 3, 3]},
    ]
    common = [name for name, *_ in header["common"]]
    assert common == ["fixed/conv1", "scale/conv1", "scale/conv2", "scale/fc", "state/conv1.bias", "state/fc.bias"]
    assert header["each"][3:5] == [["state/bn1.running_var", [8]], ["state/bn1.num_batches_tracked", [], "I64"]]
    bias = blocks["common"][27 + 12 :][: 4 * 8].numpy().tobytes()
    assert bias == model.conv1.bias.detach().numpy().tobytes()
    assert header["recipe"] == {"mine": 1}


def test_a_block_that_its_table_does_not_fill_is_refused(tmp_path):
    from safetensors.torch import save_file

    from tqhw.errors import TqhwError

    save(convert(tiny(), QuantConfig(precisions=(2, 8))), tmp_path / "m", fold=True)
    header = header_of(tmp_path / "m")
    for change in (
        {"common": header["common"][1:]},
        {"each": [*header["each"], ["state/more", [1]]]},
        {"each": [["state/bn1.weight", [8], "F31"]]},
        {"common": [["scale/conv2"]]},
        {"ties": {"state/a": "state/nowhere"}},
        {"norms": {"bn1": "x"}},
    ):
        text = json.dumps({**header, **change})
        metadata = {"tqhw": text, "tqhw_sha256": hashlib.sha256(text.encode()).hexdigest()}
        save_file(load_file(tmp_path / "m"), tmp_path / "n", metadata)
        with pytest.raises(TqhwError, match="its header does not describe it"):
            load(tmp_path / "n", 2)


def test_planes_of_another_model_are_noticed(tmp_path):
    """A file put together of two has a block that does not have its checksum."""
    from safetensors.torch import save_file

    from tqhw.errors import TqhwError

    for seed in (0, 1):
        save(convert(tiny(seed), QuantConfig(precisions=(2, 8))), tmp_path / str(seed))
    with safe_open(tmp_path / "0", framework="pt") as file:
        metadata = file.metadata()
    other = load_file(tmp_path / "1")
    save_file({**load_file(tmp_path / "0"), "plane/1": other["plane/1"]}, tmp_path / "n", metadata)
    with pytest.raises(TqhwError, match="tensor 'plane/1' does not have its checksum"):
        load(tmp_path / "n", 2)
    blocks = load_file(tmp_path / "0")
    del blocks["plane/7"]
    save_file(blocks, tmp_path / "n", metadata)
    model = load(tmp_path / "n", 2).into(tiny())
    with pytest.raises(TqhwError, match="tensor 'plane/7' is missing"):
        set_bits(model, 8)
    assert quantized_layers(model)[0].quantizer.bits == 2


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("bn.weight", ("bn.weight", 8)),
        ("bn.at.2.weight", ("bn.weight", 2)),
        ("bn.at.2.act.weight", ("bn.act.weight", 2)),
        ("conv.weight", None),
        ("bnn.weight", None),
    ],
)
def test_the_precision_of_a_tensor_of_the_state_dict(name, place):
    assert at_precision(name, {"bn": 8}) == place


@pytest.mark.parametrize("norms", ["switchable", "shared"])
def test_folded_norms_take_half_and_answer_alike(norms, tmp_path):
    config = QuantConfig(precisions=(2, 4, 8), first=None, last=None, norms=norms)
    model = convert(tiny(), config).train()
    for bits in (2, 4, 8):
        set_bits(model, bits)
        model(images())
    model.eval()
    whole, folded = save(model, tmp_path / "w"), save(model, tmp_path / "f", fold=True)
    sets = 3 if norms == "switchable" else 1
    assert whole - folded > sets * (2 * 4 * 24 + 2 * 8)
    assert storage(model, fold=True).norms * 2 == storage(model).norms
    with torch.no_grad():
        for start in (2, 8):
            a, b = (load(tmp_path / name, start).into(tiny()) for name in "wf")
            for bits in (start, 4, 2, 8):
                set_bits(a, bits)
                set_bits(b, bits)
                torch.testing.assert_close(b(images()), a(images()), atol=1e-5, rtol=1e-5)
    save(b, tmp_path / "again", fold=True)
    with torch.no_grad():
        again = load(tmp_path / "again", 8).into(tiny())(images())
        torch.testing.assert_close(again, b(images()), atol=1e-5, rtol=1e-5)


def test_norms_without_scale_or_with_tensors_tied_elsewhere_stay_whole(tmp_path):
    def made():
        network = tiny()
        network.bn1 = torch.nn.BatchNorm2d(8, affine=False)
        network.bn3 = torch.nn.BatchNorm2d(16)
        network.bn3.weight = network.bn2.weight
        return network

    model = convert(made(), QuantConfig(precisions=(2, 8), norms="shared")).eval()
    save(model, tmp_path / "m", fold=True)
    assert header_of(tmp_path / "m")["norms"] == {}
    assert torch.equal(load(tmp_path / "m", 2).into(made())(images()), _at(model, 2)(images()))


def _at(model, bits):
    set_bits(model, bits)
    return model
