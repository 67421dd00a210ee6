"""Storage by hand; and the paper's 3.53 from ResNet-50's own counts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tqhw.errors import TqhwError
from tqhw.scenario.methods import METHODS
from tqhw.scenario.storage import ModelNumbers, storage
from tqhw.scenario.summary import storage_ratios
from tqhw.scenario.ways import Options

SMALL = ModelNumbers(weights=1_000_000, scales=10, fixed_bits=3200, norm_channels=500, others=100)
BITS = (2, 6, 8)
REST = {"unquantized": 3200 / 8e6 + 100 * 4e-6}


@pytest.mark.parametrize(
    ("method", "codes", "scales", "norms", "copy"),
    [
        ("truncquant", 1.0, 40e-6, 3 * 500 * 8e-6, 0.0),
        ("any_precision", 4.0, 40e-6, 3 * 500 * 8e-6, 1.0),
        ("multi_model", 2.0, 120e-6, 3 * 500 * 8e-6, 0.0),
        ("fixed", 1.0, 40e-6, 500 * 8e-6, 0.0),
    ],
)
def test_the_parts_of_every_method(method: str, codes: float, scales: float, norms: float, copy: float) -> None:
    row = storage(method, BITS, SMALL, Options())
    expected = {"codes": codes, "scales": scales, "batch_norm": norms, "quantized_copy": copy, **REST}
    assert row.parts == pytest.approx(expected)
    assert row.megabytes == pytest.approx(sum(expected.values()))
    assert row.bits == ((8,) if method == "fixed" else BITS)


@pytest.mark.parametrize(("method", "more"), [("truncquant", 4.0), ("multi_model", 4.0), ("fixed", 4.0)])
def test_what_another_use_reads_in_fp32_is_stored_beside_the_codes(method: str, more: float) -> None:
    tied = replace(SMALL, tied=1_000_000)
    assert tied.float_megabytes() == SMALL.float_megabytes(), "once in the ordinary model"
    before, after = (storage(method, BITS, found, Options()).megabytes for found in (SMALL, tied))
    assert after - before == pytest.approx(more)
    kept = [storage("any_precision", BITS, found, Options()).parts for found in (SMALL, tied)]
    assert kept[0] == kept[1], "its FP32 weights serve both"


def test_streaming_keeps_no_copy() -> None:
    assert storage("any_precision", BITS, SMALL, Options(requantize="streaming")).parts["quantized_copy"] == 0


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(TqhwError, match=r"unknown method 'multimodel' \(did you mean 'multi_model'"):
        storage("multimodel", BITS, SMALL, Options())


def test_resnet50_comes_near_the_papers_number_without_being_tuned() -> None:
    """25,557,032 parameters: 26,560 batch-norm channels (2 each), 1,000 biases, the rest conv and fc weights."""
    resnet50 = ModelNumbers(25_557_032 - 2 * 26_560 - 1_000, 54, 0, 26_560, 1_000)
    any_precision, copied, multi_model, folded, trained = storage_ratios(
        tuple(METHODS), BITS, resnet50, Options(), claimed=True
    )
    assert trained.value == pytest.approx(3.5366, abs=1e-3)
    assert trained.paper == 3.53
    assert folded.value == pytest.approx(102.228 / (25.503 + 0.637 + 0.004), abs=1e-3)
    assert [row.numerator for row in (any_precision, copied, multi_model)] == [
        "any_precision",
        "any_precision",
        "multi_model",
    ]
    assert copied.numerator_value - any_precision.numerator_value == pytest.approx(25.502912)  # 8 bits a weight
    assert {row.paper for row in (any_precision, multi_model, folded)} == {None}


def test_the_papers_storage_is_claimed_of_no_other_model() -> None:
    assert {row.paper for row in storage_ratios(tuple(METHODS), BITS, SMALL, Options())} == {None}


@pytest.mark.parametrize(("requantize", "copies"), [("best", [0, 1]), ("streaming", [0]), ("fused", [1])])
def test_the_baselines_copy_is_counted_where_its_way_needs_it(requantize: str, copies: list[int]) -> None:
    rows = storage_ratios(("truncquant", "any_precision"), BITS, SMALL, Options(requantize=requantize))
    found = [row for row in rows if row.numerator == "any_precision"]
    assert [row.numerator_value for row in found] == pytest.approx(
        [4.01244 + REST["unquantized"] + c - 4e-4 for c in copies]
    )
    assert ["quantized copy" in row.note for row in found] == [bool(c) for c in copies]
