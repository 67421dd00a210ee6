"""How far a measured accuracy can be trusted: 95 % intervals.

Of one network the interval is Wilson's for a share of test images (E. B. Wilson, JASA 22, 1927, pages 209 to 212; L. D.
Brown, T. T. Cai and A. DasGupta, Statistical Science 16, 2001, recommend it). It says nothing of another training.
Of several, Student's t over the runs (Student, Biometrika 6, 1908), which are independent where seeds and splits
differ; it is wide for few runs, and never taken to be narrower than Wilson's on the images of one.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Final

CONFIDENCE: Final = 0.95


def interval(top1: Sequence[float], samples: int) -> tuple[float, float]:
    """The interval, in percent, of the mean of the runs' accuracies ``top1`` (percent), each of ``samples`` images."""
    mean = statistics.fmean(top1)
    low, high = wilson(mean / 100, samples)
    low, high = 100 * low, 100 * high
    if len(top1) == 1:
        return low, high
    from scipy.special import stdtrit

    quantile = float(stdtrit(len(top1) - 1, (1 + CONFIDENCE) / 2))
    half = quantile * statistics.stdev(top1) / math.sqrt(len(top1))
    return max(0.0, min(low, mean - half)), min(100.0, max(high, mean + half))


def wilson(share: float, samples: int) -> tuple[float, float]:
    """Wilson's score interval of a ``share`` of ``samples``, both ends from 0 to 1."""
    z = statistics.NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    weight = 1 + z * z / samples
    middle = (share + z * z / (2 * samples)) / weight
    half = z / weight * math.sqrt(share * (1 - share) / samples + z * z / (4 * samples * samples))
    return max(0.0, middle - half), min(1.0, middle + half)
