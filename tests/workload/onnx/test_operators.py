"""The reviewed list of ONNX's operators is whole, and no operator stands twice in it."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("onnx")

from onnx import defs

from tests.workload.onnx.graphs import MS, node, save, tensor
from tqhw.errors import TqhwError
from tqhw.workload import InputSpec, extract_file
from tqhw.workload.onnx.operators import REFUSED, RULES, is_no_product, refused

REGISTERED = sorted({f"{s.domain}.{s.name}".lstrip(".") for s in defs.get_all_schemas()})


def test_every_registered_operator_is_on_the_list() -> None:
    places = {name: (name in RULES) + (refused(name) is not None) + is_no_product(name) for name in REGISTERED}
    assert {name: count for name, count in places.items() if count != 1} == {}


def test_refused_operators_have_no_rule() -> None:
    assert not {*REFUSED} & {*RULES}
    assert not [name for name in RULES if is_no_product(name)]


def test_all_that_is_not_known_is_listed_with_its_place(tmp_path: Path) -> None:
    path = save(
        tmp_path / "net.onnx",
        [
            node("my.Strange", "x w", "a", "first"),
            node(f"{MS}.QMoE", "a w", "b", "second"),
            node("my.Strange", "b w", "y"),
        ],
        {"x": [2, 3]},
        [tensor("w", [3, 3])],
        more=["my", MS],
    )
    with pytest.raises(TqhwError) as caught:
        extract_file(path)
    assert str(caught.value).startswith(
        f"{path}: 3 of its operators cannot be mapped: first (my.Strange: not known); "
        "second (com.microsoft.QMoE: routed experts); y (my.Strange: not known) ("
    )
    assert "--skip PATTERN" in str(caught.value.lever)


def test_sizes_that_are_not_known_are_listed(tmp_path: Path) -> None:
    path = save(
        tmp_path / "net.onnx",
        [
            node("NonZero", "x", "n"),
            node("Cast", "n", "f", to=1),
            node("MatMul", "v f", "a"),
            node("MatMul", "w a", "y"),
        ],
        {"x": [2, 3]},
        [tensor("v", [4, 2]), tensor("w", [3, 4])],
    )
    with pytest.raises(TqhwError, match=r"what 2 operators multiply are not known: a \(MatMul\), y \(MatMul\)"):
        extract_file(path)


@pytest.mark.parametrize(
    ("equation", "left", "right", "macs"),
    [
        ("ij,jk->ik", [2, 3], [3, 4], 24),
        ("bij,bjk->bik", [5, 2, 3], [5, 3, 4], 120),
        ("...ij,jk->...ik", [5, 2, 3], [3, 4], 120),
        ("bhd,hde", [5, 2, 3], [2, 3, 4], 120),
        ("ij,ij->ij", [2, 3], [2, 3], 6),
    ],
)
def test_einsum(tmp_path: Path, equation: str, left: list[int], right: list[int], macs: int) -> None:
    nodes = [node("Einsum", "x w", "a", equation=equation), node("Relu", "a", "y")]
    assert extract_file(save(tmp_path / "net.onnx", nodes, {"x": left}, [tensor("w", right)])).macs == macs


@pytest.mark.parametrize("equation", ["ii,ij->j", "ij,jk,kl->il", "ijk,jk->i"])
def test_an_einsum_that_no_problem_is_made_of(tmp_path: Path, equation: str) -> None:
    given = "x w" if equation.count(",") == 1 else "x w w"
    nodes = [node("Einsum", given, "y", equation=equation)]
    path = save(tmp_path / "net.onnx", nodes, {"x": [3, 3]}, [tensor("w", [3, 3])])
    with pytest.raises(TqhwError, match=r"y \(Einsum: an Einsum"):
        extract_file(path)


@pytest.mark.parametrize(
    ("operator", "attributes", "macs"),
    [("FusedMatMul", {"transB": 1}, 2 * 5 * 24), ("FusedGemm", {"transB": 1, "activation": "Relu"}, 5 * 24)],
)
def test_products_of_onnxruntime(tmp_path: Path, operator: str, attributes: dict[str, object], macs: int) -> None:
    given = [2, 5, 4] if operator == "FusedMatMul" else [5, 4]
    nodes = [node(f"{MS}.{operator}", "x w", "a", **attributes), node("Relu", "a", "y")]
    assert extract_file(save(tmp_path / "net.onnx", nodes, {"x": given}, [tensor("w", [6, 4])])).macs == macs


def test_grouped_queries_with_a_cache(tmp_path: Path) -> None:
    """Four heads share two heads of keys and values; three tokens are kept from before."""
    query = node(f"{MS}.GroupQueryAttention", "q k k past_key past_value _ _", "a pk pv", num_heads=4, kv_num_heads=2)
    path = save(
        tmp_path / "net.onnx",
        [node("MatMul", "x wq", "q"), node("MatMul", "x wk", "k"), query, node("MatMul", "a wo", "y")],
        {"x": [1, 1, 8], "past_key": [1, 2, 3, 2], "past_value": [1, 2, 3, 2]},
        [tensor("wq", [8, 8]), tensor("wk", [8, 4]), tensor("wo", [8, 8])],
    )
    found = extract_file(path)
    assert found.macs == 64 + 32 + 2 * (4 * 2 * 4) + 64
    assert found.weights == 64 + 32 + 64
    assert [name for layer in found.layers for name in layer.names if "kv" in name] == ["a:kv_cache", "a:kv_cache_2"]


def test_the_package_s_own_inference_reaches_through_transposed_convolutions(tmp_path: Path) -> None:
    nodes = [node("ConvTranspose", "x w", "a", strides=[2, 2]), node("Conv", "a v", "y")]
    path = save(
        tmp_path / "net.onnx", nodes, {"x": ["n", 4, 5, 5]}, [tensor("w", [4, 6, 3, 3]), tensor("v", [2, 6, 3, 3])]
    )
    assert extract_file(path, [InputSpec((2, 4, 5, 5))]).macs == 2 * 25 * 4 * 54 + 2 * 81 * 2 * 54
