"""What Accelergy's plug-ins make of the attribute ``technology``; each reads it in its own way.

Source: the plug-ins' code, at the commits of data/README.md. Nodes in nm.
"""

from __future__ import annotations

import re
from typing import Any

LEAST_NM, MOST_NM = 7, 180
"""The nodes between which the rules were checked against Accelergy, which itself goes on beyond them."""


def library_nm(technology: Any) -> float | None:
    """The node that the Library scales to; None: not at all (no technology, or the entries' own text "40nm").

    The number 40 and the text "40" are scaled from 40 to 40 nm, which its area rule does not leave alone. Raises
    ValueError where the Library refuses, and outside of 7 to 180 nm.
    """
    if technology is None or str(technology).lower() == "40nm":
        return None
    return _in_range(float(re.sub(r"^[^0-9eE\-+.]+|[^0-9eE\-+.]+$", "", str(technology))))


def cacti_nm(technology: Any) -> int:
    """The node of an SRAM: a whole number, or a text that ends in nm. Raises ValueError for all else."""
    if isinstance(technology, str):
        if not technology.endswith("nm"):
            raise ValueError(technology)
        node = int(technology[:-2])
    elif isinstance(technology, int | float) and int(technology) == technology:
        node = int(technology)
    else:
        raise ValueError(technology)
    return int(_in_range(node))


def is_aladdin(technology: Any) -> bool:
    """Whether the Aladdin plug-in answers; its 40 nm numbers serve 45 nm too."""
    return not isinstance(technology, bool) and technology in (40, "40", "40nm", 45, "45", "45nm")


def neurosim_nm(technology: Any) -> int:
    """The node of NeuroSim's units, 7 to 130 nm; fractions are cut off. Raises ValueError outside."""
    text = "".join(c for c in technology if c.isdigit() or c == ".") if isinstance(technology, str) else technology
    node = int(text)
    if not 7 <= node <= 130:
        raise ValueError(technology)
    return node


def _in_range(node: float) -> float:
    if not LEAST_NM <= node <= MOST_NM:
        raise ValueError(node)
    return node
