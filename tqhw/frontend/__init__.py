"""The field's own files: what Timeloop's Python front end (v4) makes of templates, merges, sections and expressions.

Text to one tree (templates, documents, merges), tree to typed sections (nodes, sections, arch, constraints), then
expressions, constraint macros and the flat list of levels that Timeloop's programs read. Nothing that is read is
executed, and files are read only in the folders given.
"""

from tqhw.frontend.specification import Processed, Specification, process, read

__all__ = ["Processed", "Specification", "process", "read"]
