"""What a model is run on: several inputs, by name and type, from texts, tensors and mappings."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from tqhw.errors import TqhwError  # noqa: E402
from tqhw.workload import InputSpec, extract, generate, parse_input  # noqa: E402


class Encoder(nn.Module):
    """One attention over embedded tokens, masked or not."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(50, 16)
        self.q, self.k, self.v = (nn.Linear(16, 16) for _ in range(3))
        self.head = nn.Linear(16, 50, bias=False)

    def forward(self, ids: Tensor, mask: Tensor, bias: Tensor | None = None) -> Tensor:
        x = self.embed(ids)
        scores = (self.q(x) @ self.k(x).mT).masked_fill(mask[:, None] == 0, -1e9)
        return self.head((scores if bias is None else scores + bias).softmax(-1) @ self.v(x))


MACS = 3 * 7 * 16 * 16 + 2 * 7 * 7 * 16 + 7 * 16 * 50
IDS, MASK = torch.randint(0, 50, (1, 7)), torch.ones(1, 7, dtype=torch.bool)
TEXTS = ("ids:int64[1,7]", "mask:bool[1,7]")


@pytest.mark.parametrize(
    ("given", "inputs"),
    [
        (TEXTS, TEXTS),
        (["int64[1,7]", "bool[1,7]"], ("int64[1,7]", "bool[1,7]")),
        ({"mask": "bool[1,7]", "ids": "int64[1,7]"}, TEXTS[::-1]),
        ([InputSpec((1, 7), "int64"), InputSpec((1, 7), "bool")], ("int64[1,7]", "bool[1,7]")),
        ((IDS, MASK), ("int64[1,7]", "bool[1,7]")),
        ({"ids": IDS, "mask": MASK}, TEXTS),
    ],
)
def test_two_inputs(given: object, inputs: tuple[str, ...]) -> None:
    workload = extract(Encoder(), given)
    assert (workload.macs, workload.inputs, workload.input_shape) == (MACS, inputs, (1, 7))
    assert workload.notes == ()


def test_a_bare_shape_may_be_of_token_ids_and_that_is_said() -> None:
    workload = extract(Encoder(), (1, 7))
    assert workload.macs == MACS
    assert workload.notes == (
        "the input is taken as token ids, ids:int64[1,7] mask:int64[1,7]; --input NAME:TYPE[SHAPE] says otherwise",
    )


class Graph:
    """What libraries of graph networks call a model with: an object with tensors, deeper inside."""

    def __init__(self) -> None:
        self.store = {"x": torch.randn(5, 4), "edges": torch.tensor([[0, 1, 2], [1, 2, 4]])}
        self.itself = self


class OnGraph(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 3, bias=False)

    def forward(self, graph: Graph) -> Tensor:
        sources, targets = graph.store["edges"]
        rows = self.fc(graph.store["x"])
        return torch.zeros_like(rows).index_add(0, targets, rows[sources])


@pytest.mark.parametrize("form", [lambda graph: graph, lambda graph: [graph], lambda graph: {"graph": graph}])
def test_objects_with_tensors_inside(form: Callable[[Graph], Any]) -> None:
    workload = extract(OnGraph(), form(Graph()))
    assert (workload.macs, workload.weights, workload.folded) == (5 * 4 * 3, 12, ())
    assert [text.rpartition(":")[2] for text in workload.inputs] == ["float32[5,4]", "int64[2,3]"]


def test_inputs_in_lists_and_dictionaries() -> None:
    class Nested(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 2)

        def forward(self, batch: dict[str, list[Tensor]]) -> Tensor:
            return self.layer(torch.cat(batch["parts"]))

    workload = extract(Nested(), ({"parts": [torch.ones(1, 4), torch.ones(2, 4)]},))
    assert workload.macs == 3 * 8
    assert workload.inputs == ("float32[1,4]", "float32[2,4]")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            ["ids:int64[1,7]"],
            "model net: the inputs do not fit: missing a required argument: 'mask'; the forward pass takes ids, mask, "
            "[bias]; given: ids:int64[1,7] (give what the forward pass takes, batch first, as in "
            "--input ids:TYPE[SHAPE] --input mask:TYPE[SHAPE]; of an experiment it is model.input)",
        ),
        (["ids:int64[1,7]", "masks:bool[1,7]"], "model net: the inputs do not fit: "),
        ({"ids": IDS, "other": MASK}, "model net: the inputs do not fit: "),
        (["ids:int64[1,7]", "ids:bool[1,7]"], "model net: input 'ids' is given twice"),
        ((1, 3, 8, 8), "model net: the inputs do not fit: missing a required argument: 'mask'"),
        (
            ["ids:int64[1,7]", "mask:bool[1,8]"],
            "model net: on an input of ids:int64[1,7] mask:bool[1,8] the forward pass raised RuntimeError: ",
        ),
    ],
)
def test_inputs_that_do_not_fit(given: object, message: str) -> None:
    with pytest.raises(TqhwError) as caught:
        extract(Encoder(), given, name="net")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("1,3,8,8", InputSpec((1, 3, 8, 8))),
        ("float16[1,4]", InputSpec((1, 4), "float16")),
        (" ids : int64[ 1, 4 ]", InputSpec((1, 4), "int64", "ids")),
        ("x:[2,4]", InputSpec((2, 4), None, "x")),
    ],
)
def test_texts_of_inputs(text: str, spec: InputSpec) -> None:
    assert parse_input(text) == spec == parse_input(spec.text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "ids:int64",
            "input: 'ids:int64' is no input (write 1,3,224,224 or, with a name and a type, ids:int64[1,128])",
        ),
        ("ids:int65[1]", "input ids:int65[1]: unknown type 'int65' (did you mean 'int64'? known: "),
        ("2ids:int64[1]", "input 2ids:int64[1]: '2ids' is no name of an argument ("),
        ("int64[1,0]", "input, position 2: 0 is not a size ("),
        ("int64[]", "input, position 1: '' is not a size ("),
        ("int64[1][2]", "input: 'int64[1][2]' is no input ("),
    ],
)
def test_texts_that_are_none(text: str, message: str) -> None:
    with pytest.raises(TqhwError) as caught:
        parse_input(text)
    assert str(caught.value).startswith(message)


def test_the_summary_says_what_it_was_run_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net_of_two_inputs.py").write_text("from tests.workload.test_examples import Encoder\nNet = Encoder\n")
    monkeypatch.syspath_prepend(tmp_path)
    try:
        generate("net_of_two_inputs:Net", tmp_path / "out", TEXTS)
    finally:
        del sys.modules["net_of_two_inputs"]
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["input"] == list(TEXTS)
    head = (tmp_path / "out" / "01_q.yaml").read_text().splitlines()[0]
    assert head == "# Written by tqhw workload: net_of_two_inputs:Net, input ids:int64[1,7] mask:bool[1,7]"
