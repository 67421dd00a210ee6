"""The engine against recorded runs of real Timeloop, and the checker against folders that are wrong."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tqhw.engine import check_folder
from tqhw.errors import TqhwError

DATA = Path(__file__).parent.parent / "data"
REFERENCE = DATA / "timeloop"
MORE = DATA / "timeloop_more"
REMAINDERS = DATA / "timeloop_remainders"
STILL = DATA / "timeloop_still"
UNLINKED = DATA / "timeloop_unlinked"
GALLERY = DATA / "timeloop_gallery"
ARCHITECTURES = sorted(file.stem for file in (REFERENCE / "cases").glob("*.jsonl"))


def part_of(source: Path, tmp_path: Path, architecture: str, lines: list[str]) -> Path:
    """A folder of one architecture with the given lines as its cases."""
    for name in (f"arch/{architecture}.yaml", f"ert/{architecture}.ERT.yaml", "problem_shapes.yaml"):
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / name, target)
    cases = tmp_path / "cases" / f"{architecture}.jsonl"
    cases.parent.mkdir(exist_ok=True)
    cases.write_text("\n".join(lines) + "\n")
    return tmp_path


def lines_of(architecture: str) -> list[str]:
    return (REFERENCE / f"cases/{architecture}.jsonl").read_text().splitlines()


def test_every_recorded_case_of_the_reference_is_exact() -> None:
    done: dict[str, int] = {}
    result = check_folder(REFERENCE, done.__setitem__)
    assert result.differences == ()
    assert (sum(result.valid.values()), sum(result.invalid.values()), result.cases) == (738, 137, 875)
    assert done == {name: result.valid[name] + result.invalid[name] for name in ARCHITECTURES}


def test_other_architectures_and_problem_shapes_are_exact_too() -> None:
    result = check_folder(MORE)
    assert result.differences == ()
    assert len(result.valid) == 11
    assert (sum(result.valid.values()), sum(result.invalid.values())) == (378, 108)


def test_mappings_with_remainders_are_exact_in_every_field() -> None:
    result = check_folder(REMAINDERS)
    assert result.differences == ()
    assert len(result.valid) == 13
    assert (sum(result.valid.values()), sum(result.invalid.values())) == (396, 60)


def test_ranks_that_stand_still_are_exact() -> None:
    result = check_folder(STILL)
    assert result.differences == ()
    assert (sum(result.valid.values()), sum(result.invalid.values())) == (64, 16)


def test_mappings_without_links_are_exact() -> None:
    result = check_folder(UNLINKED)
    assert result.differences == ()
    assert len(result.valid) == 10
    assert (sum(result.valid.values()), sum(result.invalid.values())) == (115, 8)


def test_links_would_change_most_of_the_mappings_without(tmp_path: Path) -> None:
    free = tmp_path / "free"
    shutil.copytree(UNLINKED, free)
    for file in (*free.glob("arch/*.yaml"), *free.glob("cases/*.jsonl")):
        file.write_text(re.sub(r'(no_link_transfer"?:)\s*(\[[^]]*]|- "\*")', r"\1 []", file.read_text()))
    assert check_folder(free).as_json()["failed_cases"] == 99


@pytest.mark.parametrize("field", ["computes", "compute_level.avg_utilized_instances", "levels.0.utilized_instances.0"])
def test_what_only_remainders_change_is_compared(field: str, tmp_path: Path) -> None:
    lines = (REMAINDERS / "cases" / "clustered.jsonl").read_text().splitlines()
    result = check_folder(part_of(REMAINDERS, tmp_path, "clustered", [changed(json.loads(lines[0]), field)]))
    assert [d.field for d in result.differences] == [field.replace("levels.0", "reg").removesuffix(".0")]


def test_the_gallery_is_exact() -> None:
    result = check_folder(GALLERY)
    assert result.differences == ()
    assert {*result.valid} == {path.stem for path in (GALLERY / "arch").glob("*.yaml")}
    assert (sum(result.valid.values()), sum(result.invalid.values())) == (96, 24)


def changed(case: dict[str, Any], field: str) -> str:
    """The case as a line, with the recorded value of ``field`` (a path) off by one, or by 1e-8 of an energy."""
    *path, last = field.split(".")
    place: Any = case["expected"]
    for step in path:
        place = place[int(step) if step.isdigit() else step]
    key = int(last) if last.isdigit() else last
    place[key] = place[key] * (1 + 1e-8) if "energy" in field else place[key] + 1
    return json.dumps(case)


@pytest.mark.parametrize(
    ("field", "reported"),
    [
        ("cycles", "cycles"),
        ("computes", "computes"),
        ("energy", "energy"),
        ("compute_level.cycles", "compute_level.cycles"),
        ("compute_level.energy", "compute_level.energy"),
        ("levels.0.reads.1", "DRAM.reads"),
        ("levels.0.partition_size.0", "DRAM.partition_size"),
        ("levels.0.utilized_instances.2", "DRAM.utilized_instances"),
        ("levels.0.vector_updates.2", "DRAM.vector_updates"),
        ("levels.0.energy_per_instance.0", "DRAM.energy_per_instance"),
        ("levels.0.slowdown", "DRAM.slowdown"),
    ],
)
def test_a_number_that_is_off_is_reported(field: str, reported: str, tmp_path: Path) -> None:
    case = json.loads(lines_of("single_level")[0])
    result = check_folder(part_of(REFERENCE, tmp_path, "single_level", [changed(case, field)]))
    assert [d.field for d in result.differences] == [reported]
    assert result.as_json()["failed_cases"] == 1
    assert result.as_json()["differences"][0]["case"] == case["id"]


def test_an_energy_within_the_tolerance_agrees(tmp_path: Path) -> None:
    case = json.loads(lines_of("single_level")[0])
    case["expected"]["energy"] *= 1 + 5e-10
    assert check_folder(part_of(REFERENCE, tmp_path, "single_level", [json.dumps(case)])).differences == ()


def test_a_level_that_the_architecture_lacks_is_a_difference(tmp_path: Path) -> None:
    case = json.loads(lines_of("single_level")[0])
    case["expected"]["levels"][0]["name"] = "L9"
    result = check_folder(part_of(REFERENCE, tmp_path, "single_level", [json.dumps(case)]))
    assert [(d.field, d.ours) for d in result.differences] == [("levels", ["DRAM"])]


def test_wrong_verdicts_are_reported(tmp_path: Path) -> None:
    lines = [json.loads(line) for line in lines_of("two_level")]
    valid = next(case for case in lines if case["valid"])
    refused = next(case for case in lines if not case["valid"] and case["kind"] == "capacity")
    called_invalid = {**valid, "valid": False, "kind": "capacity", "message": "no"}
    called_valid = {**refused, "valid": True, "expected": valid["expected"]}
    other_kind = {**refused, "id": "other", "kind": "fanout"}
    folder = part_of(
        REFERENCE, tmp_path, "two_level", [json.dumps(c) for c in (called_invalid, called_valid, other_kind)]
    )
    found = [(d.case, d.field, d.ours, d.theirs) for d in check_folder(folder).differences]
    assert found == [
        (valid["id"], "valid", True, "False (capacity)"),
        (refused["id"], "valid", "False (capacity)", True),
        ("other", "kind", ["capacity"], "fanout"),
    ]


def test_a_folder_without_cases_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TqhwError, match=r"no cases/\*\.jsonl in the folder .*arch/, ert/ and cases/"):
        check_folder(tmp_path)
    with pytest.raises(TqhwError, match=r"no cases/\*\.jsonl in the folder"):
        check_folder(tmp_path / "does_not_exist")


def test_a_folder_whose_cases_are_empty_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TqhwError, match=r"holds no case"):
        check_folder(part_of(REFERENCE, tmp_path, "single_level", [""]))


def test_broken_json_is_named_with_its_line(tmp_path: Path) -> None:
    folder = part_of(REFERENCE, tmp_path, "single_level", [lines_of("single_level")[0], '{"id": '])
    with pytest.raises(TqhwError, match=r"single_level\.jsonl:2: not valid JSON: .*column \d+"):
        check_folder(folder)
    with pytest.raises(TqhwError, match=r"single_level\.jsonl:1: a case must be a JSON object"):
        check_folder(part_of(REFERENCE, tmp_path, "single_level", ["[1]"]))


@pytest.mark.parametrize("missing", ["arch/single_level.yaml", "ert/single_level.ERT.yaml", "problem_shapes.yaml"])
def test_a_missing_document_is_named(missing: str, tmp_path: Path) -> None:
    folder = part_of(REFERENCE, tmp_path, "single_level", lines_of("single_level")[:1])
    (folder / missing).unlink()
    with pytest.raises(TqhwError, match=missing):
        check_folder(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda case: case.pop("problem"), r"the case has no 'problem'"),
        (lambda case: case.pop("expected"), r"the case has no 'expected'"),
        (lambda case: case["expected"].pop("cycles"), r"the case has no 'cycles'"),
        (lambda case: case["expected"]["levels"][0].pop("fills"), r"the case has no 'fills'"),
        (lambda case: case.update(problem=7), r"the case's problem must be a map"),
        (lambda case: case["problem"].update(shape="conv2"), r"unknown problem shape 'conv2' \(did you mean 'conv2d'"),
        (lambda case: case["problem"]["instance"].pop("P"), r"P"),
        (lambda case: case.update(mapping="none"), r"mapping"),
        (lambda case: case.update(expected=[]), r"the case's expected must be a map"),
        (lambda case: case["expected"].update(levels=3), r"the case's expected\.levels must be a list of maps"),
    ],
)
def test_a_case_of_another_form_is_refused(change: Any, message: str, tmp_path: Path) -> None:
    case = json.loads(lines_of("single_level")[0])
    change(case)
    with pytest.raises(TqhwError, match=message):
        check_folder(part_of(REFERENCE, tmp_path, "single_level", [json.dumps(case)]))


def test_the_cases_that_the_documentation_names_exist() -> None:
    text = (DATA.parent.parent / "docs/engine.md").read_text()
    named = set(re.findall(r"`([a-z_0-9]+-\d{4})`", text))
    recorded = {json.loads(line)["id"] for name in ARCHITECTURES for line in lines_of(name)}
    assert len(named) >= 9
    assert named <= recorded
