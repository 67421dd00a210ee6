"""The embedded engine: Timeloop's dense analytical model, count for count, on batches of mappings."""

from tqhw.engine.batch import Batch, decode, encode
from tqhw.engine.evaluate import VERSION, evaluate, run_batch
from tqhw.engine.model import Model, build_model

__all__ = ["VERSION", "Batch", "Model", "build_model", "decode", "encode", "evaluate", "run_batch"]
