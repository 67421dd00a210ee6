"""How far a measured accuracy can be trusted: 95 % intervals.

Of one network the interval is Wilson's for a share of test images (E. B. Wilson, JASA 22, 1927, pages 209 to 212; L. D.
Brown, T. T. Cai and A. DasGupta, Statistical Science 16, 2001, recommend it). It says nothing of another training.
Of several, Student's t over the runs (Student, Biometrika 6, 1908), which are independent where seeds and splits
differ; it is wide for few runs, and never taken to be narrower than Wilson's on the images of one. Metrics that are no
share of samples have the interval of what they would be on samples drawn anew (B. Efron, Annals of Statistics 7, 1979).
Of two networks on the same test images the interval is Wald's of the difference, as D. G. Bonett and R. M. Price adjust
it (Journal of Educational and Behavioral Statistics 37, 2012, pages 479 to 488): samples drawn anew are too sure of
four images that all speak for one of them. Where several differences are judged, their intervals are widened to hold
all together (O. J. Dunn, JASA 56, 1961, pages 52 to 64): :func:`each_of`.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import torch

CONFIDENCE: Final = 0.95
RESAMPLES: Final = 1000
_AT_ONCE: Final = 50


def interval(top1: Sequence[float], samples: int) -> tuple[float, float]:
    """The interval, in percent, of the mean of the runs' accuracies ``top1`` (percent), each of ``samples`` images."""
    mean = statistics.fmean(top1)
    low, high = wilson(mean / 100, samples)
    low, high = 100 * low, 100 * high
    if len(top1) == 1:
        return low, high
    half = student(top1)
    return max(0.0, min(low, mean - half)), min(100.0, max(high, mean + half))


def each_of(comparisons: int) -> float:
    """The confidence of each of several intervals that hold together with that of one (Bonferroni)."""
    return 1 - (1 - CONFIDENCE) / max(1, comparisons)


def simultaneous(comparisons: int) -> str:
    """What the intervals of several differences hold for, in words."""
    return (
        f"the intervals of the {comparisons} differences hold all together with 95 %: each has "
        f"{100 * each_of(comparisons):.4g} % (Bonferroni's)"
    )


def student(values: Sequence[float], confidence: float = CONFIDENCE) -> float:
    """Half the interval of the mean of several runs' values."""
    from scipy.special import stdtrit

    quantile = float(stdtrit(len(values) - 1, (1 + confidence) / 2))
    return quantile * statistics.stdev(values) / math.sqrt(len(values))


def paired(better: int, worse: int, samples: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The interval, from -1 to 1, of how much larger one network's share of right answers is than another's.

    Both are asked the same ``samples``, of which only the first has ``better`` right, and only the second ``worse``.
    """
    z = statistics.NormalDist().inv_cdf((1 + confidence) / 2)
    ours, theirs = (better + 1) / (samples + 2), (worse + 1) / (samples + 2)
    middle = ours - theirs
    half = z * math.sqrt((ours + theirs - middle * middle) / (samples + 2))
    return max(-1.0, middle - half), min(1.0, middle + half)


def bootstrap(
    rows: torch.Tensor, of: Callable[[torch.Tensor], torch.Tensor], confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """The interval of ``of`` the sums of ``rows`` (samples, k): percentiles over samples drawn anew, always alike.

    Draws beyond its ends are as many for every confidence.
    """
    drawn, count = np.random.default_rng(0), len(rows)
    resamples = round(RESAMPLES * (1 - CONFIDENCE) / (1 - confidence))
    found = []
    for start in range(0, resamples, _AT_ONCE):
        times = drawn.multinomial(count, np.full(count, 1 / count), min(_AT_ONCE, resamples - start))
        # einsum adds up in one order, whatever the number of threads
        found.append(of(torch.from_numpy(np.einsum("bn,nk->bk", times.astype(float), rows.double().numpy()))))
    values = torch.cat(found)
    values = values[torch.isfinite(values)]  # nothing that counts may have been drawn
    ends = torch.tensor([(1 - confidence) / 2, (1 + confidence) / 2], dtype=torch.float64)
    low, high = torch.quantile(values, ends).tolist()
    return low, high


def wilson(share: float, samples: int) -> tuple[float, float]:
    """Wilson's score interval of a ``share`` of ``samples``, both ends from 0 to 1."""
    z = statistics.NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    weight = 1 + z * z / samples
    middle = (share + z * z / (2 * samples)) / weight
    half = z / weight * math.sqrt(share * (1 - share) / samples + z * z / (4 * samples * samples))
    return max(0.0, middle - half), min(1.0, middle + half)
