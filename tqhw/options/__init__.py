"""What a user can choose: every option once, with its rule, its default and its meaning, and one reader for files."""

from tqhw.options.energy import EnergyOptions
from tqhw.options.methods import METHODS, Method
from tqhw.options.network import DataOptions, ModelOptions
from tqhw.options.post_training import QuantizeOptions
from tqhw.options.programs import DEFAULT_IMAGE, ContainerOptions, TimeloopOptions
from tqhw.options.quantization import LayerBits, Normalization, QuantizationOptions
from tqhw.options.reader import apply_setting, documented_keys, place_of, read
from tqhw.options.recipe import RecipeDocument, as_written, hints, modern
from tqhw.options.scenario import ScenarioOptions, ScheduleStep
from tqhw.options.section import DocumentSection, refused, section
from tqhw.options.training import MAX_SEED, TrainConfig, Training, TrainingOptions

__all__ = [
    "DEFAULT_IMAGE",
    "MAX_SEED",
    "METHODS",
    "ContainerOptions",
    "DataOptions",
    "DocumentSection",
    "EnergyOptions",
    "LayerBits",
    "Method",
    "ModelOptions",
    "Normalization",
    "QuantizationOptions",
    "QuantizeOptions",
    "RecipeDocument",
    "ScenarioOptions",
    "ScheduleStep",
    "TimeloopOptions",
    "TrainConfig",
    "Training",
    "TrainingOptions",
    "apply_setting",
    "as_written",
    "documented_keys",
    "hints",
    "modern",
    "place_of",
    "read",
    "refused",
    "section",
]
