"""Training methods by name: those that tqhw knows, and joint training with any quantizer."""

from __future__ import annotations

from tqhw.errors import unknown
from tqhw.options import METHODS, Method
from tqhw.quant import SCHEMES


def method_named(name: str) -> Method:
    """The method of that name, or joint training with the scheme of that name; a TqhwError otherwise."""
    if not isinstance(name, str):
        raise unknown("method", str(name), METHODS, place="method")
    if name not in METHODS and name in SCHEMES:
        return Method(name, name, name, "joint")
    if name not in METHODS:
        raise unknown("method", str(name), METHODS, place="method")
    return METHODS[name]
