"""The command line; :mod:`tqhw.cli.app` strings the commands together."""

from tqhw.cli.app import app, main

__all__ = ["app", "main"]
