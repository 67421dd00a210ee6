"""The three ways to cost a scratchpad. The saving from narrow weights depends on the choice more than on anything."""

from __future__ import annotations

from collections.abc import Mapping

from tqhw.errors import unknown

# smartbuffer_rf: Timeloop's public Eyeriss-like example, whose published numbers it reproduces; the whole file
#   scales with the row's width, address comparators included.
# register_file: one register per bit and an address comparator per row; the comparators do not narrow.
# sram: CACTI, as the successors of those examples take it.
SPAD_CLASSES: Mapping[str, str] = {
    "smartbuffer_rf": "spad_smartbuffer_rf",
    "register_file": "spad_register_file",
    "sram": "spad_sram",
}
DEFAULT_SPAD_MODEL = "smartbuffer_rf"


def spad_class(spad_model: str = DEFAULT_SPAD_MODEL) -> str:
    """The packaged class of a model: the ``subclass`` that an architecture names. Raises TqhwError if unknown."""
    if spad_model not in SPAD_CLASSES:
        raise unknown("spad_model", spad_model, SPAD_CLASSES)
    return SPAD_CLASSES[spad_model]


def costed_as(class_: str, spad_model: str | None) -> str:
    """``class_``, or where that is one of the packaged scratchpads and a model is asked for, the model's class."""
    wanted = class_ if spad_model is None else spad_class(spad_model)
    return wanted if class_ in SPAD_CLASSES.values() else class_
