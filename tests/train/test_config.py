from inspect import signature

import pytest

pytest.importorskip("torch")

from tqhw.datasets.base import epoch_generator
from tqhw.errors import TqhwError
from tqhw.experiment.schema import Training
from tqhw.options import MAX_SEED
from tqhw.train import TrainConfig, recalibrate


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs: 0 must be at least 1 .Passes over the training images"),
        ({"batch_size": "many"}, "batch_size: 'many' must be a whole number .Images per optimizer step"),
        ({"accumulation": True}, "accumulation: True must be a whole number"),
        ({"learning_rate": -1.0}, "learning_rate: -1.0 must be more than 0 .Peak of the schedule"),
        ({"momentum": 1.0}, "momentum: 1.0 must be less than 1 .Of stochastic"),
        ({"label_smoothing": 2}, "label_smoothing: 2 must be less than 1 .Applies to labels"),
        ({"weight_decay": -1}, "weight_decay: -1 must be at least 0 .Of the optimizer"),
        ({"warmup_epochs": 10}, "warmup_epochs: 10 is not from 0 to below 10"),
        ({"distillation": "recursiv"}, "did you mean 'recursive'"),
        ({"optimizer": "adam"}, "did you mean 'adamw'"),
        ({"schedule": "cos"}, "schedule: unknown value 'cos'"),
        ({"arithmetic": "float16"}, "arithmetic: unknown value 'float16'"),
        ({"seed": -1}, "seed: -1 must be at least 0"),
        ({"seed": 2**32}, "seed: 4294967296 must be at most 4294967295"),
        ({"seed": False}, "seed: False must be a whole number"),
        ({"device": "tpu"}, "device: unknown value 'tpu'"),
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
