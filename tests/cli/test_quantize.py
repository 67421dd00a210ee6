"""``tqhw quantize``: a trained network made one file of several precisions."""

import re

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from safetensors.torch import save_file  # noqa: E402

from tests.cli.test_app import refused, tqhw  # noqa: E402
from tests.quant.nets import images, tiny  # noqa: E402
from tqhw import models  # noqa: E402
from tqhw.quant import at_bits, load  # noqa: E402

TINY = "tests.quant.nets:tiny"


@pytest.fixture
def data(tmp_path):
    np.save(tmp_path / "x.npy", images(40).numpy())
    return tmp_path / "x.npy"


def test_a_network_becomes_one_file_and_distances_are_told(tmp_path, data):
    found = tqhw("quantize", TINY, "--calibrate", data, "--bits", "2-4,8", "--out", tmp_path / "m")
    assert found.exit_code == 0, found.output
    assert "3 layers at 2, 3, 4, 8 bits, one scale per channel" in found.stdout
    told = dict(
        re.findall(r"^(\d) bits: outputs ([\d.]+)% from those in floating point, on 40 samples$", found.stdout, re.M)
    )
    assert [*told] == ["2", "3", "4", "8"]
    assert float(told["2"]) > float(told["4"]) > float(told["8"]) and float(told["8"]) < 2
    assert f"{(tmp_path / 'm').stat().st_size:,} bytes in" in found.stdout
    model, real = load(tmp_path / "m", 2).into(tiny()), tiny().eval()
    with torch.no_grad():
        for bits in (2, 8):
            with at_bits(model, bits):
                apart = (model(images(40)) - real(images(40))).norm() / real(images(40)).norm()
            assert (
                f"{apart:.2%}".rstrip("%") == told[str(bits)] or abs(float(apart) * 100 - float(told[str(bits)])) < 0.1
            )


def test_without_data_and_with_layers_left_out(tmp_path):
    weights = models.build("resnet20", in_channels=1)
    arguments = ("quantize", TINY, "--data-free", "--full", "conv1", "--granularity", "8", "--out", tmp_path / "m")
    found = tqhw(*arguments)
    assert found.exit_code == 0 and "2 layers at 2, 4, 6, 8 bits, one scale per 8 weights" in found.stdout
    assert "floating point, on" not in found.stdout
    assert {*load(tmp_path / "m", 4).codes} == {"conv2", "fc"}
    save_file(weights.state_dict(), tmp_path / "w.safetensors")
    assert "is of another model" in refused(
        "quantize", "resnet20", "--data-free", "--weights", tmp_path / "w.safetensors", "--out", tmp_path / "n"
    )


def test_priorities_change_the_file(tmp_path, data):
    files = []
    for more in ((), ("--priority", "2=1000")):
        out = tmp_path / str(len(files))
        assert tqhw("quantize", TINY, "--calibrate", data, *more, "--out", out).exit_code == 0
        files.append(load(out, 8).codes["conv2"].codes)
    assert not torch.equal(*files)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name data, or say that there are none (--calibrate or --data-free)"),
        (("--data-free", "--calibrate", "digits"), "name data, or say that there are none"),
        (("--calibrate", "nowhere.npy"), "nowhere.npy: cannot be read: No such file"),
        (("--calibrate", "DATA", "--samples", "0"), "samples: 0 leaves nothing to calibrate with"),
        (("--calibrate", "OTHER"), "the model refuses an input of shape [3, 5, 8, 8]"),
        (("--calibrate", "DATA", "--bits", "9"), "9"),
        (("--calibrate", "DATA", "--granularity", "7"), "no whole number of groups of 7"),
        (("--calibrate", "DATA", "--granularity", "rows"), "granularity"),
        (("--calibrate", "DATA", "--priority", "two"), "--priority: 'two' is no priority (for example 2=8)"),
        (("--calibrate", "DATA", "--priority", "3=1"), "the model has no 3 bits"),
        (("--calibrate", "DATA", "--priority", "2=0"), "0 for 2 bits is no priority"),
        (("--calibrate", "DATA", "--full", "conv9"), "conv9"),
    ],
)
def test_what_cannot_be_done_is_one_line(tmp_path, data, arguments, message):
    np.save(tmp_path / "other.npy", np.zeros((3, 5, 8, 8), np.float32))
    places = {"DATA": data, "OTHER": tmp_path / "other.npy"}
    given = [places.get(argument, argument) for argument in arguments]
    assert message in refused("quantize", TINY, *given, "--out", tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_random_weights_are_not_quantized(tmp_path):
    assert "resnet20 has random weights (name trained ones with --weights FILE)" in refused(
        "quantize", "resnet20", "--data-free", "--out", tmp_path / "m"
    )


def test_an_onnx_file_is_written_for_what_the_data_have_the_shape_of(tmp_path, data):
    runtime = pytest.importorskip("onnxruntime")
    found = tqhw("quantize", TINY, "--calibrate", data, "--out", tmp_path / "m.onnx")
    assert found.exit_code == 0, found.output
    session = runtime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    (got,) = session.run(None, {"images": images().numpy(), "bits": np.array(8)})
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(got), tiny().eval()(images()), atol=0.02, rtol=0.05)
    message = refused("quantize", TINY, "--data-free", "--out", tmp_path / "n.onnx")
    assert "n.onnx: calibration data say what an ONNX file reads (add --calibrate)" in message
