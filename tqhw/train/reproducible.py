"""Same seed, same weights: fixed threads and random numbers for the length of a run, then as they were."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from tqhw.errors import TqhwError


def usable(device: str) -> torch.device:
    """The device of that name; a TqhwError for a GPU where torch finds none."""
    if device == "cuda" and not torch.cuda.is_available():
        raise TqhwError("torch finds no CUDA device here", place="device", lever="use device: cpu")
    return torch.device(device)


@contextmanager
def reproducible(seed: int, threads: int, random: Sequence[torch.Tensor] = ()) -> Iterator[None]:
    """Seeds torch and fixes its CPU threads inside. ``random``: states to go on from, of :func:`random_states`.

    How many threads share a convolution decides the order of its sums, and with it their last bits; the
    number of cores does not, so results agree between machines that compute alike.
    """
    before = torch.get_num_threads()
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        if random:
            torch.set_rng_state(random[0].cpu())
        if random[1:] and devices:
            torch.cuda.set_rng_state(random[1].cpu())
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def random_states() -> tuple[torch.Tensor, ...]:
    """The states of torch's generators, of the CPU and of the GPU where there is one."""
    states = [torch.get_rng_state()]
    return (*states, torch.cuda.get_rng_state()) if torch.cuda.is_available() else tuple(states)
