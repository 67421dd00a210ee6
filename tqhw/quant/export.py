"""A model for deployment, in the form that the file's name says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from tqhw.errors import TqhwError
from tqhw.quant.bits import MAX_BITS
from tqhw.quant.calls import Inputs
from tqhw.quant.files.package import save
from tqhw.quant.onnx.file import save_onnx


def export(
    model: nn.Module,
    path: str | Path,
    *,
    stored: int = MAX_BITS,
    input: tuple[int, ...] | Inputs | None = None,
    recipe: Mapping[str, Any] | None = None,
    fold: bool = False,
    integers: bool = False,
) -> int:
    """Writes ``model`` by :func:`save_onnx` where ``path`` ends with ``.onnx``, else by :func:`save`.

    ``input``: the shape of one input without the batch, or whole inputs, and ``integers``, are of an ONNX file;
    ``recipe`` and ``fold`` of the other. Returns the file's size in bytes.
    Raises TqhwError for an option that the form does not have.
    """
    place = Path(path)
    if place.suffix != ".onnx":
        if integers:
            lever = "leave it out, or let the name end with .onnx"
            raise TqhwError(f"{place.name} holds codes, which are integers as they are", place="integers", lever=lever)
        return save(model, place, stored=stored, recipe=recipe, fold=fold)
    if fold:
        raise TqhwError("an ONNX file holds batch norms whole", place="fold", lever="leave it out")
    if input is None:
        raise TqhwError("an ONNX file needs the shape of an input", place=str(path), lever="such as input=(3, 32, 32)")
    return save_onnx(model, place, input, stored=stored, integers=integers)
