import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.spec.documents import DATA, message
from tqhw.errors import TqhwError
from tqhw.spec import (
    CONV2D,
    LevelMapping,
    Loops,
    Mapping,
    directives,
    dump_mapping,
    filled,
    load_mapping,
    parse_mapping,
    yamlio,
)
from tqhw.spec.mapping import has_remainders

TEXT = """\
mapping:
- {target: DRAM, type: datatype, keep: [Weights, Inputs], bypass: [Outputs]}
- {target: DRAM, type: temporal, factors: M2 K3 N4, permutation: NKM}
- {target: inter_PE_spatial, type: spatial, factors: M2 K1 N1, permutation: MKN, split: 1}
"""
FRONT_END = """\
mapping:
- {target: DRAM, type: dataspace, keep: [Weights, Inputs], bypass: [Outputs]}
- {target: DRAM, type: temporal, factors: [M=2, K=3, N=4], permutation: [N, K, M]}
- {target: inter_PE_spatial, type: spatial, factors: 'M=2,K=1,N=1', permutation: 'M,K,N', split: 1}
"""


def load(text: str) -> Mapping:
    return parse_mapping(yamlio.parse(text, "m.yaml"), "m.yaml")


def test_a_mapping_that_timeloop_wrote() -> None:
    mapping = load_mapping(DATA / "eyeriss_like.map.yaml")
    assert mapping.level("psum_spad").keep == ("Outputs",)
    assert mapping.level("inter_PE_spatial").spatial == Loops(
        {"C": 2, "M": 4, "R": 1, "S": 1, "N": 1, "P": 1, "Q": 1, "G": 1}, tuple("CMRSNPQG"), 0
    )
    assert mapping.level("not in it") == LevelMapping("not in it")
    assert load(dump_mapping(mapping, CONV2D.dimensions)) == mapping


def test_links_that_a_mapping_forbids() -> None:
    mapping = load(TEXT.replace("split: 1", "split: 1, no_link_transfer: [Inputs]"))
    spatial = mapping.level("inter_PE_spatial").spatial
    assert spatial is not None
    assert spatial.no_links == ("Inputs",)
    assert directives(mapping, tuple("MKN"))[-1]["no_link_transfer"] == ["Inputs"]
    assert "no_link_transfer" not in dump_mapping(load(TEXT), tuple("MKN"))
    assert load(dump_mapping(mapping, tuple("MKN"))).level("inter_PE_spatial").spatial == spatial
    with pytest.raises(
        TqhwError, match=r"m.yaml:3: unknown key 'no_link_transfer' \(it belongs to a directive of type spatial; "
    ):
        load(TEXT.replace("permutation: NKM", "permutation: NKM, no_link_transfer: [Inputs]"))


def test_a_factor_of_zero_is_the_rest_of_the_dimension() -> None:
    mapping = load(TEXT.replace("M2 K3 N4", "M0 K0 N4"))
    rest = filled(mapping, {"M": 6, "K": 3, "N": 4})
    assert rest.level("DRAM").temporal.factors == {"M": 3, "K": 3, "N": 4}
    assert rest.level("inter_PE_spatial") == mapping.level("inter_PE_spatial")
    assert filled(rest, {"M": 5}) is rest
    with pytest.raises(TqhwError, match=r"m.yaml:2: M=0 is the rest of M: 5 is no multiple of 2, the other factors"):
        filled(mapping, {"M": 5, "K": 3, "N": 4})
    with pytest.raises(TqhwError, match=r"m.yaml:4: K=0 is the rest of K, it stands here for a second time"):
        filled(load(TEXT.replace("K3", "K0").replace("K1", "K0")), {"M": 4, "K": 3, "N": 4})


@pytest.mark.parametrize("text", ["'M6,4 K3,3 N4'", "'M=6,4, K=3, N=4'", "[M=6,4, K=3, N=4]", "['M=6,4', K=3, N=4]"])
def test_remainders_are_kept_in_every_dialect(text: str) -> None:
    mapping = load(TEXT.replace("M2 K3 N4", text))
    loops = mapping.level("DRAM").temporal
    assert (loops.factors, loops.remainders) == ({"M": 6, "K": 3, "N": 4}, {"M": 4})
    assert has_remainders(mapping) and not has_remainders(load(TEXT))
    assert directives(mapping, ("M", "K", "N"))[2]["factors"] == "M6,4 K3 N4"
    assert "M6,4 K3 N4" in dump_mapping(mapping, ("M", "K", "N"))
    assert "M6,4" in mapping._repr_html_()
    again = load(dump_mapping(mapping, ("M", "K", "N")))
    assert again.level("DRAM").temporal == loops and load(dump_mapping(again, ("M", "K", "N"))) == again


def test_the_rest_of_a_dimension_is_not_told_beside_a_remainder() -> None:
    mapping = load(
        TEXT.replace("M2 K3 N4", "'M0 K3 N4'").replace("factors: M2 K1", "factors: 'M5,3 K1").replace("N1,", "N1',")
    )
    with pytest.raises(TqhwError, match=r"m.yaml:2: M=0 .* not known beside a remainder: 5,3 \(write the factor of M"):
        filled(mapping, {"M": 13, "K": 3, "N": 4})


def test_both_dialects_say_the_same() -> None:
    assert load(FRONT_END) == load(TEXT)


