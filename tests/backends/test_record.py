"""Recording reference cases: what is refused. The recorded numbers themselves are in timeloop/test_real.py.

The programs are stand-ins: they are not meant to be reached, or they fail.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.backends.cases import DATA, MODEL_PREFIX, StandIns, layer, recorded_target
from tqhw.backends.record import record
from tqhw.backends.timeloop import Timeloop
from tqhw.cli import app
from tqhw.errors import TqhwError
from tqhw.spec import dump_problem

TARGET = recorded_target("model_eyeriss_like_free", MODEL_PREFIX, "eyeriss_like_free")


def refused(*arguments: object) -> str:
    found = CliRunner().invoke(app, ["conformance", *(str(argument) for argument in arguments)])
    assert found.exit_code == 2, found.output
    assert "Traceback" not in found.output
    return found.stderr.splitlines()[-1]


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
