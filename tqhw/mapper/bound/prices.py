"""What a word costs under one keep/bypass choice, and what every mapping costs at least whatever the choice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tqhw.engine import Model
from tqhw.engine.bundle import bundle
from tqhw.engine.jit import part
from tqhw.engine.model import Bools, Floats
from tqhw.mapper.space.arrays import Space
from tqhw.mapper.space.mapspace import Mapspace, most_units
from tqhw.mapper.space.orders import relevances
from tqhw.mapper.space.slots import Slot
from tqhw.objectives import Objective, objective_of

Bypass = tuple[tuple[bool, ...], ...]  # [L, S] what every level keeps


@bundle
class Prices(NamedTuple):
    """What one keep/bypass choice costs in pJ per word, or in cycles of J ports; a child of -1 is the compute unit.

    All that costs have in common has no axis J; energy is one cost. Row 0 of ``parent_pj`` is that of the compute unit.
    """

    keep: Bools  # [L, S]
    parent_pj: Floats  # [J, L + 1, S] at the next keeping level outwards, per word that passes to or from the child
    fill_pj: Floats  # [J, L, S] at the level itself; 0 where it is the outermost that keeps the data space
    first_pj: Floats  # [J, L] Outputs: what a word's first visit saves (no read of old partial sums, no fill)
    leak_pj: Floats  # [L] per cycle and used instance
    capacity: Floats  # [L] words, rows where packed; inf: unlimited
    capacity_words: Floats  # [L, S] so many words
    capacity_units: Floats  # [L, S] take so much of it
    more_units: Bools  # [Q + 1, S] spatial slots remain from here to the level that the data space's traffic goes to
    units_left: Bools  # [Q + 1] spatial slots remain outside
    constant_pj: float  # the compute units' energy
    mark: Floats  # [L, S, 4] weights of no meaning per word filled, sent by the parent, first visited; per instance
    rounding_pj: float  # what a mapping costs at most beyond the sum of its words,
    cut_pj: Floats  # [J] and at most less than that, see cut_pj()
    per_instance: bool  # all of it is divided by the instances of its level: cycles of a port, see port_prices


@part
def fits_level(space: Space, prices: Prices, level: int, t: int) -> bool:
    """Whether the kept tiles of tile t fit a level."""
    taken = 0.0
    for s in range(space.relevant.shape[0]):
        if prices.keep[level, s]:
            # A quotient of numbers below 2^53 cannot round across a whole number.
            taken += np.ceil(space.stored[s, t] * prices.capacity_units[level, s] / prices.capacity_words[level, s])
    return bool(taken <= prices.capacity[level])


@dataclass(frozen=True)
class Rates:
    """What is paid per word at every level [L, S], whoever is at its other end."""

    read: Floats
    fill: Floats
    update: Floats
    per_instance: bool = False


def build_prices(space: Mapspace, model: Model, mask: Bypass, energy: bool = True) -> Prices:
    """Energies under one keep/bypass choice; all 0 where the objective does not look at energy."""
    weight = 1.0 if energy else 0.0
    per_word = weight / words_per_access(model)
    read, fill, update = (table[:, None] * per_word for table in (model.read_pj, model.fill_pj, model.update_pj))
    prices = _priced(space, model, mask, [Rates(read, fill, update)])
    return prices._replace(
        mark=prices.mark if energy else prices.mark * _throttling(model, prices.keep),
        leak_pj=model.leak_pj * weight,
        constant_pj=float(problem_pj(model)) * weight,
        rounding_pj=rounding_pj(model, prices.keep, weight, sum(slot.spatial for slot in space.slots)),
    )


def port_prices(space: Mapspace, model: Model, mask: Bypass, delays: bool = True) -> Prices:
    """Cycles instead of pJ, for every port that can throttle: a level's words in and out take so many cycles at least.

    A port is what one bandwidth of a level limits. One that serves all units below its instances, each of which asks
    for a word of every data space per cycle, is left out.
    """
    keep = np.array(mask, np.bool_)
    found: list[Rates] = []
    for i in np.flatnonzero(keep.any(axis=1) & delays):
        below = math.prod(most_units(slot) for slot in space.slots if slot.level <= i)
        for bandwidth, reads, writes in (
            (model.read_bandwidth[i], 1.0, 0.0),
            (model.write_bandwidth[i], 0.0, 1.0),
            (model.shared_bandwidth[i], 1.0, 1.0),
        ):
            cycles = keep[i] * model.word_share[i] / bandwidth
            if cycles.sum() * (reads + writes) * below <= 1.0:
                continue
            table = np.zeros(keep.shape)
            table[i] = cycles
            found.append(Rates(table * reads, table * writes, table * writes, True))
    return _priced(space, model, mask, found)


def _priced(space: Mapspace, model: Model, mask: Bypass, rates: Sequence[Rates]) -> Prices:
    """``rates``: of energy, or of ports; there may be none of these."""
    keep = np.array(mask, np.bool_)
    n_levels, n_spaces = keep.shape
    read, fill, update = (
        np.reshape([getattr(one, name) for one in rates], (len(rates), n_levels, n_spaces))
        for name in ("read", "fill", "update")
    )
    parent_pj = np.zeros((len(rates), n_levels + 1, n_spaces))
    fill_pj = np.zeros((len(rates), n_levels, n_spaces))
    first_pj = np.zeros((len(rates), n_levels))
    more = np.zeros((len(space.slots) + 1, n_spaces), np.bool_)
    for s in range(n_spaces):
        output = bool(model.read_write[s])
        outermost = int(np.flatnonzero(keep[:, s])[-1])
        for child in range(-1, n_levels):
            parents = np.flatnonzero(keep[child + 1 :, s])
            if len(parents):
                k = child + 1 + int(parents[0])
                parent_pj[:, child + 1, s] = read[:, k, s] + (update[:, k, s] if output else 0.0)
        for i in np.flatnonzero(keep[:, s]):
            if i != outermost:
                fill_pj[:, i, s] = fill[:, i, s]
            if output:
                first_pj[:, i] = read[:, i, s] + fill_pj[:, i, s]
        for q in range(len(space.slots) + 1):
            at = space.slots[q].level if q < len(space.slots) else n_levels
            ahead = np.flatnonzero(keep[at:, s])
            stop = at + int(ahead[0]) if len(ahead) else -1
            more[q, s] = any(slot.spatial and slot.level <= stop for slot in space.slots[q:])
    return Prices(
        keep=keep,
        parent_pj=parent_pj,
        fill_pj=fill_pj,
        first_pj=first_pj,
        leak_pj=np.zeros(n_levels),
        capacity=np.where(model.capacity < 0, np.inf, model.capacity.astype(np.float64)),
        capacity_words=np.where(model.packed[:, None], model.row_words, 1).astype(np.float64),
        capacity_units=np.where(model.packed[:, None], model.row_count, 1).astype(np.float64),
        more_units=more,
        units_left=np.array([any(s.spatial for s in space.slots[q:]) for q in range(len(space.slots) + 1)]),
        constant_pj=0.0,
        mark=np.random.default_rng(0).random((n_levels, n_spaces, 4)) + 0.5,
        rounding_pj=math.inf,
        cut_pj=np.array([cut_pj(space, model, keep, *of) for of in zip(fill_pj, rates, strict=True)], np.float64),
        per_instance=all(one.per_instance for one in rates),
    )


def _throttling(model: Model, keep: Bools) -> Floats:
    """[L, S, 4] 1 where the words that a mark weighs can throttle: at the level, or where they come from."""
    limited = limited_levels(model)
    counts = np.repeat(limited[:, None, None], keep.shape[1], 1) * np.ones(4)
    for s in range(keep.shape[1]):
        for i in range(len(keep)):
            parents = np.flatnonzero(keep[i + 1 :, s])
            counts[i, s, 1] = len(parents) > 0 and limited[i + 1 + parents[0]]
    return counts


def limited_levels(model: Model) -> Bools:
    """[L] Some bandwidth limits the level: its counts decide on cycles."""
    limits = np.stack([model.read_bandwidth, model.write_bandwidth, model.shared_bandwidth])
    return np.asarray(np.isfinite(limits).any(axis=0))


def words_per_access(model: Model) -> Floats:
    """[L, S] An access moves a row of words, and at most one of cluster_size instances is charged."""
    return np.asarray(model.row_words * model.cluster_size[:, None] / model.row_count)


def compulsory(space: Mapspace, model: Model, objective: str | Objective) -> float:
    """What every mapping costs at least, whatever it is: its operations, and every word once at the outermost level.

    Data spaces of which :func:`_least_words` says nothing are not counted. 0 where outputs have a halo or holes, whose
    first visits may be credited with more than they cost.
    """
    least = objective_of(objective)
    cycles = _compulsory_cycles(space, model)
    output = int(np.flatnonzero(model.read_write)[0])
    if _has_credit(model, output):
        return least.value(0.0, cycles)
    energy = float(problem_pj(model))
    moved = words_per_access(model)
    for s in range(len(model.coefficients)):
        words = _least_words(model, s)
        if words is None:
            continue
        per_access = model.update_pj if s == output else model.read_pj
        per_word = []
        for i in reversed(range(len(space.keep))):
            if space.keep[i][s] is not False:
                per_word.append(float(per_access[i] / moved[i, s]))
            if space.keep[i][s]:
                break
        energy += words * min(per_word, default=0.0)
    return least.value(energy, cycles)


def _least_words(model: Model, s: int) -> float | None:
    """Words of a data space: a rank has at least as many as its longest dimension is long, since boxes may have holes.

    None where a dimension stands in two ranks: its words lie on a diagonal of the box.
    """
    live = (model.coefficients[s] != 0) & (model.bounds > 1)
    if (live.sum(axis=0) > 1).any():
        return None
    return float(np.where(live, model.bounds, 1).max(axis=1).prod())


def _has_credit(model: Model, output: int) -> bool:
    """Whether outputs have a halo or holes: first visits may be credited with more words than there are."""
    coefficients = model.coefficients[output]
    live = (coefficients != 0) & (model.bounds > 1)
    return bool((live.sum(axis=1) > 1).any() or (coefficients[live] > 1).any())


def _compulsory_cycles(space: Mapspace, model: Model) -> float:
    """Cycles of the operations on all units, or of a port that every word passes once: of a level that surely keeps it.

    Inputs are read there, and filled where a level further out surely keeps them, too; outputs are updated. Along a
    halo a word less per instance, which may be cut off (:func:`cut_pj`). Of operations alone where outputs have credit.
    """
    cycles = float(np.prod(model.bounds.astype(np.float64))) / math.prod(map(most_units, space.slots))
    if _has_credit(model, int(np.flatnonzero(model.read_write)[0])):
        return cycles
    for i in np.flatnonzero(limited_levels(model)):
        instances = math.prod(most_units(slot) for slot in space.slots if slot.level > i)
        read = write = 0.0
        for s, seen in enumerate(relevances(model)):
            words = _least_words(model, s)
            if words is None or not space.keep[i][s]:
                continue
            passed = max(0.0, words / instances - bool(seen.sliding)) * float(model.word_share[i, s])
            if model.read_write[s]:
                write += passed
                continue
            read += passed
            if any(level[s] for level in space.keep[i + 1 :]):
                write += passed
        cycles = max(
            cycles,
            read / float(model.read_bandwidth[i]),
            write / float(model.write_bandwidth[i]),
            (read + write) / float(model.shared_bandwidth[i]),
        )
    return cycles


def rounding_pj(model: Model, keep: Bools, weight: float, n_units: int) -> float:
    """What a mapping costs at most beyond the sum of its words; inf where a bandwidth can stretch its cycles.

    Every count is rounded to a word and then up to an access, and the first visits that are free are rounded down to
    a word once per fan-out (tqhw/engine/flow.py, ``accesses`` and ``partitions``).
    """
    if limited_levels(model).any():
        return math.inf
    accesses = np.where(model.read_write, 1.5 + n_units, 1.5)
    per_access = np.outer(model.read_pj + model.fill_pj, accesses) + 1.5 * model.update_pj[:, None]
    return float((model.instances[:, None] * per_access * keep).sum()) * weight


def cut_pj(space: Mapspace, model: Model, keep: Bools, fill_pj: Floats, rates: Rates) -> float:
    """What a mapping costs at most less than the sum of its words: what Timeloop cuts off (docs/mapper.md, "Sliding").

    An instance's fills are a sum of quotients in double precision, cut to a whole number: a word less where it ends
    just below one. What a level sends through one that does not keep the words is divided among elements that links
    have left unevenly, and rounded: half a word less. Both in units along a halo alone. Costs of remainders are not
    of whole words. In pJ of all instances, or in cycles of one where the ``rates`` are those of a port; ``keep`` and
    ``fill_pj``: [L, S]. Timeloop: ``src/loop-analysis/tiling.cpp``, fills and reads.
    """
    if space.actual is not None:
        return 0.0
    total = 0.0
    for s, seen in enumerate(relevances(model)):
        for slot in space.slots:
            child = slot.level - 1
            slides = sum(slot.factors[d][-1] > 1 for d in seen.sliding)
            links = bool(model.links[slot.level, s])
            uneven = slot.spatial and (slides > 1 or (slides == 1 and links))
            if child < 0 or not uneven:
                continue
            if keep[child, s]:
                # Links spread words over the instances of all units outside, too.
                divided_by = [q for q in space.slots if q.spatial and q.level >= slot.level] if links else [slot]
                if not model.read_write[s] and not all(map(_has_powers_of_two, divided_by)):
                    total += _instances(space, child, rates) * fill_pj[child, s]
            elif links and keep[slot.level :, s].any():
                parent = slot.level + int(keep[slot.level :, s].argmax())
                update = rates.update[parent, s] if model.read_write[s] else 0.0
                total += _instances(space, parent, rates) * (rates.read[parent, s] + update) / 2.0
    return float(total)


def _has_powers_of_two(slot: Slot) -> bool:
    """Whether all numbers of elements that a slot allows are powers of two, which divide without a rest in doubles."""
    return all(factor & (factor - 1) == 0 for factors in slot.factors for factor in factors)


def _instances(space: Mapspace, level: int, rates: Rates) -> int:
    """Instances of a level in use at most, or 1 where each pays for itself."""
    return 1 if rates.per_instance else math.prod(most_units(slot) for slot in space.slots if slot.level > level)


def problem_pj(model: Model) -> float:
    """Energy of the compute units: the same for every mapping."""
    return float(np.prod(model.bounds, dtype=object)) * model.compute_pj
