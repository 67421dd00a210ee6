"""First and last are what runs first and last."""

from __future__ import annotations

import logging

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from tqhw import quant  # noqa: E402


class Bert(nn.Module):
    """Registers its query first and a head last that never runs; runs a stem before and an output after."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(8, 8)
        self.out = nn.Linear(8, 20, bias=False)
        self.stem = nn.Linear(4, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.words = nn.Embedding(20, 8)
        self.out.weight = self.words.weight
        self.pretraining = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = F.linear(x, self.stem.weight) + self.words(torch.zeros(x.shape[:2], dtype=torch.long))
        y = self.attention(self.query(y), y, y, need_weights=False)[0]
        return self.out(y)


ORDER = ("stem", "query", "attention.in_proj_weight", "attention.out_proj", "out")
CONFIG = quant.QuantConfig(precisions=(2, 8), norms="shared")


def full(model: nn.Module) -> set[str]:
    """The layers that stay in floating point."""
    names = {"query", "out", "stem", "attention.in_proj_weight", "attention.out_proj", "pretraining"}
    return names - {layer.name for layer in quant.quantized_layers(model)}


def test_the_order_of_a_run() -> None:
    model = Bert()
    state = torch.random.get_rng_state()
    assert quant.execution_order(model, (torch.zeros(2, 3, 4),)) == ORDER
    assert model.training
    assert torch.equal(torch.random.get_rng_state(), state)


def test_first_and_last_as_they_run(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "tqhw"):
        assert full(quant.convert(Bert(), CONFIG, order=ORDER)) == {"stem", "out"}
    assert (
        "the first and the last layer are stem and out, as they run; "
        "the model registers query first and pretraining last" in caplog.text
    )


def test_without_an_order_it_is_that_of_the_model(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "tqhw"):
        assert full(quant.convert(Bert(), CONFIG)) == {"query", "pretraining"}
    assert "as they run" not in caplog.text


def test_what_the_model_raises_comes_through_and_leaves_it_alone() -> None:
    model = Bert()
    with pytest.raises(RuntimeError):
        quant.execution_order(model, (torch.zeros(2, 3, 5),))
    assert model.training
