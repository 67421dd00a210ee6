"""results.json and back."""

from __future__ import annotations

import json

import pytest

from tqhw.errors import TqhwError
from tqhw.results import (
    AccuracyRow,
    AmortisedRow,
    AreaRow,
    EnergyRow,
    LayerEvaluation,
    LayerRow,
    MethodRow,
    Ratio,
    Results,
    ScheduleRow,
    StorageRow,
    TrafficRow,
    from_json,
)

RESULTS = Results(
    experiment={"name": "x", "bits": [2, 8]},
    methods=(MethodRow("truncquant", "TruncQuant", "#0072B2", {"marker": "o"}),),
    accuracy=(AccuracyRow("truncquant", 2, "shifted", 97.5, 450, True), AccuracyRow("x", 8, "shifted", None, 0, False)),
    energy=(EnergyRow("truncquant", 2, "steady", "DRAM", 0.25, "bitplane"),),
    traffic=(TrafficRow("truncquant", 2, "steady", "Weights", 128, 4),),
    storage=(StorageRow("truncquant", (2, 8), 1.5, {"codes": 1.0, "batch_norm": 0.5}),),
    area=(AreaRow(8, 8, "sram", "mac", "MAC & spad", 168, 12.5), AreaRow(8, 8, None, "x", "GLB", 1, None)),
    amortised=(AmortisedRow("truncquant", 2, 10, 0.1, 12.5),),
    schedule=(ScheduleRow("truncquant", 1, 8, 3, "initial_loading", 1.0, 64, 1.0),),
    layers=(
        LayerRow(
            "conv1",
            ("conv1", "conv2"),
            2,
            "conv2d",
            {"C": 3},
            27,
            27,
            None,
            (LayerEvaluation(2, 2, "sram", 1.0, 9, 0.5, True, {"DRAM": 1.0}, {"Weights": 54}, "hardware/w2"),),
        ),
    ),
    summary=(Ratio("energy", "steady", 2, None, "a", "b", 2.0, 1.0, "mJ", 2.0, 3.2, "note", "fused", None),),
    notes=("interpolated",),
    provenance={"seed": 0},
)


def test_results_survive_json() -> None:
    text = json.dumps(RESULTS.as_json())
    assert from_json(json.loads(text)) == RESULTS
    assert list(json.loads(text))[:2] == ["schema_version", "experiment"]


def test_results_of_a_run_before_areas_are_read() -> None:
    document = RESULTS.as_json()
    del document["area"]
    assert from_json(document).area == ()
    assert from_json(document).energy == RESULTS.energy


def test_another_schema_version_is_refused() -> None:
    with pytest.raises(TqhwError, match=r"old\.json: schema_version is 99, this tqhw reads 2"):
        from_json({**RESULTS.as_json(), "schema_version": 99}, "old.json")


@pytest.mark.parametrize(
    ("rows", "key", "value", "message"),
    [
        ("energy", "energy_mj", "much", "energy.0.energy_mj: 'much' should be a valid number"),
        ("energy", "energy_mj", None, "energy.0.energy_mj: None should be a valid number"),
        ("accuracy", "verified", 1, "accuracy.0.verified: 1 should be a valid boolean"),
        ("accuracy", "bits", True, "accuracy.0.bits: True should be a valid integer"),
        ("accuracy", "top1", "high", "accuracy.0.top1: 'high' should be a valid number"),
        ("summary", "quantity", 3, "summary.0.quantity: 3 should be a valid string"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(rows: str, key: str, value: object, message: str) -> None:
    document = json.loads(json.dumps(RESULTS.as_json()))
    document[rows][0][key] = value
    with pytest.raises(TqhwError, match=f"not a results file of tqhw: {message}"):
        from_json(document)


@pytest.mark.parametrize("broken", [[], {"schema_version": 1}, {**RESULTS.as_json(), "energy": [{"method": "x"}]}])
def test_what_is_no_results_file_is_refused(broken: object) -> None:
    with pytest.raises(TqhwError, match=r"run the experiment again"):
        from_json(broken)


def test_a_row_of_another_metric_says_its_name_and_direction_and_one_of_top1_is_as_ever():
    top1 = AccuracyRow("truncquant", 2, "shifted", 96.0, 450, True)
    rmse = AccuracyRow(
        "truncquant", 2, "shifted", None, 111, True, metric="rmse", value=54.5, unit="", lower_is_better=True
    )
    assert (top1.measured, top1.metric, rmse.measured) == (96.0, "accuracy", 54.5)
    document = Results({}, accuracy=(top1, rmse)).as_json()
    assert not {"metric", "value", "unit", "lower_is_better"} & {*document["accuracy"][0]}
    assert document["accuracy"][1]["top1"] is None and document["accuracy"][1]["value"] == 54.5
    assert from_json(document).accuracy == (top1, rmse)
    assert Results({}, accuracy=(rmse,)).metric.in_unit == "RMSE, lower is better"
    assert Results({}).metric.axis == "Top-1 accuracy (%)"
