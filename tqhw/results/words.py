"""What a row of accuracies is called, in every table, figure and page: how it was trained, then how it is inferred."""

from __future__ import annotations

from typing import Final

TRAINED: Final = {
    "truncquant": "TruncQuant",
    "dorefa": "Ordinary QAT",
    "any_precision": "Any-Precision",
    "single": "Single",
    "post_training": "Post-training",
    "fp32": "FP32",
}
"""Training methods. The paper's table calls ordinary quantization-aware training ``Quant``."""
INFERRED: Final = {"shifted": "truncated", "requantized": "re-quantized"}
"""How a network comes to fewer bits. The paper's table calls it ``Trunc`` and ``Quant``."""
FULL: Final = "full"
FP32: Final = TRAINED["fp32"]
VERIFIED: Final = "*"
VERIFIED_NOTE: Final = f"{VERIFIED} the shifted integers are the quantizer's own and the logits equal, bit for bit"


def series(trained: str, inferred: str) -> str:
    """The name of a row; ``trained``: a method, or its own label.

    >>> series("dorefa", "shifted")
    'Ordinary QAT, truncated'
    """
    if inferred == FULL:
        return FP32
    return f"{TRAINED.get(trained, trained)}, {INFERRED.get(inferred, inferred)}"


def marked(text: str, verified: bool) -> str:
    """A number with the mark of what was verified."""
    return f"{text} {VERIFIED}" if verified else text
