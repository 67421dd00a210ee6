"""Some inputs of every kind, the same ones every time; ``python -m tests.fuzz`` reads more of them."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path
from random import Random

import pytest

from tests.fuzz.kind import RAW, REFUSED, TAKEN, Files, Kind, outcome, put
from tests.fuzz.kinds import kinds
from tqhw.errors import TqhwError

COUNT = 24
SEED = 20


@pytest.mark.parametrize("kind", kinds().values(), ids=str)
def test_an_input_is_taken_or_refused(kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.outcomes.FIGURES", False)  # they take a second each
    seeds = kind.seeds()
    for number in range(COUNT):
        folder = tmp_path / str(number)
        folder.mkdir()
        put(kind.mutant(seeds, Random(f"{SEED}/{kind.name}/{number}")), folder)
        found = outcome(kind, folder)
        assert found.verdict in (TAKEN, REFUSED), f"{kind.name} {number}: {found.told}"


@pytest.mark.parametrize("kind", kinds().values(), ids=str)
def test_what_is_mutated_is_taken_as_it_is(kind: Kind, tmp_path: Path) -> None:
    put(kind.seeds()[0], tmp_path)
    assert outcome(kind, tmp_path).verdict == TAKEN


def test_all_kinds_are_here() -> None:
    trained = ("experiments", "recipes", "checkpoints", "packed models", "archives", "images", "pickles", "sweeps")
    others = (
        "problems", "architectures", "templates", "parameters", "components", "mappings", "tables", "results",
        "manifests", "result folders", "conformance folders", "cache rows", "container messages",
    )  # fmt: skip
    assert set(kinds()) == {
        *others,
        *(trained if find_spec("torch") else ()),
        *(("graphs",) if find_spec("onnx") else ()),
    }


def _raising(error: Exception) -> Kind:
    def read(folder: Path) -> None:
        raise error

    return Kind("raising", lambda: [{"a.json": b"{}"}], read)


@pytest.mark.parametrize(
    ("error", "verdict"),
    [(TqhwError("no"), REFUSED), (ValueError("x"), RAW), (RecursionError(), RAW), (OverflowError(), RAW)],
)
def test_verdicts(error: Exception, verdict: str, tmp_path: Path) -> None:
    assert outcome(_raising(error), tmp_path).verdict == verdict


def test_a_warning_is_a_failure_too(tmp_path: Path) -> None:
    def read(folder: Path) -> None:
        warnings.warn("overflow encountered", RuntimeWarning, stacklevel=1)

    assert outcome(Kind("warning", list, read), tmp_path).verdict == RAW


def test_mutants_differ_and_are_the_same_again() -> None:
    kind = _raising(ValueError())
    seeds: list[dict[str, bytes]] = [{"a.json": b'{"a": [1, 2, {"b": "text"}]}', "b.txt": b"one\ntwo"}]

    def drawn() -> list[Files]:
        return [kind.mutant(seeds, Random(f"1/{number}")) for number in range(50)]

    assert drawn() == drawn()
    assert len({tuple(files.items()) for files in drawn()}) > 40
    assert seeds == [{"a.json": b'{"a": [1, 2, {"b": "text"}]}', "b.txt": b"one\ntwo"}]
