import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.spec.documents import DATA, message
from tqhw.errors import TqhwError
from tqhw.spec import yamlio
from tqhw.spec.yamlio import Map, parse


def refusal(text: str) -> str:
    return message(lambda t: parse(t, "f.yaml"), text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-9", 1e-9),
        ("0.4", 0.4),
        ("-.5", -0.5),
        ("+7", 7),
        ("010", 10),
        ("0x1F", 31),
        ("true", True),
        ("null", None),
        ("~", None),
        ("no", "no"),
        ("N", "N"),
        ("12:30", "12:30"),
        ("2020-01-01", "2020-01-01"),
        ("1_000", "1_000"),
        ("45nm", "45nm"),
        ("!!str 5", "5"),
        ("\ufeff7", 7),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    assert parse(text) == value
    assert type(parse(text)) is type(value)


def test_an_expression_stays_one_when_it_is_dumped() -> None:
    text = 'a: {b: 1, c: "max(A, 16)"}\nd:\n  e: max(A, 16)\n  f: >-\n    "x" if A else "y"\n'
    dumped = yamlio.dump(parse(text))
    assert '  c: "max(A, 16)"\n' in dumped
    assert "  e: max(A, 16)\n" in dumped
    assert '  f: |-\n    "x" if A else "y"\n' in dumped
    assert [type(v).__name__ for v in (*parse(dumped)["a"].values(), *parse(dumped)["d"].values())] == [
        *("int", "Quoted", "str", "BlockText")
    ]
    assert yamlio.dump({"p": "C,M,", "k": [1, "max(2, 3)"]}) == "p: C,M,\nk:\n- 1\n- max(2, 3)\n"


def test_infinities() -> None:
    assert parse("[.inf, -.inf, 1e400]") == [math.inf, -math.inf, math.inf]
    assert math.isnan(parse(".nan"))


def test_mappings_remember_their_tag_and_place() -> None:
    document = parse("nodes:\n- !Component\n  name: mac\n- !Nothing\n", "f.yaml")
    component, nothing = document["nodes"]
    assert (component.tag, component.place("name")) == ("!Component", "f.yaml:3: name")
    assert (component.place("class"), component.place()) == ("f.yaml:2: class", "f.yaml:2")  # what is not there
    assert (nothing.tag, dict(nothing)) == ("!Nothing", {})


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a: 1\nb: [1, 2\nc: 3", ["f.yaml:3:2", "not valid YAML"]),
        ("a: b: c", ["f.yaml:1:5", "mapping values are not allowed here"]),
        ("a: 1\n\tb: 2", ["f.yaml:2:1", "cannot start any token"]),
        ("a: \x00", ["f.yaml", "not valid YAML", "special characters are not allowed"]),
        ("a: *b", ["f.yaml:1:4", "undefined alias"]),
        ("a: 1\n---\nb: 2", ["f.yaml:2:1", "another document"]),
        ("", ["f.yaml", "the file is empty"]),
        ("# nothing here\n", ["f.yaml", "the file is empty"]),
        ("a: 1\nb: 2\na: 3", ["f.yaml:3", "key 'a' is given twice", "keep one"]),
        ("x: !Component [1]", ["f.yaml:1", "tag !Component needs a mapping"]),
        ("x: !Compnent {a: 1}", ["f.yaml:1", "!Compnent", "the tags known here are !Container, !Component"]),
        ("x: !!python/object/apply:os.system ['true']", ["f.yaml:1", "python/object/apply:os.system"]),
        ("x: !!python/name:os.system", ["f.yaml:1", "python/name:os.system"]),
        ("x: !<tag:yaml.org,2002:python/object:os.x> {}", ["f.yaml:1", "python/object:os.x"]),
        ("x: !!set {a}", ["f.yaml:1", "tag:yaml.org,2002:set"]),
        ("x: !!timestamp 2020-01-01", ["f.yaml:1", "tag:yaml.org,2002:timestamp"]),
        ("x: !!int abc", ["f.yaml:1", "'abc' cannot be read as a whole number"]),
        ("x: !!float abc", ["f.yaml:1", "'abc' cannot be read as a number"]),
        ("x: !!bool maybe", ["f.yaml:1", "'maybe' cannot be read as true or false"]),
        ("x: " + "9" * 5000, ["f.yaml:1", "cannot be read as a whole number"]),
        ('x: "\\ud800"', ["f.yaml:1", "cannot be read as a text"]),
        ("&a [*a]", ["f.yaml:1", "an alias contains itself"]),
        ("[" * 3000, ["f.yaml", "nested too deeply"]),
        ("x: " + "[" * 150 + "]" * 150, ["f.yaml", "nested too deeply", "100 levels are read"]),
        ("x: 1" + "0" * 309, ["f.yaml:1", "cannot be read as a whole number that a double holds"]),
        ("x: 0x" + "f" * 300, ["f.yaml:1", "cannot be read as a whole number that a double holds"]),
        ('x: "a\\0b"', ["f.yaml:1", "'a\\x00b' cannot be read as a text"]),
        ('"a\\0b": 1', ["f.yaml:1", "the key 'a\\x00b' holds what no file can hold"]),
        ('"\\udfff": 1', ["f.yaml:1", "the key '\\udfff' holds what no file can hold"]),
    ],
)
def test_refused_with_its_place(text: str, parts: list[str]) -> None:
    found = refusal(text)
    for part in parts:
        assert part in found


