"""Tables, CSV, figures and one HTML page out of results."""

from tqhw.report.output import load, write
from tqhw.report.output import terminal as tables

__all__ = ["load", "tables", "write"]
