"""Timeloop's dense model written down literally and slowly: the walk with its state, sets of boxes, links element by
element, tables, bypassing (sections 5.1 to 5.9 of the reference). Shares no code with the engine."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Point = tuple[int, ...]
Box = tuple[Point, Point]  # lowest and highest coordinates, inclusive
Boxes = tuple[Box, ...]


@dataclass(frozen=True)
class Loop:
    dim: str
    bound: int
    step: int
    level: int
    axis: str  # T, X or Y
    boundary: bool = False  # outermost temporal loop of its level
    innermost: bool = False  # innermost loop of its level


@dataclass(frozen=True)
class Block:
    """Loops of one level, innermost first: X, Y, temporal; fan-out of the hardware along X and Y.

    ``unlinked``: numbers of the data spaces whose words neighbours must not hand on.
    """

    x: Sequence[tuple[str, int]] = ()
    y: Sequence[tuple[str, int]] = ()
    temporal: Sequence[tuple[str, int]] = ()
    fanout_x: int = 1
    fanout_y: int = 1
    unlinked: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Space:
    """A data space: ranks of (coefficient, dimension) terms."""

    ranks: Sequence[Sequence[tuple[int, str]]]
    read_write: bool = False


def minus(a: Box, b: Box) -> Boxes:
    """Slices of a that are not in b, cut rank by rank."""
    if any(max(al, bl) > min(ah, bh) for al, ah, bl, bh in zip(a[0], a[1], b[0], b[1], strict=True)):
        return (a,)
    lo, hi = list(a[0]), list(a[1])
    slices = []
    for r in range(len(lo)):
        if lo[r] < b[0][r]:
            slices.append((tuple(lo), (*hi[:r], b[0][r] - 1, *hi[r + 1 :])))
            lo[r] = b[0][r]
        if hi[r] > b[1][r]:
            slices.append(((*lo[:r], b[1][r] + 1, *lo[r + 1 :]), tuple(hi)))
            hi[r] = b[1][r]
    return tuple(slices)


def size(boxes: Boxes) -> int:
    return sum(math.prod(h - low + 1 for low, h in zip(lo, hi, strict=True)) for lo, hi in boxes)


def moved(boxes: Boxes, by: Point) -> Boxes:
    def shift(p: Point) -> Point:
        return tuple(x + d for x, d in zip(p, by, strict=True))

    return tuple((shift(lo), shift(hi)) for lo, hi in boxes)


@dataclass
class Walk:
    """One run of the walk; ``count[level][space]`` maps (multicast, groups) to accesses."""

    blocks: Sequence[Block]
    spaces: Sequence[Space]
    count: dict[tuple[int, int], dict[tuple[int, int], float]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(float))
    )
    link: dict[tuple[int, int], float] = field(default_factory=lambda: defaultdict(float))
    computes: float = 0.0

    def __post_init__(self) -> None:
        self.loops: list[Loop] = []
        done: dict[str, int] = defaultdict(lambda: 1)
        for level, block in enumerate(self.blocks):
            entries = [(d, b, a) for a, part in (("X", block.x), ("Y", block.y)) for d, b in part if b > 1]
            times = [(d, b, "T") for d, b in block.temporal if b > 1] or [("", 1, "T")]
            for i, (d, b, axis) in enumerate(entries + times):
                last = i == len(entries) + len(times) - 1
                self.loops.append(Loop(d, b, done[d], level, axis, last, i == 0))
                done[d] *= b
        self.t: dict[str, int] = defaultdict(int)
        self.epochs = 1.0
        n, s = len(self.loops), len(self.spaces)
        self.last: list[list[Box | None]] = [[None] * s for _ in range(n)]
        self.last_move: list[list[Point | None]] = [[None] * s for _ in range(n)]
        self.previous: dict[int, list[list[Boxes]]] = {}
        self.visit(n - 1)

    def project(self, s: int, at: Mapping[str, int]) -> Point:
        return tuple(sum(c * at.get(d, 0) for c, d in rank) for rank in self.spaces[s].ranks)

    def box(self, s: int, loop: int, at: Mapping[str, int]) -> Box:
        span: dict[str, int] = defaultdict(lambda: 1)
        for inner in self.loops[: loop + 1]:
            span[inner.dim] *= inner.bound
        low = self.project(s, at)
        reach = self.project(s, {d: v - 1 for d, v in span.items()})
        return low, tuple(x + r for x, r in zip(low, reach, strict=True))

    def visit(self, loop: int) -> list[Boxes]:
        if self.loops[loop].axis == "T":
            self.run_temporal(loop)
        else:
            self.run_spatial(loop)
        deltas: list[Boxes] = []
        for s in range(len(self.spaces)):
            box, last = self.box(s, loop, self.t), self.last[loop][s]
            delta: Boxes = (box,)
            if last is not None:
                move = tuple(a - b for a, b in zip(box[0], last[0], strict=True))
                if not any(move):
                    delta = minus(box, last)
                elif self.last_move[loop][s] is None:
                    delta = minus(box, last)
                    self.last_move[loop][s] = move
                elif self.last_move[loop][s] == move:
                    delta = minus(box, last)
                else:
                    self.last_move[loop][s] = None
            self.last[loop][s] = box
            deltas.append(delta)
        return deltas

    def run_temporal(self, loop: int) -> None:
        entry = self.loops[loop]
        if loop == 0:
            for s in range(len(self.spaces)):
                self.count[entry.level, s][1, 1] += entry.bound * self.epochs
            self.computes += entry.bound * self.epochs
            return
        first = self.visit(loop - 1)
        second = None
        if entry.bound > 1:
            self.t[entry.dim] += entry.step
            self.epochs *= entry.bound - 1
            second = self.visit(loop - 1)
            self.epochs /= entry.bound - 1
            self.t[entry.dim] -= entry.step
        if entry.innermost:
            for s in range(len(self.spaces)):
                words = size(first[s]) + (0 if second is None else (entry.bound - 1) * size(second[s]))
                self.count[entry.level, s][1, 1] += words * self.epochs

    def run_spatial(self, master: int) -> None:
        level = self.loops[master].level
        unit = [i for i, e in enumerate(self.loops) if e.level == level and e.axis != "T"]
        inside = unit[0] - 1
        if inside < 0:
            base = [((self.project(s, self.t),) * 2,) for s in range(len(self.spaces))]
            self.computes += self.epochs
        else:
            base = self.visit(inside)
        offsets: list[dict[str, int]] = [{}]
        for i in unit:  # X-most fastest
            entry = self.loops[i]
            offsets = [
                {**o, entry.dim: o.get(entry.dim, 0) + k * entry.step} for k in range(entry.bound) for o in offsets
            ]
        sets = [[moved(base[s], self.project(s, o)) for o in offsets] for s in range(len(self.spaces))]
        before = self.previous.get(level)
        self.previous[level] = sets
        block = self.blocks[level]
        h = max(block.fanout_x, math.prod(b for _, b in block.x))
        for s in range(len(self.spaces)):
            plain = self.groups(sets[s])
            used = plain
            if before is not None and s not in block.unlinked:
                served = [self.is_served(e, sets[s], before[s], h) for e in range(len(offsets))]
                rest = self.groups([x for x, is_linked in zip(sets[s], served, strict=True) if not is_linked])
                if self.total(rest) < self.total(plain):
                    used = rest
                    over = sum(size(x) for x, is_linked in zip(sets[s], served, strict=True) if is_linked)
                    self.link[level, s] += over * self.epochs
            by_size: dict[int, tuple[int, int]] = {}
            for boxes, members in used.items():
                groups, words = by_size.get(members, (0, 0))
                by_size[members] = (groups + 1, words + size(boxes))
            for members, (groups, words) in by_size.items():
                self.count[level, s][members, groups] += words * self.epochs

    @staticmethod
    def groups(sets: Sequence[Boxes]) -> dict[Boxes, int]:
        found: dict[Boxes, int] = defaultdict(int)
        for boxes in sets:
            if size(boxes) > 0:
                found[boxes] += 1
        return found

    @staticmethod
    def total(groups: Mapping[Boxes, int]) -> int:
        return sum(size(boxes) for boxes in groups)

    @staticmethod
    def is_served(e: int, sets: Sequence[Boxes], before: Sequence[Boxes], h: int) -> bool:
        if size(sets[e]) == 0:
            return False
        x, y = e % h, e // h
        neighbours = [(x - 1, y), (x + 1, y), (x, y - 1), (x, y + 1)]
        at = [b * h + a for a, b in neighbours if 0 <= a < h and b >= 0 and b * h + a < len(sets)]
        return any(before[n] == sets[e] for n in at)


def round_half_away(x: float) -> int:
    return math.floor(x + 0.5) if x >= 0 else math.ceil(x - 0.5)


def evaluate(blocks: Sequence[Block], spaces: Sequence[Space], keep: Sequence[Sequence[bool]]) -> dict[str, Any]:
    """tile, partition, reads, fills, updates as [level][space], 0 where bypassed; and the compute cycles."""
    walk = Walk(blocks, spaces)
    n = len(blocks)
    out: dict[str, Any] = {
        k: [[0] * len(spaces) for _ in blocks] for k in ("tile", "partition", "reads", "fills", "updates")
    }
    out["cycles"] = math.prod(b for block in blocks for _, b in block.temporal)
    fan = [math.prod(b for _, b in (*block.x, *block.y)) for block in blocks]
    used = [math.prod(fan[i + 1 :]) for i in range(n)]
    for s, space in enumerate(spaces):
        ends = [max(i for i, e in enumerate(walk.loops) if e.level == level) for level in range(n)]
        masters = [[i for i, e in enumerate(walk.loops) if e.level == level and e.axis != "T"] for level in range(n)]
        tile = [size((walk.box(s, end, {}),)) for end in ends]
        stats = [dict(sorted(walk.count[level, s].items())) for level in range(n)]
        content = [float(sum(table.values())) for table in stats]
        link = [walk.link[level, s] for level in range(n)]
        share = [sum(a * m / fan[i + 1] for (m, _), a in stats[i + 1].items()) if i + 1 < n else 0.0 for i in range(n)]
        partition = [tile[-1]] * n
        for i in range(n - 2, -1, -1):
            unit = masters[i + 1]
            parent = size((walk.box(s, unit[-1], {}),)) if unit else tile[i]
            partition[i] = partition[i + 1] * tile[i] // parent
        kept = [i for i in range(n) if keep[i][s]]
        for i in range(n):
            if keep[i][s]:
                continue
            if i < n - 1:
                weighted = sum(a * m for (m, _), a in stats[i + 1].items())
                factor = content[i] * fan[i + 1] / weighted
                stats[i + 1] = {k: a * factor for k, a in stats[i + 1].items()}
                link[i + 1] = 0.0
                content[i + 1] = float(sum(stats[i + 1].values()))
            content[i] = share[i] = 0.0
            partition[i] = 0
        for i in range(n):
            if i > kept[-1]:
                content[i] = link[i] = 0.0
        share[kept[-1]] = 0.0
        peer = [0.0] * n
        for i in range(n - 1, 0, -1):
            peer[i - 1] += link[i] / used[i - 1]
        for i in kept:
            first = partition[i] if space.read_write else 0
            out["tile"][i][s] = tile[i]
            out["partition"][i][s] = partition[i]
            out["reads"][i][s] = round_half_away(content[i] + peer[i] - first)
            if space.read_write:
                out["updates"][i][s] = round_half_away(content[i])
                out["fills"][i][s] = round_half_away(share[i] + peer[i] - (0 if i == kept[-1] else first))
            else:
                out["fills"][i][s] = int(share[i] + peer[i])
    return out
