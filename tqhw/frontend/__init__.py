"""The field's own files: what Timeloop's Python front end (v4) makes of templates, merges, sections and expressions.

Text to one tree (templates, documents, merges), tree to typed sections (nodes, sections, arch, constraints), then
expressions, constraint macros and the flat list of levels that Timeloop's programs read. Nothing that is read is
executed, and files are read only in the folders given.
"""

from tqhw.frontend.clean import clean_files
from tqhw.frontend.loading import Machine, Sources, convert, load_machine, load_mapping, load_problem, sources
from tqhw.frontend.specification import Processed, Specification, process, read

__all__ = [
    "Machine",
    "Processed",
    "Sources",
    "Specification",
    "clean_files",
    "convert",
    "load_machine",
    "load_mapping",
    "load_problem",
    "process",
    "read",
    "sources",
]
