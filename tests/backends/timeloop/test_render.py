"""Rendering against the inputs that Timeloop's own front end wrote for the same documents."""

from __future__ import annotations

from typing import Any

import pytest

from tests.backends.cases import DATA, layer, recorded_target, reference_design, rendered_design
from tqhw.backends.protocol import Target
from tqhw.backends.timeloop.constraints import constraint_targets
from tqhw.backends.timeloop.flatten import architecture_section, components_section, problem_section
from tqhw.backends.timeloop.render import Renderer, complete_mapping
from tqhw.errors import TqhwError
from tqhw.options import TimeloopOptions
from tqhw.spec import (
    MATMUL,
    LevelMapping,
    Loops,
    Mapping,
    flatten,
    load_mapping,
    make_problem,
    parse_architecture,
    parse_mapping,
    parse_shape,
    yamlio,
)

RECORDED = {
    "mapper_eyeriss_like": ("eyeriss_like", 28),
    "mapper_eyeriss_split_w6a8": ("eyeriss_split_w6a8", 14),
    "model_eyeriss_like_free": ("eyeriss_like_free", 28),
}
_UNORDERED = ("keep", "bypass", "required_actions")


def recorded(folder: str) -> Any:
    return yamlio.load(DATA / folder / "parsed-processed-input.yaml")


def plain(value: Any, key: str = "") -> Any:
    """Without our YAML types, and without order where it means nothing."""
    if isinstance(value, dict):
        return {str(k): plain(v, k) for k, v in value.items()}
    if isinstance(value, list):
        items = [plain(v) for v in value]
        return sorted(items) if key in _UNORDERED else items
    return str(value) if isinstance(value, str) else value


def by_target(targets: list[Any]) -> list[Any]:
    return sorted((plain(t) for t in targets), key=lambda t: (t["target"], t["type"]))


@pytest.mark.parametrize("folder", RECORDED)
def test_architecture_is_what_the_front_end_hands_over(folder: str) -> None:
    name, _ = RECORDED[folder]
    assert plain(architecture_section(reference_design(name))) == plain(recorded(folder)["architecture"])


@pytest.mark.parametrize("folder", ["mapper_eyeriss_like", "mapper_eyeriss_split_w6a8"])
def test_constraints_are_what_the_front_end_hands_over(folder: str) -> None:
    name, size = RECORDED[folder]
    ours = constraint_targets(reference_design(name).hardware, layer(size))
    assert by_target(ours) == by_target(recorded(folder)["architecture_constraints"]["targets"])


@pytest.mark.parametrize("folder", RECORDED)
def test_problem_is_what_the_front_end_hands_over(folder: str) -> None:
    theirs = recorded(folder)["problem"]
    ours = problem_section(layer(RECORDED[folder][1]))
    assert plain(ours["shape"]) == plain(theirs["shape"])
    bounds = {k: v for k, v in ours["instance"].items() if k in theirs["instance"]}
    fillers = {"densities"}  # the front end's; the coefficients, at their defaults, are ours
    assert bounds == {k: v for k, v in theirs["instance"].items() if k not in fillers}


def test_component_classes_are_the_packaged_ones_and_the_designs_own() -> None:
    classes = {c["name"]: c for c in components_section(reference_design("eyeriss_like"))["classes"]}
    theirs = {c["name"]: c for c in recorded("mapper_eyeriss_like")["compound_components"]["classes"]}
    assert plain({name: classes[name] for name in theirs}) == plain(theirs)
    assert "spad_register_file" in classes


def test_model_input_holds_the_whole_mapping_and_no_constraints() -> None:
    target = recorded_target("model_eyeriss_like_free", "timeloop-model", "eyeriss_like_free")
    mapping = load_mapping(DATA / "mapper_eyeriss_like" / "timeloop-mapper.map.yaml")
    document = yamlio.parse(Renderer(use_front_end=False).model(layer(), target, mapping))
    assert "architecture_constraints" not in document
    theirs = parse_mapping(recorded("model_eyeriss_like_free")["mapping"])
    ours = parse_mapping(document["mapping"])
    for part in theirs.levels:
        mine = ours.level(part.target)
        assert dict(mine.temporal.factors) == dict(part.temporal.factors)
        assert set(mine.keep) == set(part.keep)
    assert plain(document["ERT"]) == plain(yamlio.load(DATA / "model_eyeriss_like_free/timeloop-model.ERT.yaml")["ERT"])


def test_mapper_input_pins_the_threads_and_carries_every_option() -> None:
    target = recorded_target("mapper_eyeriss_like", "timeloop-mapper", "eyeriss_like")
    options = TimeloopOptions("linear_pruned", victory_condition=7, timeout=11, search_size=13, num_threads=3)
    search = yamlio.parse(Renderer(use_front_end=False).mapper(layer(), target, "latency", options))["mapper"]
    assert search["algorithm"] == "linear_pruned"
    assert (search["victory_condition"], search["timeout"], search["search_size"]) == (7, 11, 13)
    assert search["num_threads"] == 3
    assert search["optimization_metrics"] == ["delay"]
    assert search["diagnostics"] is False


