"""The padded problem of ``tqhw map --pad --out``, and what ``evaluate`` says of a mapping of other bounds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.files import CASES
from tests.cli.test_app import refused, tqhw
from tests.cli.test_hardware import PROBLEM
from tqhw.cli.padded import padded_file
from tqhw.spec import load_problem

ODD = PROBLEM.replace("M: 6, K: 4", "M: 7, K: 5")
MACHINE = ("--arch", CASES / "arch" / "two_level_array.yaml", "--ert", CASES / "ert" / "two_level_array.ERT.yaml")
MULTIPLY = "the factors of dimension M multiply to 8, the problem's bound is 7"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the commands run."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    Path("odd.yaml").write_text(ODD)
    return tmp_path


def map_padded(*more: object, problem: str = "odd.yaml") -> str:
    found = tqhw("map", *MACHINE, "--problem", problem, "--objective", "latency", "--pad", "--out", "best.yaml", *more)
    assert found.exit_code == 0, found.output
    return found.stderr


def evaluate(problem: str, mapping: str = "best.yaml") -> tuple[object, ...]:
    return ("evaluate", *MACHINE, "--problem", problem, "--mapping", mapping)


@pytest.mark.parametrize(
    ("mapping", "problem"),
    [("m/best.yaml", "m/best.problem.yaml"), ("a.b.yml", "a.b.problem.yaml"), ("v0.4", "v0.4.problem.yaml")],
)
def test_it_stands_beside_the_mapping(mapping: str, problem: str) -> None:
    assert padded_file(Path(mapping)) == Path(problem)


def test_the_padded_problem_is_written_and_evaluate_takes_it() -> None:
    told = map_padded("--json", "found.json")
    assert "tqhw: wrote best.problem.yaml: the mapping is one of this padded problem" in told
    found = json.loads(Path("found.json").read_text())
    written = load_problem("best.problem.yaml")
    assert written.bounds == found["padded"]["bounds"] == {"M": 8, "K": 6, "N": 2}
    assert replace(written, bounds={"M": 7, "K": 5, "N": 2}, name="odd") == load_problem("odd.yaml")
    again = json.loads(tqhw(*evaluate("best.problem.yaml"), "--json", "-").stdout)
    assert {key: again[key] for key in ("energy_pj", "cycles")} == {key: found[key] for key in ("energy_pj", "cycles")}


def test_of_a_front_it_is_that_of_the_point() -> None:
    told = map_padded("--objective", "energy,latency", "--point", "1", "--json", "front.json")
    front = json.loads(Path("front.json").read_text())["front"]
    number = 1 + next(i for i, point in enumerate(front) if "padded" in point)
    if number > 1:
        assert "nothing is padded: the mapping is one of odd as it is" in told
    map_padded("--objective", "energy,latency", "--point", number)
    again = json.loads(tqhw(*evaluate("best.problem.yaml"), "--json", "-").stdout)
    assert again["energy_pj"] == front[number - 1]["energy_pj"]


def test_where_nothing_is_padded_nothing_is_written() -> None:
    Path("even.yaml").write_text(PROBLEM.replace("M: 6, K: 4", "M: 8, K: 6"))
    assert "tqhw: nothing is padded: the mapping is one of even as it is\n" in map_padded(problem="even.yaml")
    assert not Path("best.problem.yaml").exists()


def test_a_problem_that_is_read_is_not_written_over(folder: Path) -> None:
    for inside in ("best.problem.yaml", folder / "best.problem.yaml"):
        Path("best.problem.yaml").write_text(ODD)
        message = refused("map", *MACHINE, "--problem", inside, "--pad", "--out", "best.yaml")
        assert "--out best.yaml: the padded problem would be written over best.problem.yaml, which is read" in message
        assert Path("best.problem.yaml").read_text() == ODD
    message = refused("map", *MACHINE, "--problem", "odd.yaml", "--pad", "--out", "m.yaml", "--json", "m.problem.yaml")
    assert "--pad m.problem.yaml: --json names the same file" in message


@pytest.mark.parametrize("given", ["best.pro*.yaml", "set"])
def test_a_problem_that_a_pattern_or_a_folder_finds_is_not_written_over(given: str) -> None:
    Path("set").mkdir()
    file = Path("set" if given == "set" else ".") / "best.problem.yaml"
    file.write_text(ODD)
    out = file.with_name("best.yaml")
    message = refused("map", *MACHINE, "--problem", given, "--pad", "--out", out)
    assert f"--out {out}: the padded problem would be written over {file}, which" in message
    assert file.read_text() == ODD
    assert not out.exists()


def test_a_mapping_is_not_written_over_the_problem() -> None:
    for given in ("odd.yaml", "od*.yaml"):
        message = refused("map", *MACHINE, "--problem", given, "--out", "odd.yaml")
        assert "--out odd.yaml: cannot be written: odd.yaml is read, too (choose another place)" in message
    assert Path("odd.yaml").read_text() == ODD


def test_the_padded_problem_of_an_earlier_mapping_does_not_stay_beside_another_one() -> None:
    map_padded()
    map_padded()  # over its own
    again = ("map", *MACHINE, "--problem", "odd.yaml", "--objective", "latency", "--out", "best.yaml")
    assert "removed best.problem.yaml: the padded problem of an earlier mapping" in tqhw(*again).stderr
    assert not Path("best.problem.yaml").exists()
    Path("best.problem.yaml").write_text(ODD)  # but what somebody else wrote does
    assert "removed" not in tqhw(*again).stderr
    assert Path("best.problem.yaml").read_text() == ODD


def test_a_mapping_of_larger_bounds_is_told_which_problem_has_them() -> None:
    map_padded()
    message = refused(*evaluate("odd.yaml"))
    assert f"best.yaml: {MULTIPLY}" in message
    assert "(a problem padded to M=8 K=6 has these factors: give --problem best.problem.yaml; of this" in message
    assert "write a loop whose last pass is shorter, as M4,3 for 4 iterations" in message
    for other in (None, PROBLEM, "nonsense"):  # what stands there is not of these bounds
        Path("best.problem.yaml").unlink() if other is None else Path("best.problem.yaml").write_text(other)
        assert "give --problem the file that `tqhw map --pad --out` writes" in refused(*evaluate("odd.yaml"))


def test_a_mapping_of_smaller_bounds_is_told_to_grow() -> None:
    map_padded()
    Path("large.yaml").write_text(PROBLEM.replace("M: 6, K: 4", "M: 21, K: 5"))
    message = refused(*evaluate("large.yaml"))
    assert "multiply to 8, the problem's bound is 21" in message
    assert "(raise the factors of M: a factor of 0 is what the others leave, and where none divides, write a" in message
    assert "padded" not in message


def test_of_remainders_the_reason_is_all_that_is_told() -> None:
    map_padded()
    text = Path("best.yaml").read_text()
    assert "factors: M2 K2 N2" in text
    Path("uneven.yaml").write_text(text.replace("factors: M2 K2 N2", "factors: 'M2,1 K2 N2'"))
    message = refused(*evaluate("odd.yaml", "uneven.yaml"))
    assert message.endswith(
        "uneven.yaml: the factors of dimension K with their remainders make 6, the problem's bound is 5"
    )


def test_statistics_say_that_the_mapping_is_invalid() -> None:
    map_padded()
    found = tqhw(*evaluate("odd.yaml"), "--json", "-")
    assert (found.exit_code, json.loads(found.stdout)["valid"]) == (2, False)
