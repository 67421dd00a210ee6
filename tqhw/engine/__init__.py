"""The embedded engine: Timeloop's dense analytical model, count for count, on batches of mappings."""

from tqhw.engine.batch import Batch, decode, encode
from tqhw.engine.conformance import Conformance, check_folder
from tqhw.engine.evaluate import VERSION, evaluate, run_batch
from tqhw.engine.model import Model, build_model

__all__ = [
    "VERSION",
    "Batch",
    "Conformance",
    "Model",
    "build_model",
    "check_folder",
    "decode",
    "encode",
    "evaluate",
    "run_batch",
]
