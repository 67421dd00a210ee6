"""ResNet-20, the small residual network for 32x32 pictures (He et al., CVPR 2016, section 4.2).

Shortcuts that change the shape are 1x1 convolutions, as in the larger networks; the original padded with
zeros.
"""

from __future__ import annotations

from torch import Tensor, nn

from tqhw.models.resnet import BasicBlock, conv, initialize, stage


class ResNet20(nn.Module):
    """A 3x3 stem, three stages of ``blocks`` blocks with 16, 32 and 64 times ``expansion`` channels, a classifier.

    Takes ``[N, in_channels, H, W]`` (32x32 in the paper, smaller ones work too), gives ``[N, num_classes]``.
    """

    def __init__(self, *, expansion: int = 1, in_channels: int = 3, num_classes: int = 10, blocks: int = 3) -> None:
        super().__init__()
        width = 16 * expansion
        self.conv1 = conv(in_channels, width, 3)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = stage(BasicBlock, width, width, blocks)
        self.layer2 = stage(BasicBlock, width, 2 * width, blocks, stride=2)
        self.layer3 = stage(BasicBlock, 2 * width, 4 * width, blocks, stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(4 * width, num_classes)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.fc(self.avgpool(x).flatten(1))
        return logits


def resnet20(*, expansion: int = 1, in_channels: int = 3, num_classes: int = 10) -> ResNet20:
    """ResNet-20; ``expansion`` multiplies every width (the paper uses 1, and 5 for its wider network)."""
    return ResNet20(expansion=expansion, in_channels=in_channels, num_classes=num_classes)


def resnet8(*, expansion: int = 1, in_channels: int = 3, num_classes: int = 10) -> ResNet20:
    """The same with one block per stage, six layers and the shortcuts' two between stem and classifier.

    The network of MLPerf Tiny's image classification (Banbury et al., NeurIPS 2021) is of this kind.
    """
    return ResNet20(expansion=expansion, in_channels=in_channels, num_classes=num_classes, blocks=1)
