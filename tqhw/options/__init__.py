"""What a user can choose: every option once, with its rule, its default and its meaning, and one reader for files."""

from tqhw.options.energy import EnergyOptions
from tqhw.options.programs import DEFAULT_IMAGE, ContainerOptions, TimeloopOptions
from tqhw.options.quantization import LayerBits, Normalization, QuantizationOptions
from tqhw.options.reader import apply_setting, documented_keys, place_of, read
from tqhw.options.scenario import ScenarioOptions, ScheduleStep
from tqhw.options.section import DocumentSection, refused, section
from tqhw.options.training import MAX_SEED, TrainConfig, TrainingOptions

__all__ = [
    "DEFAULT_IMAGE",
    "MAX_SEED",
    "ContainerOptions",
    "DocumentSection",
    "EnergyOptions",
    "LayerBits",
    "Normalization",
    "QuantizationOptions",
    "ScenarioOptions",
    "ScheduleStep",
    "TimeloopOptions",
    "TrainConfig",
    "TrainingOptions",
    "apply_setting",
    "documented_keys",
    "place_of",
    "read",
    "refused",
    "section",
]
