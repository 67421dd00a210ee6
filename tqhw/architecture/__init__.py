"""Rendering and checking of the accelerator templates in arch/: word sizes that follow the bit widths."""

from tqhw.architecture.folders import available
from tqhw.architecture.packing import Packing, packings
from tqhw.architecture.parameters import Parameter, Parameters, Value
from tqhw.architecture.rendering import Rendered, is_template, load, parameters_of, render

__all__ = [
    "Packing",
    "Parameter",
    "Parameters",
    "Rendered",
    "Value",
    "available",
    "is_template",
    "load",
    "packings",
    "parameters_of",
    "render",
]
