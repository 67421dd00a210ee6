from inspect import signature

import pytest

pytest.importorskip("torch")

from tqhw.datasets.base import epoch_generator
from tqhw.errors import TqhwError
from tqhw.experiment.schema import Training
from tqhw.train import TrainConfig, recalibrate
from tqhw.train.config import MAX_SEED


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs: 0 is not a whole number from 1 up"),
        ({"batch_size": "many"}, "batch_size: 'many' is not a whole number"),
        ({"accumulation": True}, "accumulation: True is not a whole number"),
        ({"learning_rate": -1.0}, "learning_rate: -1.0 is not a positive number"),
        ({"momentum": 1.0}, "momentum: 1.0 is not from 0 to below 1"),
        ({"label_smoothing": 2}, "label_smoothing: 2 is not from 0 to below 1"),
        ({"weight_decay": -1}, "weight_decay: -1 is not from 0 to below inf"),
        ({"warmup_epochs": 10}, "warmup_epochs: 10 is not from 0 to below 10"),
        ({"distillation": "recursiv"}, "did you mean 'recursive'"),
        ({"optimizer": "adam"}, "did you mean 'adamw'"),
        ({"schedule": "cos"}, "unknown schedule 'cos'"),
        ({"arithmetic": "float16"}, "unknown arithmetic 'float16'"),
        ({"seed": -1}, "seed: -1 is not a whole number from 0 to 4294967295"),
        ({"seed": 2**32}, "seed: 4294967296 is not a whole number"),
        ({"seed": False}, "seed: False is not a whole number"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
        ({"schedule": "step"}, "schedule step and milestones .. do not belong together"),
        ({"milestones": (0.5,)}, "schedule cosine and milestones .0.5. do not belong together"),
        ({"schedule": "step", "milestones": (30,)}, "are not shares between 0 and 1"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(TqhwError, match=message):
        TrainConfig(**options)


def test_the_largest_seed_is_one_that_torch_takes():
    assert epoch_generator(TrainConfig(seed=MAX_SEED).seed, 10**6).initial_seed() > MAX_SEED


def test_a_cpu_is_not_shared_unless_one_asks():
    """Two threads took ten times as long as one on two busy cores; whole experiments train with one as well."""
    assert TrainConfig().threads == Training().threads == 1
    assert signature(recalibrate).parameters["threads"].default == 1
