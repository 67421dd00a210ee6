"""What ResNet-50 takes to store, part by part, beside the ratio that the paper states.

    python benchmarks/storage.py [--model resnet50]

Counted by tqhw.quant.storage: 8-bit codes, FP32 for everything else. No file is written, no weight is trained.
"""

from __future__ import annotations

import argparse

from tqhw import models
from tqhw.quant import QuantConfig, Storage, convert, storage

PAPER = 3.53
EVERY = tuple(range(1, 9))
CASES = {
    "all layers, norms for 1 to 8 bits": QuantConfig(precisions=EVERY, first=None, last=None),
    "all layers, norms for 2, 4, 6, 8 bits": QuantConfig(precisions=(2, 4, 6, 8), first=None, last=None),
    "first and last layer FP32, norms for 1 to 8 bits": QuantConfig(precisions=EVERY),
    "a scale per channel, norms for 1 to 8 bits": QuantConfig(
        precisions=EVERY, first=None, last=None, granularity="channel"
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="resnet50")
    model = parser.parse_args().model
    found = {case: storage(convert(models.build(model), config)) for case, config in CASES.items()}
    parts = ("codes", "scales", "norms", "unquantized", "total", "fp32")
    print(f"{model + ', bytes':50}" + "".join(f"{part:>13}" for part in parts) + "   ratio")
    for case, counted in found.items():
        print(f"{case:50}{row(counted, parts)}{counted.ratio:8.3f}")
    if model == "resnet50":
        print(f"the paper states {PAPER}")


def row(counted: Storage, parts: tuple[str, ...]) -> str:
    return "".join(f"{getattr(counted, part):13,}" for part in parts)


if __name__ == "__main__":
    main()
