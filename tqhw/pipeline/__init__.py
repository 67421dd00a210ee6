"""The stages of a run, which :mod:`tqhw.pipeline.run` strings together."""
