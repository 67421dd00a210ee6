"""One document for a run: its keys (:mod:`schema`) and how it is read (:mod:`reader`)."""

from tqhw.experiment.reader import hints, keys_table, load, parse
from tqhw.experiment.schema import Experiment

__all__ = ["Experiment", "hints", "keys_table", "load", "parse"]
