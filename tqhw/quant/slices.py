"""The parts of a weight that have a scale each: the whole tensor, its output channels, or groups inside of these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch

from tqhw.errors import TqhwError


@dataclass(frozen=True)
class Slices:
    """``axis``: that of the output channels, None for the whole tensor. ``group``: so many neighbours within a channel.

    A scale is stored as a number for a tensor, in a shape that broadcasts for channels, (channels, groups) for groups.
    """

    axis: int | None = None
    group: int | None = None

    def check(self, shape: torch.Size, place: str | None = None) -> None:
        """Refuses an axis that is not there, and groups that do not divide a channel's weights."""
        if self.axis is not None and not 0 <= self.axis < len(shape):
            raise TqhwError(
                f"axis {self.axis} is not one of the {len(shape)} of the weight", place=place or "channel_axis"
            )
        if self.group is None:
            return
        row = shape.numel() // shape[self.axis or 0]
        if self.group < 1 or row % self.group:
            fitting = max(size for size in range(1, min(row, max(1, self.group)) + 1) if row % size == 0)
            raise TqhwError(
                f"the {row} weights of an output channel are no whole number of groups of {self.group}",
                place=place or "group",
                lever=f"use groups of {fitting}, granularity: channel, or keep the layer full",
            )

    def rows(self, weight: torch.Tensor) -> torch.Tensor:
        """``weight`` as (slices, numbers of each)."""
        if self.axis is None:
            return weight.reshape(1, -1)
        moved = weight.movedim(self.axis, 0)
        return moved.reshape(-1, self.group) if self.group is not None else moved.reshape(moved.shape[0], -1)

    def stored(self, column: torch.Tensor, shape: torch.Size) -> torch.Tensor:
        """A number for each slice, (slices, 1), in the shape that it is stored in."""
        if self.axis is None:
            return column.reshape(())
        if self.group is not None:
            return column.reshape(shape[self.axis], -1)
        return column.reshape([shape[self.axis] if axis == self.axis else 1 for axis in range(len(shape))])

    def spread(self, stored: torch.Tensor, shape: torch.Size) -> torch.Tensor:
        """What is stored for each slice, in a shape that broadcasts to that of the weight."""
        if self.group is None or self.axis is None:
            return stored
        moved = [shape[self.axis], *(size for axis, size in enumerate(shape) if axis != self.axis)]
        return stored.repeat_interleave(self.group, dim=1).reshape(moved).movedim(0, self.axis)


WHOLE: Final = Slices()
"""One scale for the tensor."""
