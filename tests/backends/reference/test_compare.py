from __future__ import annotations

from dataclasses import replace

from tests.backends.cases import DATA, MAPPER_PREFIX, layer, recorded_target
from tqhw import engine
from tqhw.backends.reference.compare import compare
from tqhw.spec import Invalid, Reason, Stats, load_mapping

TARGET = recorded_target("mapper_eyeriss_like", MAPPER_PREFIX, "eyeriss_like")
MAPPING = load_mapping(DATA / "mapper_eyeriss_like" / f"{MAPPER_PREFIX}.map.yaml")


def stats() -> Stats:
    found = engine.evaluate(layer(), TARGET.hardware, TARGET.ert, MAPPING)
    assert isinstance(found, Stats)
    return found


def invalid(rule: str) -> Invalid:
    return Invalid((Reason("psum_spad", rule, 20, 16, f"psum_spad: {rule}"),))


def test_equal_answers() -> None:
    assert compare("a", stats(), stats()) == []


def test_a_count_one_off_is_named_with_level_and_data_space() -> None:
    ours = stats()
    level = ours.levels["DRAM"]
    space = replace(level.dataspaces["Weights"], reads=level.dataspaces["Weights"].reads + 1)
    other = replace(level, dataspaces={**level.dataspaces, "Weights": space})
    (found,) = compare("conv1", ours, replace(ours, levels={**ours.levels, "DRAM": other}))
    assert (found.level, found.dataspace, found.count) == ("DRAM", "Weights", "reads")
    assert str(found) == f"conv1, DRAM, Weights: reads ours {space.reads - 1}, theirs {space.reads}"


def test_energies_may_differ_in_the_last_bits_only() -> None:
    ours = stats()
    assert compare("a", ours, replace(ours, energy_pj=ours.energy_pj * (1 + 1e-12))) == []
    assert [d.count for d in compare("a", ours, replace(ours, energy_pj=ours.energy_pj * (1 + 1e-8)))] == ["energy_pj"]


def test_a_data_space_kept_on_one_side_only() -> None:
    ours = stats()
    level = replace(ours.levels["DRAM"], dataspaces={"Weights": ours.levels["DRAM"].dataspaces["Weights"]})
    found = compare("a", ours, replace(ours, levels={**ours.levels, "DRAM": level}))
    assert {(d.dataspace, d.count, d.ours, d.theirs) for d in found} == {
        ("Inputs", "kept", True, False),
        ("Outputs", "kept", True, False),
    }


def test_valid_against_invalid_and_two_refusals() -> None:
    (found,) = compare("a", stats(), invalid("capacity"))
    assert (found.count, found.ours, found.theirs) == ("valid", "valid", "psum_spad: capacity")
    assert compare("a", invalid("capacity"), invalid("capacity")) == []
    assert [d.count for d in compare("a", invalid("capacity"), invalid("fanout"))] == ["rule"]
