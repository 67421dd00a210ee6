"""Bad input of a run: one message, exit code 2, no traceback, results of an earlier run untouched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from tests.cli.test_app import ROOT, refused, tqhw
from tqhw.errors import TqhwError
from tqhw.experiment import Experiment
from tqhw.pipeline import hardware
from tqhw.pipeline.run import run
from tqhw.report.figures import FIGURES, FigureKind

TINY = "{name: 'tests.pipeline.tiny:net', input: [1, 1, 8, 8]}"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A folder with results of an earlier run, which must still be there afterwards, unchanged."""
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "results.json").write_text("earlier")
    return folder


def run_refused(results: Path, text: str, *more: object) -> str:
    path = results.parent / "e.yaml"
    path.write_text(text)
    message = refused("run", path, "--out", results, *more)
    assert [f.name for f in results.iterdir()] == ["results.json"]
    assert (results / "results.json").read_text() == "earlier"
    return message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: {name: resnet21}", "unknown model 'resnet21' (did you mean 'resnet20'?"),
        ("model: {name: 'tests.pipeline.tiny:nett'}", "unknown factory 'nett' (did you mean 'net'?"),
        ("model: {name: 'tests.pipeline.tiny:raising'}", "the factory raised RuntimeError: out of paper"),
        ("model: {name: 'no.such.module:net'}", "there is no module 'no.such.module'"),
        ("model: {name: resnet20, options: {width: 3}}", "unknown option of model resnet20 'width'"),
        (
            "model: {name: resnet20, input: [1, 1, 32, 32]}",
            "on an input of 1,1,32,32 the forward pass raised Runtime",
        ),
        (
            "model: {name: 'tests.pipeline.tiny:unquantizable', input: [1, 1, 8, 8]}",
            "no convolution and no linear layer to quantize",
        ),
        ("model: {name: 'tests.pipeline.tiny:poisoned', input: [1, 1, 8, 8]}", "conv2.weight"),
        (
            "model: {name: 'tests.pipeline.tiny:bilinear', input: [4, 1, 8]}\nquantization: {first: null}",
            "cannot be mapped",
        ),
        (
            "model: {name: 'tests.pipeline.tiny:bilinear', options: {linear: 1}, input: [4, 1, 8]}",
            "1 of its operations cannot be mapped: pair (Bilinear: bilinear form)",
        ),
        (
            "model: {name: 'tests.pipeline.tiny:net', input: {x: 'float32[1,1,8]', y: 'int64[1]'}}",
            "the inputs do not fit: got an unexpected keyword argument 'y'; the forward pass takes x; given: x:fl",
        ),
        (
            "model: {name: 'tests.pipeline.tiny:net', input: [1, 1, 8, 8], skip: [conv3]}",
            "skip: 'conv3' matches nothing that ran (did you mean 'conv2'?",
        ),
        (
            "model: {name: 'tests.pipeline.tiny:lonely', input: [1, 8]}",
            "tqhw: quantization: the only layer to quantize, '1', is kept at full precision (quantization.first: null",
        ),
        (
            f"model: {TINY}\ntraining: {{size: 16}}",
            "the input [1, 1, 8, 8] is not that of the data set, [1, 1, 16, 16]",
        ),
        (f"model: {TINY}\nquantization: {{layers: {{convv1: 4}}}}", "unknown layer 'convv1' (did you mean 'conv1'?"),
        ("bits: [0]", "bits: 0 must be at least 1"),
        ("bits: [9]", "bits: 9 must be at most 8"),
        ("bits: [two]", "bits: 'two' must be a whole number"),
        ("bits: []", "bits: [] must not be empty"),
        ("methods: [anyprecision]", "unknown value 'anyprecision' (did you mean 'any_precision'?"),
        ("states: [switching]", "unknown value 'switching' (did you mean 'precision_switching'?"),
        ("scenario: {layout: bitplanes}", "unknown value 'bitplanes' (did you mean 'bitplane'?"),
        ("metods: [fixed]", "unknown key 'metods' (did you mean 'methods'?"),
        ("bits: [2", "e.yaml:1:9: not valid YAML"),
        ("", "e.yaml: the file is empty"),
        ("bits: !!python/object/apply:os.system [ls]", "e.yaml:1"),
        ("architecture: {name: eyeriss}", "unknown architecture 'eyeriss' (did you mean 'eyeriss_like'?"),
        (
            f"model: {TINY}\narchitecture: {{params: {{pe_row: 3}}}}",
            "unknown parameter 'pe_row' (did you mean 'pe_rows'?",
        ),
        (f"model: {TINY}\nspad_models: [srom]", "unknown value 'srom' (did you mean 'sram'?"),
        (f"model: {TINY}\nscenario: {{residency: always}}", "the architecture has no buffer of the weights' own"),
        ("backend: embeded", "unknown backend 'embeded' (did you mean 'embedded'?"),
    ],
)
def test_a_bad_experiment(results: Path, text: str, message: str) -> None:
    assert message in run_refused(results, text)


