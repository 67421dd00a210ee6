"""The backend around programs that fail.

The programs are stand-ins: small scripts that behave like the real ones when these fail. They stand for failures only;
where one succeeds, it copies what a real run wrote. test_real.py runs the real programs.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.backends.cases import (
    DATA,
    MAPPER_PREFIX,
    MODEL_PREFIX,
    SAYS_THE_SAME,
    StandIns,
    layer,
    recorded_target,
    reference_design,
)
from tqhw.backends.embedded import Embedded
from tqhw.backends.protocol import Design, Found, Job, Search
from tqhw.backends.timeloop import Timeloop
from tqhw.errors import TqhwError
from tqhw.options import TimeloopOptions
from tqhw.spec import Invalid, Mapping, Stats, flatten, load_mapping, parse_architecture, parse_mapping, yamlio

SEARCHED = f"""
cp '{DATA}'/mapper_eyeriss_like/timeloop-mapper.* .
echo '[0] INVALID 41 5 36'
"""
TARGET = recorded_target("mapper_eyeriss_like", MAPPER_PREFIX, "eyeriss_like")


def backend(folder: Path | None = None, **options: object) -> Timeloop:
    return Timeloop(TimeloopOptions(jobs=2, **options), folder=folder, use_front_end=False)  # type: ignore[arg-type]


def mapping() -> Mapping:
    return load_mapping(DATA / "mapper_eyeriss_like" / f"{MAPPER_PREFIX}.map.yaml")


def tables(folder: str) -> str:
    """A body for accelergy that writes recorded tables."""
    return f"""
for kind in ERT ART ERT_summary; do
    file='{DATA}/{folder}/timeloop-mapper.'$kind.yaml
    echo 'ERT_summary: {{table_summary: []}}' > timeloop.$kind.yaml
    if [ -f "$file" ]; then cp "$file" timeloop.$kind.yaml; fi
done
"""


# --- versions ---------------------------------------------------------------------------------------------------------


def test_versions_name_the_programs_by_digest(stand_ins: StandIns) -> None:
    found = backend().versions()
    assert set(found) == {"tqhw", "timeloop-model", "timeloop-mapper", "accelergy", "accelergy's files", "front end"}
    assert found["timeloop-model"].startswith("sha256 ")
    assert found["front end"] == "none"


def test_missing_programs_are_named(stand_ins: StandIns) -> None:
    for name in ("timeloop-mapper", "accelergy"):
        (stand_ins.folder / name).unlink()
    with pytest.raises(TqhwError, match=r"timeloop-mapper, accelergy not found on PATH.*--backend container"):
        backend().versions()


def test_a_model_that_cannot_read_v04_is_refused(stand_ins: StandIns) -> None:
    (stand_ins.folder / MODEL_PREFIX).write_text("#!/bin/sh\necho 'ERROR: no key arch'; exit 1\n", encoding="utf-8")
    message = r"does not answer a known case as it should.*ERROR: no key arch.*supported: Timeloop with v0.4.*4cf6d4c"
    with pytest.raises(TqhwError, match=message):
        backend().versions()


def test_a_temporary_folder_that_cannot_be_written(
    stand_ins: StandIns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(TqhwError, match=r"missing.*a run folder cannot be made: No such file.*set TMPDIR"):
        backend().versions()


def test_a_model_that_counts_otherwise_is_refused(stand_ins: StandIns) -> None:
    # Inputs fetched 12 times: nothing kept between iterations, in both files and in the energies.
    body = f"""
