"""Runs side by side: what differs in what was asked, and what in what was found."""

from tqhw.comparison.page import write_page
from tqhw.comparison.quantities import NumberDifference, Side, differences, inputs
from tqhw.comparison.tables import csv_text, tables, totals

__all__ = ["NumberDifference", "Side", "csv_text", "differences", "inputs", "tables", "totals", "write_page"]
