"""What is to be said of mappings with remainders and of padded problems; and what has no answer to either."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from tqhw.backends.protocol import Job
from tqhw.errors import TqhwError, unknown
from tqhw.mapper.result import MappingFront, SearchResult
from tqhw.mapper.search import PERFECT
from tqhw.mapper.space.mapspace import build_mapspace, most_units
from tqhw.mapper.space.sizes import padded_sizes
from tqhw.spec import Hardware, Problem, Stats

FEW = 32  # a loop of more iterations that cannot be divided is worth a hint
WORTH = 0.9  # a hint is given where cycles would come down to this part of what they are at least


def way_of(factors: str, pad: bool) -> str:
    """The way to search. Raises TqhwError for factors of another kind, and for both ways at once."""
    if factors not in (PERFECT, "imperfect"):
        raise unknown("factors", str(factors), (PERFECT, "imperfect"), "factors")
    if pad and factors != PERFECT:
        raise TqhwError(
            "padding and factors with remainders are two answers to one question", place="pad", lever="give one of them"
        )
    return "padded" if pad else factors


def told(answer: SearchResult, problem: Problem, hardware: Hardware) -> list[str]:
    """What padding wastes, or what Timeloop's count of a mapping with remainders leaves out."""
    if answer.front is not None:
        return list(_told_of_front(answer.front, problem))
    if answer.padded is not None:
        sizes = ", ".join(f"{d}={n} to {answer.padded[d]}" for d, n in problem.bounds.items() if n != answer.padded[d])
        done = math.prod(answer.padded.values())
        wasted = done - problem.computes
        return [
            f"{problem.name} is padded from {sizes}: {wasted:,} of {done:,} operations ({wasted / done:.1%}) are "
            "wasted, and counted in energy, cycles and utilization"
        ]
    if answer.whole is None:
        return []
    computes = answer.stats.computes
    counted, whole = f"{answer.stats.energy_pj:,.1f} pJ", f"{answer.whole.energy_pj:,.1f} pJ"
    if computes != problem.computes:
        counted = f"{computes:,} computes instead of {problem.computes:,}, and {counted}"
    elif counted == whole:
        return []
    return [f"{problem.name} has remainders: Timeloop counts {counted}; the whole work costs {whole}"]


def _told_of_front(front: MappingFront, problem: Problem) -> Iterator[str]:
    of = f"of {len(front.points)} points of the front"
    wasted = [1.0 - problem.computes / math.prod(one.padded.values()) for one in front.points if one.padded is not None]
    if wasted:
        yield (
            f"{problem.name}: {len(wasted)} {of} are padded; at most {max(wasted):.1%} of operations are wasted, and "
            "counted in energy, cycles and utilization"
        )
    missed = [one.energy_pj / one.stats.energy_pj - 1.0 for one in front.points if one.stats.energy_pj != one.energy_pj]
    if missed:
        yield (
            f"{problem.name}: {len(missed)} {of} have remainders of which Timeloop counts other work; the front is "
            f"that of the whole work, which costs, at most, {max(missed):+z.1%}"
        )


def idle_hint(problem: Problem, hardware: Hardware, stats: Stats) -> str | None:
    """That padding or remainders would fill the array better, and by how much at best; None where they would not.

    Both figures are bounds on cycles of compute, of all mappings that the constraints leave, whatever memories hold.
    """
    least: dict[tuple[int, ...], int] = {}
    for sizes in padded_sizes(problem, hardware):
        padded = Problem(
            problem.shape, problem.name, dict(zip(problem.bounds, sizes, strict=True)), dict(problem.coefficients)
        )
        try:
            units = math.prod(map(most_units, build_mapspace(padded, hardware).slots))
        except TqhwError:
            continue
        least[sizes] = -(-math.prod(sizes) // max(1, units))
    own = tuple(problem.bounds.values())
    if own not in least:
        return None
    best = min(least, key=lambda sizes: (least[sizes], math.prod(sizes)))
    if least[best] > WORTH * least[own]:
        return None
    names = " ".join(f"{d}={n}" for d, n, o in zip(problem.bounds, best, own, strict=True) if n != o)
    return (
        f"{stats.utilization:.1%} of the compute units are busy: factors of {problem.name} take {least[own]:,} cycles "
        f"at least, those of {names} could take {least[best]:,} at best (search with remainders, "
        "`--factors imperfect`, or padded, `--pad`)"
    )


def indivisible_hint(problem: Problem) -> str | None:
    """That padding or remainders would leave more choice, where a dimension is a multiple of a large prime."""
    primes = {name: _largest_prime(bound) for name, bound in problem.bounds.items()}
    large = [
        f"{name}={bound}" + (f" (a multiple of {prime})" if (prime := primes[name]) != bound else "")
        for name, bound in problem.bounds.items()
        if primes[name] > FEW
    ]
    if not large:
        return None
    return (
        f"factors of {problem.name} leave little choice for {', '.join(large)}: mappings with remainders "
        "(`--factors imperfect`), or of a padded problem (`--pad`), may cost less"
    )


def _largest_prime(number: int) -> int:
    """The largest prime factor; 1 of 1."""
    largest, factor = 1, 2
    while factor * factor <= number:
        if number % factor:
            factor += 1
        else:
            largest, number = factor, number // factor
    return max(largest, number)


def check_perfect(jobs: Sequence[Job], backend: str) -> None:
    """Raises TqhwError for searches with remainders or of padded problems."""
    for job in jobs:
        if job.way != PERFECT:
            what = "remainders" if job.way == "imperfect" else "padded problems"
            raise TqhwError(
                f"timeloop-mapper searches no {what}",
                place=f"backend {backend}",
                lever="search with backend embedded; `tqhw verify` and `tqhw evaluate` take what it finds to Timeloop",
            )
