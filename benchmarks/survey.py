"""Which searches are proved, in how many CPU seconds, and what is left open where the budget ends:

    python -m benchmarks.survey [--out survey.jsonl] [--architecture NAME ...] [--network NAME ...]
        [--objective energy ...] [--budget 60] [--every 1] [--table]

Every layer of the networks on every architecture for every objective, each in a forked process, one at a time. The
budget is of CPU seconds, so that other work on the machine changes nothing but the wait; MiB are what the process grew
by. Answers are appended to a file as they come, and a later call goes on where an earlier one was stopped; --every N
takes each N-th layer, --table only prints what is there. NAME+bits (weight_stationary+2) gives the shared memories
words of so many bits for weights, 8 for inputs and 16 for outputs.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.mapper import REFERENCE, ROOT
from tqhw.engine import build_model
from tqhw.mapper import build_mapspace
from tqhw.mapper.branch import incumbent
from tqhw.mapper.branch import solve as solving
from tqhw.objectives import OBJECTIVES
from tqhw.spec import (
    CONV2D,
    ERT,
    Hardware,
    Problem,
    flatten,
    load_architecture,
    load_ert,
    load_problem,
    make_problem,
)
from tqhw.spec.word_bits import apply_word_bits, parse_word_bits

ARCHITECTURES = (
    *("eyeriss_like", "eyeriss_split_w2a8", "eyeriss_split_w6a8", "eyeriss_split_w8a8", "eyeriss_like_free"),
    *("simba_like", "weight_stationary", "eyeriss_like_free+2", "weight_stationary+2"),
)
NETWORKS = ("resnet18", "resnet50", "mobilenet_v2", "resnet20", "resnet8", "transformer")
WIDE, HEADS, PROMPT = 4096, 32, 2048  # of the transformer block: features, heads, tokens before the next one


def transformer() -> Iterator[Problem]:
    """The products of one block, for a prompt at once (prefill) and for one token after it (decode).

    As convolutions, which constrained architectures take too: M x C weights, a column P per token, a group per head.
    """
    linear = {
        "qkv": (3 * WIDE, WIDE, 1),
        "out": (WIDE, WIDE, 1),
        "up": (4 * WIDE, WIDE, 1),
        "down": (WIDE, 4 * WIDE, 1),
    }
    attention = {"scores": (PROMPT, WIDE // HEADS, HEADS), "values": (WIDE // HEADS, PROMPT, HEADS)}
    for step, tokens in (("prefill", PROMPT), ("decode", 1)):
        for name, (m, c, groups) in (linear | attention).items():
            sizes = {"M": m, "C": c, "P": tokens, "G": groups}
            yield make_problem(CONV2D, {**dict.fromkeys(CONV2D.dimensions, 1), **sizes}, f"{step}_{name}")


def layers(network: str) -> list[Problem]:
    """The distinct layers of a network."""
    if network == "transformer":
        return list(transformer())
    return [load_problem(path) for path in sorted((ROOT / "workloads" / network).glob("*.yaml"))]


def machine(name: str, problem: Problem) -> tuple[Hardware, ERT]:
    """An architecture of the reference, with words of other widths after a plus sign."""
    name, _, bits = name.partition("+")
    hardware = flatten(load_architecture(REFERENCE / "arch" / f"{name}.yaml"))
    if bits:
        words = parse_word_bits(f"Weights={bits},Inputs=8,Outputs=16", "pack")
        hardware = apply_word_bits(hardware, words, problem.shape.data_space_names)
    return hardware, load_ert(REFERENCE / "ert" / f"{name}.ERT.yaml")


def load_kernels(architecture: str, objectives: Sequence[str]) -> None:
    """Searches next to nothing, for kernels that forked processes have then."""
    small = make_problem(CONV2D, {**dict.fromkeys(CONV2D.dimensions, 1), "C": 2, "M": 2})
    hardware, ert = machine(architecture, small)
    for objective in objectives:
        solving.solve(build_mapspace(small, hardware), build_model(small, hardware, ert), objective)


def searched(architecture: str, problem: Problem, objective: str, budget_s: float) -> dict[str, Any]:
    """What one search found, in a process of its own."""
    hardware, ert = machine(architecture, problem)
    cpu = SimpleNamespace(perf_counter=time.process_time)
    incumbent.time = cpu  # type: ignore[assignment] - the budget is of CPU seconds
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    space = build_mapspace(problem, hardware)
    found = solving.solve(space, build_model(problem, hardware, ert), objective, incumbent.Clock(budget_s))
    return {
        "space": float(space.size),
        "value": found.value,
        "bound": found.lower_bound,
        "proved": found.proved,
        "nodes": found.nodes,
        "seconds": time.process_time() - start,
        "mib": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024,
    }


def survey(options: argparse.Namespace) -> None:
    """Appends what the file lacks."""
    known = {key_of(row) for row in read(options.out)}
    tasks = [
        (architecture, network, problem, objective)
        for architecture in options.architecture
        for network in options.network
        for problem in layers(network)[:: options.every]
        for objective in options.objective
    ]
    if tasks:
        load_kernels(options.architecture[0], options.objective)
    for architecture, network, problem, objective in tasks:
        row = {"architecture": architecture, "network": network, "layer": problem.name, "objective": objective}
        if (*row.values(), options.budget) in known:
            continue
        with multiprocessing.get_context("fork").Pool(1) as pool:
            row |= {"budget": options.budget}
            row |= pool.apply(searched, (architecture, problem, objective, options.budget))
        with options.out.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(line_of(row), flush=True)


def key_of(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["architecture"], row["network"], row["layer"], row["objective"], row["budget"]


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def gap_of(row: dict[str, Any]) -> float:
    return 0.0 if row["proved"] else 1.0 - float(row["bound"]) / float(row["value"])


def line_of(row: dict[str, Any]) -> str:
    """One search as a line."""
    place = f"{row['architecture']:22}{row['objective']:9}{row['layer']:32}"
    proof = "proved" if row["proved"] else f"{gap_of(row):.2%}"
    return f"{place}{row['space']:9.1e}{row['value']:15.8g}{proof:>9}{row['seconds']:8.2f} s{row['mib']:6.0f} MiB"


def table(rows: list[dict[str, Any]]) -> None:
    """One line for every architecture, network and objective."""
    groups = defaultdict(list)
    for row in rows:
        groups[row["architecture"], row["network"], row["objective"], row["budget"]].append(row)
    print(f"\n{'architecture':22}{'network':14}{'objective':10}{'proved':>9}{'budget':>7}", end="")
    print(f"{'median s':>10}{'worst s':>9}{'worst gap':>11}{'MiB':>6}")
    for (architecture, network, objective, budget), found in groups.items():
        seconds = sorted(row["seconds"] for row in found)
        proved = f"{sum(row['proved'] for row in found)}/{len(found)}"
        print(f"{architecture:22}{network:14}{objective:10}{proved:>9}{budget:7.0f}", end="")
        print(f"{seconds[len(seconds) // 2]:10.2f}{seconds[-1]:9.2f}", end="")
        print(f"{max(map(gap_of, found)):11.2%}{max(row['mib'] for row in found):6.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("survey.jsonl"))
    parser.add_argument("--architecture", nargs="*", default=ARCHITECTURES)
    parser.add_argument("--network", nargs="*", default=NETWORKS, choices=NETWORKS)
    parser.add_argument("--objective", nargs="*", default=list(OBJECTIVES))
    parser.add_argument("--budget", type=float, default=60.0)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--table", action="store_true", help="search nothing")
    options = parser.parse_args()
    if not options.table:
        survey(options)
    table(read(options.out))


if __name__ == "__main__":
    main()
