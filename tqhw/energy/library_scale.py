"""How Accelergy's Library plug-in scales its 40 nm entries to other technology nodes.

The constants are those of Stillmaker and Baas, Integration 58 (2017), doi 10.1016/j.vlsi.2017.02.002, as the plug-in
(commit ba4e9da) holds them. Its interpolation between nodes counts from the wrong end, so that energies are not
monotone in the node: 22 nm costs more than 28 nm. tqhw gives Accelergy's numbers.
"""

from __future__ import annotations

import math

ENTRY_NM = 40.0
NODES = (130, 90, 65, 45, 32, 20, 16, 14, 10, 7)
_VOLT = 0.8  # no attribute changes it
_AREA = (  # area at a column's node over that at a row's
    (1, 0.44, 0.23, 0.16, 0.072, 0.033, 0.03, 0.027, 0.016, 0.0092),
    (2.3, 1, 0.53, 0.35, 0.16, 0.075, 0.067, 0.061, 0.036, 0.021),
    (4.3, 1.9, 1, 0.66, 0.31, 0.14, 0.13, 0.12, 0.068, 0.039),
    (6.4, 2.8, 1.5, 1, 0.46, 0.21, 0.19, 0.17, 0.1, 0.059),
    (14, 6.1, 3.3, 2.2, 1, 0.46, 0.41, 0.38, 0.22, 0.13),
    (30, 13, 7.1, 4.7, 2.2, 1, 0.89, 0.82, 0.48, 0.28),
    (34, 15, 7.9, 5.3, 2.4, 1.1, 1, 0.91, 0.54, 0.31),
    (37, 16, 8.7, 5.8, 2.7, 1.2, 1.1, 1, 0.59, 0.34),
    (63, 28, 15, 9.8, 4.5, 2.1, 1.9, 1.7, 1, 0.58),
    (110, 48, 25, 17, 7.8, 3.6, 3.2, 2.9, 1.7, 1),
)
_ENERGY = (  # a, b, c of a V^2 + b V + c
    (7.171, -6.709, 2.904),
    (4.762, -4.781, 2.092),
    (3.755, -4.398, 1.975),
    (1.103, -0.362, 0.2767),
    (0.9559, -0.7823, 0.471),
    (0.373, -0.1582, 0.04104),
    (0.2958, -0.1241, 0.03024),
    (0.2363, -0.09675, 0.02239),
    (0.2068, -0.09311, 0.02375),
    (0.1776, -0.09097, 0.02447),
)


def energy_scale(node: float | None) -> float:
    """Energy and leakage at ``node`` (nm) over those at 40 nm; None: 1. Beyond the paper's nodes by a square root."""
    if node is None:
        return 1.0
    inside, beyond = _inside(node)
    return _energy(inside) / _energy(ENTRY_NM) * math.sqrt(beyond)


def area_scale(node: float | None) -> float:
    """Area at ``node`` (nm) over that at 40 nm, bilinear between the paper's nodes; None: 1. Linear beyond them."""
    if node is None:
        return 1.0
    inside, beyond = _inside(node)
    return beyond * sum(s * t * _AREA[i][j] for i, s in _shares(ENTRY_NM) for j, t in _shares(inside))


def _inside(node: float) -> tuple[float, float]:
    """The nearest node that the paper covers, and the factor that is left."""
    inside = min(max(node, NODES[-1]), NODES[0])
    return inside, node / inside


def _energy(node: float) -> float:
    return sum(share * (a * _VOLT**2 + b * _VOLT + c) for i, share in _shares(node) for a, b, c in (_ENERGY[i],))


def _shares(node: float) -> tuple[tuple[int, float], tuple[int, float]]:
    """The two nodes around ``node`` with their shares, which the plug-in counts from the wrong end."""
    for i, larger in enumerate(NODES):
        if node == larger:
            return (i, 1.0), (i, 0.0)
        if node > NODES[i + 1]:
            wrong = (node - NODES[i + 1]) / (larger - NODES[i + 1])
            return (i, 1 - wrong), (i + 1, wrong)
    raise ValueError(node)