def test_a_billion_laughs_are_refused_before_they_are_built() -> None:
    lines = ["a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"{n}: &{n} [{', '.join(['*' + p] * 10)}]" for p, n in zip("abcdefgh", "bcdefghi", strict=True)]
    assert "aliases expand to more than 1000000 values" in refusal("\n".join(lines))


def test_ordinary_aliases_load() -> None:
    assert parse("a: &x {b: 1}\nc: *x") == {"a": {"b": 1}, "c": {"b": 1}}


def test_as_map_says_what_was_expected() -> None:
    for value, shown in [(None, "found nothing"), ([1], "found '[1]'")]:
        with pytest.raises(TqhwError, match="here: a thing must be a mapping, ") as caught:
            yamlio.as_map(value, "here", "a thing")
        assert shown in str(caught.value)


def plain(value: object) -> object:
    """The value without the subclasses that only remember where something stood."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    return str(value) if isinstance(value, str) else value


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn", "Co", "Zl", "Zp")), max_size=40)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
NUMERIC_WORDS = st.from_regex(r"[-+]?[0-9.]{1,3}([eE][-+]?[0-9]{1,2})?", fullmatch=True)


@given(st.recursive(SCALARS | NUMERIC_WORDS, lambda v: st.lists(v) | st.dictionaries(TEXTS, v), max_leaves=10))
def test_what_is_dumped_loads_back(value: object) -> None:
    assert plain(parse(yamlio.dump(value))) == value


def test_tags_survive_a_round_trip() -> None:
    text = (DATA / "arch" / "simba_like.yaml").read_text()
    once = parse(text)
    again = parse(yamlio.dump(once))

    def tags(value: object) -> list[object]:
        if isinstance(value, Map):
            return [value.tag, *(tags(v) for v in value.values())]
        return [tags(v) for v in value] if isinstance(value, list) else []

    assert again == once
    assert tags(again) == tags(once)


@pytest.mark.parametrize("escape", ["\\U00110000", "\\UFFFFFFFF"])
@pytest.mark.parametrize("before", ["a: 1", "# 65 \u00b5m"])  # by either scanner
def test_an_escape_that_is_no_character_is_refused(before: str, escape: str) -> None:
    with pytest.raises(TqhwError, match=r"^f\.yaml:2: not valid YAML: .* \(mend it, or quote it\)$"):
        yamlio.parse(f'{before}\nname: "{escape}"\n', "f.yaml")
