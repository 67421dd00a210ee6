"""Networks of earlier runs: the same subject without PyTorch, built anew whenever anything that decides it changes."""

from __future__ import annotations

import json
import logging
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from tqhw.experiment import Experiment
from tqhw.pipeline import kept_subject
from tqhw.pipeline.kept_subject import Subject, kept
from tqhw.pipeline.subject import subject
from tqhw.system import packaged

GIVEN: dict[str, Any] = {"model": {"name": "resnet8"}, "bits": [2, 8], "spad_models": ["sram"], "methods": ["fixed"]}


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def asked(**changes: Any) -> Experiment:
    return Experiment.model_validate({**GIVEN, **changes})


def refuse() -> Subject:
    raise AssertionError("built")


def test_a_network_is_taken_with_all_that_is_said_of_it() -> None:
    found = kept(asked(), lambda: subject(asked()))
    assert found == subject(asked())
    assert kept(asked(), refuse) == found
    assert kept(asked(methods=["truncquant"], architecture={"name": "simba_like"}), refuse) == found
    problems = [layer.problem for layer in kept(asked(), refuse).workload.layers]
    assert [repr(problem) for problem in problems] == [repr(layer.problem) for layer in found.workload.layers]


@pytest.mark.parametrize(
    "changes",
    [
        {"bits": [2, 4, 8]},
        {"seed": 1},
        {"model": {"name": "resnet8", "input": [1, 3, 64, 64]}},
        {"model": {"name": "resnet8", "options": {"num_classes": 11}}},
        {"quantization": {"first": None}},
    ],
)
def test_every_key_of_the_network_decides(changes: dict[str, Any]) -> None:
    kept(asked(), lambda: subject(asked()))
    with pytest.raises(AssertionError, match="built"):
        kept(asked(**changes), refuse)


def test_code_and_versions_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    kept(asked(), lambda: subject(asked()))
    monkeypatch.setattr(kept_subject, "code_digest", lambda *_: "of other code")
    with pytest.raises(AssertionError, match="built"):
        kept(asked(), refuse)


def test_what_was_built_by_code_that_is_no_longer_there_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packaged, "LOADED_AT", 0.0)  # every source was changed since
    kept(asked(), lambda: subject(asked()))
    with pytest.raises(AssertionError, match="built"):
        kept(asked(), refuse)


@pytest.mark.parametrize(
    "changes",
    [
        {"model": {"name": "tests.pipeline.tiny:net", "input": [1, 1, 8, 8]}},
        {"model": {"name": "net.onnx"}},
        {"model": {"name": "resnet8", "weights": "first.safetensors"}},
        {"training": {"epochs": 1}},
    ],
)
def test_code_and_files_of_others_and_what_is_trained_are_looked_at_each_time(changes: dict[str, Any]) -> None:
    made = kept(asked(), lambda: subject(asked()))
    for _ in range(2):
        assert kept(asked(**changes), lambda: made) is made


def test_what_was_warned_of_is_warned_of_each_time() -> None:
    made = subject(asked())

    def warned() -> Subject:
        logging.getLogger("tqhw").warning("look out")
        return made

    kept(asked(), warned)
    with pytest.raises(AssertionError, match="built"):
        kept(asked(), refuse)


def test_what_json_does_not_hold_is_not_kept() -> None:
    made = subject(asked())
    odd = replace(made, switching=replace(made.switching, beside={None: 3}))
    assert kept(asked(), lambda: odd) == odd
    with pytest.raises(AssertionError, match="built"):
        kept(asked(), refuse)


def test_what_is_no_network_is_built_anew_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = kept(asked(), lambda: subject(asked()))
    path = tmp_path / "cache" / "tqhw" / "networks.sqlite"
    from tqhw.system.kept_answers import _sealed

    connection = sqlite3.connect(path)
    connection.execute("UPDATE networks SET payload = ?", (_sealed({"workload": 3}),))
    connection.commit()
    connection.close()
    caplog.clear()
    assert kept(asked(), lambda: found) == found
    assert [record.message for record in caplog.records] == [f"{path}: what is kept is no network; it is built anew"]
    assert kept(asked(), refuse) == found


@pytest.mark.slow
def test_a_run_that_is_all_known_loads_neither_pytorch_nor_matplotlib(tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text(json.dumps(GIVEN | {"bits": [8], "name": "warm"}))
    program = (
        "import sys, tqhw\n"
        "tqhw.run_experiment('e.yaml', sys.argv[1])\n"
        "print({*sys.modules} & {'torch', 'matplotlib'})\n"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", program, out], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout
        for out in ("one", "two")
    ]
    assert said[1] == "set()\n" and said[0] != said[1]
    one, two = (
        {p.relative_to(tmp_path / n): p.read_bytes() for p in (tmp_path / n).rglob("*.*")} for n in ("one", "two")
    )
    assert one.keys() == two.keys()
    assert {str(path) for path in one if one[path] != two[path]} <= {"report.html", "results.json", ".lock"}
