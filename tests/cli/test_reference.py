"""``tqhw verify`` and ``tqhw docker build`` as a user meets them.

The programs and engines are stand-ins: scripts that give what a real run wrote, or fail as the real ones do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.backends.cases import DATA, StandIns, layer, reference_design
from tqhw.backends import Design, Target
from tqhw.backends.reference.verify import read_run, verify
from tqhw.cli import app
from tqhw.engine import evaluate
from tqhw.spec import Stats, directives, dump_problem, load_ert, load_mapping, parse_mapping, yamlio

RUN = DATA / "model_eyeriss_like_free"
ANSWERED = f"cp '{RUN}'/timeloop-model.* ."
TABLES = f"""
for kind in ERT ART; do cp '{RUN}'/timeloop-model.$kind.yaml timeloop.$kind.yaml; done
echo 'ERT_summary: {{table_summary: []}}' > timeloop.ERT_summary.yaml
"""


@pytest.fixture
def stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIns:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))  # folders of failed runs are kept
    found = StandIns(tmp_path / "bin", monkeypatch)
    found.put("timeloop-model", ANSWERED)
    found.put("accelergy", TABLES)
    return found


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """What a run leaves of one layer on one architecture: the mapping whose real run is recorded."""
    folder = tmp_path / "results"
    hardware = folder / "hardware" / "free"
    (hardware / "mappings").mkdir(parents=True)
    (folder / "problems").mkdir()
    design, problem = reference_design("eyeriss_like_free"), layer()
    (hardware / "architecture.yaml").write_text(design.text)
    (hardware / "components_own.yaml").write_text(design.components_text)
    for kind in ("ERT", "ART"):
        (hardware / f"{kind}.yaml").write_text((RUN / f"timeloop-model.{kind}.yaml").read_text())
    mapping = parse_mapping(yamlio.load(RUN / "parsed-processed-input.yaml")["mapping"])
    text = yamlio.dump({"mapping": directives(mapping, problem.shape.dimensions)})
    (hardware / "mappings" / "conv3x3.yaml").write_text(text)
    stats = evaluate(
        problem, design.hardware, load_ert(hardware / "ERT.yaml"), load_mapping(hardware / "mappings" / "conv3x3.yaml")
    )
    said = {"files": "hardware/free", **{key: getattr(stats, key) for key in ("energy_pj", "cycles", "utilization")}}
    document = {"experiment": {"architecture": {}}, "layers": [{"evaluations": [said]}]}
    (folder / "results.json").write_text(json.dumps(document))
    (folder / "problems" / "summary.json").write_text(json.dumps({"layers": [{"file": "conv3x3.yaml"}]}))
    files = [str(path.relative_to(folder)) for path in sorted(folder.glob("**/*.*"))]
    (folder / "files.json").write_text(json.dumps(files))
    (folder / "problems" / "conv3x3.yaml").write_text(dump_problem(problem))
    return folder


def tqhw(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def recorded_run(results: Path) -> tuple[Target, Stats]:
    """The one architecture of the results, and our answer for its one mapping."""
    (one,) = read_run(results).architectures
    ((_, problem, mapping),) = one.evaluations
    stats = evaluate(problem, one.target.hardware, one.target.ert, mapping)
    assert isinstance(stats, Stats)
    return one.target, stats


def held(stats: object) -> int:
    """How many plain values a dataclass and those in it hold."""
    values = vars(stats).values() if hasattr(stats, "__dict__") else ()
    inside = [part for value in values if isinstance(value, Mapping) for part in value.values()]
    return sum(not isinstance(value, Mapping) for value in values) + sum(map(held, inside))


def refused(*arguments: object) -> str:
    found = tqhw(*arguments)
    assert found.exit_code == 2, found.output
    assert found.stderr.count("tqhw: ") == 1, found.stderr
    assert "Traceback" not in found.output
    return found.stderr.splitlines()[-1]


class TestVerify:
    def test_a_run_that_agrees(self, stand_ins: StandIns, results: Path, tmp_path: Path) -> None:
        target = tmp_path / "outcome.json"
        found = tqhw("verify", results, "--backend", "timeloop", "--json", target)
        assert found.exit_code == 0, found.output
        first, last = found.stdout.splitlines()
        assert first.startswith("backend timeloop: tqhw ")
        assert "timeloop-model sha256 " in first
        assert last.startswith("1 mappings on 1 architectures, ")
        assert last.endswith(" values compared: 0 differences")
        outcome = json.loads(target.read_text())
        assert (outcome["mappings"], outcome["architectures"], outcome["differences"]) == (1, 1, [])
        # Energies and areas of the tables, three values of results.json, and what the two answers hold.
        target, stats = recorded_run(results)
        tables = sum(len(actions) for actions in target.ert.energies.values()) + len(target.art.areas)
        assert outcome["values_compared"] == tables + 3 + held(stats)

    def test_every_difference_is_printed(self, stand_ins: StandIns, results: Path) -> None:
        # The run's tables say another area than Accelergy, and its mapping is another one than the recorded run's.
        hardware = results / "hardware" / "free"
        areas = yamlio.load(hardware / "ART.yaml")
        entry = next(table for table in areas["ART"]["tables"] if "shared_glb" in table["name"])
        theirs, entry["area"] = entry["area"], 0.5
        (hardware / "ART.yaml").write_text(yamlio.dump(areas))
        mapping = yamlio.load(hardware / "mappings" / "conv3x3.yaml")
        loops = next(part for part in mapping["mapping"] if (part["target"], part["type"]) == ("DRAM", "temporal"))
        loops["permutation"] = loops["permutation"][::-1]
        (hardware / "mappings" / "conv3x3.yaml").write_text(yamlio.dump(mapping))
        found = tqhw("verify", results)
        assert found.exit_code == 1, found.output
        lines = found.stdout.splitlines()
        assert f"hardware/free, shared_glb: um^2 ours 0.5, theirs {theirs}" in lines
        counts = [line for line in lines if line.startswith("hardware/free, conv3x3, DRAM, Outputs: reads ours ")]
        assert len(counts) == 1, lines
        assert lines[-1].endswith(f"{len(lines) - 2} differences")
        answer = json.loads(tqhw("verify", results, "--json", "-").stdout)
        assert len(answer["differences"]) == len(lines) - 2

    def test_what_the_run_reported_is_compared(self, stand_ins: StandIns, results: Path) -> None:
        document = json.loads((results / "results.json").read_text())
        document["layers"][0]["evaluations"][0]["energy_pj"] *= 0.5
        document["layers"][0]["evaluations"][0]["cycles"] = 1
        (results / "results.json").write_text(json.dumps(document))
        found = tqhw("verify", results)
        assert found.exit_code == 1, found.output
        assert "hardware/free, conv3x3, results.json: cycles ours 1, theirs " in found.stdout
        assert found.stdout.splitlines()[-1].endswith("2 differences")

    def test_what_the_run_reported_may_be_no_number_or_missing(self, stand_ins: StandIns, results: Path) -> None:
        document = json.loads((results / "results.json").read_text())
        document["layers"][0]["evaluations"][0]["energy_pj"] = "12"
        (results / "results.json").write_text(json.dumps(document))
        found = tqhw("verify", results)
        assert found.exit_code == 1, found.output
        assert "hardware/free, conv3x3, results.json: energy_pj ours '12', theirs " in found.stdout
        document["layers"][0]["evaluations"] = []
        (results / "results.json").write_text(json.dumps(document))
        found = tqhw("verify", results)
        assert found.exit_code == 1, found.output
        assert "hardware/free, conv3x3: mapping ours 'in its folder', theirs 'not in results.json'" in found.stdout

    def test_a_mapping_that_does_not_fit_is_a_difference(self, results: Path) -> None:
        """Where the reference refuses it too: the run had it."""
        path = results / "hardware" / "free" / "mappings" / "conv3x3.yaml"
        path.write_text(path.read_text().replace("factors: C1 ", "factors: C3 ", 1))
        run = read_run(results)
        target = run.architectures[0].target

        class Ourselves:
            def versions(self) -> dict[str, str]:
                return {}

            def targets(self, designs: list[Design], done: object = None) -> list[Target]:
                return [target for _ in designs]

            def evaluate_all(self, evaluations: list, done: object = None) -> list:
                return [evaluate(problem, used.design.hardware, used.ert, m) for problem, used, m in evaluations]

        outcome = verify(run, Ourselves())
        (difference,) = outcome.differences
        assert (difference.where, difference.count) == ("hardware/free, conv3x3", "valid")

    def test_a_folder_that_is_not_whole(self, stand_ins: StandIns, results: Path) -> None:
        (results / "hardware" / "free" / "mappings" / "conv3x3.yaml").unlink()
        assert "hardware/free/mappings/conv3x3.yaml of files.json missing" in refused("verify", results)
        (results / "files.json").write_text("[")
        assert "files.json: not valid JSON: " in refused("verify", results)
        (results / "files.json").write_text("5")
        assert "files.json: not what a run writes: 5 should be a valid array" in refused("verify", results)

    def test_programs_that_are_missing(self, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        assert "timeloop-model, timeloop-mapper, accelergy not found on PATH" in refused("verify", results)

    def test_a_program_of_an_unsupported_version(self, stand_ins: StandIns, results: Path) -> None:
        (stand_ins.folder / "timeloop-model").write_text("#!/bin/sh\necho 'ERROR: no key'; exit 1\n")
        message = refused("verify", results)
        assert "does not answer a known case as it should" in message
        assert "supported: Timeloop with v0.4 inputs" in message

    def test_what_cannot_be_verified(self, stand_ins: StandIns, results: Path, tmp_path: Path) -> None:
        assert "nothing: no such folder (name the results folder" in refused("verify", tmp_path / "nothing")
        assert "there is no hardware/*/architecture.yaml in it" in refused("verify", tmp_path)
        assert "backend embedded is what is to be verified" in refused("verify", results, "--backend", "embedded")
        assert "unknown backend 'timelop'" in refused("verify", results, "--backend", "timelop")
        assert "takes no options of 'container'" in refused("verify", results, "--image", "mine")
        assert "takes no options of 'container'" in refused("verify", results, "--engine", "podman")

    def test_a_container_that_cannot_be_had(
        self, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        arguments = ("verify", results, "--backend", "container")
        assert "docker or podman was not found on PATH" in refused(*arguments)
        assert "podman was not found on PATH" in refused(*arguments, "--engine", "podman")
        assert "engine: unknown value 'dokcer'" in refused(*arguments, "--engine", "dokcer")


class TestDockerBuild:
    @pytest.fixture
    def calls(self, stand_ins: StandIns, tmp_path: Path) -> Path:
        """An engine that notes what it is asked; a build of base image `broken` fails."""
        body = f"""
