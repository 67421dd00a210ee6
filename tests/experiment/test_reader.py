from __future__ import annotations

from pathlib import Path

import pytest

from tqhw import experiment
from tqhw.errors import TqhwError
from tqhw.experiment import Experiment
from tqhw.options import documented_keys
from tqhw.spec import yamlio

ROOT = Path(__file__).resolve().parents[2]


def parse(text: str, *settings: str) -> Experiment:
    return experiment.parse(yamlio.parse(text, "e.yaml"), "e.yaml", settings)


def test_settings_go_over_the_file() -> None:
    found = parse("name: a\nbits: [2]", "bits=[4, 8]", "scenario.layout=packed", "training.epochs=3")
    assert found.bits == (4, 8)
    assert found.scenario.layout == "packed"
    assert found.training is not None and found.training.epochs == 3
    assert parse("training: {epochs: 3}", "training=null").training is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bits: [0]", "e.yaml:1: bits: 0 must be at least 1"),
        ("bits: [9]", "e.yaml:1: bits: 9 must be at most 8"),
        ("name: x\nbits:\n- 2\n- 9\nmodel:\n  name: resnet20", "e.yaml:2: bits: 9 must be at most 8"),
        ("\nscenario:\n  residency: auto\n  layout: planes", "e.yaml:4: scenario.layout: unknown value 'planes'"),
        ("bits: [two]", "e.yaml:1: bits: 'two' must be a whole number"),
        ("model: {input: '1,3,32,32'}", "e.yaml:1: model.input: '1,3,32,32' must be a list (Shape of the input"),
        ("model: {input: [1, 3, 0, 32]}", "e.yaml:1: model.input: 0 must be at least 1"),
        ("model: {input: {ids: 5}}", "e.yaml:1: model.input.ids: 5 must be text"),
        ("bits: two", "e.yaml:1: bits: 'two' must be a list"),
        ("bits: []", "e.yaml:1: bits: [] must not be empty"),
        ("bits: [true]", "e.yaml:1: bits: True must be a whole number"),
        ("methods: [truncquand]", "unknown value 'truncquand' (did you mean 'truncquant'?"),
        ("states: [stedy]", "unknown value 'stedy' (did you mean 'steady'?"),
        ("\nscenario:\n  layuot: packed", "e.yaml:3: scenario.layuot: unknown key 'layuot' (did you mean 'layout'?"),
        ("scenario: {layout: planes}", "scenario.layout: unknown value 'planes'"),
        (
            "data: {nam: digits}",
            "(did you mean 'name'? known: name, path, size, split, workers, skip_corrupt, check, options)",
        ),
        ("modle: {}", "unknown key 'modle' (did you mean 'model'?"),
        ("model: resnet20", "model: 'resnet20' must be a section with keys of its own (The network.)"),
        (
            "architecture:\n  word_bits: {Inputs: 8}",
            "e.yaml:2: architecture.word_bits: unknown key 'word_bits' (`word_bits` stands outside of all sections; ",
        ),
        ("search: {budget_s: 3}", "unknown key 'budget_s' (`timeloop.budget_s` is the key; known: objective"),
        (
            "name: x\nsearch:\n  budget: 3",
            "e.yaml:3: search.budget: unknown key 'budget' (did you mean `timeloop.budget_s`? known: objective, fac",
        ),
        ("architecture: {factor: imperfect}", "unknown key 'factor' (did you mean `search.factors`? known: name,"),
        ("scenario: {bit: [2]}", "unknown key 'bit' (did you mean `bits`? known: layout"),
        ("epoch: 3", "unknown key 'epoch' (did you mean `training.epochs`? known: model"),
        ("search: {batch_size: 3}", "(`training.batch_size` or `quantize.batch_size` is the key; known: objective"),
        ("timeloop: {budget: 3}", "unknown key 'budget' (did you mean 'budget_s'? known: algorithm"),
        ("search: {object: edp}", "unknown key 'object' (did you mean 'objective'? known: objective"),
        ("search: {pading: true}", "unknown key 'pading' (did you mean 'pad'? known: objective"),
        ("training: {epoch: 3}", "unknown key 'epoch' (did you mean 'epochs'?"),
        # What packages add is looked for where a name is none of ours, and that asks for PyTorch.
        pytest.param(
            "training: {schemes: [trunc]}",
            "unknown value 'trunc' (did you mean 'truncquant'?",
            marks=pytest.mark.torch,
        ),
        ("training: {threads: 4097}", "training.threads: 4097 must be at most 4096 (CPU threads of PyTorch"),
        ("timeloop: {num_threads: 257}", "timeloop.num_threads: 257 must be at most 256 (Threads of one search"),
        ("timeloop: {timeout: 4294967296}", "timeloop.timeout: 4294967296 must be at most 4294967295 (Invalid mapp"),
        ("quantization: {first: 9}", "quantization.first: 9 must be at most 8 (Bits of the first layer"),
        ("quantization: {first: fll}", "quantization.first: unknown value 'fll' (did you mean 'full'?"),
        ("scenario: {quantizer: .nan}", "scenario.quantizer: nan must be a finite number"),
        (
            "scenario: {quantizer: affine_lo}",
            "scenario.quantizer: unknown value 'affine_lo' (did you mean 'affine_low'?",
        ),
        ("training: {momentum: 1}", "training.momentum: 1 must be less than 1"),
        ("name: ../up", "e.yaml:1: name: '../up' does not fit: string should match pattern"),
        ("bits: [2, 2]", "e.yaml:1: bits names a value twice: [2, 2]"),
        ("- a", "e.yaml: an experiment must be a mapping, found '['a']'"),
    ],
)
def test_a_bad_file_gives_value_rule_place_and_lever(text: str, message: str) -> None:
    with pytest.raises(TqhwError) as caught:
        parse(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("bits", "--set: 'bits' is not key=value (for example --set bits=[2,8])"),
        ("bits=[9]", "--set bits: 9 must be at most 8"),
        ("bits=[1", "--set bits:1:3: not valid YAML"),
        ("scenario.layuot=packed", "--set scenario.layuot: unknown key 'layuot' (did you mean 'layout'?"),
    ],
)
def test_a_bad_setting_is_named_as_its_place(setting: str, message: str) -> None:
    with pytest.raises(TqhwError) as caught:
        parse("name: a", setting)
    assert message in str(caught.value)


def test_every_key_is_documented_once() -> None:
    rows = list(documented_keys(Experiment))
    assert all(meaning for _, _, meaning in rows)
    assert len({key for key, _, _ in rows}) == len(rows)
    defaults = {key: default for key, default, _ in rows}
    assert defaults["bits"] == "[2, 4, 6, 8]"
    assert parse("\n".join(f"{k}: {v}" for k, v in defaults.items() if "." not in k)) == Experiment()


def test_the_documentation_holds_the_table_of_keys() -> None:
    assert experiment.keys_table() in (ROOT / "docs" / "experiment.md").read_text()
