import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.spec.documents import DATA, PROBLEM, message
from tqhw.spec import SHAPES, DataSpace, Shape, Term, dump_problem, load_problem, make_problem, parse_problem, yamlio
from tqhw.spec.problem import CONV2D, Problem, parse_shape


def load(text: str) -> Problem:
    return parse_problem(yamlio.parse(text, "p.yaml"), "p.yaml")


def test_the_packaged_shapes_are_those_of_the_reference() -> None:
    shapes = yamlio.load(DATA / "problem_shapes.yaml")["shapes"]
    assert {name: parse_shape(shape, name) for name, shape in shapes.items()} == dict(SHAPES)


def test_words_of_a_strided_convolution() -> None:
    bounds = dict.fromkeys(CONV2D.dimensions, 1) | {"C": 3, "M": 8, "R": 3, "S": 3, "P": 4, "Q": 5}
    problem = make_problem(CONV2D, bounds | {"Wstride": 2, "Hdilation": 4})
    weights, inputs, outputs = CONV2D.data_spaces
    assert problem.computes == 3 * 8 * 9 * 4 * 5
    assert problem.extents(inputs) == (1, 3, (3 - 1) + 2 * (4 - 1) + 1, 4 * (3 - 1) + (5 - 1) + 1, 1)
    assert problem.tensor_words(weights) == 3 * 8 * 9
    assert problem.tensor_words(outputs) == 8 * 4 * 5
    assert inputs.dimensions == ("N", "C", "R", "P", "S", "Q", "G")


def test_defaults_and_fillers_of_the_front_end() -> None:
    problem = load(PROBLEM.replace("N: 4", "N: 4, H: 0, W: 0, densities: {}"))
    assert (problem.bounds, problem.coefficients) == ({"M": 2, "K": 3, "N": 4}, {"step": 1})


def test_a_name_in_the_file_wins_over_the_file_name(tmp_path: Path) -> None:
    path = tmp_path / "layer1.yaml"
    path.write_text("shape: matmul\ninstance: {M: 1, K: 1, N: 1}\n")
    assert load_problem(path).name == "layer1"
    path.write_text("name: layer1.0.conv1\nshape: matmul\ninstance: {M: 1, K: 1, N: 1}\n")
    assert load_problem(path).name == "layer1.0.conv1"


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("[[[K]], [[N]]]", "[[[K]], [[L]]]", ["p.yaml:9: projection of Weights", "unknown dimension 'L'", "M, K, N"]),
        ("[M, step]", "[M, stp]", ["unknown coefficient 'stp'", "did you mean 'step'?"]),
        ("[M, step]", "[M, step, 2]", ["an entry of a term must be a name, found '2'"]),
        ("[M, step]", "[M, step, step]", ["must be [dimension] or [dimension, coefficient]"]),
        ("[[[K]], [[N]]]", "[]", ["at least one rank, without which Timeloop aborts", "write [[]]"]),
        ("[[[K]], [[N]]]", "K", ["a projection must be a list, found 'K'"]),
        ("[[[K]], [[N]]]", "[[5]]", ["a term must be a list, found '5'"]),
        ("M: 2,", "M: 0,", ["p.yaml:16: instance: M", "'0' must be a whole number of at least 1"]),
        ("M: 2,", "M: -3,", ["'-3' must be a whole number"]),
        ("M: 2,", "M: 2.5,", ["'2.5' must be a whole number"]),
        ("M: 2,", "M: 9007199254740993,", ["M", "9007199254740993 is more than the 9007199254740992 that can be"]),
        ("M: 2,", "M: true,", ["'True' must be a whole number"]),
        ("M: 2,", "", ["p.yaml:16: instance", "dimension M has no bound", "add `M: ...`"]),
        ("M: 2,", "M: 2, step: -1,", ["instance: step", "'-1' must be a whole number of at least 0"]),
        ("M: 2,", "M: 2, M: 3,", ["key 'M' is given twice"]),
        ("{M: 2, K: 3, N: 4}", "[2, 3, 4]", ["instance must be a mapping"]),
        ("default: 1", "default: -1", ["p.yaml:7: default", "'-1' must be a whole number of at least 0"]),
        ("name: step", "name: M", ["the coefficient 'M' has the name of another"]),
        ("[M, K, N]", "[M, K, M]", ["must be named, each once"]),
        ("[M, K, N]", "MKN", ["dimensions must be a list, found 'MKN'"]),
        ("[M, K, N]", "[M, K, 3]", ["an entry of dimensions must be a name, found '3'"]),
        ("name: Inputs", "name: Weights", ["data spaces must be named, each once"]),
        ("name: Inputs", "nam: Inputs", ["unknown key 'nam'", "did you mean 'name'?"]),
        ("read_write: true", "read_write: false", ["exactly one data space must be `read_write: true`"]),
        ("read_write: true", "read_write: maybe", ["read_write must be true or false, found 'maybe'"]),
        ("problem:", "probelm:", ["unknown key 'probelm'"]),
        ("shape:", "shap:", ["unknown key 'shap'", "did you mean 'shape'?"]),
        ("  instance: {M: 2, K: 3, N: 4}", "", ["'instance' is missing", "add `instance:`"]),
        ("name: strided", "name: [a]", ["p.yaml:4: name", "a shape's name must be a text"]),
        ("problem:\n", "sparse_optimizations: {targets: [a]}\nproblem:\n", ["p.yaml:1", "not modelled"]),
        ("  version: 0.4", "  version: 0.3", ["p.yaml:2: version", "'0.3' does not fit", "write `version: 0.4`"]),
    ],
)
def test_refused(old: str, new: str, parts: list[str]) -> None:
    found = message(load, PROBLEM, old, new)
    for part in parts:
        assert part in found


