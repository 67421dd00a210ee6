import pytest

from tests.spec.documents import message
from tqhw.errors import TqhwError
from tqhw.spec import Constraints, LoopConstraint, yamlio
from tqhw.spec.constraints import parse_constraints, parse_factors, parse_permutation

SPACES = ("Weights", "Inputs", "Outputs")


def load(text: str) -> Constraints:
    return parse_constraints(yamlio.parse(text, "a.yaml"), "a.yaml")


def test_everything_a_node_can_say() -> None:
    found = load(
        "dataspace: {keep: [Weights], bypass: [Inputs]}\n"
        "temporal: {factors: [C=4, M<=8, R>=2, S=0], permutation: [R, S, _, C], split: 2}\n"
        "spatial: {factors_only: 'C=2,M=3', no_iteration_over_dataspaces: [Outputs]}\n"
        "utilization: 0.5\n"
    )
    assert found == Constraints(
        keep=("Weights",),
        bypass=("Inputs",),
        temporal=LoopConstraint(
            factors={"C": 4, "S": 0},
            at_most={"M": 8},
            at_least={"R": 2},
            permutation=("R", "S"),
            suffix=("C",),
            split=2,
        ),
        spatial=LoopConstraint(factors={"C": 2, "M": 3}, others_one=True, not_over=("Outputs",)),
        min_utilization=0.5,
    )


@pytest.mark.parametrize("text", ["{}", "null", "{temporal: {}, spatial: null, dataspace: {}, utilization: {}}"])
def test_nothing_said(text: str) -> None:
    assert load(text) == Constraints()


@pytest.mark.parametrize(
    ("value", "factors"),
    [
        ("C=4,M=2", {"C": 4, "M": 2}),
        ("C=4 , M = 2", {"C": 4, "M": 2}),
        ("C4 M2", {"C": 4, "M": 2}),
        ("C 4 M 2", {"C": 4, "M": 2}),
        (["C=4", "M=2"], {"C": 4, "M": 2}),
        (["Batch_1=4"], {"Batch_1": 4}),
        (None, {}),
        ("", {}),
        ([], {}),
    ],
)
def test_dialects_of_factors(value: object, factors: dict[str, int]) -> None:
    assert parse_factors(value, "f") == {"=": factors, "<=": {}, ">=": {}}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("C=x", "C=x"),
        ("C=-1", "C=-1"),
        ("C=2.5", "C=2.5"),
        ("C==2", "C==2"),
        ("4", "4"),
        (0, "0"),
        ({"C": 4}, "{'C': 4}"),
        ("C=1\u0661", "C=1\u0661"),
        ("C=" + "9" * 30, "C=" + "9" * 30),
    ],
)
def test_refused_factors(value: object, shown: str) -> None:
    with pytest.raises(TqhwError) as caught:
        parse_factors(value, "f.yaml:3")
    assert str(caught.value) == f"f.yaml:3: factor '{shown}' is not of the form C=4, C<=4 or C>=4"


def test_a_constraint_has_no_remainders() -> None:
    with pytest.raises(TqhwError) as caught:
        parse_factors(["K=3", "M=6,4"], "f.yaml:3")
    assert str(caught.value) == (
        "f.yaml:3: factor 'M=6,4' has a remainder: a constraint's factors have none (fix M to a factor that divides "
        "its bound, or leave it free and search `factors: imperfect`)"
    )


def test_dialects_of_permutations() -> None:
    for value in ("CMR", "C M R", "C,M,R", "C, M, R", ["C", "M", "R"]):
        assert parse_permutation(value) == (("C", "M", "R"), ())
    assert parse_permutation("Batch,_,M") == (("Batch",), ("M",))
    assert parse_permutation("Batch,") == (("Batch",), ())
    assert parse_permutation(None) == ((), ())


@pytest.mark.parametrize(
    ("dataspace", "kept"),
    [
        ("{keep: [Weights]}", [True, None, None]),
        ("{bypass: ['*']}", [False, False, False]),
        ("{keep_only: [Weights]}", [True, False, False]),
        ("{bypass_only: [Weights]}", [False, True, True]),
        ("{keep_only: []}", [False, False, False]),
    ],
)
def test_what_is_kept(dataspace: str, kept: list[bool | None]) -> None:
    assert list(load(f"dataspace: {dataspace}").kept(SPACES, "here").values()) == kept


