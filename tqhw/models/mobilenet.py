"""MobileNetV2 (Sandler et al., CVPR 2018) at width 1, with torchvision's parameter names and shapes."""

from __future__ import annotations

from torch import Tensor, nn

from tqhw.models.resnet import initialize

# Table 2 of the paper: expansion of the hidden channels, output channels, blocks, stride of the first block.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def conv_norm_relu(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution, batch norm and ReLU6; ``groups == inputs`` makes it depthwise."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(inplace=True),
    )


class InvertedResidual(nn.Module):
    """Widen by 1x1, filter depthwise by 3x3, narrow by 1x1; add the input where it fits."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        widen = [conv_norm_relu(inputs, hidden, 1)] if expansion != 1 else []
        self.residual = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            *widen,
            conv_norm_relu(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x)
        return x + out if self.residual else out


class MobileNetV2(nn.Module):
    """Takes ``[N, in_channels, H, W]``, gives logits ``[N, num_classes]``."""

    def __init__(self, *, in_channels: int = 3, num_classes: int = 1000) -> None:
        super().__init__()
        blocks: list[nn.Module] = [conv_norm_relu(in_channels, 32, 3, stride=2)]
        inputs = 32
        for expansion, outputs, depth, first_stride in STAGES:
            for index in range(depth):
                stride = first_stride if index == 0 else 1
                blocks.append(InvertedResidual(inputs, outputs, stride, expansion))
                inputs = outputs
        self.features = nn.Sequential(*blocks, conv_norm_relu(inputs, 1280, 1))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, num_classes))
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(x).mean((2, 3)))
        return logits


def mobilenet_v2(*, in_channels: int = 3, num_classes: int = 1000) -> MobileNetV2:
    """MobileNetV2: 3,504,872 parameters, 0.30 G multiply-accumulates at 224x224."""
    return MobileNetV2(in_channels=in_channels, num_classes=num_classes)
