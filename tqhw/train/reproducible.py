"""Same seed, same weights: fixed threads and random numbers for the length of a run, then as they were."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def reproducible(seed: int, threads: int) -> Iterator[None]:
    """Seeds torch and fixes its CPU threads inside.

    How many threads share a convolution decides the order of its sums, and with it their last bits; the
    number of cores does not, so results agree between machines that compute alike.
    """
    before = torch.get_num_threads()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)