@pytest.mark.parametrize(
    ("text", "linked"),
    [
        ("{}", [True, True, True]),
        ("{no_link_transfer: []}", [True, True, True]),
        ("{no_link_transfer: [Inputs]}", [True, False, True]),
        ("{no_link_transfer: ['*']}", [False, False, False]),
    ],
)
def test_whose_words_neighbours_may_hand_on(text: str, linked: list[bool]) -> None:
    assert list(load(f"spatial: {text}").spatial.links(SPACES, "here")) == linked


def test_forbidden_links_are_checked_against_the_problem() -> None:
    with pytest.raises(TqhwError, match=r"here: unknown data space 'Inptus' \(did you mean 'Inputs'\?"):
        load("spatial: {no_link_transfer: [Inptus]}").spatial.links(SPACES, "here")


def test_what_is_kept_is_checked_against_the_problem() -> None:
    with pytest.raises(TqhwError, match=r"here: unknown data space 'Weigths' \(did you mean 'Weights'\?"):
        load("dataspace: {keep: [Weigths]}").kept(SPACES, "here")
    with pytest.raises(TqhwError, match="here: Inputs is both kept and bypassed"):
        load("dataspace: {keep: ['*'], bypass: [Inputs]}").kept(SPACES, "here")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("dataspace: {kep: [Weights]}", ["a.yaml:1", "unknown constraint 'kep'", "did you mean 'keep'?"]),
        ("dataspace: {keep: Weights}", ["a.yaml:1: keep", "keep must be a list, found 'Weights'", "write [Weights]"]),
        ("dataspace: {keep: [1]}", ["an entry of keep must be a name, found '1'"]),
        ("dataspace: [Weights]", ["a dataspace constraint must be a mapping"]),
        ("temporal: {permutaton: CM}", ["unknown constraint 'permutaton'", "did you mean 'permutation'?"]),
        ("temporal: {permutation: 5}", ["a.yaml:1: permutation", "a permutation must be a list, found '5'"]),
        ("temporal: {permutation: [C, '*']}", ["an entry of a permutation must be a name, found '*'"]),
        ("temporal: {factors: C=4;M=2}", ["a.yaml:1: factors", "factor 'C=4;M=2' is not of the form"]),
        ("temporal: {factors: [C=4, C=2]}", ["the factor of C is given twice"]),
        ("temporal: {split: -1}", ["split '-1' must be a whole number of at least 0"]),
        ("temporal: {no_reuse: [Weights]}", ["'no_reuse' is not modelled", "fetches every tile anew"]),
        ("spatial: {no_link_transfer: Inputs}", ["no_link_transfer must be a list, found 'Inputs'", "write [Inputs]"]),
        ("spatial: {no_reuse: [Inputs]}", ["'no_reuse' is not modelled", "adds up word by word"]),
        ("temporal: {no_link_transfer: [Inputs]}", ["a.yaml:1", "unknown constraint 'no_link_transfer'"]),
        ("temporal: {no_link_transfer: [Inputs]}", ["(it belongs to `spatial`; known: "]),
        ("dataspace: {split: 1}", ["unknown constraint 'split' (it belongs to `temporal` or `spatial`; known: "]),
        ("temporal: {keep: [Inputs]}", ["unknown constraint 'keep' (it belongs to `dataspace`; known: "]),
        (
            "spatial: {utilization: 1}",
            ["unknown constraint 'utilization' (it belongs to `constraints` itself; known: "],
        ),
        ("temporal: {rmw_first_update: [Outputs]}", ["reads outputs before their first update"]),
        ("dataspace: {no_coalesce: [Outputs]}", ["'no_coalesce' is not modelled", "a tile of 0 words"]),
        ("temporal: {must_iterate_over_dataspaces: [Inputs]}", ["depends on the problem's sizes"]),
        ("temporal: {default_max_factor: 3}", ["'default_max_factor' is not modelled", "list the factors instead"]),
        ("temporal: C=4", ["a loop constraint must be a mapping, found 'C=4'"]),
        ("spatal: {factors: C=4}", ["unknown constraint 'spatal'", "did you mean 'spatial'?"]),
        ("utilization: 1.5", ["a.yaml:1: utilization", "utilization '1.5' must lie between 0 and 1"]),
        ("utilization: {mini: 1}", ["unknown constraint 'mini'", "did you mean 'min'?"]),
        ("[keep]", ["constraints must be a mapping"]),
    ],
)
def test_refused(text: str, parts: list[str]) -> None:
    found = message(load, text)
    for part in parts:
        assert part in found
