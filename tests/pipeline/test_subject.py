"""Networks that bring their own bits, and ONNX files, in the main job."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from tqhw import experiment  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.experiment import Experiment  # noqa: E402
from tqhw.pipeline.run import run  # noqa: E402
from tqhw.pipeline.subject import subject  # noqa: E402

NAME = "tests.pipeline.test_subject:FakeQuantized"


class FakeQuantized(nn.Module):
    """Weights of 2 bits and inputs of 4 in the first product; the second is in floating point."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 6))
        self.fc = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        quantize = torch.fake_quantize_per_tensor_affine
        hidden = quantize(x.flatten(1)[:, :6], 0.1, 0, -8, 7) @ quantize(self.weight, 0.1, 0, -2, 1).T
        found: Tensor = self.fc(hidden)
        return found


def given(tmp_path: Path, model: str, more: str = "") -> Experiment:
    path = tmp_path / "experiment.yaml"
    text = f"name: x\nmodel: {model}\nbits: [2, 8]\nspad_models: [smartbuffer_rf]\nmethods: [truncquant]\n{more}"
    path.write_text(text)
    return experiment.load(path)


def test_a_model_that_is_quantized_already_runs_at_its_own_bits(tmp_path: Path) -> None:
    found = subject(given(tmp_path, f'{{name: "{NAME}", input: [1, 6]}}'))
    assert [(layer.weight_bits, layer.fixed_bits, layer.input_bits) for layer in found.workload.layers] == [
        (2, True, 4),
        (32, True, None),
    ]
    assert found.switching.switch == 0
    assert "every layer has bits of its own" in found.notes[0]
    assert found.notes[1].startswith("bits as they are given: weights of 2, inputs of 4 bits (PyTorch's fake_quantize")


def test_such_a_model_is_not_trained(tmp_path: Path) -> None:
    more = "training: {epochs: 1}\nquantization: {first: null, last: null}\n"
    with pytest.raises(TqhwError, match="the model is quantized already, and would be quantized twice"):
        subject(given(tmp_path, f'{{name: "{NAME}"}}', more))


def net(tmp_path: Path, *, quantized: bool = False) -> Path:
    pytest.importorskip("onnx")
    from onnx import TensorProto

    from tests.workload.onnx.graphs import node, save, tensor

    weights = [tensor("a", [6, 5]), tensor("c", [5, 4]), tensor("d", [4, 3])]
    nodes = [node("MatMul", "x a", "first"), node("MatMul", "first c", "second"), node("MatMul", "second d", "third")]
    if quantized:
        weights = [tensor("a", [6, 5], TensorProto.INT8), tensor("s", []), *weights[1:]]
        nodes = [node("DequantizeLinear", "a s", "f"), node("MatMul", "x f", "first"), *nodes[1:]]
    return Path(save(tmp_path / "net.onnx", nodes, {"x": ["n", 6]}, weights))


def test_layers_of_an_onnx_file_switch_as_the_experiment_says(tmp_path: Path) -> None:
    name = net(tmp_path)
    found = subject(given(tmp_path, f"{{name: {name}, input: [1, 6]}}", "quantization: {layers: {third: 3}}\n"))
    assert [(layer.weight_bits, layer.fixed_bits) for layer in found.workload.layers] == [
        (32, True),
        (8, False),
        (3, True),
    ]
    assert found.notes == ("20 of 62 weights switch precision",)
    with pytest.raises(TqhwError, match="unknown layer 'none'"):
        subject(given(tmp_path, f"{{name: {name}, input: [1, 6]}}", "quantization: {layers: {none: 3}}\n"))


def test_an_onnx_file_runs(tmp_path: Path) -> None:
    name = net(tmp_path, quantized=True)
    run(given(tmp_path, f'{{name: {name}, input: {{x: "float32[1,6]"}}}}'), tmp_path / "out")
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [layer["bits"] for layer in results["layers"]] == [8, 32, 32]
    steady = {row["bits"]: row["energy_mj"] for row in results["energy"] if row["state"] == "steady"}
    assert steady[2] == steady[8] > 0


@pytest.mark.parametrize(
    ("model", "more", "message"),
    [
        ("{name: NET, options: {a: 1}, input: [1, 6]}", "", "an ONNX file takes no options"),
        ("{name: NET, input: [1, 6]}", "training: {epochs: 1}\n", "an ONNX file is not trained"),
        ("{name: NET}", "", "leaves dimensions of its inputs open"),
        ("{name: NET, input: [1, 6], phase: decode}", "", "an ONNX file takes no phase"),
    ],
)
def test_what_does_not_fit_an_onnx_file(tmp_path: Path, model: str, more: str, message: str) -> None:
    with pytest.raises(TqhwError, match=message):
        subject(given(tmp_path, model.replace("NET", str(net(tmp_path))), more))


def test_inputs_in_floating_point_are_told_as_such(tmp_path: Path) -> None:
    """Weights of 8 bits, inputs that nobody quantized: 32 bits in the file, and the architecture's on the hardware."""
    results = run(given(tmp_path, f"{{name: {net(tmp_path, quantized=True)}, input: [1, 6]}}"))
    assert not any("32 bits in" in note for note in results.notes)


class Convolutional(nn.Module):
    """Takes pictures of any size."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 2, 1))

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.layers(x)
        return found


def test_a_size_that_nobody_gave_is_told(tmp_path: Path) -> None:
    name = "tests.pipeline.test_subject:Convolutional"
    told = f"{name} is counted for an input of 1,3,224,224, an assumption: model.input says another"
    assert told in subject(given(tmp_path, f'{{name: "{name}"}}')).notes
    assert told not in subject(given(tmp_path, f'{{name: "{name}", input: [1, 3, 224, 224]}}')).notes
    published = subject(given(tmp_path, "{name: resnet20}")).notes
    assert not [note for note in published if "an assumption" in note]
