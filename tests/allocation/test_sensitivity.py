"""Losses that layers add, where these are no numbers."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tqhw import quant  # noqa: E402
from tqhw.allocation.sensitivity import sensitivities  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.train.losses import LOSSES  # noqa: E402


def two_layers() -> torch.nn.Module:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 3))
    return quant.convert(network, quant.QuantConfig(precisions=(2, 8), first=None, last=None))


def test_a_loss_that_is_no_number_is_told_with_its_layer_and_bits() -> None:
    """It would reach the integer program, which takes finite numbers alone."""
    model, told = two_layers(), []
    batches = [(torch.randn(6, 4), torch.tensor([0, 1, 2, 0, 1, 2]))]

    def overflowing(layer: torch.nn.Module, _: object, output: torch.Tensor) -> torch.Tensor:
        return output * float("inf") if quant.quantized_layers(model)[1].quantizer.bits == 2 else output

    model[1].register_forward_hook(overflowing)
    with pytest.raises(TqhwError) as caught:
        sensitivities(
            model,
            batches,
            ("0", "1"),
            (2, 8),
            8,
            tell=lambda name, row: told.append(name),
            loss=LOSSES["cross_entropy"],
        )
    assert str(caught.value) == (
        "layer 1, 2 bits: the loss on training samples is nan, which no sum can be made with (leave out precisions at "
        "which the outputs overflow, or train the network further)"
    )
    assert told == ["0"], "what came before is kept"
