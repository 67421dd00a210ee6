"""Images and labels to train and test with."""

from tqhw.datasets.base import Augment, Batch, Data, TensorData
from tqhw.datasets.cifar10 import cifar10
from tqhw.datasets.digits import digits
from tqhw.datasets.image_folder import FolderData

__all__ = ["Augment", "Batch", "Data", "FolderData", "TensorData", "cifar10", "digits"]