def test_directives_are_those_of_a_reference_case() -> None:
    found = directives(load(TEXT), ("M", "K", "N"))
    assert found == [
        {"target": "DRAM", "type": "datatype", "keep": ["Weights", "Inputs"], "bypass": ["Outputs"]},
        {"target": "inter_PE_spatial", "type": "datatype", "keep": [], "bypass": []},
        {"target": "DRAM", "type": "temporal", "factors": "M2 K3 N4", "permutation": "NKM"},
        {"target": "inter_PE_spatial", "type": "temporal", "factors": "M1 K1 N1", "permutation": "MKN"},
        {
            "target": "inter_PE_spatial",
            "type": "spatial",
            "factors": "M2 K1 N1",
            "permutation": "MKN",
            "split": 1,
        },
    ]
    assert parse_mapping(found).level("DRAM") == load(TEXT).level("DRAM")


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("M2 K3 N4", "M6,4 K3 N4", ["m.yaml:3", "'M6,4' has a remainder, and YAML ends", "factors into quotes"]),
        ("M2 K3 N4", "'M=6,7, K=3'", ["m.yaml:3", "'M=6,7' has a remainder of 7", "between 1 and the factor"]),
        ("M2 K3 N4", "[K=3, M=6,0]", ["m.yaml:3", "'M=6,0' has a remainder of 0", "write M=6,4 for 6 iterations"]),
        ("M2 K3 N4", "[K=3, 'M=2,0']", ["m.yaml:3", "'M=2,0' has a remainder of 0", "write M=2 where every pass"]),
        ("M2 K3 N4", "'M6,4,2 K3'", ["m.yaml:3", "factor 'M6,4,2' is not of the form"]),
        ("M2 K3 N4", "M<=2", ["a mapping has exact factors", "write C=4, not C<=4"]),
        ("M2 K3 N4", "M2 K3 M4", ["the factor of M is given twice"]),
        ("M2 K3 N4", "M2 Kx", ["factor 'Kx' is not of the form"]),
        ("M2 K3 N4", "7", ["factor '7' is not of the form"]),
        ("NKM", "NKN", ["permutation NKN names a dimension twice"]),
        ("NKM", "5", ["a permutation must be a list, found '5'"]),
        ("split: 1", "split: -1", ["m.yaml:4", "split '-1' must be a whole number of at least 0"]),
        ("split: 1", "split: true", ["split 'True' must be"]),
        ("type: temporal, ", "type: temporal, split: 1, ", ["unknown key 'split'", "known: target, type, factors"]),
        ("type: temporal", "type: tempral", ["unknown directive type 'tempral'", "did you mean 'temporal'?"]),
        ("type: spatial, ", "", ["unknown directive type 'None'"]),
        ("type: spatial, factors", "type: spatial, factor", ["unknown key 'factor'", "did you mean 'factors'?"]),
        ("target: inter_PE_spatial, ", "", ["m.yaml:4", "the directive has no target"]),
        ("target: inter_PE_spatial, ", "target: [PE], ", ["a target must be a name"]),
        ("inter_PE_spatial, type: spatial", "DRAM, type: temporal", ["unknown key 'split'"]),
        ("keep: [Weights, Inputs]", "keep: Weights", ["m.yaml:2", "keep must be a list, found 'Weights'"]),
        ("keep: [Weights, Inputs]", "keep: [Outputs]", ["Outputs both kept and bypassed", "remove one"]),
        ("mapping:", "maping:", ["m.yaml", "there is no 'mapping' in the file"]),
        ("mapping:", "mapping: []\nx:", ["a mapping must be a list of at least one directive"]),
        (
            "- {target: DRAM, type: datatype",
            "- DRAM\n- {target: DRAM, type: datatype",
            ["must be a mapping, found 'DRAM'"],
        ),
    ],
)
def test_refused(old: str, new: str, parts: list[str]) -> None:
    found = message(load, TEXT, old, new)
    for part in parts:
        assert part in found


def test_two_directives_of_one_kind() -> None:
    line = TEXT.splitlines()[2]
    assert "m.yaml:5: two temporal directives for 'DRAM' (keep one)" in message(load, TEXT + line)


DIMENSIONS = st.lists(st.from_regex(r"[A-Z][a-z]{0,3}[0-9]?", fullmatch=True), min_size=1, max_size=5, unique=True)


@st.composite
def mappings(draw: st.DrawFn) -> tuple[Mapping, tuple[str, ...]]:
    dimensions = tuple(draw(DIMENSIONS))

    def loops(split: int | None) -> Loops:
        factors = {d: draw(st.integers(1, 64)) for d in dimensions}
        return Loops(factors, tuple(draw(st.permutations(dimensions))), split)

    levels = []
    for number in range(draw(st.integers(1, 4))):
        keep = draw(st.sets(st.sampled_from(("Weights", "Inputs", "Outputs"))))
        spatial = loops(draw(st.integers(0, 9))) if draw(st.booleans()) else None
        bypass = tuple(s for s in ("Weights", "Inputs", "Outputs") if s not in keep)
        levels.append(LevelMapping(f"L{number}", tuple(sorted(keep)), bypass, loops(None), spatial))
    return Mapping(tuple(levels)), dimensions


@given(mappings())
def test_what_is_dumped_loads_back(drawn: tuple[Mapping, tuple[str, ...]]) -> None:
    mapping, dimensions = drawn
    assert load(dump_mapping(mapping, dimensions)) == mapping
