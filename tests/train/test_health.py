import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from tests.quant.nets import tiny  # noqa: E402
from tqhw.datasets import TensorData, digits, open_dataset  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.quant import QuantConfig, convert  # noqa: E402
from tqhw.train.health import check_fit, first_broken_layer, first_broken_tensor  # noqa: E402

IMAGES = torch.ones(2, 1, 8, 8)


def test_a_fitting_model_keeps_its_mode():
    model = tiny().train()
    check_fit(model, digits())
    assert model.training and model.bn1.num_batches_tracked == 0


def test_a_model_for_other_images_or_classes_is_refused():
    with pytest.raises(TqhwError, match=r"data digits: the model refuses images of shape \(1, 8, 8\): .*in_channels"):
        check_fit(nn.Sequential(nn.Conv2d(3, 4, 3)), digits())
    with pytest.raises(TqhwError, match=r"answers two images with \(2, 9\), but there are 10 classes"):
        check_fit(nn.Sequential(nn.Flatten(), nn.Linear(64, 9)), digits())


@pytest.mark.parametrize(
    "raised", [AssertionError(), KeyError("k"), TypeError("no"), ValueError("two\nlines"), IndexError()]
)
def test_whatever_a_users_own_model_raises_is_told_with_its_place(raised):
    class Mine(nn.Linear):
        def forward(self, x):
            raise raised

    with pytest.raises(TqhwError, match=r"data digits: the model refuses images") as caught:
        check_fit(Mine(1, 1), digits())
    first = f"{type(raised).__name__}: {raised}".splitlines()[0] if str(raised) else type(raised).__name__
    assert f"(1, 8, 8): {first}, at {__file__}:" in str(caught.value)


def test_the_first_layer_that_breaks_is_named():
    model = convert(tiny(), QuantConfig(first=None, last=None))
    assert first_broken_layer(model, IMAGES) == "the loss itself"
    model.fc.bias.data[0] = float("inf")
    assert first_broken_layer(model, IMAGES) == "layer 'fc'"
    model.bn2.bias.data[0] = float("nan")
    assert first_broken_layer(model, IMAGES) == "layer 'bn2'"
    assert first_broken_layer(model, IMAGES * float("nan")) == "the input images"


def test_the_first_tensor_that_broke_is_named():
    model = tiny()
    assert first_broken_tensor(model) is None
    model.bn2.running_var[0] = float("nan")
    assert first_broken_tensor(model) == "bn2.running_var"


def test_one_class_is_nothing_to_tell_apart():
    x, y = torch.rand(8, 1, 4, 4), torch.zeros(8, dtype=torch.int64)
    alone = TensorData("alone", 1, x, y, x, y)
    with pytest.raises(TqhwError, match="data alone: all labels are of one class: there is nothing to tell apart"):
        check_fit(nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), alone)


class Looks(nn.Module):
    def __init__(self):
        super().__init__()
        self.look, self.fc = nn.Embedding(5, 4), nn.Linear(4, 3)

    def forward(self, ids, attention_mask):
        return self.fc(self.look(ids) * attention_mask[..., None])


def test_of_inputs_with_names_the_message_says_what_they_hold(tmp_path):
    ids, ones = np.arange(24).reshape(6, 4), np.ones((6, 4), np.int64)
    arrays = {
        f"{part}_{name}": array
        for part in ("train", "test")
        for name, array in (("ids", ids), ("attention_mask", ones), ("labels", ids % 3))
    }
    np.savez(tmp_path / "a.npz", **arrays)
    message = r"the model refuses inputs ids \[2, 4\] of 0 to 7, attention_mask \[2, 4\] of 1 to 1: .*by their names"
    with pytest.raises(TqhwError, match=message):
        check_fit(Looks(), open_dataset("samples", {"path": str(tmp_path / "a.npz")}))