@pytest.mark.parametrize(
    ("extra", "parts"),
    [
        ("Hpad: 1, Wpad: 1, H: 6, densities: {Weights: 0.5}", ["ignored, as in Timeloop: Hpad, Wpad, H, densities"]),
        ("Step: 2", ["p.yaml:16: instance", "ignores 'Step'", "step is 1; was 'step' meant?"]),
        ("stepp: 2, step: 3", ["ignores 'stepp'", "step=3, as given"]),
        ("m: 7", ["ignores 'm'", "M=2, as given; was 'M' meant?"]),
    ],
)
def test_names_that_nobody_reads_are_told(extra: str, parts: list[str]) -> None:
    problem = load(PROBLEM.replace("M: 2,", f"M: 2, {extra},"))
    assert dict(problem.bounds) == {"M": 2, "K": 3, "N": 4}
    (note,) = problem.notes
    for part in parts:
        assert part in note
    assert load(PROBLEM).notes == ()


def test_the_stride_that_public_files_misspell() -> None:
    bounds = dict.fromkeys("CMRSNPQG", 1)
    problem = make_problem(CONV2D, {**bounds, "HStride": 2, "WStride": 2})
    assert problem.coefficients["Hstride"] == 1
    assert [note.rpartition(": ")[2] for note in problem.notes] == [
        "Hstride is 1; was 'Hstride' meant?",
        "Wstride is 1; was 'Wstride' meant?",
    ]


def test_a_shapes_name_is_free_text() -> None:
    problem = load(PROBLEM.replace("name: strided", "name: 3d conv, strided"))
    assert problem.shape.name == "3d conv, strided"
    assert load(dump_problem(problem)) == problem


def test_other_sections_of_a_specification_are_passed_by() -> None:
    problem = load(
        PROBLEM + "mapper: {algorithm: random}\nx_ignored: 5\nsparse_optimizations: {version: 0.4, targets: []}\n"
    )
    assert problem.notes == ("p.yaml: not read here: mapper, sparse_optimizations",)


def test_a_misspelt_packaged_shape() -> None:
    found = message(load, "shape: conv2\ninstance: {C: 1}\n")
    assert "p.yaml:1: shape: unknown problem shape 'conv2' (did you mean 'conv2d'? known: conv2d, matmul, bmm)" in found


def test_not_a_problem_at_all() -> None:
    assert "p.yaml: a problem file must be a mapping, found '[1]'" in message(load, "[1]")
    assert "problem must be a mapping, found nothing" in message(load, "problem:")
    assert "name '7' must be a text" in message(load, "name: 7\nshape: bmm\ninstance: {B: 1, M: 1, K: 1, N: 1}")


NAMES = st.from_regex(r"[A-Z][a-z0-9]{0,3}", fullmatch=True)


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    names = draw(st.lists(NAMES, min_size=4, max_size=9, unique=True))
    cut = draw(st.integers(1, len(names) - 1))
    dimensions, coefficients = names[:cut], names[cut:]
    term = st.builds(Term, st.sampled_from(dimensions), st.none() | st.sampled_from(coefficients))
    rank = st.lists(term, min_size=1, max_size=3).map(tuple)
    projection = st.lists(rank, min_size=1, max_size=4).map(tuple)
    spaces = tuple(DataSpace(f"T{i}", draw(projection), read_write=i == 0) for i in range(draw(st.integers(1, 4))))
    shape = Shape("drawn", tuple(dimensions), {c: draw(st.integers(1, 4)) for c in coefficients}, spaces)
    return make_problem(shape, {n: draw(st.integers(1, 9)) for n in names}, "drawn")


@given(problems())
def test_what_is_dumped_loads_back(problem: Problem) -> None:
    assert load(dump_problem(problem)) == problem


@given(problems())
def test_a_tensor_has_no_more_words_than_its_projection_can_reach(problem: Problem) -> None:
    for space in problem.shape.data_spaces:
        for rank, extent in zip(space.projection, problem.extents(space), strict=True):
            reached = {0}
            for term in rank:
                steps = range(problem.bounds[term.dimension])
                reached = {r + problem.coefficient(term) * s for r in reached for s in steps}
            assert extent == max(reached) + 1
        assert problem.tensor_words(space) == math.prod(problem.extents(space))
