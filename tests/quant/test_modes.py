import pytest

pytest.importorskip("torch")

from torch import nn

from tqhw.quant.modes import evaluating, modes_kept


def test_every_module_is_in_its_own_mode_again_whatever_happens() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    model[1].eval()
    with pytest.raises(ZeroDivisionError), evaluating(model):
        assert not model[0].training
        raise ZeroDivisionError
    assert (model.training, model[0].training, model[1].training) == (True, True, False)
    with modes_kept(model):
        model.train()
    assert not model[1].training
