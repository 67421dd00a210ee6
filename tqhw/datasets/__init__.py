"""Images and labels to train and test with."""

from tqhw.datasets.base import Augment, Batch, Data, TensorData
from tqhw.datasets.calibration import Calibration, calibration
from tqhw.datasets.cifar10 import cifar10
from tqhw.datasets.digits import digits
from tqhw.datasets.image_folder import FolderData
from tqhw.datasets.items import from_items
from tqhw.datasets.memory import section_of
from tqhw.datasets.registry import DATASETS, open_dataset, options_of

__all__ = [
    "DATASETS",
    "Augment",
    "Batch",
    "Calibration",
    "Data",
    "FolderData",
    "TensorData",
    "calibration",
    "cifar10",
    "digits",
    "from_items",
    "open_dataset",
    "options_of",
    "section_of",
]
