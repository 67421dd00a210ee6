"""ResNets of other depths for the studies: 8, 14 and 20 layers, by one to three blocks per stage."""

from __future__ import annotations

from torch import nn

from tqhw.models.resnet import BasicBlock, conv, initialize, stage


def _resnet(blocks: int, in_channels: int) -> nn.Module:
    width = 16
    model = nn.Sequential(
        conv(in_channels, width, 3),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        stage(BasicBlock, width, width, blocks),
        stage(BasicBlock, width, 2 * width, blocks, stride=2),
        stage(BasicBlock, 2 * width, 4 * width, blocks, stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4 * width, 10),
    )
    initialize(model)
    return model


def resnet8(in_channels: int = 1) -> nn.Module:
    return _resnet(1, in_channels)


def resnet14(in_channels: int = 1) -> nn.Module:
    return _resnet(2, in_channels)


def resnet20(in_channels: int = 1) -> nn.Module:
    return _resnet(3, in_channels)
