"""Runs of the real Timeloop and Accelergy, where they are on PATH."""

from __future__ import annotations

import itertools
from pathlib import Path
from unittest.mock import Mock

import pytest

from tests.backends.cases import DATA, REFERENCE, layer, reference_design, rendered_design
from tqhw import architecture, engine
from tqhw.backends.embedded import Embedded
from tqhw.backends.protocol import Design, Found, Job, Search
from tqhw.backends.reference.compare import compare
from tqhw.backends.reference.random_mappings import random_mappings
from tqhw.backends.reference.record import UNFINISHED, record
from tqhw.backends.timeloop import Timeloop, front_end
from tqhw.backends.timeloop.constraints import constraint_targets
from tqhw.backends.timeloop.flatten import architecture_section
from tqhw.backends.words import with_word_bits
from tqhw.engine.conformance import check_folder
from tqhw.errors import TqhwError
from tqhw.options import TimeloopOptions
from tqhw.spec import BMM, CONV2D, Invalid, Stats, flatten, make_problem, parse_architecture, yamlio
from tqhw.spec.word_bits import parse_word_bits
from tqhw.system.programs import Children

pytestmark = [pytest.mark.timeloop, pytest.mark.usefixtures("timeloop_programs")]
ARCHITECTURES = sorted(path.stem for path in (REFERENCE / "arch").glob("*.yaml"))
SMALL = {"C": 4, "M": 6, "R": 3, "S": 3, "N": 2, "P": 8, "Q": 6, "G": 1}


@pytest.mark.parametrize("bits", range(1, 9))
def test_accelergys_tables_are_ours(bits: int) -> None:
    for params in ({}, {"weights_through_glb": True, "spad_model": "sram"}, {"spad_model": "register_file"}):
        design = rendered_design(weight_bits=bits, **params)
        theirs, ours = Timeloop().target(design), Embedded().target(design)
        assert theirs.ert.energies == ours.ert.energies
        assert theirs.art.areas == ours.art.areas
        assert theirs.ert.full_names == ours.ert.full_names


@pytest.mark.parametrize("name", architecture.available())
def test_every_template_costs_and_counts_as_ours(name: str) -> None:
    design = Design.of(architecture.render(name))
    backend = Timeloop()
    theirs, ours = backend.target(design), Embedded().target(design)
    assert theirs.ert.energies == ours.ert.energies
    assert theirs.art.areas == ours.art.areas
    problem = design.problem(layer(14, 16))
    (found,) = Embedded().search([Job(problem, ours)], Search(cache=False))
    assert isinstance(found, Found)
    assert compare("", found.stats, backend.evaluate(problem, ours, found.mapping)) == []


def test_a_search_finds_what_our_engine_computes() -> None:
    backend = Timeloop(TimeloopOptions(victory_condition=20, num_threads=2))
    target = backend.target(rendered_design(weight_bits=6))
    problem = layer(14, 16)
    (found,) = backend.search([Job(problem, target)], Search())
    assert isinstance(found, Found)
    assert found.evaluated > 20
    assert compare("", engine.evaluate(problem, target.hardware, target.ert, found.mapping), found.stats) == []
    assert compare("", found.stats, backend.evaluate(problem, target, found.mapping)) == []


def test_a_search_out_of_time_gives_its_best_so_far() -> None:
    backend = Timeloop(TimeloopOptions(victory_condition=0, timeout=10**8, budget_s=2))
    target = backend.target(rendered_design())
    (found,) = backend.search([Job(layer(14, 16), target)], Search())
    assert isinstance(found, Found)
    assert found.seconds >= 2


def changed_design(old: str, new: str) -> Design:
    """The reference's two_level with one piece of its file replaced."""
    known = reference_design("two_level")
    given = (REFERENCE / "arch" / "two_level.yaml").read_text(encoding="utf-8")
    assert old in given
    text = given.replace(old, new)
    changed = parse_architecture(yamlio.parse(text, "changed.yaml"), "changed.yaml", "changed")
    return Design("changed", changed, flatten(changed), text, known.components_text)


