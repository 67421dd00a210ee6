"""``python -m tests.fuzz --seconds 600 --seed 1 [--kind NAME]... [--keep DIR]``: the long run.

Inputs are read in a process that may die; then the next one goes on behind what it was reading. Prints the counts by
verdict and every failure once, with the input in DIR. Exit code 1 where there was a failure.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from random import Random

from tests.fuzz.kind import DEAD, RAW, REFUSED, SLOW, TAKEN, Kind, Outcome, outcome, put
from tests.fuzz.kinds import kinds

ROUND = 200
PATIENCE_S = 60
MEMORY = 6 << 30


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", action="append", choices=list(kinds()))
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "tqhw-fuzz")
    given = parser.parse_args()
    chosen = [kinds()[name] for name in given.kind or kinds()]
    counts: dict[str, Counter[str]] = {kind.name: Counter() for kind in chosen}
    failures: dict[str, int] = {}
    seeds = {kind.name: kind.seeds() for kind in chosen}
    warnings.simplefilter("error")
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="tqhw-fuzz-cache-")
    end = time.monotonic() + given.seconds
    turn = 0
    while time.monotonic() < end:
        for kind in chosen:
            if time.monotonic() >= end:
                break
            first = turn * ROUND
            while first < (turn + 1) * ROUND:
                first = _round(kind, seeds[kind.name], given, range(first, (turn + 1) * ROUND), counts, failures)
        turn += 1
    _tell(counts, failures)
    return 1 if failures else 0


def _input(kind: Kind, seeds: list[dict[str, bytes]], seed: int, number: int) -> dict[str, bytes]:
    return kind.mutant(seeds, Random(f"{seed}/{kind.name}/{number}"))


def _round(
    kind: Kind,
    seeds: list[dict[str, bytes]],
    given: argparse.Namespace,
    numbers: range,
    counts: dict[str, Counter[str]],
    failures: dict[str, int],
) -> int:
    """Reads the inputs of these numbers in a process of their own; returns the number to go on with."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _child(kind, seeds, given.seed, numbers, writing)
    os.close(writing)
    done = numbers.start
    with os.fdopen(reading, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            verdict, _, told = line.rstrip("\n").partition("\t")
            _count(kind, Outcome(verdict, told.replace("\\n", "\n")), seeds, given, done, counts, failures)
            done += 1
    _, status = os.waitpid(child, 0)
    if done < numbers.stop:
        slow = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM
        ended = Outcome(SLOW if slow else DEAD, f"{SLOW if slow else DEAD} (status {status})")
        _count(kind, ended, seeds, given, done, counts, failures)
        done += 1
    return done


def _child(kind: Kind, seeds: list[dict[str, bytes]], seed: int, numbers: range, writing: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    with tempfile.TemporaryDirectory(prefix="tqhw-fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as top:
        for number in numbers:
            signal.alarm(PATIENCE_S)
            with tempfile.TemporaryDirectory(dir=top) as folder:
                put(_input(kind, seeds, seed, number), Path(folder))
                found = outcome(kind, Path(folder))
            told = found.told.replace("\n", "\\n") if found.verdict == RAW else ""
            os.write(writing, f"{found.verdict}\t{told}\n".encode("utf-8", errors="backslashreplace"))
    os._exit(0)


def _count(
    kind: Kind,
    found: Outcome,
    seeds: list[dict[str, bytes]],
    given: argparse.Namespace,
    number: int,
    counts: dict[str, Counter[str]],
    failures: dict[str, int],
) -> None:
    counts[kind.name][found.verdict] += 1
    if found.verdict in (TAKEN, REFUSED):
        return
    key = f"{kind.name}: {found.place}"
    failures[key] = failures.get(key, 0) + 1
    if failures[key] == 1:
        folder = given.keep / f"{kind.name.replace(' ', '_')}-{given.seed}-{number}"
        put(_input(kind, seeds, given.seed, number), folder)
        sys.stdout.write(f"{kind.name} {number}: {found.told}\n  kept in {folder}\n")
        sys.stdout.flush()


def _tell(counts: dict[str, Counter[str]], failures: dict[str, int]) -> None:
    verdicts = (TAKEN, REFUSED, RAW, DEAD, SLOW)
    rows = [*counts.items(), ("all", sum(counts.values(), Counter()))]
    sys.stdout.write(f"{'':20}{''.join(f'{verdict:>15}' for verdict in verdicts)}\n")
    for name, found in rows:
        sys.stdout.write(f"{name:20}{''.join(f'{found[verdict]:15,}' for verdict in verdicts)}\n")
    for place, count in sorted(failures.items(), key=lambda item: -item[1]):
        sys.stdout.write(f"{count:6} {place}\n")


if __name__ == "__main__":
    sys.exit(main())
