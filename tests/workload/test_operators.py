"""The reviewed list of operators, held against all that the installed PyTorch registers."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tqhw.workload.operators import is_no_product, plain_name, refused  # noqa: E402
from tqhw.workload.products import RULES  # noqa: E402


def seen_whole() -> list[str]:
    """Operators of ATen that take two tensors or more and are not taken apart before the extraction sees them."""
    names = []
    for schema in torch._C._jit_get_all_schemas():
        given = [str(a.type) for a in schema.arguments if "Tensor" in str(a.type) and not a.is_out]
        tensors = sum(2 if "List[" in kind else 1 for kind in given)
        full = f"{schema.name}.{schema.overload_name}" if schema.overload_name else schema.name
        try:
            composite = torch._C._dispatch_has_kernel_for_dispatch_key(full, "CompositeImplicitAutograd")
        except RuntimeError:  # of TorchScript alone
            continue
        if schema.name.startswith("aten::") and not composite and tensors >= 2:
            names.append(schema.name.replace("::", "."))
    return sorted(set(names))


def test_every_operator_is_on_one_list() -> None:
    found = seen_whole()
    assert len(found) > 400
    lists = {name: [plain_name(name) in RULES, refused(name) is not None, is_no_product(name)] for name in found}
    assert {name for name, on in lists.items() if not any(on)} == set()
    assert {name for name, on in lists.items() if sum(on) > 1} == set()


def test_no_operator_that_is_called_a_product_is_on_the_list_of_the_others() -> None:
    words = {"mm", "mv", "dot", "vdot", "addr", "conv", "convolution", "conv2d", "conv3d", "linear", "rnn", "lstm"}
    words |= {"gru", "attention", "solve", "matmul"}
    named = [name for name in seen_whole() if words & set(name.partition(".")[2].split("_"))]
    assert len(named) > 60
    assert [name for name in named if is_no_product(name) and "_thnn_fused_" not in name] == [
        "aten._cudnn_rnn_flatten_weight"
    ]


@pytest.mark.parametrize(
    ("operator", "on_rules", "what", "harmless"),
    [
        ("aten.addmm_", True, None, False),
        ("aten.add_", False, None, True),
        ("aten.__irshift__", False, None, True),
        ("aten._scaled_dot_product_flash_attention_for_cpu", False, "fused attention", False),
        ("aten.convolution_backward", False, "gradient of a product", False),
        ("aten.gelu_backward", False, None, True),
        ("quantized.linear_dynamic", True, None, False),
        ("quantized.add_relu", False, None, True),
        ("torchvision.roi_align", False, None, True),
        ("torchvision.deform_conv2d", True, None, False),
        ("mamba_ssm.selective_scan", False, None, False),
    ],
)
def test_where_an_operator_stands(operator: str, on_rules: bool, what: str | None, harmless: bool) -> None:
    found = (plain_name(operator) in RULES, refused(operator), is_no_product(operator))
    assert found == (on_rules, what, harmless)
