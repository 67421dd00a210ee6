"""Data sets, joint training over the precisions, and accuracies measured on shifted integers."""

from tqhw.train.calibrate import recalibrate
from tqhw.train.checkpoint import Checkpoints, EpochRecord
from tqhw.train.config import TrainConfig
from tqhw.train.data import Augment, Batch, Data, TensorData
from tqhw.train.digits import digits
from tqhw.train.distributed import joined
from tqhw.train.evaluate import Accuracy, evaluate_requantized, evaluate_shifted
from tqhw.train.loop import Progress, TrainResult, train
from tqhw.train.reproducible import reproducible

__all__ = [
    "Accuracy",
    "Augment",
    "Batch",
    "Checkpoints",
    "Data",
    "EpochRecord",
    "Progress",
    "TensorData",
    "TrainConfig",
    "TrainResult",
    "digits",
    "evaluate_requantized",
    "evaluate_shifted",
    "joined",
    "recalibrate",
    "reproducible",
    "train",
]
