"""Networks of the field have the counts that were recorded, and those are PyTorch's own where it can count."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("torch")

from tests.workload.gallery import GALLERY, RECORD, built
from tqhw.workload import extract

COUNTS = json.loads(RECORD.read_text())
TOKENS, CHOSEN, LAYERS = 12, 2, 2
ROUTED = TOKENS * CHOSEN * LAYERS * 3 * 32 * 64
"""Of two networks with experts: three matrices of 32 x 64 for each of the two experts that a token is sent to.
PyTorch's counter has no rule for grouped products."""


def test_there_are_thirty_of_many_kinds() -> None:
    assert len(GALLERY) == 30
    assert {exhibit.kind for exhibit in GALLERY.values()} == {
        "vision", "language", "speech", "detection", "recurrent", "mixture of experts", "graph",
    }  # fmt: skip
    assert {*COUNTS} == {*GALLERY}


@pytest.mark.parametrize("name", GALLERY)
def test_the_record_is_what_pytorch_counts(name: str) -> None:
    routed = ROUTED if name in ("mixtral", "olmoe") else 0
    assert COUNTS[name]["macs"] == COUNTS[name]["flop_counter"] + routed


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", GALLERY)
def test_counts(name: str) -> None:
    exhibit, expected = GALLERY[name], COUNTS[name]
    try:
        model = built(name)
    except Exception as error:  # noqa: BLE001 - packages that are not there, or do not fit this PyTorch
        pytest.skip(f"{exhibit.package} does not build it here: {type(error).__name__}: {error}")
    found = extract(model, exhibit.inputs, name=name)
    counted = {"macs": found.macs, "weights": found.weights, "parameters": found.parameters}
    assert counted == {key: expected[key] for key in counted}
    assert len(found.layers) == expected["layers"]
