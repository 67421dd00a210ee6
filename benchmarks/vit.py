"""A small vision transformer (Dosovitskiy et al., ICLR 2021), whose attention is made of linear layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Attention(nn.Module):
    """Multi-head self-attention of ``[N, tokens, width]``, whose two projections are linear layers."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, width = x.shape
        q, k, v = self.qkv(x).reshape(n, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v)
        answer: Tensor = self.proj(mixed.transpose(1, 2).reshape(n, tokens, width))
        return answer


class Block(nn.Module):
    """Attention and a perceptron twice as wide, each behind a layer norm and beside a shortcut."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 2 * width)
        self.fc2 = nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        answer: Tensor = x + self.fc2(functional.gelu(self.fc1(self.norm2(x))))
        return answer


class VisionTransformer(nn.Module):
    """Takes ``[N, in_channels, size, size]``, gives logits ``[N, num_classes]`` of the mean over patches."""

    def __init__(
        self,
        *,
        size: int = 14,
        patch: int = 2,
        in_channels: int = 1,
        num_classes: int = 10,
        width: int = 64,
        depth: int = 4,
        heads: int = 4,
    ) -> None:
        super().__init__()
        self.patches = nn.Conv2d(in_channels, width, patch, stride=patch)
        self.positions = nn.Parameter(0.02 * torch.randn(1, (size // patch) ** 2, width))
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2) + self.positions
        logits: Tensor = self.head(self.norm(self.blocks(x)).mean(dim=1))
        return logits


def vit(**options: int) -> nn.Module:
    """The network of an experiment: ``model: {name: "benchmarks.vit:vit", options: {size: 14}}``."""
    return VisionTransformer(**options)
