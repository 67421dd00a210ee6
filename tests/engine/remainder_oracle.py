"""The oracle's walk for nests with remainders: every loop executed as Timeloop's source does (#remainders).

Shares no code with the engine. A loop is (dimension, bound, remainder).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.engine.oracle import Block, Box, Boxes, Point, Space, Walk, minus, moved, round_half_away, size


class UnevenWalk(Walk):
    """One run of the walk; ``rests`` [level][axis][dimension], the whole bound where none is given."""

    def __init__(
        self, blocks: Sequence[Block], spaces: Sequence[Space], rests: Mapping[tuple[int, str, str], int]
    ) -> None:
        self.given = rests
        self.now: dict[int, int] = {}
        self.most_elements = 1
        self.largest: dict[tuple[int, int], int] = defaultdict(int)
        super().__init__(blocks, spaces, defaultdict(lambda: defaultdict(float)), defaultdict(float))

    def rest(self, i: int) -> int:
        entry = self.loops[i]
        return self.given.get((entry.level, "T" if entry.axis == "T" else "S", entry.dim), entry.bound)

    def is_last(self, i: int, dim: str) -> bool:
        """Whether all loops over ``dim`` from i outwards are in their last iteration."""
        return all(
            self.now.get(k, 0) + 1 >= self.rest(k) for k in range(i, len(self.loops)) if self.loops[k].dim == dim
        )

    def box(self, s: int, loop: int, at: Mapping[str, int]) -> Box:
        full: dict[str, int] = defaultdict(lambda: 1)
        short: dict[str, int] = defaultdict(lambda: 1)
        for i in range(loop + 1):
            entry = self.loops[i]
            short[entry.dim] += full[entry.dim] * (self.rest(i) - 1)
            full[entry.dim] *= entry.bound
        low = self.project(s, at)
        reach = self.project(s, {d: (short if self.is_last(loop + 1, d) else full)[d] - 1 for d in full})
        high = tuple(x + r for x, r in zip(low, reach, strict=True))
        self.largest[loop, s] = max(self.largest[loop, s], size(((low, high),)))
        return low, high

    def visit(self, loop: int) -> list[Boxes]:
        if self.loops[loop].axis == "T":
            self.run_temporal(loop)
        else:
            self.run_spatial(loop)
        deltas: list[Boxes] = []
        for s in range(len(self.spaces)):
            box, last = self.box(s, loop, self.t), self.last[loop][s]
            deltas.append(self.new_words(box, last, loop, s))
            self.last[loop][s] = box
        return deltas

    def new_words(self, box: Box, last: Box | None, loop: int, s: int) -> Boxes:
        if last is None:
            return (box,)
        move: Point = tuple(
            math.floor(abs(a + b - c - d) / 2 + 0.5) * (1 if a + b > c + d else -1)
            for a, b, c, d in zip(*box, *last, strict=True)
        )
        if not any(move):
            return minus(box, last)
        remembered = self.last_move[loop][s]
        self.last_move[loop][s] = move if remembered in (None, move) else None
        return minus(box, last) if remembered in (None, move) else (box,)

    def iterations(self, loop: int) -> Iterator[tuple[int, int, int]]:
        """(iteration, how many it stands for, as how many its words count) of a temporal loop."""
        entry = self.loops[loop]
        last = self.is_last(loop + 1, entry.dim)
        n = self.rest(loop) if last else entry.bound
        inside = [i for i in range(loop) if self.loops[i].dim == entry.dim]
        run_last = last and any(self.rest(i) != self.loops[i].bound for i in inside)
        run_before = run_last and self.rest(loop) != entry.bound
        yield 0, 1, 1
        if n == 1:
            return
        if not run_last:
            yield 1, n - 1, n - 1
        elif not run_before:
            if n >= 3:
                yield 1, n - 2, n - 1
            yield n - 1, 1, 1 if n < 3 else 0
        else:
            if n >= 4:
                yield 1, n - 3, n - 2
            if n >= 3:
                yield n - 2, 1, 1 if n < 4 else 0
            yield n - 1, 1, 1

    def run_temporal(self, loop: int) -> None:
        entry = self.loops[loop]
        if loop == 0:
            n = self.rest(0) if self.is_last(1, entry.dim) else entry.bound
            for s in range(len(self.spaces)):
                self.count[entry.level, s][1, 1] += n * self.epochs
            self.computes += n * self.epochs
            return
        words = [0] * len(self.spaces)
        for iteration, visits, counted in [*self.iterations(loop)]:
            self.now[loop] = iteration
            self.t[entry.dim] += iteration * entry.step
            self.epochs *= visits
            new = self.visit(loop - 1)
            self.epochs /= visits
            self.t[entry.dim] -= iteration * entry.step
            words = [w + size(boxes) * counted for w, boxes in zip(words, new, strict=True)]
        self.now[loop] = 0
        if entry.innermost:
            for s in range(len(self.spaces)):
                self.count[entry.level, s][1, 1] += words[s] * self.epochs

    def run_spatial(self, master: int) -> None:
        level = self.loops[master].level
        unit = [i for i, e in enumerate(self.loops) if e.level == level and e.axis != "T"]
        inside = unit[0] - 1
        for i in unit:
            self.now[i] = 0
        if inside < 0:
            base: list[Boxes] = [((self.project(s, self.t),) * 2,) for s in range(len(self.spaces))]
        else:
            base = self.visit(inside)
        offsets: list[dict[str, int]] = [{}]
        for i in unit:  # X-most fastest; as many as there are in this pass
            entry = self.loops[i]
            n = self.rest(i) if self.is_last(i + 1, entry.dim) else entry.bound
            offsets = [{**o, entry.dim: o.get(entry.dim, 0) + k * entry.step} for k in range(n) for o in offsets]
        if inside < 0:
            self.computes += self.epochs * len(offsets)
            self.most_elements = max(self.most_elements, len(offsets))
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
    def is_served(e: int, sets: Sequence[Boxes], before: Sequence[Boxes], h: int) -> bool:
        if size(sets[e]) == 0:
            return False
        x, y = e % h, e // h
        neighbours = [(x - 1, y), (x + 1, y), (x, y - 1), (x, y + 1)]
        at = [b * h + a for a, b in neighbours if 0 <= a < h and b >= 0 and b * h + a < len(before)]
        return any(set(before[n]) == set(sets[e]) for n in at)

    def used(self, level: int) -> int:
        """Instances of a level, on average, cut to whole ones."""
        mean, passes = 1.0, defaultdict(lambda: 1)
        for i in range(len(self.loops) - 1, -1, -1):
            entry = self.loops[i]
            if entry.level <= level:
                break
            wide = self.rest(i) + entry.bound * (passes[entry.dim] - 1)
            if entry.axis != "T":
                mean = mean * entry.bound if self.rest(i) == entry.bound else mean * wide / passes[entry.dim]
            passes[entry.dim] = wide
        return math.floor(mean)


def evaluate(
    blocks: Sequence[Block],
    spaces: Sequence[Space],
    keep: Sequence[Sequence[bool]],
    rests: Mapping[tuple[int, str, str], int],
) -> dict[str, Any]:
    """tile, partition, reads, fills, updates as [level][space], 0 where bypassed; instances used, and computes."""
    walk = UnevenWalk(blocks, spaces, rests)
    n = len(blocks)
    out: dict[str, Any] = {
        k: [[0] * len(spaces) for _ in blocks] for k in ("tile", "partition", "reads", "fills", "updates")
    }
    fan = [math.prod(b for _, b in (*block.x, *block.y)) for block in blocks]
    out["used"] = [walk.used(i) for i in range(n)]
    units = walk.used(-1) if fan[0] == 1 else math.floor(_mean_above(walk) * fan[0])
    out["computes"] = math.floor(walk.computes / walk.most_elements * units)
    for s, space in enumerate(spaces):
        ends = [max(i for i, e in enumerate(walk.loops) if e.level == level) for level in range(n)]
        masters = [[i for i, e in enumerate(walk.loops) if e.level == level and e.axis != "T"] for level in range(n)]
        tile = [walk.largest[end, s] for end in ends]
        tile[-1] = size((walk.box(s, ends[-1], {}),))
        stats = [dict(sorted(walk.count[level, s].items())) for level in range(n)]
        content = [float(sum(table.values())) for table in stats]
        link = [walk.link[level, s] for level in range(n)]
        share = [sum(a * m / fan[i + 1] for (m, _), a in stats[i + 1].items()) if i + 1 < n else 0.0 for i in range(n)]
        partition = [tile[-1]] * n
        for i in range(n - 2, -1, -1):
            unit = masters[i + 1]
            parent = walk.largest[unit[-1], s] if unit else tile[i]
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
            peer[i - 1] += link[i] / out["used"][i - 1]
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


def _mean_above(walk: UnevenWalk) -> float:
    """Instances of the units right above the compute units, on average."""
    mean, passes = 1.0, defaultdict(lambda: 1)
    for i in range(len(walk.loops) - 1, -1, -1):
        entry = walk.loops[i]
        if entry.level == 0 and entry.axis != "T":
            break
        wide = walk.rest(i) + entry.bound * (passes[entry.dim] - 1)
        if entry.axis != "T":
            mean = mean * entry.bound if walk.rest(i) == entry.bound else mean * wide / passes[entry.dim]
        passes[entry.dim] = wide
    return mean
