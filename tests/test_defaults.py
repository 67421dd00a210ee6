"""A default that a user meets at several doors is one: the experiment's, the command's and Python's agree."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import Any

import pytest
import typer

from tqhw import api, energy
from tqhw.backends import Search, with_word_bits
from tqhw.backends.words import MULTIPLIERS
from tqhw.cli import app
from tqhw.options import ContainerOptions, EnergyOptions
from tqhw.spec.word_bits import PACKINGS, parse_word_bits


def of_command(name: str, option: str) -> Any:
    command = typer.main.get_command(app)
    for part in name.split():
        command = command.commands[part]  # type: ignore[attr-defined]
    return next(parameter.default for parameter in command.params if parameter.name == option)


def of_function(function: Any, name: str) -> Any:
    return inspect.signature(function).parameters[name].default


def test_the_engine_the_objective_and_the_image() -> None:
    assert of_command("map", "objective") == of_function(api.search, "objective") == Search().objective
    engines = {of_command(name, "backend") for name in ("map", "evaluate")}
    assert engines == {of_function(function, "backend") for function in (api.target, api.evaluate, api.search)}
    assert of_command("docker build", "tag") == ContainerOptions().image


def test_energies_and_words() -> None:
    for function in (energy.tables, energy.component_costs):
        assert of_function(function, "adder") == EnergyOptions().adder == energy.ADDERS[0]
    assert parse_word_bits("A=8").packing == PACKINGS[0] == "pack"
    assert of_function(with_word_bits, "multiplier") is None and MULTIPLIERS[0] == "match"


@pytest.mark.torch
def test_an_experiment_and_the_parts_that_it_is_made_of() -> None:
    pytest.importorskip("torch")
    from tqhw import quant
    from tqhw.experiment import Experiment
    from tqhw.options import ScenarioOptions
    from tqhw.report import listings
    from tqhw.scenario import Options
    from tqhw.scenario.methods import REFERENCE

    chosen = Experiment()
    assert of_command("map", "backend") == chosen.backend
    assert chosen.search.objective == Search().objective
    assert chosen.stored_bits == of_function(api.export, "stored") == Options().stored_bits
    assert of_function(quant.save, "stored") == of_function(quant.quantize, "bits") == chosen.stored_bits
    assert of_function(api.quantize, "bits") == chosen.stored_bits
    schemes = {of_function(api.quantize, "scheme"), of_function(quant.quantize, "scheme"), quant.QuantConfig().scheme}
    assert schemes == {REFERENCE} == {listings.DEFAULT_SCHEME}
    for field in fields(ScenarioOptions):
        assert getattr(Options(), field.name) == getattr(chosen.scenario, field.name), field.name
