"""All kinds of input; those of networks only where there is PyTorch, or ONNX."""

from __future__ import annotations

from importlib.util import find_spec

from tests.fuzz import field, messages, outcomes
from tests.fuzz.kind import Kind


def kinds() -> dict[str, Kind]:
    """By name."""
    found = [*field.KINDS, *outcomes.KINDS, *messages.KINDS]
    if find_spec("torch") is not None:
        from tests.fuzz import trained

        found += trained.KINDS
    if find_spec("onnx") is not None:
        from tests.fuzz import graphs

        found += graphs.KINDS
    return {kind.name: kind for kind in found}