def test_no_mapping_is_diagnosed_per_level() -> None:
    # 64 x 64 weights of a filter position, in a buffer of 512 x 4 words.
    mac = "datawidth: 8}\n\n  - !Component\n    name: mac"
    full = "constraints: {dataspace: {keep: [Weights]}, temporal: {factors: [C=64, M=64]}}"
    design = changed_design(mac, mac.replace("\n", f"\n    {full}\n", 1))
    backend = Timeloop(TimeloopOptions(timeout=200))
    target = backend.target(design)
    (found,) = backend.search([Job(layer(), target)], Search())
    assert isinstance(found, Invalid)
    assert {(reason.level, reason.rule, reason.bound) for reason in found.reasons} == {("buffer", "capacity", 2048)}
    assert all(reason.demand > 2048 for reason in found.reasons)
    assert "mappings fail by capacity, one of them as: mapped tile size" in found.reasons[0].message
    ours = Embedded().search([Job(layer(), target)], Search(cache=False))
    assert isinstance(ours[0], Invalid)


def test_what_real_accelergy_refuses_is_told_with_our_line() -> None:
    design = changed_design('type: "LPDDR4"', "type: LPDDR4")
    with pytest.raises(TqhwError, match=r"Failed to evaluate: LPDDR4; Location: arch attribute") as caught:
        Timeloop(use_front_end=False).target(design)
    assert str(caught.value.place).startswith("changed.yaml:9 (log: ")


def test_what_real_timeloop_refuses_is_told_with_our_file() -> None:
    backend = Timeloop(TimeloopOptions(victory_condition=2), use_front_end=False)
    target = backend.target(changed_design("depth: 512,", "depth: 512, metadata_block_size: 0,"))
    with pytest.raises(
        TqhwError, match=r"timeloop-mapper wrote no statistics \(signal 6\).*`metadata_block_size != 0' failed"
    ) as caught:
        backend.search([Job(layer(4, 4), target)], Search())
    assert str(caught.value.place).startswith("changed.yaml (run folder: ")


def test_the_dummy_estimator_of_real_accelergy_is_refused() -> None:
    design = changed_design('type: "LPDDR4", row_bits', 'type: "LPDDR4", technology: -1, row_bits')
    with pytest.raises(TqhwError, match=r"'DRAM' is estimated by Accelergy's dummy.*\(changed.yaml:9\)"):
        Timeloop().target(design)


def test_fifty_fresh_random_mappings_conform(tmp_path: Path) -> None:
    backend = Timeloop()
    target = backend.target(rendered_design(weight_bits=5, weights_through_glb=True))
    shapes = [make_problem(CONV2D, SMALL, "small"), make_problem(CONV2D, {**SMALL, "G": 3}, "grouped")]
    recorded = record(tmp_path / "new", target, shapes, 50, backend, seed=7)
    assert (recorded.valid, recorded.invalid) == (40, 10)
    found = check_folder(tmp_path / "new")
    assert found.cases == 50
    assert found.differences == ()


