"""``tqhw convert-spec``."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner, Result

from tests.frontend.files import PROBLEM, with_attribute, write
from tqhw.cli.app import app


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["convert-spec", *map(str, arguments)])


def test_json_on_standard_output(tmp_path: Path) -> None:
    write(tmp_path, a=with_attribute("side: {{ side }}"), p=PROBLEM)
    found = invoke(tmp_path / "a.yaml", tmp_path / "p.yaml", "--data", '{"side": 5}', "--json", "-")
    assert found.exit_code == 0, found.output
    specification = json.loads(found.stdout)
    assert [level["name"] for level in specification["levels"]] == ["DRAM[1..1]", "buf[1..1]", "mac[1..1]"]
    assert specification["levels"][1]["attributes"]["side"] == 5


def test_data_from_a_file_and_json_to_one(tmp_path: Path) -> None:
    write(tmp_path, in__a=with_attribute("side: {{ opt.side }}"), in__p=PROBLEM, data="opt: {side: '7'}")
    out = tmp_path / "out.json"
    found = invoke(tmp_path / "in", "--data", tmp_path / "data.yaml", "--json", out)
    assert found.exit_code == 0, found.output
    assert json.loads(out.read_text())["levels"][1]["attributes"]["side"] == 7


def test_a_warning_goes_to_standard_error(tmp_path: Path) -> None:
    write(tmp_path, a=with_attribute("x: 1").replace("class: storage", "class: mystorage2"), p=PROBLEM)
    found = invoke(tmp_path / "a.yaml", tmp_path / "p.yaml", "--json", "-")
    assert "'buf' is read as storage, for such a word is in its class 'mystorage2'" in found.stderr
    assert json.loads(found.stdout)["levels"][1]["class"] == "mystorage2"


def test_bad_input_is_one_message(tmp_path: Path) -> None:
    write(tmp_path, a=with_attribute("x: y"), p=PROBLEM)
    found = invoke(tmp_path / "a.yaml", tmp_path / "p.yaml", "--json", tmp_path / "out.json")
    assert found.exit_code == 2
    assert found.stderr.count("\n") == 1
    assert "a.yaml:16: x: unknown name 'y'" in found.stderr
    assert not (tmp_path / "out.json").exists()
