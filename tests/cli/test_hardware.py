"""``tqhw map`` on input that cannot be right, and on a cache that cannot be used."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.cli.files import CASES
from tests.cli.test_app import refused, tqhw

ARCH = CASES / "arch" / "two_level_array.yaml"
ERT = CASES / "ert" / "two_level_array.ERT.yaml"
BUFFER = "attributes: {row_bits: 16, rows: 256, banks: 1, width: 16, depth: 256, datawidth: 8}\n"
DRAM = 'attributes: {type: "LPDDR4", row_bits: 64, width: 64, datawidth: 8}\n'
PROBLEM = """\
problem:
  version: 0.4
  shape:
    name: matmul
    dimensions: [M, K, N]
    data_spaces:
    - {name: Weights, projection: [[[M]], [[K]]]}
    - {name: Inputs, projection: [[[K]], [[N]]]}
    - {name: Outputs, projection: [[[M]], [[N]]], read_write: true}
  instance: {M: 6, K: 4, N: 2}
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the mapping cache of a test lies."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tqhw" / "mappings.sqlite"


def arguments(folder: Path, arch: Path = ARCH) -> tuple[object, ...]:
    problem = folder / "problem.yaml"
    problem.write_text(PROBLEM)
    return ("map", "--arch", arch, "--problem", problem, "--ert", ERT)


def constrained(folder: Path, **constraints: str) -> tuple[object, ...]:
    """The machine with constraints on its buffer, its DRAM, or both."""
    text = ARCH.read_text()
    for attributes, constraint in ((BUFFER, constraints.get("buffer")), (DRAM, constraints.get("dram"))):
        assert attributes in text
        if constraint is not None:
            text = text.replace(attributes, f"{attributes}    constraints: {constraint}\n")
    (folder / "arch.yaml").write_text(text)
    return arguments(folder, folder / "arch.yaml")


@pytest.mark.parametrize(
    ("constraints", "message"),
    [
        ({"buffer": "{temporal: {factors: [M=4]}}"}, "factor M=4 does not divide M=6 (one of 1, 2, 3, 6"),
        ({"buffer": "{temporal: {factors: [M<=2, M>=3]}}"}, "no factor of M=6 satisfies M<=2 and M>=3"),
        ({"buffer": "{temporal: {factors: [M=2, M=3]}}"}, "the factor of M is given twice"),
        (
            {"buffer": "{temporal: {factors: [M=6], no_iteration_over_dataspaces: [Weights]}}"},
            "factor M=6 contradicts no_iteration_over_dataspaces Weights",
        ),
        ({"buffer": "{dataspace: {keep: [Weights], bypass: [Weights]}}"}, "Weights is both kept and bypassed"),
        ({"buffer": "{temporal: {permutation: [M, M]}}"}, "permutation M, M names a dimension twice"),
        ({"buffer": "{temporal: {factors: [X=2]}}"}, "unknown dimension 'X' (known: M, K, N)"),
        (
            {"buffer": "{temporal: {factors: [M=6]}}", "dram": "{temporal: {factors: [M=3]}}"},
            "no factors of M multiply to 6: the least allowed product is 18 (buffer: M=6, DRAM: M=3)",
        ),
    ],
)
def test_constraints_that_contradict_each_other_or_the_problem(
    tmp_path: Path, constraints: dict[str, str], message: str
) -> None:
    assert message in refused(*constrained(tmp_path, **constraints))


def test_an_architecture_without_storage(tmp_path: Path) -> None:
    text = ARCH.read_text()
    for name in ("DRAM", "buffer"):
        begin = text.index(f"  - !Component\n    name: {name}\n")
        text = text[:begin] + text[text.index("  - !Co", begin + 1) :]
    (tmp_path / "bare.yaml").write_text(text)
    assert "the architecture has no storage component" in refused(*arguments(tmp_path, tmp_path / "bare.yaml"))