def test_a_recording_that_was_stopped_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Timeloop(TimeloopOptions(jobs=1), folder=tmp_path / "new" / UNFINISHED)
    target = backend.target(reference_design("two_level"))
    problems = [make_problem(CONV2D, SMALL, "small")]

    def stop(number: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record(tmp_path / "new", target, problems, 5, backend, done=stop)
    kept = len(list((tmp_path / "new" / UNFINISHED).glob("*/done.json"))) - 1  # of which one is Accelergy's
    assert 1 <= kept < 5
    with monkeypatch.context() as patch:
        run = Mock(side_effect=Children.run)
        patch.setattr(Children, "run", lambda *arguments: run(*arguments))
        recording = record(tmp_path / "new", target, problems, 5, backend)
    # Nothing is invalid on two_level.
    assert (recording.valid, recording.invalid, run.call_count) == (5, 0, 5 - kept)
    assert not (tmp_path / "new" / UNFINISHED).exists()
    assert check_folder(tmp_path / "new").differences == ()


@pytest.mark.parametrize("name", ["weight_stationary", "clustered", "simba_like"])
def test_random_mappings_of_other_architectures_conform(tmp_path: Path, name: str) -> None:
    backend = Timeloop()
    target = backend.target(reference_design(name))
    problems = [make_problem(CONV2D, SMALL, "small")]
    if name != "simba_like":
        problems.append(make_problem(BMM, {"B": 2, "M": 6, "K": 8, "N": 4}, "bmm"))
    record(tmp_path / "new", target, problems, 10, backend, seed=3)
    assert check_folder(tmp_path / "new").differences == ()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_our_flattening_is_the_front_ends(name: str) -> None:
    from tests.backends.timeloop.test_render import by_target, plain

    found = front_end.find()
    if found is None:
        pytest.skip("no timeloopfe is importable")
    design = reference_design(name)
    assert plain(architecture_section(design)) == plain(found.architecture(design))
    problem = layer()
    ours = constraint_targets(design.hardware, problem)
    assert by_target(ours) == by_target(found.constraint_targets(design, problem))


@pytest.mark.parametrize("name", ["eyeriss_like_free", "simba_like", "two_level_array"])
@pytest.mark.parametrize("text", ["Weights=3,Inputs=8,Outputs=6", "Weights=5,Inputs=3,Outputs=7,Weights@DRAM=32"])
def test_words_of_several_widths_are_counted_as_on_the_split_machine(name: str, text: str) -> None:
    backend = Timeloop()
    design = with_word_bits(reference_design(name), parse_word_bits(text), CONV2D)
    target = backend.target(design)
    assert target.ert.energies == Embedded().target(design).ert.energies
    problem = make_problem(CONV2D, SMALL, "small")
    chosen = list(itertools.islice(random_mappings(problem, target.hardware, seed=2), 30))
    answers = backend.evaluate_all([(problem, target, mapping) for mapping in chosen])
    valid = 0
    for mapping, theirs in zip(chosen, answers, strict=True):
        assert compare("", engine.evaluate(problem, target.hardware, target.ert, mapping), theirs) == []
        valid += isinstance(theirs, Stats)
    assert valid > 3


@pytest.mark.parametrize("text", ["Weights=2,Inputs=8,Outputs=8", "Weights=3,Inputs=8,Outputs=16,Weights@DRAM=8"])
def test_a_search_on_words_of_several_widths_is_costed_with_their_own(text: str) -> None:
    backend = Timeloop(TimeloopOptions(victory_condition=50))
    target = backend.target(with_word_bits(reference_design("eyeriss_like"), parse_word_bits(text), CONV2D))
    problem = make_problem(CONV2D, SMALL, "small")
    (found,) = backend.search([Job(problem, target)], Search())
    assert isinstance(found, Found)
    assert compare("", engine.evaluate(problem, target.hardware, target.ert, found.mapping), found.stats) == []
    assert any("as wide as its widest" in warning for warning in found.warnings) == ("Outputs=16" in text)


def test_a_run_on_files_of_ones_own_is_verified(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from tqhw.backends.reference.verify import read_run, verify
    from tqhw.experiment import Experiment
    from tqhw.run import run

    files = [str(DATA / "systolic.yaml"), str(REFERENCE / "components.yaml")]
    experiment = Experiment(
        name="small", bits=(3, 8), methods=("truncquant",), states=("steady",), architecture={"files": files}
    )
    run(experiment, tmp_path / "results")
    found = verify(read_run(tmp_path / "results"), Timeloop())
    assert found.differences == ()
    assert found.mappings >= 10


def test_a_whole_experiment_is_verified(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from tqhw.backends.reference.verify import read_run, verify
    from tqhw.experiment import Experiment
    from tqhw.run import run

    experiment = Experiment(
        name="small", bits=(3, 8), spad_models=("smartbuffer_rf",), methods=("truncquant",), states=("steady",)
    )
    run(experiment, tmp_path / "results")
    found = verify(read_run(tmp_path / "results"), Timeloop())
    assert found.differences == ()
    assert found.mappings >= 10
    assert found.values > 100 * found.mappings / 2
