"""What a program's log says when there are no statistics: an invalid mapping, no mapping at all, or a failure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tqhw.backends.protocol import Design
from tqhw.backends.timeloop.places import place_in
from tqhw.errors import TqhwError
from tqhw.spec import Hardware, Invalid, Problem, Reason
from tqhw.system.programs import Ended

NOTHING_FOUND = "no valid mappings found within search criteria"
_UNMAPPED = re.compile(r"ERROR: couldn't map level (\S+): (.+)")
_CAPACITY = re.compile(r"mapped tile size (\d+) exceeds buffer capacity (\d+)")
_EXPANSION = re.compile(r"mapped (.+?) (\d+) exceeds (?:available )?hardware (?:instances|fanout[XY]?) (\d+)")
_FACTORS = re.compile(r"product of all factors of dimension (\S+) is (\d+), which is not equal .* (\d+)\.")
_TARGET = re.compile(
    r"ERROR: (target storage level not found: (\S+)|cannot find spatial tiling level .*?level (\w+).*)"
)


def invalid_mapping(log: str, hardware: Hardware) -> Invalid | None:
    """Why timeloop-model refused a mapping; None where its log is about something else."""
    reasons = []
    for match in _UNMAPPED.finditer(log):
        level, text = match.groups()
        if "bypassed in all storage levels" in text:
            reasons.append(Reason(hardware.compute.name, "bypass_all", 0, 1, f"{level}: {text}"))
        # Several failures of one level are joined in one line.
        for found in _CAPACITY.finditer(text):
            reasons.append(Reason(level, "capacity", int(found[1]), int(found[2]), f"{level}: {found[0]}"))
        for found in _EXPANSION.finditer(text):
            reasons.append(Reason(level, "fanout", int(found[2]), int(found[3]), f"{level}: {found[0]}"))
    for match in _FACTORS.finditer(log):
        dimension, have, bound = match[1], int(match[2]), int(match[3])
        message = f"the factors of dimension {dimension} multiply to {have}, the problem's bound is {bound}"
        reasons.append(Reason("", "factors", have, bound, message))
    for match in _TARGET.finditer(log):
        reasons.append(Reason(match[2] or match[3], "target", 0, 1, match[1]))
    return Invalid(tuple(reasons)) if reasons else None


@dataclass(frozen=True)
class Diagnosis:
    """What stopped invalid mappings at one level: how many of them, and the reason of one."""

    fail_class: str
    level: str
    count: int
    sample: str


def diagnoses(log: str) -> tuple[Diagnosis, ...]:
    """The diagnostics that timeloop-mapper prints with ``diagnostics: true``, most frequent first."""
    result = []
    fail_class = level = ""
    count = 0
    for line in log.splitlines():
        if match := re.match(r"Fail class: (\w+)", line):
            fail_class = match[1].lower()
        elif match := re.match(r"  Level: (\S+)", line):
            level = match[1]
        elif match := re.match(r"    Fail count: (\d+)", line):
            count = int(match[1])
        elif match := re.match(r"    Fail reason: (.+)", line):
            result.append(Diagnosis(fail_class, level, count, match[1]))
    return tuple(sorted(result, key=lambda d: -d.count))


def nothing_found(problem: Problem, diagnosed: tuple[Diagnosis, ...], tried: int) -> Invalid:
    """The answer where the mapper finds no mapping: a reason per level, most frequent first."""
    if not diagnosed:
        message = f"timeloop-mapper found no valid mapping of {problem.name} in {tried} tries, and says no reason"
        return Invalid((Reason("", "search", 0, 0, message),))
    reasons = []
    for found in diagnosed:
        numbers = [int(n) for n in re.findall(r"\d+", found.sample)][:2]
        demand, bound = numbers if len(numbers) == 2 else (0, 0)
        message = f"{found.level}: {found.count} mappings fail by {found.fail_class}, one of them as: {found.sample}"
        reasons.append(Reason(found.level, found.fail_class, demand, bound, message))
    return Invalid(tuple(reasons))


def failure(program: str, ended: Ended, design: Design, folder: Path) -> TqhwError:
    """The error for a run without statistics; whatever the exit code says, since it is often 0."""
    if ended.timed_out:
        return TqhwError(
            f"{program} had no result when its time was over, after {ended.seconds:.1f} s",
            place=str(folder),
            lever="give a longer budget",
        )
    lines = [line.strip() for line in ended.log.splitlines()]
    said = [line for line in lines if line.startswith("ERROR") or "Assertion" in line or "terminate called" in line]
    said = said or [line for line in lines if line][-1:] or ["it said nothing"]
    message = "; ".join(said[:6])[:1500]
    if re.search(r"bad file|No space left", message):
        message += " (is the disk full?)"
    how = f"signal {-ended.returncode}" if ended.returncode < 0 else f"exit code {ended.returncode}"
    return TqhwError(
        f"{program} wrote no statistics ({how}): {message}",
        place=f"{place_in(message, design)} (run folder: {folder})",
        lever="the folder holds input.yaml and the log; run the program on it to see more",
    )


def tried_mappings(log: str) -> int:
    """Mappings that the threads had tried up to their last valid one (lines of ``log_stats``)."""
    last: dict[str, int] = {}
    for match in re.finditer(r"^\[(\d+)\] INVALID (\d+) \d+ \d+$", log, flags=re.MULTILINE):
        last[match[1]] = int(match[2]) + 1
    return sum(last.values())