@pytest.mark.parametrize("budget", ["0", "-1", "nan"])
@pytest.mark.parametrize("backend", ["embedded", "timeloop"])
def test_a_budget_that_leaves_no_time(tmp_path: Path, budget: str, backend: str) -> None:
    """Told before anything is read, or the engine's programs are looked for."""
    given = ("map", "--arch", "none", "--problem", "none", "--backend", backend)
    assert "leaves no time (give more than 0 seconds)" in refused(*given, "--budget", budget)


def test_factors_with_remainders_and_padding(tmp_path: Path) -> None:
    given = [*arguments(tmp_path)]
    (tmp_path / "problem.yaml").write_text(PROBLEM.replace("M: 6, K: 4", "M: 7, K: 5"))
    fast = ("--objective", "latency", "--pad")
    plain, uneven, padded = (
        json.loads(tqhw(*given, *more, "--json", "-").stdout) for more in ((), ("--factors", "imperfect"), fast)
    )
    assert uneven["proved_optimal"] and padded["proved_optimal"]
    assert any("," in step.get("factors", "") for step in uneven["mapping"])
    assert uneven["whole"]["energy_pj"] < plain["energy_pj"] and "whole" not in plain
    assert padded["padded"]["wasted_computes"] == padded["computes"] - plain["computes"]
    told = tqhw(*given, *fast).stderr
    assert "is padded from M=7 to 8" in told and "are wasted, and counted in energy, cycles and utilization" in told
    mapping = tmp_path / "m.yaml"
    tqhw(*given, "--factors", "imperfect", "--out", mapping)
    again = json.loads(tqhw("evaluate", *given[1:], "--mapping", mapping, "--json", "-").stdout)
    assert again["energy_pj"] == uneven["energy_pj"]
    assert "(last " in tqhw("show", mapping, *given[1:5]).stdout


def test_fronts_with_remainders_and_padding(tmp_path: Path) -> None:
    given = [*arguments(tmp_path), "--objective", "energy,latency"]
    (tmp_path / "problem.yaml").write_text(PROBLEM.replace("M: 6, K: 4", "M: 7, K: 5"))
    chosen = tmp_path / "m.yaml"
    for way, what in ((("--factors", "imperfect"), "whole"), (("--pad",), "padded")):
        found = json.loads(tqhw(*given, *way, "--json", "-").stdout)
        points = found["front"]
        assert found["proved_optimal"] and any(what in point for point in points)
        number = 1 + next(i for i, point in enumerate(points) if what in point)
        result = tqhw(*given, *way, "--point", number, "--out", chosen, "--json", tmp_path / "f.json")
        point, told = points[number - 1], json.loads((tmp_path / "f.json").read_text())
        assert told["mapping"] == point["mapping"]
        if what == "whole":
            assert told["whole"] == point["whole"]
            assert (point["energy"], point["latency"]) == (point["whole"]["energy_pj"], point["whole"]["cycles"])
            again = json.loads(tqhw("evaluate", *given[1:-2], "--mapping", chosen, "--json", "-").stdout)
            assert (again["energy_pj"], again["cycles"]) == (point["energy_pj"], point["cycles"])
        else:
            assert told["padded"]["bounds"] == point["padded"]
            assert f"of {len(points)} points of the front are padded; at most" in result.stderr


@pytest.mark.parametrize("way", [("--factors", "imperfect"), ("--pad",)])
def test_a_budget_too_small_for_all_sizes_leaves_a_front_so_far(tmp_path: Path, way: tuple[str, ...]) -> None:
    given = [*arguments(tmp_path), "--objective", "energy,latency", *way, "--budget", "0.000001", "--no-cache"]
    (tmp_path / "problem.yaml").write_text(PROBLEM.replace("M: 6, K: 4", "M: 7, K: 5"))
    found = json.loads(tqhw(*given, "--json", "-").stdout)
    assert re.search(r"  at or above energy [\d,]+\.\d pJ and latency [\d,]+ cycles\n", tqhw(*given).stdout)
    assert found["front"] and found["proved_optimal"] is False
    assert found["open_region"]
    assert found["least"]["energy"] <= found["front"][0]["energy"]


