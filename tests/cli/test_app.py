"""The command line as a user meets it: what it answers, exit codes, one message, no traceback."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.cli.files import ARCH, CASES, ERT, case, write_case
from tqhw import __version__
from tqhw.cli import app

SHAPE = """{"name": "s", "dimensions": ["C", "M", "R", "S", "N", "P", "Q", "G"], "data_spaces": [
  {"name": "Weights", "projection": [[["Z"]]]}, {"name": "Outputs", "projection": [[["M"]]], "read_write": true}]}"""
ROOT = Path(__file__).resolve().parents[2]
GROUPS = [group.typer_instance.info for group in app.registered_groups if group.typer_instance]


def tqhw(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def refused(*arguments: object) -> str:
    """The one message of a command that must end with exit code 2."""
    found = tqhw(*arguments)
    assert found.exit_code == 2, found.output
    told = [line for line in found.stderr.splitlines() if line.startswith("tqhw: ")]
    assert len([line for line in told if not line.startswith("tqhw: warning: ")]) == 1, found.stderr
    assert "Traceback" not in found.output
    return found.stderr.splitlines()[-1]


class TestEvaluate:
    def test_it_says_what_timeloop_said(self, tmp_path: Path) -> None:
        problem, mapping = write_case(tmp_path)
        found = tqhw(
            "evaluate", "--arch", ARCH, "--problem", problem, "--mapping", mapping, "--ert", ERT, "--json", "-"
        )
        assert found.exit_code == 0
        stats = json.loads(found.stdout)
        expected = case()["expected"]
        assert stats["valid"] is True
        assert (stats["cycles"], stats["computes"]) == (expected["cycles"], expected["computes"])
        assert stats["energy_pj"] == pytest.approx(expected["energy"], rel=1e-9)
        buffer = stats["levels"]["buffer"]["dataspaces"]
        assert [buffer[d]["reads"] for d in ("Weights", "Inputs", "Outputs")] == expected["levels"][0]["reads"]

    def test_without_tables_it_makes_its_own(self, tmp_path: Path) -> None:
        problem, mapping = write_case(tmp_path)
        target = tmp_path / "stats.json"
        found = tqhw("evaluate", "--arch", ARCH, "--problem", problem, "--mapping", mapping, "--json", target)
        assert found.exit_code == 0
        assert json.loads(target.read_text())["energy_pj"] == pytest.approx(case()["expected"]["energy"], rel=1e-4)
        assert "12 computes" in found.stdout

    def test_with_areas_it_gives_the_area(self, tmp_path: Path) -> None:
        problem, mapping = write_case(tmp_path)
        arguments = ("evaluate", "--arch", ARCH, "--problem", problem, "--mapping", mapping, "--json", "-")
        art = CASES / "ert" / "two_level.ART.yaml"
        assert json.loads(tqhw(*arguments, "--art", art).stdout)["area_um2"] > 0
        assert "area_um2" not in json.loads(tqhw(*arguments, "--ert", ERT).stdout)  # nobody says what is there
        assert "area: not known, no ART says it" in tqhw(*arguments[:-2], "--ert", ERT).stdout
        own = json.loads(tqhw(*arguments).stdout)
        assert own["area_um2"] == sum(own["areas_um2"].values()) > own["areas_um2"]["buffer"] > 0
        wrong = CASES / "ert" / "eyeriss_like.ART.yaml"
        assert "unknown component in the ART 'buffer'" in refused(*arguments, "--art", wrong)

    def test_factors_that_do_not_multiply_to_the_bounds_are_bad_input(self, tmp_path: Path) -> None:
        problem, mapping = write_case(tmp_path, DRAM=None)
        found = tqhw("evaluate", "--arch", ARCH, "--problem", problem, "--mapping", mapping, "--json", "-")
        assert found.exit_code == 2
        answer = json.loads(found.stdout)
        assert answer["valid"] is False
        assert {reason["rule"] for reason in answer["reasons"]} == {"factors"}
        shown = tqhw("evaluate", "--arch", ARCH, "--problem", problem, "--mapping", mapping)
        assert (shown.exit_code, shown.stdout) == (2, "")
        assert "multiply to" in shown.stderr

    def test_an_invalid_mapping_is_an_answer(self, tmp_path: Path) -> None:
        loops = [d for d in case()["mapping"] if d["type"] == "temporal"]
        swapped = {d["target"]: {**d, "factors": other["factors"]} for d, other in zip(loops, loops[::-1], strict=True)}
        problem, mapping = write_case(tmp_path, **swapped)
        small = tmp_path / "small.yaml"
        small.write_text(re.sub(r"depth: \d+", "depth: 1", ARCH.read_text()))
        options = ("--arch", small, "--ert", ERT, "--problem", problem, "--mapping", mapping)
        found = tqhw("evaluate", *options, "--json", "-")
        assert found.exit_code == 1
        answer = json.loads(found.stdout)
        assert (answer["valid"], {reason["rule"] for reason in answer["reasons"]}) == (False, {"capacity"})

    def test_a_template_takes_parameters(self, tmp_path: Path) -> None:
        message = refused("evaluate", "--arch", "eyeriss_lik", "--problem", write_case(tmp_path)[0], "--mapping", "m")
        assert "no such file" in message
        problem, mapping = write_case(tmp_path)
        arguments = ("evaluate", "--problem", problem, "--mapping", mapping)
        message = refused(*arguments, "--arch", "eyeriss_lik")
        assert "unknown architecture 'eyeriss_lik' (did you mean 'eyeriss_like'?" in message
        message = refused(*arguments, "--arch", "eyeriss_like", "--param", "wieght_bits=2")
        assert "unknown parameter 'wieght_bits' (did you mean 'weight_bits'?" in message
        message = refused(*arguments, "--arch", "eyeriss_like", "--param", "weight_bits")
        assert "--param: 'weight_bits' is not name=value" in message
        assert "a rendered architecture takes no parameters" in refused(*arguments, "--arch", ARCH, "--param", "a=1")

    def test_an_unknown_backend_lists_those_that_exist(self, tmp_path: Path) -> None:
        problem, mapping = write_case(tmp_path)
        arguments = ("evaluate", "--arch", ARCH, "--problem", problem, "--mapping", mapping)
        assert "unknown backend 'timelop'" in refused(*arguments, "--backend", "timelop")


class TestBadFiles:
    """What the documents may not hold, met from the command line."""

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ('"P": 4', '"P": 0', "'0' must be a whole number of at least 1"),
            ('"P": 4', '"PP": 4', "unknown dimension or coefficient 'PP' (did you mean 'P'?"),
            ('"conv2d"', '"conv3d"', "unknown problem shape 'conv3d' (did you mean 'conv2d'?"),
            ('"conv2d"', SHAPE, "unknown dimension 'Z'"),
        ],
    )
    def test_a_bad_problem(self, tmp_path: Path, old: str, new: str, message: str) -> None:
        problem, mapping = write_case(tmp_path)
        text = problem.read_text()
        assert old in text
        problem.write_text(text.replace(old, new))
        assert message in refused("evaluate", "--arch", ARCH, "--problem", problem, "--mapping", mapping)

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("width: 32", "width: 30", "width 30 is no multiple of cluster_size * datawidth = 8"),
            ("name: buffer", "name: DRAM", "DRAM"),
            ("class: compute", "class: storage", "needs exactly one compute component, found 0"),
            ("subclass: sram_buffer", "subclass: sram_bufer", "sram_bufer"),
            ("!Component", "!Compnent", "!Compnent"),
            ("datawidth: 8", "datawidth: [8", "not valid YAML"),
        ],
    )
    def test_a_bad_architecture(self, tmp_path: Path, old: str, new: str, message: str) -> None:
        problem, mapping = write_case(tmp_path)
        arch = tmp_path / "arch.yaml"
        text = ARCH.read_text()
        assert old in text
        arch.write_text(text.replace(old, new))
        assert message in refused("evaluate", "--arch", arch, "--problem", problem, "--mapping", mapping)

    def test_a_bad_mapping(self, tmp_path: Path) -> None:
        problem, mapping = write_case(tmp_path)
        mapping.write_text("mapping: []")
        message = refused("evaluate", "--arch", ARCH, "--problem", problem, "--mapping", mapping)
        assert "a mapping must be a list of at least one directive" in message

    def test_a_missing_action(self, tmp_path: Path) -> None:
        problem, mapping = write_case(tmp_path)
        ert = tmp_path / "ERT.yaml"
        ert.write_text(ERT.read_text().replace("name: write", "name: wrote"))
        arguments = ("evaluate", "--arch", ARCH, "--problem", problem, "--mapping", mapping, "--ert", ert)
        assert "the ERT has no action 'write'" in refused(*arguments)

    def test_a_place_that_cannot_be_written(self, tmp_path: Path) -> None:
        problem, mapping = write_case(tmp_path)
        arguments = ("evaluate", "--arch", ARCH, "--problem", problem, "--mapping", mapping)
        assert "cannot be written" in refused(*arguments, "--json", "/proc/nowhere/stats.json")


class TestMap:
    def test_it_finds_a_mapping_that_evaluates_to_the_same(self, tmp_path: Path) -> None:
        problem, _ = write_case(tmp_path)
        found = tqhw("map", "--arch", ARCH, "--problem", problem, "--ert", ERT, "--json", "-")
        assert found.exit_code == 0
        answer = json.loads(found.stdout)
        assert {"mapping", "proved_optimal", "evaluated", "seconds"} <= answer.keys()
        assert answer["energy_pj"] <= case()["expected"]["energy"]
        mapping = tmp_path / "best.yaml"
        mapping.write_text(json.dumps({"mapping": answer["mapping"]}))
        again = tqhw(
            "evaluate", "--arch", ARCH, "--problem", problem, "--ert", ERT, "--mapping", mapping, "--json", "-"
        )
        assert json.loads(again.stdout)["energy_pj"] == answer["energy_pj"]

    def test_the_mapping_can_be_kept_and_evaluated(self, tmp_path: Path) -> None:
        problem, _ = write_case(tmp_path)
        out = tmp_path / "kept" / "best.yaml"
        common = ("--arch", ARCH, "--problem", problem, "--ert", ERT)
        found = tqhw("map", *common, "--out", out, "--json", tmp_path / "map.json")
        assert found.exit_code == 0
        assert "mapping:" not in found.stdout
        tqhw("evaluate", *common, "--mapping", out, "--json", tmp_path / "evaluate.json")
        energies = [json.loads((tmp_path / f"{name}.json").read_text())["energy_pj"] for name in ("map", "evaluate")]
        assert energies[0] == energies[1]
        assert "cannot be written" in refused("map", *common, "--out", "/proc/nowhere/m.yaml")

    def test_an_objective_decides(self, tmp_path: Path) -> None:
        problem, _ = write_case(tmp_path)
        arguments = ("map", "--arch", ARCH, "--problem", problem, "--ert", ERT)
        energy, latency = (
            json.loads(tqhw(*arguments, "--objective", name, "--json", "-").stdout) for name in ("energy", "latency")
        )
        assert latency["cycles"] <= energy["cycles"]
        assert energy["energy_pj"] <= latency["energy_pj"]
        assert "unknown objective 'enrgy' (did you mean 'energy'?" in refused(*arguments, "--objective", "enrgy")
        assert "budget" in refused(*arguments, "--budget", "0")

    def test_the_mapping_is_printed(self, tmp_path: Path) -> None:
        problem, _ = write_case(tmp_path)
        found = tqhw("map", "--arch", ARCH, "--problem", problem)
        assert "\nmapping:\n" in found.stdout
        totals = found.stdout[found.stdout.index("\nmapping:\n") :]  # last, where they are in sight
        assert " pJ (leakage " in totals and "\nproved_optimal: True\n" in totals


class TestConformance:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        for part in ("arch/two_level.yaml", "ert/two_level.ERT.yaml", "problem_shapes.yaml"):
            (tmp_path / part).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / part).write_text((CASES / part).read_text())
        (tmp_path / "cases").mkdir()
        (tmp_path / "cases/two_level.jsonl").write_text(json.dumps(case()) + "\n")
        return tmp_path

    def test_it_agrees(self, folder: Path) -> None:
        found = tqhw("conformance", folder)
        assert (found.exit_code, found.stdout) == (0, "1 of 1 cases agree\n")
        assert json.loads(tqhw("conformance", folder, "--json", "-").stdout)["cases"] == 1

    def test_a_difference_is_named_and_gives_1(self, folder: Path) -> None:
        changed = case()
        changed["expected"]["cycles"] += 1
        (folder / "cases/two_level.jsonl").write_text(json.dumps(changed) + "\n")
        found = tqhw("conformance", folder)
        assert found.exit_code == 1
        assert "two_level-0000: cycles is 12, recorded 13" in found.stdout
        assert "0 of 1 cases agree" in found.stdout

    def test_a_folder_without_cases_is_refused(self, tmp_path: Path) -> None:
        assert "no cases/*.jsonl in the folder" in refused("conformance", tmp_path)


class TestDoctor:
    def test_it_lists_what_is_there(self) -> None:
        found = tqhw("doctor", "--json", "-")
        answer = json.loads(found.stdout)
        rows: dict[str, dict[str, Any]] = {row["what"]: row for row in answer["checks"]}
        assert rows["python"]["version"].startswith("3.")
        assert answer["works"] is (found.exit_code == 0)
        assert "python" in tqhw("doctor").stdout

    def test_brackets_are_printed_as_they_are(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from importlib import metadata

        def version(name: str) -> str:
            if name == "onnx":
                raise metadata.PackageNotFoundError(name)
            return "1.0"

        monkeypatch.setattr(metadata, "version", version)
        assert "pip install 'tqhw[onnx]'" in tqhw("doctor").stdout


class TestFront:
    def test_usage_errors_give_2(self) -> None:
        for arguments in (("evaluat",), ("evaluate",), ("run", "--nonsense")):
            found = tqhw(*arguments)
            assert found.exit_code == 2, arguments
            assert "Traceback" not in found.output

    def test_every_command_has_a_help_text(self) -> None:
        assert tqhw("--help").exit_code == 0
        for command in app.registered_commands:
            found = tqhw(str(command.name), "--help")
            assert found.exit_code == 0
            assert str(command.callback.__doc__).split(":")[0].split(".")[0].strip() in " ".join(found.stdout.split())

    def test_the_list_of_commands_cuts_no_line_at_80_columns(self) -> None:
        found = subprocess.run(
            [sys.executable, "-m", "tqhw", "--help"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "COLUMNS": "80"},
        ).stdout
        lines = [" ".join(line.split()) for line in found.splitlines()]
        for command in app.registered_commands:
            summary = str(command.callback.__doc__).split(". ")[0].split("\n")[0].strip().removesuffix(".")
            assert f"{command.name} {summary}." in lines

    @pytest.mark.parametrize("arguments", [(), *((group.name,) for group in GROUPS)])
    def test_no_list_of_commands_cuts_a_line_at_80_columns(self, arguments: tuple[str, ...]) -> None:
        found = subprocess.run(
            [sys.executable, "-m", "tqhw", *arguments, "--help"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "COLUMNS": "80"},
        ).stdout
        listed = found.partition("Commands:\n")[2].splitlines()
        assert len(listed) >= 1
        assert [line for line in listed if line.endswith("...")] == []

    @pytest.mark.parametrize("module", ["tqhw", "tqhw.cli"])
    def test_the_version_is_told_and_where_it_stands(self, module: str) -> None:
        command = [sys.executable, "-m", module, "--version"]
        found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        assert found.startswith(f"tqhw {__version__} from {ROOT / 'tqhw'} (Python 3.")

    def test_the_front_door_does_not_import_heavy_packages(self) -> None:
        code = (
            "import sys, tqhw.cli; "
            "found = {'torch', 'numba', 'numpy', 'matplotlib', 'pydantic'} & set(sys.modules); "
            "sys.exit(f'imported {found}' if found else 0)"
        )
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)

    @pytest.mark.parametrize("module", ["tqhw", "tqhw.cli"])
    def test_it_starts_as_a_module(self, module: str) -> None:
        found = subprocess.run(
            [sys.executable, "-m", module, "conformance", "nowhere"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert found.returncode == 2
        assert "no cases/*.jsonl in the folder" in found.stderr
        assert "Traceback" not in found.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("arguments", ["run --keys", "--help", "conformance {cases}"])
def test_a_full_disk_behind_standard_output_is_one_message(arguments: str) -> None:
    command = [sys.executable, "-m", "tqhw", *arguments.format(cases=CASES).split()]
    with Path("/dev/full").open("w") as full:
        found = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True)
    assert found.returncode == 2
    assert found.stderr.endswith("tqhw: standard output cannot be written: No space left on device\n")
    assert "Traceback" not in found.stderr and "Exception" not in found.stderr


def test_a_closed_standard_output_changes_nothing() -> None:
    command = ["/bin/sh", "-c", f"{sys.executable} -m tqhw run --keys >&-"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (0, "")


class TestWhatIsNotRead:
    """What Timeloop ignores is ignored and told; what is misspelt is told, and refused if asked."""

    def given(self, folder: Path) -> tuple[object, ...]:
        problem, mapping = write_case(folder)
        problem.write_text(problem.read_text().replace('"P": 4', '"P": 4, "Wpad": 1, "PStride": 2'))
        arch = folder / "arch.yaml"
        arch.write_text(
            "mapper: {algorithm: random}\n" + ARCH.read_text().replace("datawidth:", "bandwith: 3, datawidth:", 1)
        )
        return "evaluate", "--arch", arch, "--problem", problem, "--mapping", mapping

    def test_it_is_told_once_on_the_console_and_in_the_json(self, tmp_path: Path) -> None:
        found = tqhw(*self.given(tmp_path), "--ert", ERT, "--json", "-")
        assert found.exit_code == 0
        notes = json.loads(found.stdout)["notes"]
        assert [line.removeprefix("tqhw: ") for line in found.stderr.splitlines()] == notes
        assert "was 'Wstride' meant?" in notes[0] and "ignored, as in Timeloop: Wpad" in notes[1]
        assert "did you mean 'bandwidth'?" in notes[2] and len(notes) == 3

    def test_strict_refuses_what_is_misspelt(self, tmp_path: Path) -> None:
        message = refused(*self.given(tmp_path), "--strict")
        assert "nothing reads the attribute 'bandwith' (did you mean 'bandwidth'?)" in message


def test_help_starts_light() -> None:
    heavy = ("rich", "pydantic", "numpy", "numba", "torch", "yaml", "jinja2")
    code = f"import sys, tqhw.cli; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
