"""Recording reference cases: what is chosen, written and refused. The numbers themselves are in timeloop/test_real.py.

The programs are stand-ins: they are not meant to be reached, or they fail.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.backends.cases import DATA, MODEL_PREFIX, StandIns, layer, recorded_target, reference_design
from tqhw.backends.embedded import Embedded
from tqhw.backends.protocol import Target
from tqhw.backends.reference.record import UNFINISHED, destination, record
from tqhw.backends.timeloop import Timeloop
from tqhw.cli import app
from tqhw.energy.components import load_components, packaged_components
from tqhw.engine import evaluate
from tqhw.errors import TqhwError
from tqhw.spec import Invalid, dump_problem
from tqhw.system.files import write_text

TARGET = recorded_target("model_eyeriss_like_free", MODEL_PREFIX, "eyeriss_like_free")


def refused(*arguments: object) -> str:
    found = CliRunner().invoke(app, ["conformance", *(str(argument) for argument in arguments)])
    assert found.exit_code == 2, found.output
    assert "Traceback" not in found.output
    return found.stderr.splitlines()[-1]


class Ourselves(Timeloop):
    """Our engine in place of the programs: what it says valid is recorded, without numbers."""

    def versions(self) -> dict[str, str]:
        return {"engine": "ours"}

    def read_all(self, evaluations: list, read: object, done: object = None) -> list:  # type: ignore[override]
        answers = [evaluate(problem, target.hardware, target.ert, mapping) for problem, target, mapping in evaluations]
        return [answer if isinstance(answer, Invalid) else {} for answer in answers]


def target_of(name: str) -> Target:
    return Embedded().target(reference_design(name))


def test_one_case_in_five_is_invalid_where_chance_brings_them(tmp_path: Path) -> None:
    recording = record(tmp_path / "new", target_of("two_level_array"), [layer(4, 4)], 20, Ourselves())
    assert str(recording) == "16 valid and 4 invalid mappings recorded"


def test_where_no_mapping_is_invalid_the_valid_ones_are_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tqhw.backends.reference.record._PATIENCE", 500)
    recording = record(tmp_path / "new", target_of("single_level"), [layer(4, 4)], 10, Ourselves())
    assert (recording.asked, recording.valid, recording.invalid) == (10, 10, 0)
    said = "10 valid and 0 invalid mappings recorded; chance brought no invalid ones"
    assert str(recording) == said
    assert said in (tmp_path / "new" / "README.md").read_text()
    cases = [json.loads(line) for line in (tmp_path / "new" / "cases" / "single_level.jsonl").read_text().splitlines()]
    assert [case["valid"] for case in cases] == 10 * [True]


def test_where_few_mappings_are_valid_there_are_fewer_cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tqhw.backends.reference.record._PATIENCE", 60)
    recording = record(tmp_path / "new", target_of("clustered"), [layer(28, 64)], 200, Ourselves())
    assert 0 < recording.valid < 160
    assert "mappings recorded of 200 that were asked for" in str(recording)


def test_where_no_mapping_is_valid_nothing_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tqhw.backends.reference.record._PATIENCE", 50)
    monkeypatch.setattr("tqhw.backends.reference.record.engine.evaluate", lambda *_: Invalid(()))
    with pytest.raises(TqhwError, match="none of 52 random mappings is valid"):
        record(tmp_path / "new", target_of("single_level"), [layer(4, 4)], 10, Ourselves())
    assert not (tmp_path / "new").exists()


def test_the_components_are_the_packaged_ones_and_the_designs_own(tmp_path: Path) -> None:
    own = """\
components:
  version: '0.4'
  classes:
  - {name: int_mac, attributes: {mine: 1}, subcomponents: [], actions: []}
  - {name: extra, attributes: {}, subcomponents: [], actions: []}
