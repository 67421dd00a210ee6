"""Which parameters decay."""

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from tests.quant.nets import tiny  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.options import Normalization  # noqa: E402
from tqhw.quant import QuantConfig, convert  # noqa: E402
from tqhw.train import TrainConfig  # noqa: E402
from tqhw.train.optimizer import decaying_parameters, make_optimizer  # noqa: E402


class Words(nn.Module):
    """An embedding, positions, packed attention, experts of its own, a recurrent layer and a head of one output."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(5, 4)
        self.positions = nn.Parameter(torch.zeros(1, 3, 4))
        self.attention = nn.MultiheadAttention(4, 2)
        self.norm = nn.LayerNorm(4)
        self.experts = nn.Parameter(torch.zeros(2, 4, 4))
        self.recurrent = nn.GRU(4, 4)
        self.head = nn.Linear(4, 1)


def names(model: nn.Module) -> set[str]:
    chosen = decaying_parameters(model)
    return {name for name, parameter in model.named_parameters() if parameter in chosen}


def test_weights_decay_and_nothing_else() -> None:
    recurrent = {"recurrent.weight_ih_l0", "recurrent.weight_hh_l0"}
    attention = {"attention.in_proj_weight", "attention.out_proj.weight"}
    assert names(Words()) == {*attention, *recurrent, "experts", "head.weight"}


def test_of_a_quantized_model_it_is_the_real_weights() -> None:
    how = Normalization("linear", "learned")
    chosen = QuantConfig(last=None, normalization=how, granularity="channel", activations="lsq_plus")
    assert names(convert(tiny(), chosen)) == {
        "conv1.weight",
        "conv2.parametrizations.weight.original",
        "fc.parametrizations.weight.original",
    }
    words = convert(Words(), QuantConfig(first=None, last=None))
    assert "head.parametrizations.weight.original" in names(words) and len(names(words)) == len(names(Words()))


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_the_optimizer_has_two_groups_of_all_parameters(optimizer: str) -> None:
    model = convert(tiny(), QuantConfig(activations="lsq", last=None))
    made = make_optimizer(model, TrainConfig(optimizer=optimizer, weight_decay=0.1, decay="weights"))
    assert [group["weight_decay"] for group in made.param_groups] == [0.1, 0.0]
    assert {p for group in made.param_groups for p in group["params"]} == {*model.parameters()}
    (one,) = make_optimizer(model, TrainConfig(optimizer=optimizer, weight_decay=0.1)).param_groups
    assert one["weight_decay"] == 0.1 and len(one["params"]) == len([*model.parameters()])


def test_a_step_without_gradients_shrinks_weights_alone() -> None:
    model = tiny()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    made = make_optimizer(model, TrainConfig(optimizer="adamw", weight_decay=0.5, learning_rate=0.1, decay="weights"))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    made.step()
    shrunk = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert shrunk == {"conv1.weight", "conv2.weight", "fc.weight"}


def test_another_word_is_refused() -> None:
    with pytest.raises(TqhwError, match=r"decay: unknown value 'norms' .*all, weights"):
        TrainConfig(decay="norms")