cp '{DATA}'/probe/* .
sed -i 's|<item>9</item>|<item>10</item>|; s|: 9$|: 10|' timeloop-model.map+stats.xml timeloop-model.stats.txt
"""
    (stand_ins.folder / MODEL_PREFIX).write_text("#!/bin/sh\n" + body, encoding="utf-8")
    with pytest.raises(TqhwError, match=r"known case.*supported: Timeloop"):
        backend().versions()


def test_another_accelergy_is_refused(stand_ins: StandIns) -> None:
    python = stand_ins.folder / "python-of-accelergy"
    python.write_text("#!/bin/sh\necho 0.3\n", encoding="utf-8")
    python.chmod(0o755)
    (stand_ins.folder / "accelergy").write_text(f"#!{python}\n", encoding="utf-8")
    with pytest.raises(TqhwError, match=r"Accelergy 0.3 is not supported.*Accelergy 0.4"):
        backend().versions()


# --- tables -----------------------------------------------------------------------------------------------------------


def test_tables_are_made_once_per_design(stand_ins: StandIns, tmp_path: Path) -> None:
    stand_ins.put("accelergy", tables("mapper_eyeriss_like") + f"echo run >> '{tmp_path}/runs'")
    engine = backend(tmp_path / "kept")
    design = reference_design("eyeriss_like")
    assert engine.target(design).ert.energies == TARGET.ert.energies
    assert engine.target(design).art.areas == TARGET.art.areas
    assert backend(tmp_path / "kept").target(design).ert.energies == TARGET.ert.energies
    assert (tmp_path / "runs").read_text().count("run") == 1


def test_tables_of_many_designs_are_made_side_by_side_and_told(stand_ins: StandIns, tmp_path: Path) -> None:
    # Each waits for the other: one after the other they would never end.
    meet = f"touch '{tmp_path}'/met.$$; while [ $(ls '{tmp_path}' | grep -c met) -lt 2 ]; do sleep 0.05; done"
    stand_ins.put("accelergy", meet + tables("mapper_eyeriss_like"))
    design = reference_design("eyeriss_like")
    designs = [design, replace(design, text=design.text + "# another\n")]
    told: list[int] = []
    found = backend(model_budget_s=30.0).targets(designs, told.append)
    assert [target.design for target in found] == designs
    assert sorted(told) == [0, 1]


def test_an_unknown_class(stand_ins: StandIns) -> None:
    log = DATA / "accelergy_unknown_class" / "timeloop-mapper.accelergy.log"
    stand_ins.put("accelergy", f"cat '{log}'; exit 0")
    with pytest.raises(
        TqhwError, match=r"wrote no tables \(exit code 0\): Can not find an energy estimator for no_such"
    ):
        backend().target(reference_design("eyeriss_like"))


def test_an_expression_that_accelergy_cannot_read(stand_ins: StandIns) -> None:
    log = """|| Traceback (most recent call last):
||   File "accelergy/parsing_utils.py", line 357, in parse_expression_for_arithmetic
||     raise ArithmeticError(f"{errstr}")
|| ArithmeticError: Failed to evaluate: LPDDR4
|| Location: arch attribute "type"
|| Problem encountered: NameError: Name 'LPDDR4' is not defined.
|| Available bindings:
============================================================
Accelergy has encountered an error and crashed. Error above.
============================================================"""
    stand_ins.put("accelergy", f"cat <<'END'\n{log}\nEND\nexit 255")
    design = reference_design("eyeriss_like")
    line = next(c.place for c in design.architecture.components() if c.name == "DRAM")
    message = r"wrote no tables \(exit code 255\): Failed to evaluate: LPDDR4; Location: arch attribute \"type\""
    with pytest.raises(TqhwError, match=message) as caught:
        backend().target(design)
    assert str(caught.value.place).startswith(f"{line} (log: ")


def test_a_full_disk_while_accelergys_input_is_written(stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = backend()
    engine.versions()
    monkeypatch.setattr(Path, "write_text", _full)
    with pytest.raises(TqhwError, match=r"accelergy.yaml: cannot be written: No space left on device.*free some space"):
        engine.target(reference_design("eyeriss_like"))


def test_the_dummy_estimator_is_refused_with_the_components_line(stand_ins: StandIns) -> None:
    stand_ins.put("accelergy", tables("accelergy_dummy_estimator"))
    message = r"'DRAM' is estimated by Accelergy's dummy.*: channel \(.*eyeriss_like.yaml:\d+\).*`technology`"
    with pytest.raises(TqhwError, match=message):
        backend().target(reference_design("eyeriss_like"))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ("s/energy: 1.13555/energy: 0.0/", r"a compute of 'mac' costs nothing"),
        ("s/energy: 27.9085/energy: 0/", r"a read of 'shared_glb' costs nothing"),
        ("s/name: system_top_level.mac.*/name: system_top_level.other/", "no energies for 'mac'"),
        ("s/energy: 27.9085/energy: -1/", "must be a number of at least 0"),
        ("/tables:/,$d", "the ERT holds no tables"),
    ],
)
def test_energies_that_cannot_be(stand_ins: StandIns, edit: str, message: str) -> None:
    stand_ins.put("accelergy", tables("mapper_eyeriss_like") + f"sed -i '{edit}' timeloop.ERT.yaml")
    with pytest.raises(TqhwError, match=message):
        backend().target(reference_design("eyeriss_like"))


