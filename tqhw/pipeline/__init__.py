"""The stages of a run, which :mod:`tqhw.run` strings together."""
