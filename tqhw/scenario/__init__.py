"""Methods, states and schedules: from statistics per layer to energy, traffic and storage."""

from tqhw.scenario.methods import METHODS, ScenarioMethod, precisions, ways, widths
from tqhw.scenario.network import Width
from tqhw.scenario.ways import Kept, Options, Way

__all__ = ["METHODS", "Kept", "Options", "ScenarioMethod", "Way", "Width", "precisions", "ways", "widths"]