def test_an_array_that_factors_leave_idle_is_told(tmp_path: Path) -> None:
    given = arguments(tmp_path)
    (tmp_path / "problem.yaml").write_text(PROBLEM.replace("M: 6, K: 4, N: 2", "M: 13, K: 11, N: 17"))
    told = tqhw(*given).stderr
    assert "of the compute units are busy: factors of problem take" in told
    assert "at best (search with remainders, `--factors imperfect`, or padded, `--pad`)" in told
    assert "busy" not in tqhw(*given, "--factors", "imperfect").stderr


def test_a_dimension_that_hardly_divides_is_told_where_energy_counts(tmp_path: Path) -> None:
    given = arguments(tmp_path)
    (tmp_path / "problem.yaml").write_text(PROBLEM.replace("M: 6, K: 4, N: 2", "M: 8, K: 12, N: 37"))
    hint = "factors of problem leave little choice for N=37: mappings with remainders (`--factors imperfect`)"
    assert hint in tqhw(*given).stderr
    assert hint in tqhw(*given, "--objective", "energy,latency").stderr
    for quiet in (("--factors", "imperfect"), ("--pad",), ("--objective", "latency")):
        assert "little choice" not in tqhw(*given, *quiet).stderr


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--factors", "uneven"), "unknown factors 'uneven' (known: perfect, imperfect"),
        (("--factors", "imperfect", "--pad"), "padding and factors with remainders are two answers to one question"),
    ],
)
def test_ways_that_are_none(tmp_path: Path, more: tuple[str, ...], message: str) -> None:
    assert message in refused(*arguments(tmp_path), *more)


def test_an_experiment_has_one_way() -> None:
    assert "search.factors" in refused("run", "--set", "search.factors=uneven")
    told = refused("run", "--set", "search.factors=imperfect", "--set", "search.pad=true")
    assert "pad and factors: imperfect are two answers to one question: give one of them" in told


def test_a_damaged_cache_is_done_without(tmp_path: Path, cache: Path) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_bytes(b"no database at all " * 100)
    found = tqhw(*arguments(tmp_path), "--json", "-")
    assert found.exit_code == 0
    assert found.stderr == (
        f"tqhw: {cache}: the mapping cache cannot be read (file is not a database); going on without it; "
        "delete the file to have a new one\n"
    )
    assert json.loads(found.stdout)["proved_optimal"]


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path, cache: Path) -> None:
    cache.parent.parent.write_text("a file where the folder should be")
    found = tqhw(*arguments(tmp_path))
    assert found.exit_code == 0
    assert "the mapping cache cannot be written" in found.stderr


def test_without_a_cache_nothing_is_kept(tmp_path: Path, cache: Path) -> None:
    assert tqhw(*arguments(tmp_path), "--no-cache").exit_code == 0
    assert not cache.exists()
    first = tqhw(*arguments(tmp_path))
    assert first.exit_code == 0
    assert cache.exists()
    assert "kept" not in first.stderr
    again = tqhw(*arguments(tmp_path))
    assert again.stdout == first.stdout
    assert again.stderr == "tqhw: kept from an earlier search, whose seconds these are (--no-cache searches anew)\n"
    assert "kept" not in tqhw(*arguments(tmp_path), "--no-cache").stderr


def test_the_bound_is_told(tmp_path: Path) -> None:
    answer = json.loads(tqhw(*arguments(tmp_path), "--json", "-").stdout)
    assert answer["lower_bound"] == answer["energy_pj"]
    assert answer["gap"] == 0.0
    assert "gap: 0.00%" in tqhw(*arguments(tmp_path)).stdout


