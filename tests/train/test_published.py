"""The recipes of published code: what of a network they quantize, and how."""

from pathlib import Path

import pytest
import yaml

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from tqhw.quant import SwitchableBatchNorm, quantized_layers  # noqa: E402
from tqhw.train import Recipe, read_recipe  # noqa: E402
from tqhw.train.optimizer import make_optimizer  # noqa: E402

ROOT = Path(__file__).parents[2] / "experiments" / "training"


def recipe(name: str) -> Recipe:
    path = ROOT / f"{name}.yaml"
    if not path.exists():
        pytest.skip("an installed package has no recipes")
    return read_recipe({**yaml.safe_load(path.read_text()), "seed": 0})


def test_any_precision_keeps_shortcuts_with_one_norm_and_quantizes_inputs_at_the_bits_of_weights() -> None:
    found = recipe("any_precision")
    model = found.quantize(found.plain_model(), found.bits, order=())
    names = [layer.name for layer in quantized_layers(model)]
    assert names == [f"layers.{block}.conv{number}" for block in range(9) for number in (0, 1)]
    assert all(layer.input_quantizer.follows for layer in quantized_layers(model))
    assert all(layer.quantizer.through_maximum for layer in quantized_layers(model))
    plain = [name for name, m in model.named_modules() if type(m) is nn.BatchNorm2d and ".at." not in name]
    assert plain == ["layers.3.skip_bn", "layers.6.skip_bn"]
    assert isinstance(model.bn, SwitchableBatchNorm) and model.conv0.weight.shape == (80, 3, 3, 3)


@pytest.mark.parametrize("name", ["any_precision", "truncquant"])
def test_they_train_with_adam_without_decay(name: str) -> None:
    found = recipe(name)
    (group,) = make_optimizer(nn.Linear(1, 1), found.training).param_groups
    assert (group["lr"], group["weight_decay"], group["betas"]) == (0.001, 0, (0.9, 0.999))
    epochs = [share * found.training.epochs for share in found.training.milestones]
    assert (found.training.epochs, epochs) == (200, [100, 150, 180])


def test_truncquant_has_the_plain_gradient_through_the_maximum() -> None:
    found = recipe("truncquant")
    assert (found.method, found.quantization.gradient, found.quantization.through_maximum) == (
        "truncquant",
        "plain",
        True,
    )
    assert (found.quantization.activations, found.quantization.activation_bits) == ("dorefa", None)
