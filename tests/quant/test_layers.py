"""Finding what a model holds."""

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from tests.quant.nets import tiny  # noqa: E402
from tqhw.quant import QuantConfig, convert  # noqa: E402
from tqhw.quant.layers import walk  # noqa: E402


class Shared(nn.Module):
    """One layer in two places, one inside of another, and a place that is empty."""

    def __init__(self) -> None:
        super().__init__()
        inner = nn.Linear(2, 2)
        self.first = nn.Sequential(inner, nn.ReLU())
        self.nothing = None
        self.register_module("none", None)
        self.second = nn.Sequential(nn.Sequential(inner), self.first)


@pytest.mark.parametrize(
    "model", [Shared(), convert(tiny(), QuantConfig(activations="lsq", last=None))], ids=["shared", "net"]
)
def test_a_walk_is_that_of_pytorch(model: nn.Module) -> None:
    assert [*walk(model)] == [*model.named_modules()]
    assert [*walk(model, every_name=True)] == [*model.named_modules(remove_duplicate=False)]