def test_a_search_that_finds_nothing_says_so_with_its_reasons(tmp_path: Path) -> None:
    whole = "{dataspace: {keep: [Weights]}, temporal: {factors: [M=6, K=4, N=2]}}"
    given = constrained(tmp_path, buffer=whole)
    (tmp_path / "arch.yaml").write_text((tmp_path / "arch.yaml").read_text().replace("depth: 256", "depth: 4"))
    found = tqhw(*given)
    assert found.exit_code == 1, found.output
    first, reason = found.stdout.splitlines()
    assert first == "No mapping was found:"
    assert "buffer" in reason
    answer = json.loads(tqhw(*given, "--json", "-").stdout)
    assert [found["message"] for found in answer["reasons"]] == [reason.strip()]


def fronted(folder: Path, *more: object) -> tuple[object, ...]:
    return (*arguments(folder), "--objective", "energy,latency", *more)


def test_a_front_is_told_drawn_and_written(tmp_path: Path) -> None:
    out = tmp_path / "mapping.yaml"
    for name in ("front.svg", "front.png", "front.pdf"):
        result = tqhw(*fronted(tmp_path, "--json", tmp_path / "all.json", "--out", out, "--figure", tmp_path / name))
        assert result.exit_code == 0, result.output
        assert (tmp_path / name).stat().st_size > 1000
    told = json.loads((tmp_path / "all.json").read_text())
    assert told["objectives"] == ["energy", "latency"]
    assert told["open_region"] == []
    assert told["proved_optimal"]
    first = told["front"][0]
    assert (first["energy"], first["latency"], first["mapping"]) == (told["energy_pj"], told["cycles"], told["mapping"])
    assert told["least"] == {"energy": first["energy"], "latency": told["front"][-1]["cycles"]}
    evaluated = tqhw("evaluate", *arguments(tmp_path)[1:], "--mapping", out, "--json", "-")
    assert json.loads(evaluated.stdout)["energy_pj"] == first["energy_pj"]


@pytest.mark.parametrize(
    ("option", "name", "message"),
    [
        ("--json", "gone/file/all.json", "gone/file is no folder"),
        ("--out", "gone", "it is a folder"),
        ("--figure", "gone/file/front.svg", "gone/file is no folder"),
        ("--figure", "mapping.svg", "--json names the same file"),
    ],
)
def test_files_that_cannot_be_written_are_refused_before_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, name: str, message: str
) -> None:
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone" / "file").write_text("")
    files = {"--json": tmp_path / "mapping.svg", option: tmp_path / name}
    given = fronted(tmp_path, *(part for pair in files.items() for part in pair))
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr("tqhw.backends.embedded.Embedded.search", None)
    assert message in refused(*given)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_disk_that_is_full_at_the_last_file_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = fronted(tmp_path, "--json", tmp_path / "all.json", "--out", tmp_path / "m" / "best.yaml")
    made = tempfile.mkstemp

    def full(dir: Path, prefix: str) -> tuple[int, str]:
        if "best" in prefix:
            raise OSError(28, "No space left on device")
        return made(dir=dir, prefix=prefix)

    monkeypatch.setattr("tqhw.system.files.tempfile.mkstemp", full)
    assert "best.yaml: cannot be written: No space left on device" in refused(*given)
    assert [*(tmp_path / "m").iterdir()] == [path for path in tmp_path.iterdir() if "all.json" in path.name] == []


def test_a_front_of_one_point_says_so(tmp_path: Path) -> None:
    """Without a fan-out every mapping takes as many cycles."""
    case = ("--arch", CASES / "arch" / "two_level.yaml", "--ert", CASES / "ert" / "two_level.ERT.yaml")
    (tmp_path / "problem.yaml").write_text(PROBLEM)
    result = tqhw("map", *case, "--problem", tmp_path / "problem.yaml", "--objective", "energy,latency")
    assert "one mapping is best in energy and latency, proved: the front is this point" in result.output
    (heading,) = (line for line in result.output.splitlines() if "point" in line and "utilization" in line)
    assert "energy (pJ)" in heading
    assert "latency (cycles)" in heading