for argument; do echo "$argument"; done >> '{tmp_path}/calls'
case "$1" in
    version) echo 27.0;;
    build) case "$*" in *broken*) echo 'pull access denied'; exit 1;; esac;;
    image) echo sha256:0123456789abcdef0;;
esac
"""
        stand_ins.put("docker", body)
        return tmp_path / "calls"

    def test_it_hands_the_engine_an_argument_list(self, calls: Path) -> None:
        options = ("--tag", "my image", "--target", "embedded", "--base-image", "python:3.12")
        found = tqhw("docker", "build", *options, "--option=--no-cache", "--option", "--quiet")
        assert found.exit_code == 0, found.output
        assert found.stdout == "my image: 0123456789abcdef, made by docker\n"
        asked = calls.read_text().splitlines()
        start = asked.index("build")
        root = Path(__file__).resolve().parents[2]
        assert asked[start : asked.index("image")] == [
            *("build", "-f", f"{root}/docker/Dockerfile", "-t", "my image", "--target", "embedded"),
            *("--no-cache", "--quiet", "--build-arg", "PYTHON_IMAGE=python:3.12", str(root)),
        ]

    def test_a_build_that_fails(self, calls: Path) -> None:
        message = refused("docker", "build", "--base-image", "broken")
        assert message.startswith("tqhw: docker/Dockerfile: docker build ended with exit code 1")
        assert "--base-image" in message

    def test_what_cannot_be_built(self, calls: Path, stand_ins: StandIns) -> None:
        assert "unknown target 'embeded' (did you mean 'embedded'" in refused("docker", "build", "--target", "embeded")
        assert "unknown container engine 'dokcer'" in refused("docker", "build", "--engine", "dokcer")
        stand_ins.put("docker", "echo 'Cannot connect to the Docker daemon'; exit 1")
        message = refused("docker", "build", "--engine", "docker")
        assert message == (
            "tqhw: backend container (docker): the docker daemon is not running "
            "(sudo systemctl start docker (or start Docker Desktop))"
        )
