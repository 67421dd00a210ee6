"""The packaged networks, with torchvision's parameter names, and the way to any other ``nn.Module``."""

from tqhw.models.mobilenet import MobileNetV2, mobilenet_v2
from tqhw.models.registry import MODELS, build, check_declared, default_input
from tqhw.models.resnet import ResNet, resnet18, resnet50
from tqhw.models.resnet20 import ResNet20, resnet20

__all__ = [
    "MODELS",
    "MobileNetV2",
    "ResNet",
    "ResNet20",
    "build",
    "check_declared",
    "default_input",
    "mobilenet_v2",
    "resnet18",
    "resnet20",
    "resnet50",
]
