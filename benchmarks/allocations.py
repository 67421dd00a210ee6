"""Bits per layer beside the uniform precisions: ResNet-20 on digits, a network like MobileNetV2 on textures.

    python benchmarks/allocations.py [--networks resnet20 mobilenet] [--seeds 3] [--jobs 2] [--out OUT] [--page PAGE]

Runs `tqhw allocate` on them, with several seeds, and writes the page with its tables and verdicts; without --page it is
printed. The textures are those of benchmarks/textures.py. It goes on where it was stopped.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

import textures

from tqhw.allocation import AllocationAnswer
from tqhw.allocation.shown import table
from tqhw.experiment import load
from tqhw.pipeline.allocation import allocate
from tqhw.train.interval import simultaneous

RESNET20: Final = """\
name: resnet20-digits
model: {name: resnet20, options: {in_channels: 1}}
bits: [2, 4, 6, 8]
quantization: {first: null, last: null}
data: {name: digits, size: 8}
training: {epochs: 6, schemes: [truncquant]}
spad_models: [smartbuffer_rf]
"""
TITLES: Final = {"resnet20": "ResNet-20, digits", "mobilenet": "Like MobileNetV2, textures"}
HEAD: Final = """\
# Bits per layer

ResNet-20 on scikit-learn's digits (every layer switches), and a small network like MobileNetV2 on textures of our own
(`benchmarks/textures.py`; first and last layer at 8 bits), {seeds} seeds each. Allocations are chosen by an exact
program for a range of energies of a steady inference, with added losses measured on training pictures; accuracies are
measured on test pictures, on shifted integers ([how](../how-to/allocate-bits.md)). They are means with 95 % intervals
over seeds and test pictures; differences are between networks of one seed, on the same pictures.

Written by `python benchmarks/allocations.py --networks {networks} --seeds {seeds} --page docs/studies/allocations.md`,
which goes on where it was stopped.{missing}
"""
MISSING: Final = " Of the other network, {networks}, there is no table here yet: the command makes it."


def section(title: str, answer: AllocationAnswer) -> str:
    """Table and verdicts of a front, in Markdown."""
    shown = table(answer)
    heads = ("of", *shown.columns[1:])
    lines = [f"| {' | '.join(line)} |" for line in (heads, ["---"] * len(heads), *shown.rows)]
    verdicts = [f"- {line}" for line in answer.verdicts()]
    return "\n".join([f"## {title}\n", f"{shown.title}. {shown.note}\n", *lines, "", *verdicts, "", *_summed(answer)])


def _summed(answer: AllocationAnswer) -> list[str]:
    """In one sentence, how often a front was better."""
    found = answer.differences
    ours = sum(one.low > 0 for one in found.values())
    theirs = sum(one.high < 0 for one in found.values())
    told = f"Of {len(found)} uniform precisions it is shown to be better than {ours}, and to be worse than {theirs}"
    together = f": {simultaneous(len(found))}" if len(found) > 1 else ""
    return [f"{told}{together}.\n"]


def _experiment(name: str, folder: Path) -> Path:
    """Its file, written where it is not there yet, with the textures."""
    folder.mkdir(parents=True, exist_ok=True)
    if name == "resnet20":
        path = folder / "resnet20-digits.yaml"
        path.write_text(RESNET20, encoding="utf-8")
        return path
    path = folder / "textures" / "experiment.yaml"
    if not path.exists():
        textures.write(path.parent, train=300, test=125, noise=0.15, seed=0, epochs=30)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=TITLES, default=[*TITLES])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--points", type=int, default=12)
    parser.add_argument("--out", type=Path, default=Path("out/allocations"))
    parser.add_argument("--page", type=Path)
    given = parser.parse_args()
    left = [name for name in TITLES if name not in given.networks]
    missing = MISSING.format(networks=", ".join(left)) if left else ""
    text = [HEAD.format(seeds=given.seeds, networks=" ".join(given.networks), missing=missing)]
    for name in given.networks:
        chosen = load(_experiment(name, given.out), [f"training.seeds={given.seeds}"])
        out = given.out / f"{chosen.name}-allocated"
        text.append(section(TITLES[name], allocate(chosen, out, points=given.points, jobs=given.jobs, trust=True)))
    page = "\n".join(text)
    if given.page is None:
        print(page)
    else:
        given.page.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
