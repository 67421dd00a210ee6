from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from tests.quant.nets import tiny  # noqa: E402
from tqhw.datasets import digits  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.quant import QuantConfig, add_precision, convert, set_bits  # noqa: E402
from tqhw.train import TrainConfig, evaluate_requantized, recalibrate, start_inputs, train  # noqa: E402
from tqhw.train.health import check_fit  # noqa: E402


def test_statistics_become_the_means_over_the_training_set():
    model = convert(tiny(), QuantConfig(precisions=(2, 8))).train()
    before = model.conv1.weight.clone()
    recalibrate(model, digits(), 2, batch_size=449)
    seen = torch.cat([model.conv1(images).detach() for images, _ in digits().train_batches(449, 0, 0)])
    torch.testing.assert_close(model.bn1.at["2"].running_mean, seen.mean(dim=(0, 2, 3)))
    assert torch.equal(model.bn1.running_mean, torch.zeros(8)), "the norms of 8 bits were left alone"
    assert model.bn1.at["2"].momentum == 0.1 and model.training and torch.equal(model.conv1.weight, before)


def test_the_number_of_batches_counts():
    model = convert(tiny(), QuantConfig(norms="shared"))
    recalibrate(model, digits(), 4, batch_size=50, batches=3)
    assert model.bn1.num_batches_tracked == 3


def test_images_that_do_not_fill_a_batch_are_one():
    all_of_them = digits()
    few = replace(all_of_them, train_images=all_of_them.train_images[:100], train_labels=all_of_them.train_labels[:100])
    model = convert(tiny(), QuantConfig(precisions=(2, 8)))
    recalibrate(model, few, 2)
    (seen, _), *rest = few.train_batches(100, 0, 0)
    assert not rest and model.bn1.at["2"].num_batches_tracked == 1
    torch.testing.assert_close(model.bn1.at["2"].running_mean, model.conv1(seen).detach().mean(dim=(0, 2, 3)))


@pytest.mark.parametrize("option", ["batches", "batch_size"])
def test_no_images_at_all_are_refused(option):
    model = convert(tiny(), QuantConfig(norms="shared"))
    model.bn1.running_mean.fill_(3)
    with pytest.raises(TqhwError, match=rf"{option}: 0 leaves no images to measure statistics on"):
        recalibrate(model, digits(), 4, **{option: 0})
    assert model.bn1.running_mean[0] == 3


def test_a_norm_that_was_frozen_stays_so():
    model = convert(tiny(), QuantConfig(precisions=(2, 8))).train()
    model.bn2.eval()
    recalibrate(model, digits(), 2)
    evaluate_requantized(model, digits(), (2,))
    check_fit(model, digits())
    assert model.training and model.bn1.training and not model.bn2.training and not model.bn2.at["2"].training


def test_a_precision_that_was_not_trained_works_after_calibration():
    model = convert(tiny(), QuantConfig(precisions=(2, 8)))
    train(model, digits(), TrainConfig(epochs=6, batch_size=32, threads=1))
    for bits in (3, 5):
        add_precision(model, bits)
        recalibrate(model, digits(), bits)
    reference, *others = evaluate_requantized(model, digits(), (8, 3, 5))
    assert all(other.top1 > reference.top1 - 5 for other in others), (reference, others)
    set_bits(model, 8)


def test_clamps_start_by_a_batch_of_training_images_on_its_own_statistics():
    model = convert(tiny(), QuantConfig(precisions=(2, 8), last=None, activations="pact", activation_bits=None))
    check_fit(model, digits())
    assert not model.fc.input_quantizer.started, "zeros decide nothing"
    before = {name: tensor.clone() for name, tensor in model.state_dict().items() if "input_quantizer" not in name}
    set_bits(model, 2)
    start_inputs(model, digits(), 64)
    after = model.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items()) and model.training
    assert model.fc.input_quantizer.bits == 8
    seen = []
    model.bn1.register_forward_hook(lambda _, __, y: seen.append(y.relu()))
    model(next(iter(digits().train_batches(64, 0, 0)))[0])
    assert seen[0].max() / 4 < model.conv2.input_quantizer.alpha < seen[0].max()


def test_training_starts_them_and_a_clamp_that_drops_values_ends_it():
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 8), torch.nn.GELU(), torch.nn.Linear(8, 10))
    model = convert(net, QuantConfig(last=None, activations="dorefa"))
    with pytest.raises(TqhwError, match=r"input of layer '3': .* are negative"):
        train(model, digits(), TrainConfig(epochs=1))
