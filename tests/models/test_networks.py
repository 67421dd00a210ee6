"""The packaged networks against torchvision's names, shapes and known parameter counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from tqhw.models import build, default_input  # noqa: E402

STATES = json.loads((Path(__file__).parent / "data" / "torchvision_state_dicts.json").read_text())


def parameters(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("name", "count"), [("resnet18", 11_689_512), ("resnet50", 25_557_032), ("mobilenet_v2", 3_504_872)]
)
def test_state_dict_is_torchvisions(name: str, count: int) -> None:
    model = build(name)
    assert {key: list(value.shape) for key, value in model.state_dict().items()} == STATES[name]
    assert list(model.state_dict()) == list(STATES[name])
    assert parameters(model) == count


def by_hand(expansion: int, in_channels: int, num_classes: int) -> int:
    """ResNet-20's parameters, summed over its stages: weights, shortcuts, norms, classifier."""
    w = 16 * expansion
    convolutions = 9 * in_channels * w + 6 * 9 * w * w
    convolutions += 9 * w * 2 * w + 5 * 9 * (2 * w) ** 2 + w * 2 * w
    convolutions += 9 * 2 * w * 4 * w + 5 * 9 * (4 * w) ** 2 + 2 * w * 4 * w
    channels = 7 * w + (6 + 1) * 2 * w + (6 + 1) * 4 * w
    return convolutions + 2 * channels + 4 * w * num_classes + num_classes


@pytest.mark.parametrize("options", [(1, 3, 10), (5, 3, 10), (1, 1, 10), (2, 3, 100)])
def test_resnet20_parameters(options: tuple[int, int, int]) -> None:
    expansion, in_channels, num_classes = options
    model = build("resnet20", expansion=expansion, in_channels=in_channels, num_classes=num_classes)
    assert parameters(model) == by_hand(*options)


@pytest.mark.parametrize("expansion", [1, 5])
def test_of_preactivation_blocks_there_are_the_published_ones(expansion: int) -> None:
    """Norms of what a convolution reads: two 3x3 convolutions in each of nine blocks, two shortcuts, a norm last."""
    w = 16 * expansion
    convolutions = 9 * 3 * w + 6 * 9 * w * w + 9 * w * 2 * w + 5 * 9 * (2 * w) ** 2 + 2 * w * w
    convolutions += 9 * 2 * w * 4 * w + 5 * 9 * (4 * w) ** 2 + 2 * w * 4 * w
    channels = 6 * w + (w + 2 * w + 2 * w + 4 * 2 * w) + (2 * w + 4 * w + 4 * w + 4 * 4 * w) + 4 * w
    model = build("preact_resnet20", expansion=expansion)
    assert parameters(model) == convolutions + 2 * channels + 4 * w * 10 + 10
    with torch.no_grad():
        assert model.eval()(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    read = []
    model.layers[3].skip_conv.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    model.layers[3].conv0.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    model(torch.randn(2, 3, 8, 8))
    assert torch.equal(*read) and (read[0] >= 0).all()


def test_resnet20_is_the_known_size() -> None:
    assert parameters(build("resnet20")) == 272_474


@pytest.mark.parametrize("name", ["resnet20", "resnet18", "resnet50", "mobilenet_v2"])
def test_options_change_input_and_output(name: str) -> None:
    model = build(name, in_channels=1, num_classes=7).eval()
    with torch.no_grad():
        assert model(torch.zeros(2, 1, 64, 64)).shape == (2, 7)


def test_default_inputs() -> None:
    assert default_input("resnet20") == (1, 3, 32, 32)
    assert default_input("resnet50") == (1, 3, 224, 224)
    assert default_input("my.models:net") == (1, 3, 224, 224)


def test_inverted_residual_adds_its_input_only_where_shapes_agree() -> None:
    from tqhw.models.mobilenet import InvertedResidual

    x = torch.randn(1, 8, 6, 6, generator=torch.Generator().manual_seed(0))
    for stride, outputs, adds in [(1, 8, True), (1, 16, False), (2, 8, False)]:
        block = InvertedResidual(8, outputs, stride, expansion=6).eval()
        torch.nn.init.zeros_(block.conv[-2].weight)  # the branch now gives the last norm's shift: zero
        with torch.no_grad():
            assert torch.equal(block(x), x if adds else torch.zeros_like(block(x)))
