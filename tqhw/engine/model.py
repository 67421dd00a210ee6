"""A problem on a piece of hardware, as arrays that the kernels read.

Axes: S data spaces, R ranks, D dimensions, L levels (innermost first, the pseudo levels of fan-outs included).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tqhw.errors import TqhwError
from tqhw.spec import ERT, Hardware, Level, Problem
from tqhw.spec.fields import LARGEST
from tqhw.spec.links import forbidden_links

MAX_WORDS = 3_037_000_499  # whose square is a 64 bit integer
MAX_UNITS = 1 << 22  # compute units that are laid out one by one

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Model(NamedTuple):
    """What stays the same for a whole batch of mappings."""

    bounds: Ints  # [D]
    coefficients: Ints  # [S, R, D]; rank r of data space s is the sum of coefficients[s, r, d] * d
    ranks: Ints  # [S]
    n_terms: Ints  # [S, R]; the same projections as lists of terms
    term_dimension: Ints  # [S, R, T]
    term_coefficient: Ints  # [S, R, T]
    relevant: Bools  # [S, D]
    separable: Bools  # [S]; every rank has at most one dimension of bound > 1: no halo, no partial overlap
    read_write: Bools  # [S]
    mesh_x: Ints  # [L]
    mesh_y: Ints  # [L]
    instances: Ints  # [L]
    fanout_x: Ints  # [L]
    fanout_y: Ints  # [L]
    links: Bools  # [L, S] mesh neighbours below the level may hand on words
    capacity: Ints  # [L] words, rows where packed; -1: unlimited
    packed: Bools  # [L] capacity counts rows
    row_words: Ints  # [L, S] so many words
    row_count: Ints  # [L, S] lie in so many rows; an access moves one row
    word_share: Floats  # [L, S] of a bandwidth's word that one word of the data space takes
    cluster_size: Ints  # [L]
    read_bandwidth: Floats  # [L] words per cycle and instance; inf: unlimited
    write_bandwidth: Floats  # [L]
    shared_bandwidth: Floats  # [L]
    read_pj: Floats  # [L] per access
    fill_pj: Floats  # [L]
    update_pj: Floats  # [L]
    leak_pj: Floats  # [L] per instance and cycle
    storage: Bools  # [L]
    compute_x: int
    compute_y: int
    compute_instances: int
    compute_pj: float


def build_model(problem: Problem, hardware: Hardware, ert: ERT) -> Model:
    """The arrays of a problem on a piece of hardware with an energy table.

    Raises TqhwError where the ERT lacks a component or an action, where links are forbidden to an unknown data space,
    and for problems too large to be counted exactly or machines too large to be laid out.
    """
    _check_size(problem, hardware)
    shape = problem.shape
    index = {d: i for i, d in enumerate(shape.dimensions)}
    max_ranks = max(len(space.projection) for space in shape.data_spaces)
    coefficients = np.zeros((len(shape.data_spaces), max_ranks, len(index)), np.int64)
    for s, space in enumerate(shape.data_spaces):
        for r, rank in enumerate(space.projection):
            for term in rank:
                coefficients[s, r, index[term.dimension]] += problem.coefficient(term)
    bounds = np.array([problem.bounds[d] for d in shape.dimensions], np.int64)
    halo = ((coefficients != 0) & (bounds > 1)).sum(axis=2) > 1

    n_terms = (coefficients != 0).sum(axis=2)
    # Non-zero coefficients first, in the order of the dimensions.
    term_dimension = np.argsort(coefficients == 0, axis=2, kind="stable")[:, :, : n_terms.max()]
    levels = hardware.levels

    def ints(name: str) -> Ints:
        return np.array([getattr(level, name) for level in levels], np.int64)

    def limits(name: str) -> Floats:
        return np.array([np.inf if getattr(v, name) is None else getattr(v, name) for v in levels], np.float64)

    def energies(action: str) -> Floats:
        return np.array(
            [ert.energy_pj(level.name, action) if level.kind == "storage" else 0.0 for level in levels], np.float64
        )

    return Model(
        bounds=bounds,
        coefficients=coefficients,
        ranks=np.array([len(space.projection) for space in shape.data_spaces], np.int64),
        n_terms=n_terms,
        term_dimension=term_dimension,
        term_coefficient=np.take_along_axis(coefficients, term_dimension, axis=2),
        relevant=(coefficients != 0).any(axis=1),
        separable=~halo.any(axis=1),
        read_write=np.array([space.read_write for space in shape.data_spaces]),
        mesh_x=ints("meshX"),
        mesh_y=ints("meshY"),
        instances=ints("instances"),
        fanout_x=ints("fanoutX"),
        fanout_y=ints("fanoutY"),
        links=np.array([_links(level, shape.data_space_names) for level in levels]),
        capacity=np.array([_capacity(level) for level in levels], np.int64),
        packed=np.array([level.packing is not None for level in levels]),
        **_rows(hardware, shape.data_space_names),
        cluster_size=ints("cluster_size"),
        read_bandwidth=limits("read_bandwidth"),
        write_bandwidth=limits("write_bandwidth"),
        shared_bandwidth=limits("shared_bandwidth"),
        read_pj=energies("read"),
        fill_pj=energies("write"),
        update_pj=energies("update"),
        leak_pj=energies("leak"),
        storage=np.array([level.kind == "storage" for level in levels]),
        compute_x=hardware.compute.meshX,
        compute_y=hardware.compute.meshY,
        compute_instances=hardware.compute.instances,
        compute_pj=ert.energy_pj(hardware.compute.name, "compute"),
    )


def _capacity(level: Level) -> int:
    """Words of a level, or rows where it is packed; -1: unlimited."""
    limit = level.effective_size if level.packing is None else level.packing.rows
    return -1 if limit is None else limit


def _links(level: Level, names: tuple[str, ...]) -> list[bool]:
    forbidden = forbidden_links(level, names)
    return [name not in forbidden for name in names]


def _rows(hardware: Hardware, names: tuple[str, ...]) -> dict[str, Any]:
    """The fields of a model that say how words lie in rows."""
    words = np.ones((len(hardware.levels), len(names)), np.int64)
    rows = np.ones_like(words)
    share = np.ones(words.shape)
    for i, level in enumerate(hardware.levels):
        words[i] = level.block_size
        if level.packing is not None:
            for s, space in enumerate(level.packing.spaces):
                assert space.name == names[s], "hardware packed for the data spaces of another problem"
                words[i, s], rows[i, s] = space.words, space.rows
                share[i, s] = space.bits / level.word_bits
    return {"row_words": words, "row_count": rows, "word_share": share}


def _check_size(problem: Problem, hardware: Hardware) -> None:
    """Timeloop counts in doubles and multiplies tile sizes as 64 bit integers; beyond either nothing is exact."""
    largest = max(problem.tensor_words(space) for space in problem.shape.data_spaces)
    for what, number, bound in (
        ("computes", problem.computes, LARGEST),
        ("words in a tensor", largest, MAX_WORDS),
    ):
        if number > bound:
            raise TqhwError(
                f"{number} {what} are more than the {bound} that can be counted exactly",
                place=problem.name,
                lever="evaluate a part of the layer",
            )
    units = max(hardware.compute.instances, *(level.instances for level in hardware.levels))
    if units > MAX_UNITS:
        raise TqhwError(
            f"{units} units side by side are more than the {MAX_UNITS} that can be modelled",
            place=hardware.name,
            lever="make the meshes smaller",
        )
