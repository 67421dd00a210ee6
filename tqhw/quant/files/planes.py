"""Codes as bit planes: plane 0 holds the most significant bit of every code, so b planes are the b-bit codes.

Four 3-bit codes 5 0 7 2 = 101 000 111 010 make the planes 1010, 0011, 1010: each is packed into bytes, the
first code at the highest bit, and padded with zeros. The first two planes alone are 10 00 11 01 = 2 0 3 1, which
is every code shifted right by one.
"""

from __future__ import annotations

import numpy as np
import torch


def pack(codes: torch.Tensor, bits: int) -> list[torch.Tensor]:
    """``bits`` planes, most significant first, of uint8 codes (any shape); each has ceil(n / 8) bytes."""
    flat = codes.cpu().numpy().reshape(-1)
    return [torch.from_numpy(np.packbits(flat >> shift & 1)) for shift in range(bits - 1, -1, -1)]


def unpack(planes: list[torch.Tensor], count: int) -> torch.Tensor:
    """The ``count`` codes of as many bits as there are planes, flat, uint8. ValueError where they hold other codes."""
    if any(plane.numel() != (count + 7) // 8 for plane in planes):
        raise ValueError(f"{[plane.numel() for plane in planes]} bytes are no planes of {count} codes")
    codes = np.zeros(count, np.uint8)
    for plane in planes:
        codes <<= 1
        codes |= np.unpackbits(plane.numpy(), count=count)
    return torch.from_numpy(codes)
