"""A model packed into few arrays of records: what the kernels read, in the order in which they read it.

The ranks of all data spaces stand one after another. Ranks and terms whose dimensions have bound 1 are left out: they
hold one word and never move.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tqhw.engine.bundle import bundle
from tqhw.engine.model import Bools, Ints, Model

Records = Any  # a numpy record array; its fields are not visible to the type checker


def records(shape: int | tuple[int, ...], **fields: type) -> Records:
    """An array of records, all zero; its fields are also attributes, in a kernel and outside."""
    return np.zeros(shape, np.dtype(list(fields.items()), align=True)).view(np.recarray)


@bundle
class Plan(NamedTuple):
    """K ranks of all data spaces, D dimensions, L levels (innermost first)."""

    bounds: Ints  # [D]
    spaces: Records  # [S] first_rank, end_rank, separable, single, read_write
    relevant: Bools  # [S, D]
    rank: Ints  # [S, D] the rank that a dimension moves, -1: none; one of them where the data space is not `single`
    ranks: Records  # [K] its terms, the first two of them once more, and what one word less its coefficients leaves
    terms: Records  # [T] dimension, coefficient
    coefficients: Ints  # [K, D]
    levels: Records  # [L] meshes, limits and energies of the level
    rows: Records  # [L, S] words, count: so many words lie in so many rows; share: of a bandwidth's word; links
    machine: Records  # [1] mesh, instances, computes and their energy


def make_plan(model: Model) -> Plan:
    """Packs a model."""
    n_spaces, _, n_dims = model.coefficients.shape
    active = (model.coefficients != 0) & (model.bounds > 1)
    kept = [[r for r in range(model.ranks[s]) if active[s, r].any()] for s in range(n_spaces)]
    n_ranks = sum(len(ranks) for ranks in kept)
    spaces = records(
        n_spaces, first_rank=np.int64, end_rank=np.int64, separable=np.bool_, single=np.bool_, read_write=np.bool_
    )
    whole = ("first_term", "third_term", "end_term", "dimension", "coefficient", "other", "other_coefficient", "least")
    ranks = records(n_ranks, **dict.fromkeys(whole, np.int64))
    terms = records(int(active.sum()), dimension=np.int64, coefficient=np.int64)
    coefficients = np.zeros((n_ranks, n_dims), np.int64)
    rank = np.full((n_spaces, n_dims), -1, np.int64)
    k = t = 0
    for s in range(n_spaces):
        single = bool((active[s].sum(axis=0) <= 1).all())  # no dimension moves two ranks at once
        spaces[s] = (k, k + len(kept[s]), model.separable[s], single, model.read_write[s])
        for r in kept[s]:
            dims = np.flatnonzero(active[s, r])
            ranks[k] = _rank(t, dims, model.coefficients[s, r, dims])
            for d in dims:
                terms[t] = (d, model.coefficients[s, r, d])
                coefficients[k, d] = model.coefficients[s, r, d]
                rank[s, d] = k
                t += 1
            k += 1
    return Plan(
        model.bounds,
        spaces,
        model.relevant,
        rank,
        ranks,
        terms,
        coefficients,
        _levels(model),
        _rows(model),
        _machine(model),
    )


def _rank(first: int, dims: Ints, coefficients: Ints) -> tuple[int, ...]:
    """A rank whose terms stand from ``first`` on; with two at most, words are one sum without a loop."""
    (one, by), (two, by_two) = [*zip(dims, coefficients, strict=True), (0, 0)][:2]
    third, end = first + min(2, len(dims)), first + len(dims)
    return first, third, end, one, by, two, by_two, 1 - int(coefficients.sum())


def _levels(model: Model) -> Records:
    whole = ("mesh_x", "mesh_y", "instances", "fanout_x", "fanout_y", "capacity")
    real = ("read_bandwidth", "write_bandwidth", "shared_bandwidth", "read_pj", "fill_pj", "update_pj", "leak_pj")
    fields: dict[str, Any] = {**dict.fromkeys(whole, np.int64), **dict.fromkeys(real, np.float64)}
    levels = records(len(model.mesh_x), **fields, clusters=np.float64, limited=np.bool_, packed=np.bool_)
    for name in fields:
        levels[name] = getattr(model, name)
    levels.packed = model.packed
    levels.clusters = model.instances / model.cluster_size
    bandwidths = np.stack([model.read_bandwidth, model.write_bandwidth, model.shared_bandwidth])
    levels.limited = np.isfinite(bandwidths).any(axis=0)
    return levels


def _rows(model: Model) -> Records:
    rows = records(model.row_words.shape, words=np.int64, count=np.int64, share=np.float64, links=np.bool_)
    rows.words, rows.count, rows.share, rows.links = model.row_words, model.row_count, model.word_share, model.links
    return rows


def _machine(model: Model) -> Records:
    machine = records(1, mesh_x=np.int64, mesh_y=np.int64, instances=np.int64, computes=np.int64, compute_pj=np.float64)
    computes = int(np.prod(model.bounds, dtype=object))
    machine[0] = (model.compute_x, model.compute_y, model.compute_instances, computes, computes * model.compute_pj)
    return machine
