"""The experiment's own rules; what the file may not hold is in test_reader."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

import pytest
from pydantic import ValidationError

from tqhw.energy import QUANTIZER_ESTIMATES, TRUNCATION_ESTIMATES
from tqhw.experiment import Experiment
from tqhw.options import ScheduleStep
from tqhw.results import STATES
from tqhw.scenario.methods import METHODS
from tqhw.scenario.ways import Options

NEEDS_TORCH = (pytest.mark.torch, pytest.mark.skipif(find_spec("torch") is None, reason="its names come with PyTorch"))


def test_the_defaults_are_an_experiment() -> None:
    found = Experiment()
    assert (found.methods, found.states) == (tuple(METHODS), STATES)
    assert found.training is None
    options = found.options()
    assert options.quantize_pj(2) == pytest.approx(4.435, abs=1e-3)
    assert options.truncation_pj == pytest.approx(0.1448)
    assert options == Options()


def test_every_scenario_choice_reaches_the_scenarios() -> None:
    choices = {"layout": "packed", "requantize": "streaming", "residency": "never"}
    energies = {"quantizer": 36.0, "truncation": 0.25}
    found = Experiment.model_validate({"scenario": {**choices, **energies}, "stored_bits": 6, "bits": [2, 6]})
    options = found.options()
    assert options == Options(stored_bits=6, **choices, **energies)  # type: ignore[arg-type]
    assert (options.quantize_pj(2), options.truncation_pj) == (36.0, 0.25)


@pytest.mark.parametrize(("name", "known"), [("quantizer", QUANTIZER_ESTIMATES), ("truncation", TRUNCATION_ESTIMATES)])
def test_every_estimate_of_the_energy_room_can_be_named(name: str, known: Mapping[str, str]) -> None:
    for estimate in known:
        Experiment.model_validate({"scenario": {name: estimate}}).options()


def test_a_schedule_is_bits_or_bits_with_inferences() -> None:
    found = Experiment.model_validate({"scenario": {"schedule": [8, {"bits": 2, "inferences": 100}, {"bits": 4}]}})
    assert found.scenario.steps() == (ScheduleStep(8), ScheduleStep(2, 100), ScheduleStep(4))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"bits": [2, 2]}, "bits names a value twice"),
        ({"methods": ["fixed", "fixed"]}, "methods names a value twice"),
        ({"bits": [8], "stored_bits": 4}, "8 bits cannot be shifted out of a model stored with 4"),
        ({"scenario": {"schedule": [7]}, "bits": [4], "stored_bits": 6}, "7 bits cannot be shifted out"),
        ({"scenario": {"schedule": [{"bits": 2, "inferences": 0}]}}, "inferences of step 1 is 0"),
        ({"scenario": {"schedule": [True]}}, "bits of step 1 is True"),
        ({"search": {"objective": "energy,latency", "factors": "imperfect", "pad": True}}, "two answers to one"),
        ({"search": {"objective": "energy,edp", "pad": True}}, "the front of a network is one of energy and latency"),
        pytest.param({"quantize": {"metric": "rsme"}}, "unknown metric 'rsme'", marks=NEEDS_TORCH),
        pytest.param({"quantize": {}, "data": {"name": "digit"}}, "unknown value 'digit'", marks=NEEDS_TORCH),
        ({"architecture": {"params": {"fetch_bits": 3}}}, r"architecture\.params\.fetch_bits is set by the experiment"),
    ],
)
def test_what_contradicts_itself_is_refused(document: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Experiment.model_validate(document)