def test_a_class_that_says_that_it_does_nothing_costs_nothing(stand_ins: StandIns) -> None:
    """As `register` of Timeloop's public exercises, a part without subcomponents."""
    edit = "sed -i 's/energy: 1.13555/energy: 0.0/' timeloop.ERT.yaml"
    stand_ins.put("accelergy", tables("mapper_eyeriss_like") + edit)
    given = reference_design("eyeriss_like")
    own = """
  - name: int_mac
    attributes: {technology: must_specify, global_cycle_seconds: must_specify}
    subcomponents: []
    actions: [{name: compute, subcomponents: []}, {name: leak, subcomponents: []}]
"""
    others, _, _ = given.components_text.partition("  - name: int_mac\n")
    design = Design(given.name, given.architecture, given.hardware, given.text, others + own.lstrip("\n"))
    assert backend().target(design).ert.energy_pj("mac", "compute") == 0


def test_an_area_that_is_missing(stand_ins: StandIns) -> None:
    edit = "sed -i 's/name: system_top_level.mac.*/name: system_top_level.other/' timeloop.ART.yaml"
    stand_ins.put("accelergy", tables("mapper_eyeriss_like") + edit)
    with pytest.raises(TqhwError, match=r"the ART has no area for 'mac' \(.*eyeriss_like.yaml:\d+\)"):
        backend().target(reference_design("eyeriss_like"))


def test_free_writes_are_noted(stand_ins: StandIns) -> None:
    stand_ins.put(
        "accelergy", tables("mapper_eyeriss_like") + "sed -i 's/energy: 28.7151/energy: 0/' timeloop.ERT.yaml"
    )
    assert backend().target(reference_design("eyeriss_like")).notes == (
        "shared_glb: a write costs nothing, says Accelergy",
    )


def test_accelergy_that_hangs(stand_ins: StandIns) -> None:
    stand_ins.put("accelergy", "sleep 60")
    with pytest.raises(TqhwError, match=r"accelergy did not end within 0\.3 s"):
        engine = backend(model_budget_s=0.3)
        engine.__dict__["_versions"] = {
            "accelergy": "0.4",
            "accelergy's files": "",
        }  # the known case may take longer than that here
        engine.target(reference_design("eyeriss_like"))


# --- one mapping ------------------------------------------------------------------------------------------------------


