"""What the logs of failed runs mean: real logs where a file is named, single lines of Timeloop's texts elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.backends.cases import DATA, REFERENCE, layer, reference_design
from tqhw.backends.timeloop.failures import diagnoses, failure, invalid_mapping, nothing_found, tried_mappings
from tqhw.spec import Invalid, flatten, load_architecture
from tqhw.system.programs import Ended

HARDWARE = flatten(load_architecture(REFERENCE / "arch" / "eyeriss_like.yaml"))


def log(folder: str) -> str:
    return (DATA / folder / "stdout.log").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "ERROR: couldn't map level psum_spad: mapped tile size 100 exceeds buffer capacity 16",
            [("psum_spad", "capacity", 100, 16)],
        ),
        (
            "ERROR: couldn't map level mac: mapped max Arithmetic instances 200 exceeds hardware instances 168",
            [("mac", "fanout", 200, 168)],
        ),
        (
            "ERROR: couldn't map level inter_PE_spatial: mapped Y expansion 24 exceeds available hardware instances 12",
            [("inter_PE_spatial", "fanout", 24, 12)],
        ),
        (
            "ERROR: couldn't map level mac: one of the tensors is bypassed in all storage levels",
            [("mac", "bypass_all", 0, 1)],
        ),
        ("ERROR: target storage level not found: no_such_level", [("no_such_level", "target", 0, 1)]),
        (
            "ERROR: cannot find spatial tiling level associated with storage level psum_spad. This is because the "
            "number of instances of the next-inner level is the same as this level.",
            [("psum_spad", "target", 0, 1)],
        ),
        ("Utilization = 0.05 | pJ/Compute =   10.618 | Cycles = 3612672", []),
    ],
)
def test_invalid_mappings(line: str, expected: list[tuple[str, str, int, int]]) -> None:
    found = invalid_mapping(f"input file: x\n{line}\n", HARDWARE)
    reasons = found.reasons if isinstance(found, Invalid) else ()
    assert [(r.level, r.rule, r.demand, r.bound) for r in reasons] == expected


def test_factors_that_do_not_match() -> None:
    found = invalid_mapping(log("model_factors_do_not_match"), HARDWARE)
    assert found is not None
    (reason,) = found.reasons
    assert (reason.rule, reason.demand, reason.bound) == ("factors", 20, 64)
    assert "dimension M" in reason.message


def test_diagnostics_are_summarised_per_level() -> None:
    found = diagnoses(log("mapper_no_valid_mapping"))
    assert [(d.fail_class, d.level, d.count) for d in found] == [
        ("fanout", "inter_PE_column_spatial", 181),
        ("fanout", "inter_PE_spatial", 177),
        ("capacity", "ifmap_spad", 15),
        ("capacity", "shared_glb", 15),
    ]
    reasons = nothing_found(layer(), found, 300).reasons
    capacity = next(r for r in reasons if r.level == "shared_glb")
    assert (capacity.demand, capacity.bound) == (17920, 64)
    assert capacity.message == (
        "shared_glb: 15 mappings fail by capacity, one of them as: mapped tile size 17920 exceeds buffer capacity 64"
    )


def test_nothing_found_and_nothing_said() -> None:
    (reason,) = nothing_found(layer(), (), 5).reasons
    assert reason.message == "timeloop-mapper found no valid mapping of conv3x3 in 5 tries, and says no reason"


def test_an_assertion_is_reported_with_the_program_and_the_folder() -> None:
    ended = Ended(134, 1.0, False, log("width_not_a_multiple"))
    error = failure("timeloop-mapper", ended, reference_design("eyeriss_like"), Path("/runs/x"))
    assert "timeloop-mapper wrote no statistics (exit code 134): ERROR: data storage width: 64" in error.message
    assert "Assertion `width % (word_bits * block_size) == 0' failed" in error.message
    # Timeloop names no component here (`buffer.cpp` is none of ours): the file is all that can be said.
    assert error.place == f"{REFERENCE / 'arch' / 'eyeriss_like.yaml'} (run folder: /runs/x)"


def test_a_message_that_names_a_component_points_to_its_line() -> None:
    ended = Ended(1, 1.0, False, "ERROR: something about weights_spad is wrong\n")
    error = failure("timeloop-model", ended, reference_design("eyeriss_like"), Path("/runs/x"))
    assert error.place is not None
    assert "eyeriss_like.yaml:" in error.place
    assert "(run folder: /runs/x)" in error.place


def test_a_killed_program_and_a_late_one() -> None:
    design = reference_design("eyeriss_like")
    assert "signal 9" in failure("timeloop-model", Ended(-9, 1.0, False, ""), design, Path("x")).message
    late = failure("timeloop-mapper", Ended(0, 3.04, True, ""), design, Path("x"))
    assert late.message == "timeloop-mapper had no result when its time was over, after 3.0 s"


def test_tried_mappings_are_summed_over_threads() -> None:
    text = "[0] INVALID 4 1 4\n[1] INVALID 0 1 0\n[0] INVALID 9 2 3\n[0] UPDATE 9 2 0 0.5\n"
    assert tried_mappings(text) == 11
    assert tried_mappings("") == 0
