"""Every accelerator of arch/ side by side: ``python benchmarks/gallery.py [PAGE]`` writes docs/studies/gallery.md.

One inference of ResNet-18 and one encoder layer of BERT-base at 128 tokens, with weights of 8, 4 and 2 bits and inputs
of 8: energy, cycles and area, of mappings with the least energy-delay product, each proved. Weights come out of DRAM.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tqhw import architecture
from tqhw.backends import Design, Found, Job, Search, Target, backend, with_word_bits
from tqhw.spec import Problem, load_problem
from tqhw.spec.word_bits import parse_word_bits
from tqhw.system.packaged import packaged
from tqhw.workload.problems import product

BITS = (8, 4, 2)
INPUT_BITS = 8
PAGE = Path(__file__).parents[1] / "docs" / "studies" / "gallery.md"
Network = list[tuple[Problem, int, bool]]  # problem, how often it occurs, whether its right-hand factor are weights


def resnet18() -> Network:
    folder = packaged("workloads") / "resnet18"
    layers = json.loads((folder / "summary.json").read_text())["layers"]
    return [(load_problem(folder / layer["file"]), layer["count"], True) for layer in layers]


def encoder(tokens: int = 128, width: int = 768, heads: int = 12, hidden: int = 3072) -> Network:
    """Query, key, value and output, the two layers behind them, and the two products of attention."""
    head = width // heads
    return [
        (product("projection", batch=1, rows=tokens, inner=width, columns=width), 4, True),
        (product("scores", batch=heads, rows=tokens, inner=head, columns=tokens), 1, False),
        (product("context", batch=heads, rows=tokens, inner=tokens, columns=head), 1, False),
        (product("up", batch=1, rows=tokens, inner=width, columns=hidden), 1, True),
        (product("down", batch=1, rows=tokens, inner=hidden, columns=width), 1, True),
    ]


def design(name: str, bits: int, problem: Problem) -> Design:
    """The accelerator with weights of ``bits``: by its parameter, or by words on the memories that it has."""
    if "weight_bits" in [parameter.name for parameter in architecture.parameters_of(name).parameters]:
        return Design.of(architecture.render(name, {"weight_bits": bits}))
    found = architecture.render(name)
    words = parse_word_bits({"Weights": bits, "Inputs": INPUT_BITS}, otherwise=found.word_bits)
    return with_word_bits(Design.of(found), words, problem.shape)


def costs(network: Network, name: str) -> tuple[list[tuple[float, int]], Target]:
    """(mJ, cycles) of the network at each of BITS, and the accelerator at the first of them."""
    engine = backend("embedded")
    targets = dict(zip(BITS, engine.targets([design(name, bits, network[0][0]) for bits in BITS]), strict=True))
    plan = [
        (targets[bits if weights else INPUT_BITS], problem, count)
        for bits in BITS
        for problem, count, weights in network
    ]
    jobs = [Job(target.design.problem(problem), target) for target, problem, _ in plan]
    answers = engine.search(jobs, Search("edp"))
    found = [answer for answer in answers if isinstance(answer, Found) and answer.proved_optimal]
    assert len(found) == len(plan), f"{name}: a layer has no proved mapping"
    rows = []
    for position in range(len(BITS)):
        part = slice(position * len(network), (position + 1) * len(network))
        pairs = [(answer.stats, count) for answer, (_, _, count) in zip(found[part], plan[part], strict=True)]
        energy = sum(stats.energy_pj * count for stats, count in pairs) / 1e9
        rows.append((energy, sum(stats.cycles * count for stats, count in pairs)))
    return rows, targets[BITS[0]]


def table(network: Network) -> list[str]:
    heads = [f"mJ, {bits} bits" for bits in BITS] + [f"kcycles, {bits} bits" for bits in BITS]
    lines = [f"| accelerator | {' | '.join(heads)} |", "| --- |" + " --- |" * len(heads)]
    for name in architecture.available():
        rows, _ = costs(network, name)
        cells = [f"{energy:.3f}" for energy, _ in rows] + [f"{cycles / 1e3:,.0f}" for _, cycles in rows]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return lines


def chips() -> list[str]:
    lines = ["| accelerator | node | cycle, ns | multipliers | mm^2 | of them memory |", "| --- |" + " --- |" * 5]
    for name in architecture.available():
        (target,) = backend("embedded").targets([design(name, BITS[0], resnet18()[0][0])])
        compute = target.hardware.compute
        areas = {part: area or 0.0 for part, area in target.areas_um2.items()}
        memory = sum(area for part, area in areas.items() if part != compute.name)
        node = compute.component.attributes["technology"]
        cycle = float(target.design.architecture.variables["global_cycle_seconds"]) * 1e9
        whole = sum(areas.values())
        lines.append(
            f"| `{name}` | {node} | {cycle:.3g} | {compute.instances:,} | {whole / 1e6:.2f} | {memory / whole:.0%} |"
        )
    return lines


def page() -> str:
    return "\n".join(
        [
            "# The gallery, side by side",
            "",
            "One inference with weights out of DRAM, weights of 8, 4 and 2 bits, inputs of 8: the mappings with the",
            "least energy-delay product, each proved. First and last layer are as narrow as the others.",
            "",
            "Written by `python benchmarks/gallery.py`.",
            "",
            "## ResNet-18, one picture of 224 x 224",
            "",
            *table(resnet18()),
            "",
            "## One encoder layer of BERT-base, 128 tokens",
            "",
            "The two products of attention have no weights and stay at 8 bits.",
            "",
            *table(encoder()),
            "",
            "## The chips",
            "",
            "As drawn for weights of 8 bits; DRAM is off the chip.",
            "",
            *chips(),
            "",
            "## How to read it",
            "",
            "* Rows are not a contest: nodes, sizes and cycle times are those of the originals. Compare a row with",
            "  itself.",
            "* Where arithmetic follows the precision, cycles do: `bit_serial` and `bit_fusion_like`. Elsewhere narrow",
            "  weights save energy, and cycles only where memories were what they waited for.",
            "* Parameters of some chips narrow registers and multipliers with the weights (`eyeriss_like`,",
            "  `weight_stationary`); the area is that of the chip that serves all three precisions.",
            "",
        ]
    )


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else PAGE).write_text(page(), encoding="utf-8")