"""
    target = target_of("single_level")
    target = replace(target, design=replace(target.design, components_text=own))
    record(tmp_path / "new", target, [layer(4, 4)], 2, Ourselves())
    classes = load_components(tmp_path / "new" / "components.yaml")
    assert {*packaged_components(), "extra"} == set(classes)
    assert dict(classes["int_mac"].attributes) == {"mine": 1}
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        *("README.md", "arch", "cases", "components.yaml", "ert", "problem_shapes.yaml")
    ]


def test_a_full_disk_leaves_nothing_that_looks_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, text: str) -> None:
        if path.name == "components.yaml":
            raise TqhwError("cannot be written: No space left on device", place=str(path))
        write_text(path, text)

    with monkeypatch.context() as patch, pytest.raises(TqhwError, match="No space left"):
        patch.setattr("tqhw.backends.reference.record.write_text", full)
        record(tmp_path / "new", target_of("single_level"), [layer(4, 4)], 2, Ourselves())
    assert [path.name for path in (tmp_path / "new").iterdir()] == [UNFINISHED]
    assert record(tmp_path / "new", target_of("single_level"), [layer(4, 4)], 2, Ourselves()).valid == 2


def test_the_destination_is_looked_at_first(
    stand_ins: StandIns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = tmp_path / "called"
    stand_ins.put_bare("timeloop-model", f"#!/bin/sh\ntouch '{called}'\n")
    problem = tmp_path / "layer.yaml"
    problem.write_text(dump_problem(layer(4, 4)))
    given = ("--arch", "eyeriss_like", "--problem", problem)
    assert "layer.yaml: is a file, not a folder" in refused("--record", problem, *given)
    assert "layer.yaml: is a file, not a folder" in refused("--record", problem / "new", *given)
    assert "bin: the folder is not empty (name a new one)" in refused("--record", stand_ins.folder, *given)
    monkeypatch.setattr(
        "os.access", lambda path, mode: mode != os.W_OK | os.X_OK
    )  # whoever is root may write everywhere
    assert f"{tmp_path}: nothing can be written here" in refused("--record", tmp_path / "new" / "x", *given)
    assert not called.exists()


@pytest.mark.parametrize(
    "option",
    ["--arch=eyeriss_like", "--param=weight_bits=2", "--problem=x.yaml", "--cases=5", "--seed=1", "--backend=timeloop"],
)
def test_options_of_a_recording_are_refused_without_one(tmp_path: Path, option: str) -> None:
    name = option[2:].partition("=")[0]
    assert f"conformance --{name}: nothing is recorded here (leave it out, or record" in refused(tmp_path, option)


def test_runs_stay_in_the_folder_until_all_are_done(stand_ins: StandIns, tmp_path: Path) -> None:
    stand_ins.put("accelergy", f"cp '{DATA}'/model_eyeriss_like_free/timeloop-model.ERT.yaml timeloop.ERT.yaml; exit 1")
    problem = tmp_path / "layer.yaml"
    problem.write_text(dump_problem(layer(4, 4)))
    message = refused("--record", tmp_path / "new", "--arch", "eyeriss_like", "--problem", problem)
    assert f"log: {tmp_path}/new/{UNFINISHED}/" in message


def test_a_folder_has_one_recording_at_a_time(stand_ins: StandIns, tmp_path: Path) -> None:
    problem = tmp_path / "layer.yaml"
    problem.write_text(dump_problem(layer(4, 4)))
    with destination(tmp_path / "new"):
        message = refused("--record", tmp_path / "new", "--arch", "eyeriss_like", "--problem", problem)
        assert (
            "new: another recording is at work in this folder (wait for its end, or choose another folder)" in message
        )
    assert not (tmp_path / "new").exists()


def test_a_folder_that_is_not_empty_is_left_alone(stand_ins: StandIns, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "mine").write_text("x")
    with pytest.raises(TqhwError, match=r"new: the folder is not empty \(name a new one\)"):
        record(tmp_path / "new", TARGET, [layer(4, 4)], 5, Timeloop())
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["mine"]


def test_nothing_to_record(stand_ins: StandIns, tmp_path: Path) -> None:
    for problems, cases in (([], 5), ([layer()], 0)):
        with pytest.raises(TqhwError, match="there is nothing to record"):
            record(tmp_path / "new", TARGET, problems, cases, Timeloop())


def test_a_program_that_fails_leaves_no_folder(stand_ins: StandIns, tmp_path: Path) -> None:
    stand_ins.put(MODEL_PREFIX, f"cat '{DATA}/width_not_a_multiple/stdout.log'; exit 134")
    with pytest.raises(TqhwError, match=r"timeloop-model wrote no statistics \(exit code 134\)"):
        record(tmp_path / "new", TARGET, [layer(4, 4)], 5, Timeloop())
    assert not (tmp_path / "new").exists()


def test_what_the_command_refuses(stand_ins: StandIns, tmp_path: Path) -> None:
    new, problem = tmp_path / "new", tmp_path / "layer.yaml"
    problem.write_text(dump_problem(layer(4, 4)))
    given = ("--arch", "eyeriss_like", "--problem", problem)
    assert "--arch and --problem say what to record" in refused("--record", new)
    assert "backend embedded cannot record (choose timeloop)" in refused(
        "--record", new, "--backend", "embedded", *given
    )
    assert "name one folder" in refused(tmp_path, "--record", new, *given)
    assert "unknown architecture 'eyeris_like'" in refused(
        "--record", new, "--arch", "eyeris_like", "--problem", problem
    )
    assert not new.exists()
