"""Images and labels to train and test with."""

from tqhw.datasets.base import IGNORED, Augment, Batch, Data, Inputs, TensorData, example, held_out
from tqhw.datasets.calibration import Calibration, calibrating, calibration
from tqhw.datasets.cifar10 import cifar10
from tqhw.datasets.digits import digits
from tqhw.datasets.image_folder import FolderData
from tqhw.datasets.items import from_items
from tqhw.datasets.memory import section_of
from tqhw.datasets.registry import DATASETS, open_dataset, options_of
from tqhw.datasets.samples import SampleData

__all__ = [
    "DATASETS",
    "IGNORED",
    "Augment",
    "Batch",
    "Calibration",
    "Data",
    "FolderData",
    "Inputs",
    "SampleData",
    "TensorData",
    "calibrating",
    "calibration",
    "cifar10",
    "digits",
    "example",
    "from_items",
    "held_out",
    "open_dataset",
    "options_of",
    "section_of",
]