def test_complete_mapping_writes_out_what_is_kept() -> None:
    hardware = reference_design("eyeriss_like").hardware
    found = complete_mapping(Mapping((LevelMapping("PE"), LevelMapping("DRAM", bypass=("Inputs",)))), hardware, layer())
    assert found.level("inter_PE_spatial").bypass == ("Weights", "Inputs", "Outputs")
    assert found.level("DRAM").keep == ("Weights", "Outputs")
    assert found.level("psum_spad").keep == ("Weights", "Inputs", "Outputs")
    assert not [level for level in found.levels if level.target == "PE"]


def small(constraints: str) -> Any:
    text = f"""
architecture:
  nodes:
  - !Component {{name: DRAM, class: DRAM, attributes: {{width: 64, datawidth: 8}}, constraints: {constraints}}}
  - !Component {{name: mac, class: compute, spatial: {{meshX: 4}}}}
"""
    return flatten(parse_architecture(yamlio.parse(text), "small"))


@pytest.mark.parametrize(
    ("constraints", "expected"),
    [
        ("{temporal: {factors: [M=2, K<=3, N>=4]}}", {"factors": "M=2,K<=3,N>=4"}),
        ("{temporal: {factors_only: [M=2]}}", {"factors": "M=2,K=1,N=1", "permutation": "NK"}),
        ("{temporal: {no_iteration_over_dataspaces: [Weights]}}", {"factors": "K=1,N=1", "permutation": "NK"}),
        ("{temporal: {permutation: [M, _, K]}}", {"permutation": "M_K"}),
    ],
)
def test_loop_constraints_in_the_mappers_words(constraints: str, expected: dict[str, str]) -> None:
    shape = MATMUL
    problem = make_problem(shape, dict.fromkeys(shape.dimensions, 8))
    targets = constraint_targets(small(constraints), problem)
    found = next(t for t in targets if t["target"] == "DRAM" and t["type"] == "temporal")
    assert {k: v for k, v in found.items() if k in ("factors", "permutation")} == expected


ARRAY = """
architecture:
  nodes:
  - !Component {name: DRAM, class: DRAM, attributes: {width: 64, datawidth: 8}}
  - !Container {name: row, spatial: {meshX: 2}}
  - !Container {name: PE, spatial: {meshX: 4}, constraints: {spatial: {no_link_transfer: [Weights]}}}
  - !Component {name: mac, class: compute}
"""


def test_forbidden_links_are_handed_to_the_mapper() -> None:
    hardware = flatten(parse_architecture(yamlio.parse(ARRAY), "array"))
    problem = make_problem(MATMUL, dict.fromkeys(MATMUL.dimensions, 8))
    row, pe = (t for t in constraint_targets(hardware, problem) if t["type"] == "spatial")
    assert row == {"type": "spatial", "target": "inter_row_spatial"}
    assert pe == {"type": "spatial", "target": "inter_PE_spatial", "no_link_transfer": ["Weights"]}


@pytest.mark.parametrize("target", ["PE", "inter_PE_spatial"])
def test_a_complete_mapping_names_the_links_that_it_and_the_architecture_forbid(target: str) -> None:
    hardware = flatten(parse_architecture(yamlio.parse(ARRAY), "array"))
    problem = make_problem(MATMUL, dict.fromkeys(MATMUL.dimensions, 8))
    own = Mapping((LevelMapping(target, spatial=Loops({"M": 4}, no_links=("Outputs",))),))
    named = [complete_mapping(mapping, hardware, problem) for mapping in (own, Mapping(()))]
    pe, bare = (mapping.level("inter_PE_spatial").spatial for mapping in named)
    assert pe == Loops({"M": 4}, no_links=("Weights", "Outputs"))
    assert bare == Loops(no_links=("Weights",))
    assert named[0].level("inter_row_spatial").spatial is None


def test_loops_of_the_problem_that_are_one_are_put_innermost() -> None:
    problem = make_problem(MATMUL, {"M": 1, "K": 8, "N": 8})
    (found,) = [t for t in constraint_targets(small("{}"), problem) if t["target"] == "DRAM"]
    assert found == {"type": "temporal", "target": "DRAM", "permutation": "M"}


def test_a_dimension_of_several_letters_cannot_be_ordered() -> None:
    document = yamlio.parse(
        "{name: s, dimensions: [AA, B], data_spaces: [{name: W, projection: [[[AA]]]},"
        " {name: O, projection: [[[B]]], read_write: true}]}"
    )
    problem = make_problem(parse_shape(document, "s"), {"AA": 1, "B": 2})
    with pytest.raises(TqhwError, match=r"cannot be told of the loop order of dimension 'AA'.*one letter"):
        constraint_targets(small("{}"), problem)


def test_an_architecture_is_flattened_once() -> None:
    renderer = Renderer(use_front_end=False)
    target = recorded_target("mapper_eyeriss_like", "timeloop-mapper", "eyeriss_like")
    again = Target(rendered_design(), target.ert, target.art)
    assert renderer._common(layer(), target)["architecture"] is renderer._common(layer(14), target)["architecture"]
    assert renderer._common(layer(), again)["architecture"] is not renderer._common(layer(), target)["architecture"]