def test_a_point_is_chosen_by_its_number(tmp_path: Path) -> None:
    found = tqhw(*fronted(tmp_path, "--json", "-", "--point", 2))
    told = json.loads(found.stdout)
    assert told["point"] == 2
    assert (told["energy_pj"], told["cycles"]) == (told["front"][1]["energy"], told["front"][1]["latency"])
    number = len(told["front"])
    message = refused(*fronted(tmp_path, "--point", number + 1))
    assert f"the front has {number} points, there is no point {number + 1} " in message
    assert f"(give a number from 1, best in energy, to {number}, best in latency)" in message


@pytest.mark.parametrize(
    "more, message",
    [
        (("--objective", "energy,energy"), "energy is named twice"),
        (("--objective", "energy,latency,edp"), "edp adds nothing to a front of energy and latency"),
        (("--objective", "energy,speed"), "--objective: unknown objective 'speed'"),
        (("--objective", "edp", "--point", 2), "--point: the search for edp has one answer, not a front"),
        (
            ("--objective", "energy,edp", "--point", 0),
            "--point: points are numbered from 1, there is no point 0 (give 1",
        ),
        (("--objective", "energy,edp", "--point", "-3"), "--point: points are numbered from 1, there is no point -3"),
        (("--figure", "front.svg"), "--figure: the search for energy has one answer, not a front"),
        (("--objective", "energy,edp", "--figure", "x.txt"), "a picture cannot be written as 'x.txt' (end it in .svg"),
        (("--objective", "energy,edp", "--backend", "timeloop"), "timeloop finds one best mapping, not a front"),
    ],
)
def test_what_makes_no_front_is_refused(tmp_path: Path, more: tuple[object, ...], message: str) -> None:
    assert message in refused(*arguments(tmp_path), *more)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--energy-source", "accelergy"],
            "--energy-source: accelergy not found on PATH (install Accelergy and its plug-ins, or set --energy-source"
            " packaged)",
        ),
        (["--energy-source", "acelergy"], "--energy-source: unknown value 'acelergy' (did you mean 'accelergy'?"),
        (["--energy-source", "file"], "--ert: source file needs a file (give --ert, and --art for areas)"),
        (["--adder", "neurosin"], "--adder: unknown value 'neurosin' (did you mean 'neurosim'?"),
        (
            ["--adder", "neurosim", "--energy-source", "accelergy"],
            "--adder: adder is a choice of the packaged tables (leave it out, or take --energy-source packaged)",
        ),
        (["--energy-table", "{mac: {compute: -1}}"], "--energy-table.mac: -1 must be at least 0"),
        (["--energy-table", "{mac: {compte: 1}}"], "--energy-table.mac: unknown action 'compte'"),
        (["--energy-table", "{mca: {compute: 1}}"], "--energy-table: unknown component 'mca' (did you mean 'mac'?"),
        (["--word-bits", "Weights=2", "--multiplier", "mach"], "--multiplier: unknown multiplier 'mach'"),
        (["--word-bits", "Wights=2"], "--word-bits: unknown data space 'Wights'"),
    ],
)
def test_what_is_wrong_with_an_option_is_told_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    if options[0] == "--energy-table":
        (tmp_path / "table.yaml").write_text(options[1])
        options = ["--energy-table", str(tmp_path / "table.yaml")]
    given = arguments(tmp_path)[:-2]
    assert message in refused(*given, *options)


def test_a_mapping_without_a_picture_waits_for_nothing_that_draws_or_trains(tmp_path: Path) -> None:
    given = [str(each) for each in arguments(tmp_path)]
    code = (
        "import sys, tqhw.cli\n"
        "try:\n    tqhw.cli.main()\n"
        "finally:\n    sys.exit(str(sorted({'torch', 'matplotlib', 'pandas', 'dask'} & set(sys.modules))))"
    )
    found = subprocess.run([sys.executable, "-c", code, *given], capture_output=True, text=True)
    assert "proved_optimal: True" in found.stdout
    assert found.stderr.splitlines()[-1] == "[]"