def test_a_billion_laughs(results: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    assert "aliases expand to more than" in run_refused(results, "\n".join(lines))


def test_bad_options(results: Path) -> None:
    assert "--set bits: 9 must be at most 8" in run_refused(results, "name: a", "--set", "bits=[9]")
    assert "unknown backend 'timelop'" in run_refused(results, "name: a", "--backend", "timelop")
    assert "no such file" in refused("run", "nowhere.yaml", "--out", results)


def test_an_output_that_is_a_file(tmp_path: Path) -> None:
    path, out = tmp_path / "e.yaml", tmp_path / "out"
    path.write_text(f"model: {TINY}")
    out.write_text("mine")
    assert "out: is a file, not a folder" in refused("run", path, "--out", out)
    assert out.read_text() == "mine"
    assert "cannot be written" in refused("run", path, "--out", "/proc/nowhere/out")


ARCHITECTURES = {
    "no compute": ("class: compute", "class: storage", "needs exactly one compute component, found 0"),
    "two names": ("name: weights_spad", "name: psum_spad", "psum_spad"),
    "unknown class": ("subclass: int_mac", "subclass: int_mak", "int_mak"),
}


@pytest.mark.parametrize("change", ARCHITECTURES)
def test_a_bad_architecture(results: Path, change: str) -> None:
    before, after, message = ARCHITECTURES[change]
    template = ROOT / "arch" / "eyeriss_like"
    folder = results.parent / "mine"
    folder.mkdir()
    for file in template.iterdir():
        if file.is_file():
            (folder / file.name).write_text(file.read_text())
    text = (folder / "arch.yaml.j2").read_text()
    assert before in text
    (folder / "arch.yaml.j2").write_text(text.replace(before, after))
    assert message in run_refused(results, f"model: {TINY}\narchitecture: {{name: {folder}}}")


def test_layers_without_a_mapping_are_listed(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tqhw.backends.embedded import Embedded
    from tqhw.spec import Invalid, Reason

    nothing = Invalid((Reason("weights_spad", "capacity", 9, 4, "weights_spad: the tiles need 9 words"),))
    monkeypatch.setattr(Embedded, "search", lambda self, jobs, search, done=None: [nothing for _ in jobs])
    message = run_refused(results, f"model: {TINY}\nbits: [2]\nmethods: [truncquant]\nspad_models: [sram]")
    assert "3 layers have no valid mapping: conv1 (weights of 32 bits): weights_spad: the tiles need 9 words" in message


def test_ctrl_c_in_the_middle(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(hardware, "evaluate", interrupted)
    path = results.parent / "e.yaml"
    path.write_text(f"model: {TINY}")
    found = tqhw("run", path, "--out", results)
    assert found.exit_code == 130
    assert found.stderr == "tqhw: interrupted; what was finished is kept, earlier results are untouched\n"
    assert (results / "results.json").read_text() == "earlier"


def test_a_real_ctrl_c_while_it_trains(tmp_path: Path) -> None:
    path, out = tmp_path / "e.yaml", tmp_path / "out"
    path.write_text(
        f"model: {TINY}\nmethods: [truncquant]\nbits: [8]\nspad_models: [sram]\n"
        "training: {size: 8, epochs: 100000, threads: 1}"
    )
    command = [sys.executable, "-m", "tqhw.run", str(path), "--out", str(out)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, cwd=ROOT, text=True, env=environment) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("tables")
        assert process.stderr.readline().startswith("mapping")  # then it trains
        checkpoint = wait_for(out)
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait(timeout=60) == 130
    assert rest == "tqhw: interrupted; what was finished is kept, earlier results are untouched\n"
    assert checkpoint.exists()
    assert [f.name for f in out.iterdir()] == ["kept"]


def wait_for(out: Path) -> Path:
    """The first checkpoint."""
    import time

    for _ in range(600):
        for found in out.glob("kept/*/checkpoint.safetensors"):
            return found
        time.sleep(0.1)
    raise AssertionError("no checkpoint within a minute")


def test_json_of_results_stays_readable_after_a_refused_run(results: Path) -> None:
    (results / "results.json").write_text(json.dumps({"schema_version": 1}))
    refused("run", "nowhere.yaml", "--out", results)
    assert json.loads((results / "results.json").read_text()) == {"schema_version": 1}


@pytest.mark.parametrize("name", ["os:system", "os:popen", "subprocess:getoutput"])
def test_a_file_runs_no_function_that_does_not_declare_a_model(results: Path, name: str) -> None:
    ran = results.parent / "ran"
    key = "cmd" if name != "os:system" else "command"
    model = f"{{name: '{name}', options: {{{key}: 'touch {ran}'}}, input: [1, 1, 8, 8]}}"
    message = run_refused(results, f"model: {model}\n")
    assert "does not declare that it gives a torch.nn.Module, so a file cannot have it called" in message
    assert "--trust" in message
    path = results.parent / "r.yaml"
    path.write_text(f"model: {{name: '{name}', options: {{{key}: 'touch {ran}'}}}}\ndata: {{name: digits}}\n")
    assert "does not declare that it gives a torch.nn.Module" in refused("train", path, "--out", results.parent / "t")
    assert not ran.exists()


def test_with_trust_it_is_called(results: Path) -> None:
    ran = results.parent / "ran"
    path = results.parent / "e.yaml"
    path.write_text(f"model: {{name: 'os:system', options: {{command: 'touch {ran}'}}, input: [1, 1, 8, 8]}}\n")
    assert "the factory returned an int, not a torch.nn.Module" in refused("run", path, "--out", results, "--trust")
    assert ran.exists()


def test_a_figure_that_cannot_be_drawn_is_told_before_the_work(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FIGURES, "_things", {**FIGURES, "mine": FigureKind("energy", "Mine.", "no_such_module:mine")})
    no_network = Experiment.model_validate({"model": {"name": "told later"}})
    with pytest.raises(TqhwError, match=r"^figure 'mine': its draw 'no_such_module:mine' cannot be had"):
        run(no_network, results)
    with pytest.raises(TqhwError, match="told later"):  # without a folder nothing is drawn
        run(no_network)
    assert [file.name for file in results.iterdir()] == ["results.json"]
