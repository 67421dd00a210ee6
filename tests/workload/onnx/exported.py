"""Networks as PyTorch exports them."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from tests.workload.nets import Call
from tqhw.models import build


def _encoder() -> nn.Module:
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, norm_first=True)
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    for parameter in encoder.parameters():  # copies of one layer would be one tensor in the file
        nn.init.normal_(parameter, std=0.1)
    return encoder


NETS: dict[str, tuple[nn.Module, Tensor]] = {
    "resnet20": (build("resnet20"), torch.randn(1, 3, 32, 32)),
    "mobilenet": (build("mobilenet_v2"), torch.randn(1, 3, 32, 32)),
    "lstm": (nn.LSTM(5, 7, 2, bidirectional=True), torch.randn(4, 1, 5)),
    "gru": (nn.GRU(5, 7, batch_first=True), torch.randn(3, 4, 5)),
    "rnn": (nn.RNN(5, 7), torch.randn(4, 2, 5)),
    "transposed": (
        nn.Sequential(nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2), nn.ReLU(), nn.Conv2d(6, 4, 3, dilation=2)),
        torch.randn(2, 4, 9, 9),
    ),
    "volume": (nn.Sequential(nn.Conv3d(4, 6, 3, stride=2), nn.ConvTranspose3d(6, 4, 3)), torch.randn(2, 4, 9, 9, 9)),
    "signal": (nn.Conv1d(4, 6, 3, stride=2, groups=2), torch.randn(2, 4, 9)),
    "linear": (nn.Linear(4, 6), torch.randn(2, 5, 4)),
    "encoder": (_encoder(), torch.randn(2, 5, 16)),
    "einsum": (
        Call(lambda m, x: torch.einsum("bshd,hde->bshe", x, m.w), w=nn.Parameter(torch.randn(3, 4, 5))),
        torch.randn(2, 7, 3, 4),
    ),
}


def export(net: nn.Module, example: Tensor, path: Path) -> Path:
    """By the exporter that needs nothing beside PyTorch and onnx."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net.eval(), (example,), str(path), dynamo=False, opset_version=17)
    return path
