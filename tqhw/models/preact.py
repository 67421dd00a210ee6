"""ResNet-20 of pre-activation blocks (He et al., ECCV 2016), as the published code of Any-Precision DNNs has it.

Norm and ReLU stand before each convolution; a block that halves the picture has a 1x1 convolution and a norm on its
shortcut, which reads what the block's first convolution reads.
"""

from __future__ import annotations

from torch import Tensor, nn

from tqhw.models.resnet import conv


class PreActivationBlock(nn.Module):
    """Norm, ReLU, 3x3 convolution, twice, and a shortcut: ``[N, inputs, H, W] -> [N, width, H/stride, W/stride]``."""

    def __init__(self, inputs: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm2d(inputs)
        self.conv0 = conv(inputs, width, 3, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv1 = conv(width, width, 3)
        self.relu = nn.ReLU(inplace=True)
        self.skip_conv = None if stride == 1 else conv(inputs, width, 1, stride)
        self.skip_bn = None if stride == 1 else nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn0(x))
        if self.skip_conv is not None and self.skip_bn is not None:
            x = self.skip_bn(self.skip_conv(out))
        answer: Tensor = self.conv1(self.relu(self.bn1(self.conv0(out)))) + x
        return answer


class PreActivationResNet(nn.Module):
    """A 3x3 stem, three stages of three blocks with 16, 32 and 64 times ``expansion`` channels, a norm, a classifier.

    Takes ``[N, in_channels, H, W]``, 32x32 say, gives ``[N, num_classes]``. Weights start as PyTorch has them.
    """

    def __init__(self, *, expansion: int = 5, in_channels: int = 3, num_classes: int = 10) -> None:
        super().__init__()
        width = 16 * expansion
        self.conv0 = conv(in_channels, width, 3)
        steps = [(width, width, 1)] * 3
        for wide in (width, 2 * width):
            steps += [(wide, 2 * wide, 2), (2 * wide, 2 * wide, 1), (2 * wide, 2 * wide, 1)]
        self.layers = nn.Sequential(*(PreActivationBlock(*step) for step in steps))
        self.bn = nn.BatchNorm2d(4 * width)
        self.fc = nn.Linear(4 * width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.bn(self.layers(self.conv0(x))).mean(dim=(2, 3)))
        return logits


def preact_resnet20(*, expansion: int = 5, in_channels: int = 3, num_classes: int = 10) -> PreActivationResNet:
    """Pre-activation ResNet-20: 6,758,810 parameters at the published width of 5."""
    return PreActivationResNet(expansion=expansion, in_channels=in_channels, num_classes=num_classes)
