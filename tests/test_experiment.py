"""The experiment's own rules; what the file may not hold is in test_experiment_file."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tqhw.experiment import Experiment
from tqhw.scenario.methods import Options
from tqhw.scenario.results import METHODS, STATES
from tqhw.scenario.schedule import Step


def test_the_defaults_are_an_experiment() -> None:
    found = Experiment()
    assert (found.methods, found.states) == (METHODS, STATES)
    assert found.training is None
    assert found.options() == Options()


def test_every_scenario_choice_reaches_the_scenarios() -> None:
    choices = {
        "layout": "packed",
        "requantize": "streaming",
        "residency": "never",
        "quantizer_pj": 36.0,
        "shift_pj": 0.1,
    }
    found = Experiment.model_validate({"scenario": choices, "stored_bits": 6, "bits": [2, 6]})
    assert found.options() == Options(stored_bits=6, **choices)  # type: ignore[arg-type]


def test_a_schedule_is_bits_or_bits_with_inferences() -> None:
    found = Experiment.model_validate({"scenario": {"schedule": [8, {"bits": 2, "inferences": 100}, {"bits": 4}]}})
    assert found.scenario.steps() == (Step(8), Step(2, 100), Step(4))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"bits": [2, 2]}, "bits names a value twice"),
        ({"methods": ["fixed", "fixed"]}, "methods names a value twice"),
        ({"bits": [8], "stored_bits": 4}, "8 bits cannot be shifted out of a model stored with 4"),
        ({"scenario": {"schedule": [7]}, "bits": [4], "stored_bits": 6}, "7 bits cannot be shifted out"),
        ({"scenario": {"schedule": [{"bits": 2, "inferences": 0}]}}, "inferences of step 1 is 0"),
        ({"scenario": {"schedule": [True]}}, "bits of step 1 is True"),
        ({"architecture": {"params": {"fetch_bits": 3}}}, r"architecture\.params\.fetch_bits is set by the experiment"),
    ],
)
def test_what_contradicts_itself_is_refused(document: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Experiment.model_validate(document)
