"""The recipes of published code: what of a network they quantize, and how."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

torch = pytest.importorskip("torch")
from torch import Tensor, nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from tqhw.datasets import digits  # noqa: E402
from tqhw.models.preact import PreActivationResNet  # noqa: E402
from tqhw.quant import SwitchableBatchNorm, quantized_layers  # noqa: E402
from tqhw.train import Recipe, read_recipe, train  # noqa: E402
from tqhw.train.distributed import team  # noqa: E402
from tqhw.train.loop import joint_step  # noqa: E402
from tqhw.train.optimizer import make_optimizer  # noqa: E402

ROOT = Path(__file__).parents[2] / "experiments" / "training"


def recipe(name: str, **changes: dict[str, Any]) -> Recipe:
    path = ROOT / f"{name}.yaml"
    if not path.exists():
        pytest.skip("an installed package has no recipes")
    document = {**yaml.safe_load(path.read_text()), "seed": 0}
    return read_recipe({**document, **{key: {**document[key], **values} for key, values in changes.items()}})


def small(**training: Any) -> Recipe:
    """Any-Precision's recipe on digits of 8x8, a fifth as wide."""
    options = {"expansion": 1, "in_channels": 1}
    changed = {"device": "cpu", "batch_size": 64, **training}
    return recipe("any_precision", model={"options": options}, data={"name": "digits", "path": None}, training=changed)


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


def test_any_precision_learns_at_every_precision() -> None:
    found, data = small(epochs=2), digits()
    model = found.quantize(found.plain_model(), found.bits, order=())
    few = replace(data, train_images=data.train_images[:640], train_labels=data.train_labels[:640])
    history = train(model, few, found.training).history
    assert all(history[1].losses[bits] < history[0].losses[bits] for bits in found.bits)
    assert history[0].losses[32] < history[0].losses[8] < history[0].losses[1]  # each is taught by the one above
    assert history[1].scores[32] > 80 and history[1].scores[1] > 20


class Reference:
    """A joint step by the formulas of Yu et al. (DoReFa-Net's quantizers), with layers and norms of a plain network."""

    def __init__(self, network: PreActivationResNet, precisions: tuple[int, ...]) -> None:
        self.network = network
        self.norms = {bits: {m: copy.deepcopy(m) for m in network.modules() if isinstance(m, nn.BatchNorm2d)}
                      for bits in precisions}  # fmt: skip

    @staticmethod
    def rounded(u: Tensor, bits: int) -> Tensor:
        top = 2**bits - 1
        return u + ((u * top).round() / top - u).detach()

    def inputs(self, x: Tensor, bits: int) -> Tensor:
        return x.relu() if bits == 32 else self.rounded(x.clamp(0, 1), bits)

    def product(self, layer: nn.Conv2d, x: Tensor, bits: int) -> Tensor:
        squashed = layer.weight.tanh() / layer.weight.tanh().abs().max()
        levels = squashed if bits == 32 else 2 * self.rounded(squashed / 2 + 0.5, bits) - 1
        return functional.conv2d(x, levels * layer.weight.abs().mean().detach(), None, layer.stride, layer.padding)

    def logits(self, x: Tensor, bits: int) -> Tensor:
        norms, network = self.norms[bits], self.network
        x = network.conv0(x)
        for block in network.layers:
            before = norms[block.bn0](x)
            out = self.product(block.conv0, self.inputs(before, bits), bits)
            out = self.product(block.conv1, self.inputs(norms[block.bn1](out), bits), bits)
            # Here the shortcut reads real numbers.
            x = out + (x if block.skip_conv is None else block.skip_bn(block.skip_conv(before.relu())))
        answer: Tensor = network.fc(norms[network.bn](x).mean(dim=(2, 3)))
        return answer

    def step(self, x: Tensor, labels: Tensor) -> list[float]:
        losses, teacher = [], None
        for bits in sorted(self.norms, reverse=True):
            logits = self.logits(x, bits).float()
            loss = functional.cross_entropy(logits, labels if teacher is None else teacher.softmax(dim=1))
            loss.backward()  # type: ignore[no-untyped-call]
            losses.append(loss.item())
            teacher = logits.detach()
        return losses


def test_a_step_of_any_precision_has_the_losses_and_gradients_of_its_formulas() -> None:
    found = small()
    plain = found.plain_model().double()  # or a rounding error, at a bin's edge, is that of a code
    assert isinstance(plain, PreActivationResNet)
    reference = Reference(copy.deepcopy(plain), found.bits)
    model = found.quantize(plain, found.bits, order=()).train()
    images, labels = next(iter(found.open_data().train_batches(64, seed=0, epoch=0)))
    images = images.double()
    losses = joint_step(model, model, (images, labels), found.training, team())[0].tolist()
    assert losses == pytest.approx(reference.step(images, labels), rel=1e-6)
    ours = {name.replace(".parametrizations.weight.original", ".weight"): p for name, p in model.named_parameters()}
    named = {name: p for name, p in reference.network.named_parameters() if ".bn" not in name and name[:3] != "bn."}
    for name, parameter in named.items():
        assert torch.allclose(ours[name].grad, parameter.grad, rtol=1e-5, atol=1e-7), name
    modules, switchable = (dict(net.named_modules()) for net in (reference.network, model))
    for bits, norms in reference.norms.items():
        for name, module in modules.items():
            if module in norms and "skip" not in name:
                expected, got = norms[module], switchable[name].of(bits)
                assert torch.allclose(got.weight.grad, expected.weight.grad, rtol=1e-5, atol=1e-7), (name, bits)
                assert torch.allclose(got.running_var, expected.running_var, rtol=1e-5), (name, bits)
            elif module in norms:
                assert torch.allclose(switchable[name].running_var, module.running_var, rtol=1e-5)
