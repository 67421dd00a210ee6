"""Several processes under torchrun: who they are, how they share batch norms, and what one's death means."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final

import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel
from torch.overrides import TorchFunctionMode

from tqhw.errors import TqhwError
from tqhw.quant import SwitchableBatchNorm
from tqhw.train.reproducible import usable

_AGAIN: Final = "start the run again with --resume; the last checkpoint is whole"


@dataclass(frozen=True)
class Team:
    """This process among those of the run: ``rank`` of ``size``."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def wrap(self, model: nn.Module) -> nn.Module:
        """The module to run forward; its gradients are averaged over the processes in every backward pass.

        A precision leaves the batch norms of the others without gradients, which DDP has to look for.
        """
        if self.size == 1:
            return model
        unused = any(isinstance(module, SwitchableBatchNorm) for module in model.modules())
        return DistributedDataParallel(model, find_unused_parameters=unused)

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Element-wise sum of ``values`` over the processes."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def wait(self) -> None:
        """Until every process is here."""
        if self.size > 1:
            with losing_nobody(self):
                dist.barrier()


def team() -> Team:
    """The processes of this run: one, unless :func:`joined` is in effect."""
    if dist.is_available() and dist.is_initialized():
        return Team(dist.get_rank(), dist.get_world_size())
    return Team()


@contextmanager
def joined(device: str) -> Iterator[Team]:
    """Joins the processes that torchrun started (it sets WORLD_SIZE), by gloo on CPUs and nccl on GPUs.

    Inside, being stopped by torchrun, as it does with the others when one process dies, raises TqhwError.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Team()
        return
    if usable(device).type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if device == "cuda" else "gloo")
    before = signal.signal(signal.SIGTERM, _stopped)
    try:
        yield team()
    finally:
        try:
            # DDP's modules are in reference cycles. As long as one lives, so do gloo's threads, and one that looks for
            # Python while the interpreter ends aborts the process.
            gc.collect()
            dist.destroy_process_group()
        finally:
            signal.signal(signal.SIGTERM, before)


def _stopped(number: int, frame: FrameType | None) -> None:
    members = team()
    raise TqhwError(
        f"was stopped: another of the {members.size} processes was lost, or the run was cancelled",
        place=f"process {members.rank}",
        lever=_AGAIN,
    )


@contextmanager
def losing_nobody(members: Team) -> Iterator[None]:
    """Turns the error that torch raises when another process has died into a message."""
    try:
        yield
    except RuntimeError as error:
        text = str(error)
        if members.size > 1 and any(sign in text for sign in ("onnection", "gloo", "NCCL", "peer")):
            raise TqhwError(
                f"another of the {members.size} processes was lost: {text.splitlines()[0]}",
                place=f"process {members.rank}",
                lever=_AGAIN,
            ) from error
        raise


class SharedStatistics(TorchFunctionMode):
    """Inside, batch norms in training take means and variances over the batches of all processes.

    torch's SyncBatchNorm does so on GPUs only; this works with gloo, and on switchable norms.
    """

    def __init__(self, members: Team) -> None:
        super().__init__()
        self.members = members

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is functional.batch_norm and self.members.size > 1:
            return _batch_norm(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _batch_norm(
    x: torch.Tensor,
    running_mean: torch.Tensor | None,
    running_var: torch.Tensor | None,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> torch.Tensor:
    if not training:
        return functional.batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
    narrow, x = x.dtype, x if x.dtype == torch.float64 else x.float()  # bfloat16 would lose the small terms of sums
    axes = [0, *range(2, x.ndim)]
    shape = [1, -1] + [1] * (x.ndim - 2)
    count = x.numel() // x.shape[1] * dist.get_world_size()
    mean: torch.Tensor = _Sum.apply(x.sum(axes)) / count  # type: ignore[no-untyped-call]
    centred = x - mean.view(shape)
    variance: torch.Tensor = _Sum.apply(centred.square().sum(axes)) / count  # type: ignore[no-untyped-call]
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(mean, momentum)
            running_var.lerp_(variance * count / (count - 1), momentum)
    result = centred * torch.rsqrt(variance + eps).view(shape)
    if weight is not None and bias is not None:
        result = result * weight.view(shape) + bias.view(shape)
    return result.to(narrow)


class _Sum(torch.autograd.Function):
    """The sum over the processes; so is its gradient."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor) -> torch.Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
        total = grads[0].clone()
        dist.all_reduce(total)
        return total