def test_an_invalid_mapping_is_an_answer(stand_ins: StandIns) -> None:
    stand_ins.put(MODEL_PREFIX, f"cat '{DATA}/model_factors_do_not_match/stdout.log'; exit 1")
    found = backend().evaluate(layer(), TARGET, mapping())
    assert isinstance(found, Invalid)
    assert [(r.rule, r.demand, r.bound) for r in found.reasons] == [("factors", 20, 64)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("keep: [Weights, Inputs, Outputs]", "keep: [Weight, Inputs, Outputs]"),
        ("bypass: []", "bypass: [Weight]"),
        ("factors: C4", "factors: Z4"),
        ("permutation: [C, M]", "permutation: [C, Z]"),
        ("target: DRAM", "target: DRUM"),
    ],
)
def test_names_in_a_mapping_are_checked_as_the_embedded_engine_checks_them(
    stand_ins: StandIns, old: str, new: str
) -> None:
    text = """
- {target: DRAM, type: datatype, keep: [Weights, Inputs, Outputs], bypass: []}
- {target: DRAM, type: temporal, factors: C4, permutation: [C, M]}
"""
    assert old in text
    given = parse_mapping(yamlio.parse(text.replace(old, new), "m.yaml"), "m.yaml")
    stand_ins.put(MODEL_PREFIX, "kill -ABRT $$")
    answers = []
    for engine in (backend(), Embedded()):
        try:
            answers.append(str(engine.evaluate(layer(), TARGET, given)))
        except TqhwError as error:
            assert "m.yaml:2: level DRAM: unknown d" in str(error)
            answers.append(str(error))
    assert answers[0] == answers[1]


def test_a_mapping_with_remainders_may_forbid_links(stand_ins: StandIns) -> None:
    text = (DATA / "mapper_eyeriss_like" / f"{MAPPER_PREFIX}.map.yaml").read_text(encoding="utf-8")
    for old, new in (("P2 ", "P3,1 "), ("P14", "P10"), ("split: 0", "split: 0\n    no_link_transfer: [Inputs]")):
        assert old in text
        text = text.replace(old, new)
    stand_ins.put(
        MODEL_PREFIX, f"for f in '{DATA}'/mapper_eyeriss_like/*; do cp $f {MODEL_PREFIX}.${{f#*-mapper.}}; done"
    )
    given = parse_mapping(yamlio.parse(text)["mapping"])
    assert isinstance(backend().evaluate(layer(), TARGET, given), Stats)


