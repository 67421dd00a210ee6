"""Joint training over the precisions, and accuracies measured on shifted integers."""

from tqhw.options import TrainConfig, TrainingOptions
from tqhw.train.calibrate import recalibrate, start_inputs
from tqhw.train.checkpoint import CHECKPOINT, Checkpoints, EpochRecord, Extent, extent_of
from tqhw.train.distributed import joined
from tqhw.train.evaluate import Accuracy, evaluate_both, evaluate_full, evaluate_requantized, evaluate_shifted
from tqhw.train.loop import Progress, TrainResult, train
from tqhw.train.losses import LOSSES, Loss
from tqhw.train.metrics import METRICS, Metric
from tqhw.train.onnx_check import Agreement, compare_onnx
from tqhw.train.opened import OpenedData
from tqhw.train.recipe import Recipe, read_recipe, recipe
from tqhw.train.reproducible import reproducible
from tqhw.train.runs import evaluate_run, export_run, finished, load_run, recipe_of, serve, train_run
from tqhw.train.seeds import check_seeds, checkpoints_in
from tqhw.train.table import Cell, accuracy_table, cell_of
from tqhw.train.validation import split

__all__ = [
    "CHECKPOINT",
    "LOSSES",
    "METRICS",
    "Accuracy",
    "Agreement",
    "Cell",
    "Checkpoints",
    "EpochRecord",
    "Extent",
    "Loss",
    "Metric",
    "OpenedData",
    "Progress",
    "Recipe",
    "TrainConfig",
    "TrainResult",
    "TrainingOptions",
    "accuracy_table",
    "cell_of",
    "check_seeds",
    "checkpoints_in",
    "compare_onnx",
    "evaluate_both",
    "evaluate_full",
    "evaluate_requantized",
    "evaluate_run",
    "evaluate_shifted",
    "export_run",
    "extent_of",
    "finished",
    "joined",
    "load_run",
    "read_recipe",
    "recalibrate",
    "recipe",
    "recipe_of",
    "reproducible",
    "serve",
    "split",
    "start_inputs",
    "train",
    "train_run",
]
