"""An ONNX graph with what is known of it: nodes in order, types and shapes, small constants, what varies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

Shape = tuple[int, ...]


@dataclass(frozen=True)
class OnnxNode:
    """A node with what is known around it.

    ``operator``: with its domain, but for ONNX's own. ``within``: names and operators of the loops around it.
    """

    proto: Any
    index: int
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    within: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.proto.name or f"{self.proto.op_type}_{self.index}"


@dataclass
class OnnxGraph:
    """``types`` by value; ``constants``: the numbers of small ones; ``varying``: what depends on the inputs;
    ``initializers``: type and shape of the tensors that the file holds; ``repeats``: how often a node runs, by its
    index, where a loop runs it more than once; ``changing``: what is another value in each round of a loop."""

    nodes: list[OnnxNode] = field(default_factory=list)
    types: dict[str, Any] = field(default_factory=dict)
    constants: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    varying: set[str] = field(default_factory=set)
    producers: dict[str, OnnxNode] = field(default_factory=dict)
    initializers: dict[str, tuple[int, Shape]] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    repeats: dict[int, int] = field(default_factory=dict)
    changing: set[str] = field(default_factory=set)

    def shape(self, name: str) -> Shape | None:
        """None where a dimension is not known."""
        kind = self.types.get(name)
        if kind is None or not kind.HasField("tensor_type") or not kind.tensor_type.HasField("shape"):
            return None
        dims = kind.tensor_type.shape.dim
        return tuple(d.dim_value for d in dims) if all(d.HasField("dim_value") for d in dims) else None

    def element(self, name: str) -> int:
        """ONNX's number of the element type; 0 where it is not known."""
        kind = self.types.get(name)
        return 0 if kind is None else int(kind.tensor_type.elem_type)