def test_a_crash_is_an_error_that_keeps_the_folder(
    stand_ins: StandIns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    stand_ins.put(MODEL_PREFIX, f"cat '{DATA}/width_not_a_multiple/stdout.log'; kill -ABRT $$")
    with pytest.raises(TqhwError, match=r"wrote no statistics \(signal 6\).*Assertion") as caught:
        backend().evaluate(layer(), TARGET, mapping())
    ours, _, folder_named = str(caught.value.place).partition(" (run folder: ")
    assert ours.endswith("eyeriss_like.yaml")
    folder = Path(folder_named.removesuffix(")"))
    assert {path.name for path in folder.iterdir()} >= {"input.yaml", "timeloop-model.log"}


def test_exit_code_0_without_statistics_is_an_error(stand_ins: StandIns) -> None:
    stand_ins.put(MODEL_PREFIX, "echo 'Failed to run Accelergy.'; exit 0")
    with pytest.raises(TqhwError, match=r"wrote no statistics \(exit code 0\): Failed to run Accelergy"):
        backend().evaluate(layer(), TARGET, mapping())


def test_a_model_that_hangs(stand_ins: StandIns) -> None:
    stand_ins.put(MODEL_PREFIX, "sleep 60")
    engine = backend(model_budget_s=0.3)
    engine.__dict__["_versions"] = {MODEL_PREFIX: "x"}
    with pytest.raises(TqhwError, match=r"timeloop-model had no result when its time was over.*longer budget"):
        engine.evaluate(layer(), TARGET, mapping())


def test_folders_of_good_runs_are_removed(stand_ins: StandIns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    stand_ins.put(MAPPER_PREFIX, SEARCHED)
    backend().search([Job(layer(), TARGET)], Search())
    assert list((tmp_path / "tmp").iterdir()) == []


# --- searches ---------------------------------------------------------------------------------------------------------


def test_a_search_returns_mapping_statistics_and_tries(stand_ins: StandIns) -> None:
    stand_ins.put(MAPPER_PREFIX, SEARCHED)
    done: list[Job] = []
    (found,) = backend().search([Job(layer(), TARGET)], Search(), done.append)
    assert isinstance(found, Found)
    assert found.mapping == mapping()
    assert found.stats.cycles == 3612672
    assert (found.evaluated, found.proved_optimal) == (42, False)
    assert done == [Job(layer(), TARGET)]


@pytest.mark.parametrize(
    ("edit", "model", "message"),
    [
        ("s/target: DRAM/target: DRUM/", "", "target level not found: DRUM"),
        ("", "sed -i 's/Cycles: .*/Cycles: 1/' timeloop-model.stats.txt", "the archive gives .* for .*Cycles"),
        ("", "rm timeloop-model.map*; echo 'ERROR: out of luck'", "timeloop-model wrote no statistics .*out of luck"),
        (
            "",
            f"cp '{DATA}'/model_factors_do_not_match/stdout.log said; cat said; exit 1",
            "not the one of its statistics: the factors of dimension M multiply to 20",
        ),
        (
            "",
            "sed -i 's/<item>112</<item>113</; s/capacity  *: 112/capacity : 113/' timeloop-model.map+stats.xml"
            " timeloop-model.stats.txt",
            "statistics: tile_words 113 by timeloop-model, 112 by timeloop-mapper .shared_glb, Outputs",
        ),
    ],
)
def test_a_mapping_that_is_not_of_its_statistics_is_refused(
    stand_ins: StandIns, edit: str, model: str, message: str
) -> None:
    stand_ins.put(MODEL_PREFIX, SAYS_THE_SAME + model)
    stand_ins.put(MAPPER_PREFIX, SEARCHED + f"sed -i '{edit}' timeloop-mapper.map.yaml")
    with pytest.raises(TqhwError, match=message):
        backend().search([Job(layer(), TARGET)], Search())


def test_a_kept_mapping_of_another_layer_is_not_taken(stand_ins: StandIns, tmp_path: Path) -> None:
    stand_ins.put(MAPPER_PREFIX, SEARCHED + f"echo run >> '{tmp_path}/runs'")
    jobs = [Job(layer(), TARGET)]
    backend(tmp_path / "kept").search(jobs, Search())
    (kept,) = (tmp_path / "kept").glob(f"*/{MAPPER_PREFIX}.map.yaml")
    text = kept.read_text()
    kept.write_text(text.replace("permutation: ", "permutation: G", 1).replace("GG", "G"))
    assert kept.read_text() != text
    (found,) = backend(tmp_path / "kept").search(jobs, Search())
    assert isinstance(found, Found)
    assert found.mapping == mapping()
    assert (tmp_path / "runs").read_text().count("run") == 2


def test_finished_layers_are_not_searched_again(stand_ins: StandIns, tmp_path: Path) -> None:
    stand_ins.put(MAPPER_PREFIX, SEARCHED + f"echo run >> '{tmp_path}/runs'")
    jobs = [Job(layer(), TARGET)]
    first = backend(tmp_path / "kept").search(jobs, Search())
    second = backend(tmp_path / "kept").search(jobs, Search())
    assert [f.stats for f in first if isinstance(f, Found)] == [f.stats for f in second if isinstance(f, Found)]
    assert (tmp_path / "runs").read_text().count("run") == 1
    backend(tmp_path / "kept").search(jobs, Search(cache=False))
    assert (tmp_path / "runs").read_text().count("run") == 2
    backend(tmp_path / "kept", victory_condition=3).search(jobs, Search())
    assert (tmp_path / "runs").read_text().count("run") == 3


@pytest.mark.parametrize("file", ["timeloop-mapper.map+stats.xml", "timeloop-mapper.map.yaml", "timeloop-mapper.log"])
def test_a_kept_search_that_is_damaged_runs_again(stand_ins: StandIns, tmp_path: Path, file: str) -> None:
    stand_ins.put(MAPPER_PREFIX, SEARCHED + f"echo run >> '{tmp_path}/runs'")
    jobs = [Job(layer(), TARGET)]
    (first,) = backend(tmp_path / "kept").search(jobs, Search())
    (damaged,) = (tmp_path / "kept").glob(f"*/{file}")
    damaged.unlink()
    (second,) = backend(tmp_path / "kept").search(jobs, Search())
    assert isinstance(first, Found) and isinstance(second, Found)
    assert first.stats == second.stats
    assert (tmp_path / "runs").read_text().count("run") == 2


def test_a_search_killed_in_between_runs_again(stand_ins: StandIns, tmp_path: Path) -> None:
    stand_ins.put(MAPPER_PREFIX, SEARCHED)
    jobs = [Job(layer(), TARGET)]
    backend(tmp_path / "kept").search(jobs, Search())
    (done,) = (tmp_path / "kept").glob("*/done.json")
    done.unlink()  # what it looks like when the mark was not reached
    (done.parent / "left over").write_text("x")
    assert isinstance(backend(tmp_path / "kept").search(jobs, Search())[0], Found)
    assert not (done.parent / "left over").exists()


def test_ctrl_c_stops_the_programs_and_keeps_what_is_done(stand_ins: StandIns, tmp_path: Path) -> None:
    small = replace(layer(14), name="small")
    stand_ins.put(
        MAPPER_PREFIX, f"echo $$ >> '{tmp_path}/pids'\nif grep -q 'P: 14' input.yaml; then sleep 60; fi\n{SEARCHED}"
    )
    engine = backend(tmp_path / "kept")
    engine.versions()

    def interrupt() -> None:
        end = time.monotonic() + 30
        while not list((tmp_path / "kept").glob("*/done.json")) and time.monotonic() < end:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        engine.search([Job(layer(), TARGET), Job(small, TARGET)], Search())
    for pid in (tmp_path / "pids").read_text().split():
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)
    assert len(list((tmp_path / "kept").glob("*/done.json"))) == 1
    assert isinstance(engine.search([Job(layer(), TARGET)], Search())[0], Found)


def test_a_mapper_that_finds_nothing_is_diagnosed(stand_ins: StandIns) -> None:
    stand_ins.put(
        MAPPER_PREFIX,
        f"""
: > timeloop-mapper.map+stats.xml
if grep -q 'diagnostics: true' input.yaml; then cat '{DATA}/mapper_no_valid_mapping/stdout.log'
else echo 'MESSAGE: no valid mappings found within search criteria. Some suggestions:'; fi
""",
    )
    (found,) = backend().search([Job(layer(), TARGET)], Search())
    assert isinstance(found, Invalid)
    assert [(r.level, r.rule) for r in found.reasons] == [
        ("inter_PE_column_spatial", "fanout"),
        ("inter_PE_spatial", "fanout"),
        ("ifmap_spad", "capacity"),
        ("shared_glb", "capacity"),
    ]


@pytest.mark.parametrize(
    ("constraints", "message"),
    [
        ("dataspace: {keep: [Weight]}", "unknown data space 'Weight' (did you mean 'Weights'"),
        ("temporal: {no_iteration_over_dataspaces: [Weight]}", "unknown data space 'Weight' (did you mean 'Weights'"),
        ("temporal: {factors: [Z=3]}", "unknown dimension 'Z' (known: C, M,"),
        ("temporal: {permutation: [C, Z]}", "permutation: unknown dimension 'Z' (known: C, M,"),
        ("temporal: {factors: [C=3]}", "factor C=3 does not divide C=64 (one of 1, 2, 4"),
    ],
)
def test_constraints_are_checked_before_the_mapper_runs(stand_ins: StandIns, constraints: str, message: str) -> None:
    stand_ins.put(MAPPER_PREFIX, "kill -ABRT $$")
    text = f"""architecture:
  nodes:
  - !Component {{name: DRAM, class: DRAM}}
  - !Component
    name: buffer
    class: SRAM
    constraints: {{{constraints}}}
  - !Component {{name: mac, class: compute}}
"""
    changed = parse_architecture(yamlio.parse(text, "a.yaml"), "a.yaml", "a")
    target = replace(TARGET, design=Design("a", changed, flatten(changed), text))
    with pytest.raises(TqhwError) as caught:
        backend().search([Job(layer(), target)], Search())
    assert str(caught.value).startswith(f"a.yaml:7: constraints of buffer: {message}")


def test_a_mapper_without_a_result_is_an_error(stand_ins: StandIns) -> None:
    stand_ins.put(MAPPER_PREFIX, "echo 'ERROR: mapspace is too large'; exit 0")
    with pytest.raises(TqhwError, match=r"timeloop-mapper wrote no statistics \(exit code 0\): ERROR: mapspace is too"):
        backend().search([Job(layer(), TARGET)], Search())


def test_the_shorter_budget_counts_and_the_best_so_far_is_taken(stand_ins: StandIns) -> None:
    stand_ins.put(MAPPER_PREFIX, f'trap "{SEARCHED.replace(chr(10), ";").strip(";")}; exit 0" INT; sleep 60 & wait')
    (found,) = backend(budget_s=50).search([Job(layer(), TARGET)], Search(budget_s=0.5))
    assert isinstance(found, Found)
    assert found.seconds < 40


# --- folders and options ----------------------------------------------------------------------------------------------


def test_a_file_in_the_place_of_the_folder(stand_ins: StandIns, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(TqhwError, match="is a file, not a folder"):
        backend(tmp_path / "file").search([Job(layer(), TARGET)], Search())


def test_a_folder_that_cannot_be_made(stand_ins: StandIns, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(TqhwError, match=r"run folders cannot be made here: Not a directory.*choose another folder"):
        backend(tmp_path / "file" / "inside").search([Job(layer(), TARGET)], Search())


def _full(self: Path, *args: object, **kwargs: object) -> int:
    raise OSError(28, "No space left on device", str(self))


def test_a_full_disk_while_the_input_is_written(stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_ins.put(MODEL_PREFIX, "exit 0")
    engine = backend()
    engine.versions()
    monkeypatch.setattr(Path, "write_text", _full)
    with pytest.raises(TqhwError, match=r"input.yaml: cannot be written: No space left on device.*free some space"):
        engine.evaluate(layer(), TARGET, mapping())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"algorithm": "random_prune"}, "algorithm: unknown value 'random_prune'.*did you mean 'random_pruned'"),
        ({"num_threads": 0}, "num_threads: 0 must be at least 1"),
        ({"num_threads": 100_000}, "num_threads: 100000 must be at most 256 .Threads of one search"),
        ({"timeout": 0}, "timeout: 0 must be at least 1 .Invalid mappings in a row"),
        ({"timeout": 2**32}, "timeout: 4294967296 must be at most 4294967295 .Invalid mappings"),
        ({"victory_condition": 2**32}, "victory_condition: 4294967296 must be at most 4294967295 .* 0 for no such end"),
        ({"search_size": 2**32}, "search_size: 4294967296 must be at most 4294967295"),
        ({"search_size": -1}, "search_size: -1 must be at least 0"),
        ({"jobs": 0}, "jobs: 0 must be at least 1"),
        ({"budget_s": 0}, "budget_s: 0 must be more than 0 .Wall-clock seconds of one search"),
        ({"victory_condition": 0}, "a random search without .* never ends"),
    ],
)
def test_options_that_cannot_be(options: dict[str, object], message: str) -> None:
    with pytest.raises(TqhwError, match=message):
        TimeloopOptions(**options)  # type: ignore[arg-type]
