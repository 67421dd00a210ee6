"""Mappings as arrays and back, and what is refused on the way."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.engine import random_batch, take
from tqhw.engine import Batch, build_model, decode, encode, run_batch
from tqhw.engine.batch import BadMappingError
from tqhw.engine.kernel import Counts, evaluate_batch
from tqhw.errors import TqhwError
from tqhw.spec import (
    CONV2D,
    ERT,
    Hardware,
    LevelMapping,
    Loops,
    Mapping,
    Problem,
    flatten,
    load_architecture,
    load_ert,
    make_problem,
)

DATA = Path(__file__).parent.parent / "data/timeloop"
LAYER = {"C": 4, "M": 6, "R": 3, "S": 3, "N": 1, "P": 8, "Q": 6, "G": 1}


def setting() -> tuple[Problem, Hardware, ERT, Batch]:
    """200 random mappings of a small layer on the two-level array."""
    hardware = flatten(load_architecture(DATA / "arch/two_level_array.yaml"))
    ert = load_ert(DATA / "ert/two_level_array.ERT.yaml")
    problem = make_problem(CONV2D, LAYER)
    fanout = np.array([level.fanout for level in hardware.levels])
    keep = np.array([[level.kind == "storage"] * 3 for level in hardware.levels])
    bounds = np.array([LAYER[d] for d in CONV2D.dimensions])
    return problem, hardware, ert, random_batch(bounds, fanout, keep, 200, 7)


def same(a: Counts, b: Counts) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_a_mapping_survives_decoding_and_encoding() -> None:
    problem, hardware, _, batch = setting()
    again = encode(problem, hardware, [decode(problem, hardware, batch, i) for i in range(len(batch))])
    assert len(again) == len(batch) == 200
    for name in ("temporal", "temporal_order", "spatial"):
        assert np.array_equal(getattr(again, name), getattr(batch, name)), name
    array = [i for i, level in enumerate(hardware.levels) if level.fanout > 1]
    assert np.array_equal(again.spatial_order[:, array], batch.spatial_order[:, array])
    assert np.array_equal(again.split[:, array], batch.split[:, array])
    assert np.array_equal(again.keep, np.broadcast_to(batch.keep, again.keep.shape))


def test_a_batch_is_its_mappings_one_at_a_time() -> None:
    problem, hardware, ert, batch = setting()
    model = build_model(problem, hardware, ert)
    whole = run_batch(model, batch, detail=True)
    assert 0 < (whole.rule == 0).sum() < len(batch)
    for i in range(len(batch)):
        one = run_batch(model, take(batch, np.array([i])), detail=True)
        assert same(one, Counts(*(values[i : i + 1] for values in whole))), i


def test_totals_do_not_depend_on_the_details() -> None:
    problem, hardware, ert, batch = setting()
    model = build_model(problem, hardware, ert)
    detailed, plain = run_batch(model, batch, detail=True), run_batch(model, batch)
    for name in ("rule", "level", "cycles", "energy_pj", "compute_cycles"):
        assert np.array_equal(getattr(detailed, name), getattr(plain, name)), name


def test_an_axis_of_one_is_shared_by_all_mappings() -> None:
    problem, hardware, ert, batch = setting()
    model = build_model(problem, hardware, ert)
    for name in ("temporal_order", "spatial", "spatial_order", "split", "keep"):
        first = getattr(batch, name)[:1]
        shared = replace(batch, **{name: first})
        spelled = replace(batch, **{name: np.repeat(first, len(batch), axis=0)})
        assert same(run_batch(model, shared, detail=True), run_batch(model, spelled, detail=True)), name


def test_nothing_is_compiled_anew_for_another_layout_in_memory() -> None:
    problem, hardware, ert, batch = setting()
    model = build_model(problem, hardware, ert)
    found = run_batch(model, batch, detail=True)
    known = evaluate_batch.compiled.signatures
    turned = {field.name: np.asfortranarray(getattr(batch, field.name)) for field in fields(batch)}
    assert not turned["temporal"].flags.c_contiguous
    assert same(run_batch(model, replace(batch, **turned), detail=True), found)
    assert evaluate_batch.compiled.signatures == known


@pytest.mark.parametrize("name", [field.name for field in fields(Batch)])
def test_arrays_of_another_shape_are_refused(name: str) -> None:
    problem, hardware, ert, batch = setting()
    model = build_model(problem, hardware, ert)
    array = getattr(batch, name)
    with pytest.raises(TqhwError, match=rf"batch array '{name}' has shape .*, not \(200 or 1, "):
        run_batch(model, replace(batch, **{name: array[:, :-1]}))
    if name != "temporal":
        two = np.repeat(array[:1], 2, axis=0)
        with pytest.raises(TqhwError, match=rf"batch array '{name}' has shape"):
            run_batch(model, replace(batch, **{name: two}))


def test_an_empty_batch_is_refused() -> None:
    problem, hardware, ert, batch = setting()
    with pytest.raises(TqhwError, match=r"batch array 'temporal' has shape \(0, "):
        run_batch(build_model(problem, hardware, ert), replace(batch, temporal=batch.temporal[:0]))


def mapping(**levels: LevelMapping) -> Mapping:
    return Mapping(tuple(levels.values()))


def loops(factors: dict[str, int]) -> Loops:
    return Loops(factors, tuple(factors), None)


def test_an_unknown_level_is_named_with_the_nearest() -> None:
    problem, hardware, *_ = setting()
    name = hardware.level_names[0]
    with pytest.raises(BadMappingError, match=rf"target level not found: {name}x \(did you mean '{name}'\?") as caught:
        encode(problem, hardware, [mapping(a=LevelMapping(f"{name}x"))])
    assert [reason.rule for reason in caught.value.reasons] == ["target"]


def test_a_level_of_a_file_is_named_with_its_line() -> None:
    problem, hardware, *_ = setting()
    with pytest.raises(BadMappingError, match=r"^m.yaml:3: target level not found: buffet"):
        encode(problem, hardware, [mapping(a=LevelMapping("buffet", place="m.yaml:3"))])


def test_spatial_loops_need_a_fanout() -> None:
    problem, hardware, *_ = setting()
    part = LevelMapping("DRAM", temporal=loops(LAYER), spatial=loops({"C": 1}))
    with pytest.raises(BadMappingError, match="DRAM has no spatial fan-out: spatial loops cannot be mapped to it"):
        encode(problem, hardware, [mapping(a=part)])


def test_unknown_data_spaces_and_dimensions_are_named() -> None:
    problem, hardware, *_ = setting()
    with pytest.raises(TqhwError, match=r"level DRAM: unknown data space 'Weight' \(did you mean 'Weights'\?"):
        encode(problem, hardware, [mapping(a=LevelMapping("DRAM", keep=("Weight",)))])
    with pytest.raises(TqhwError, match=r"level DRAM: unknown dimension 'K'"):
        encode(problem, hardware, [mapping(a=LevelMapping("DRAM", temporal=loops({"K": 2})))])


def test_every_dimension_that_misses_its_bound_is_told() -> None:
    problem, hardware, *_ = setting()
    with pytest.raises(BadMappingError) as caught:
        encode(problem, hardware, [mapping(a=LevelMapping("DRAM", temporal=loops({**LAYER, "C": 8, "P": 4})))])
    assert [(r.rule, r.demand, r.bound, r.message) for r in caught.value.reasons] == [
        ("factors", 8, 4, "the factors of dimension C multiply to 8, the problem's bound is 4"),
        ("factors", 4, 8, "the factors of dimension P multiply to 4, the problem's bound is 8"),
    ]
