"""Loop and Scan whose number of rounds the graph says, against counts by hand; the others are refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from tests.workload.onnx.graphs import FLOAT, node, save, tensor  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.workload.onnx import extract_file  # noqa: E402

ROUND, GO = ("i", TensorProto.INT64, []), ("go", TensorProto.BOOL, [])
Value = tuple[str, int, list[Any] | None]


def body(nodes: Sequence[Any], inputs: Sequence[Value], outputs: Sequence[str], tensors: Sequence[Any] = ()) -> Any:
    given = [helper.make_tensor_value_info(*value) for value in inputs]
    results = [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs]
    return helper.make_graph(nodes, "body", given, results, list(tensors))


def whole(name: str, number: int) -> Any:
    return numpy_helper.from_array(np.array(number, np.int64), name)


def truth(name: str, value: bool = True) -> Any:
    return numpy_helper.from_array(np.array(value), name)


def recurrent(state: str = "h") -> Any:
    """h <- tanh(h R + W x), W and R outside."""
    nodes = [
        node("Identity", "go", "on"),
        node("MatMul", f"{state} R", "a"),
        node("Gemm", "x W", "b"),
        node("Add", "a b", "c"),
        node("Tanh", "c", "next"),
    ]
    return body(nodes, [ROUND, GO, (state, FLOAT, None)], ["on", "next", "next"])


WEIGHTS = [tensor("W", [6, 5]), tensor("R", [5, 5]), tensor("start", [2, 5])]


@pytest.mark.parametrize("first", ["yes", "_"])
def test_a_loop_counts_its_body_as_often_as_it_runs(tmp_path: Path, first: str) -> None:
    nodes = [
        node("Loop", f"times {first} start", "last all", body=recurrent()),
        node("Reshape", "all flat", "z"),
        node("MatMul", "z out", "y"),
    ]
    more = [whole("times", 7), truth("yes"), tensor("out", [5, 3])]
    flat = numpy_helper.from_array(np.array([-1, 5], np.int64), "flat")
    found = extract_file(save(tmp_path / "net.onnx", nodes, {"x": [2, 6]}, [*WEIGHTS, *more, flat]))
    assert found.macs == 7 * (2 * 5 * 5 + 2 * 6 * 5) + 7 * 2 * 5 * 3, "all has 7 times 2 rows"
    counts = {layer.macs: (layer.count, layer.stored_weights) for layer in found.layers}
    assert counts == {2 * 25: (7, 25), 2 * 30: (7, 30), 14 * 15: (1, 15)}


def test_a_loop_that_is_a_loop_in_a_loop(tmp_path: Path) -> None:
    inner = body(
        [node("Identity", "go2", "on2"), node("MatMul", "k R", "next2")],
        [("j", TensorProto.INT64, []), ("go2", TensorProto.BOOL, []), ("k", FLOAT, None)],
        ["on2", "next2"],
    )
    outer = body(
        [node("Identity", "go", "on"), node("Loop", "three yes h", "next", body=inner)],
        [ROUND, GO, ("h", FLOAT, None)],
        ["on", "next"],
    )
    nodes = [node("Loop", "four yes x", "y", body=outer)]
    given = [whole("three", 3), whole("four", 4), truth("yes"), tensor("R", [5, 5])]
    (layer,) = extract_file(save(tmp_path / "net.onnx", nodes, {"x": [2, 5]}, given)).layers
    assert (layer.count, layer.macs, layer.stored_weights) == (12, 2 * 25, 25)


def test_a_state_that_grows_has_its_own_size_in_every_round(tmp_path: Path) -> None:
    """Row by row more keys: 1, 2, 3, 4 of them, and the query is projected each time."""
    nodes = [
        node("Identity", "go", "on"),
        node("MatMul", "x Q", "q"),
        node("Concat", "keys q", "more", axis=0),
        node("Transpose", "more", "turned", perm=[1, 0]),
        node("MatMul", "q turned", "scores"),
    ]
    grown = body(nodes, [ROUND, GO, ("keys", FLOAT, None)], ["on", "more"])
    given = [whole("times", 4), truth("yes"), tensor("Q", [3, 3]), tensor("none", [0, 3])]
    path = save(tmp_path / "net.onnx", [node("Loop", "times yes none", "y", body=grown)], {"x": [1, 3]}, given)
    found = extract_file(path)
    assert found.macs == 4 * 9 + 3 * (1 + 2 + 3 + 4)
    assert Counter(layer.has_weights for layer in found.layers for _ in layer.names) == {True: 4, False: 4}
    assert sum(layer.stored_weights for layer in found.layers) == 9


def test_weights_of_its_own_in_every_round_are_stored_for_every_round(tmp_path: Path) -> None:
    """A stack of layers, picked by the round's number, or a Scan's input."""
    picked = body(
        [node("Identity", "go", "on"), node("Gather", "stack i", "w"), node("MatMul", "h w", "next")],
        [ROUND, GO, ("h", FLOAT, None)],
        ["on", "next"],
    )
    scanned = body([node("MatMul", "h w", "next")], [("h", FLOAT, None), ("w", FLOAT, None)], ["next"])
    given = [whole("times", 6), truth("yes"), tensor("stack", [6, 5, 5])]
    nodes = [
        node("Loop", "times yes x", "y", body=picked),
        node("Scan", "x stack", "y", body=scanned, num_scan_inputs=1),
    ]
    for one in nodes:
        found = extract_file(save(tmp_path / "net.onnx", [one], {"x": [2, 5]}, given))
        (layer,) = found.layers
        assert (layer.count, layer.macs, layer.stored_weights) == (6, 2 * 25, 6 * 25)
        assert found.parameters == 150


def test_results_that_nothing_reads_may_be_left_out(tmp_path: Path) -> None:
    given = [*WEIGHTS, whole("times", 7), truth("yes"), tensor("out", [5, 3])]
    loop = node("Loop", "times yes start", "last", body=recurrent())
    nodes = [loop, node("MatMul", "last out", "y")]
    assert extract_file(save(tmp_path / "net.onnx", nodes, {"x": [2, 6]}, given)).macs == 7 * (50 + 60) + 30


def test_a_scan_runs_along_its_axis(tmp_path: Path) -> None:
    step = body(
        [node("MatMul", "slice W", "a"), node("MatMul", "h R", "b"), node("Add", "a b", "next")],
        [("h", FLOAT, None), ("slice", FLOAT, None)],
        ["next", "next"],
    )
    nodes = [
        node("Scan", "start x", "last all", body=step, num_scan_inputs=1, scan_input_axes=[1], scan_output_axes=[1]),
        node("MatMul", "all out", "y"),
    ]
    found = extract_file(save(tmp_path / "net.onnx", nodes, {"x": [2, 9, 6]}, [*WEIGHTS, tensor("out", [5, 3])]))
    assert found.macs == 9 * (2 * 6 * 5 + 2 * 5 * 5) + 2 * 9 * 5 * 3


def test_a_loop_that_never_runs_counts_nothing(tmp_path: Path) -> None:
    nodes = [node("Loop", "times no start", "last all", body=recurrent()), node("MatMul", "x W", "y")]
    for times, go in ((0, True), (7, False)):
        given = [*WEIGHTS, whole("times", times), truth("no", go)]
        assert extract_file(save(tmp_path / "net.onnx", nodes, {"x": [2, 6]}, given)).macs == 60


def test_a_loop_can_be_left_out(tmp_path: Path) -> None:
    nodes = [node("Loop", "times yes start", "last all", "steps", body=recurrent()), node("MatMul", "x W", "y")]
    path = save(tmp_path / "net.onnx", nodes, {"x": [2, 6]}, [*WEIGHTS, whole("times", 7), truth("yes")])
    for pattern in ("steps", "Loop"):
        found = extract_file(path, skip=[pattern])
        assert found.macs == 60
        assert sum(macs for _, macs in found.skipped) == 7 * (50 + 60)


def stopping() -> Any:
    nodes = [node("MatMul", "h R", "next"), node("ReduceSum", "next", "s", keepdims=0), node("Less", "s one", "on")]
    return body(nodes, [ROUND, GO, ("h", FLOAT, None)], ["on", "next"], [tensor("one", [])])


@pytest.mark.parametrize(
    ("loop", "times"),
    [("times yes start", None), ("_ yes start", 7), ("times yes start", 2**63 - 1), ("times maybe start", 7)],
)
def test_a_number_of_rounds_that_the_graph_does_not_say(tmp_path: Path, loop: str, times: int | None) -> None:
    inputs = {"x": [2, 6], "maybe": []} | ({"times": []} if times is None else {})
    given = [*WEIGHTS, truth("yes"), *([] if times is None else [whole("times", times)])]
    kinds = {"maybe": TensorProto.BOOL, "times": TensorProto.INT64}
    nodes = [node("Loop", loop, "last all", "steps", body=recurrent()), node("MatMul", "x W", "y")]
    with pytest.raises(TqhwError) as caught:
        extract_file(save(tmp_path / "net.onnx", nodes, inputs, given, kinds=kinds))
    assert (
        "steps (Loop: products in its body, Gemm, MatMul, and no number of rounds that the graph says, 100,000 at most)"
    ) in str(caught.value)
    assert "--skip PATTERN" in str(caught.value)


def test_a_loop_that_stops_by_what_it_computes(tmp_path: Path) -> None:
    nodes = [node("Loop", "times yes x", "y", "steps", body=stopping())]
    path = save(tmp_path / "net.onnx", nodes, {"x": [2, 5]}, [tensor("R", [5, 5]), whole("times", 7), truth("yes")])
    with pytest.raises(TqhwError, match=r"steps \(Loop: products in its body, MatMul, and no number of rounds"):
        extract_file(path)


def circle() -> Any:
    nodes = [node("Identity", "b", "a"), node("Identity", "a", "b"), node("MatMul", "h R", "next")]
    return body(nodes, [ROUND, GO, ("h", FLOAT, None)], ["b", "next"])


def nameless() -> Any:
    found = recurrent()
    found.input[2].name = ""
    return found


BROKEN = [
    node("Loop", "times", "y", "steps", body=body([node("MatMul", "x R", "next")], [ROUND], ["next"])),
    node("Loop", "real yes start", "last all", "steps", body=recurrent()),
    node("Loop", "times yes x", "y", "steps", body=circle()),
    node("Loop", "times yes start", "last all", "steps", body=nameless()),
    node("Loop", "times yes start", "last all more", "steps", body=recurrent()),
    node("Loop", "times yes start x", "last all", "steps", body=recurrent()),
    node("Scan", "start x", "y", "steps", body=recurrent(), num_scan_inputs="one"),
    node("Scan", "start x", "y", "steps", body=recurrent(), num_scan_inputs=3),
    node("Scan", "start x start", "a b c", "steps", body=recurrent(), num_scan_inputs=1, scan_input_axes=[5]),
]


@pytest.mark.parametrize("loop", BROKEN)
def test_a_loop_that_is_none(tmp_path: Path, loop: Any) -> None:
    real = numpy_helper.from_array(np.array(float("nan"), np.float32), "real")
    given = [*WEIGHTS, whole("times", 7), truth("yes"), real]
    with pytest.raises(TqhwError) as caught:
        extract_file(save(tmp_path / "net.onnx", [loop], {"x": [2, 6]}, given))
    assert "steps" in str(caught.value)
    assert "no number of rounds that the graph says" in str(caught.value)


def test_loops_in_loops_that_come_to_too_many_rounds(tmp_path: Path) -> None:
    inner = body(
        [node("Identity", "go2", "on2"), node("MatMul", "k R", "next2")],
        [("j", TensorProto.INT64, []), ("go2", TensorProto.BOOL, []), ("k", FLOAT, None)],
        ["on2", "next2"],
    )
    outer = body(
        [node("Identity", "go", "on"), node("Loop", "many yes h", "next", body=inner)],
        [ROUND, GO, ("h", FLOAT, None)],
        ["on", "next"],
    )
    given = [whole("many", 50_000), truth("yes"), tensor("R", [5, 5])]
    path = save(tmp_path / "net.onnx", [node("Loop", "many yes x", "y", "deep", body=outer)], {"x": [2, 5]}, given)
    with pytest.raises(TqhwError) as caught:
        extract_file(path)
    assert "node deep: its body, with what is in it, comes to over 100,000 nodes or rounds" in str(caught.value)
