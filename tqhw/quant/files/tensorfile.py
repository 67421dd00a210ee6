"""Tensors and a JSON header in one safetensors file, which is either whole or not there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from tqhw.errors import TqhwError, no_file
from tqhw.system.files import write_bytes


def save_tensors(path: Path, tensors: Mapping[str, torch.Tensor], header: Mapping[str, Any]) -> None:
    """Writes a safetensors file whose metadata hold ``header`` as JSON under the key ``tqhw``."""
    own = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    write_bytes(path, save(own, metadata={"tqhw": json.dumps(header, sort_keys=True)}))


def read_header(path: Path, kind: str, version: int) -> dict[str, Any]:
    """The JSON that :func:`save_tensors` wrote, where its ``kind`` and ``version`` are the expected ones."""
    if not path.is_file():
        raise no_file(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        header = json.loads(metadata.get("tqhw", "null"))
    except (OSError, SafetensorError, ValueError, RecursionError) as error:
        raise TqhwError(
            f"is not a whole safetensors file: {error}", place=str(path), lever="copy or write it again"
        ) from error
    if not isinstance(header, dict) or header.get("kind") != kind:
        found = header.get("kind") if isinstance(header, dict) else None
        raise TqhwError(f"is no {kind} of tqhw but {found or 'another safetensors file'}", place=str(path))
    if header.get("version") != version:
        raise TqhwError(
            f"has version {header.get('version')} of the {kind} format, this is version {version}",
            place=str(path),
            lever="use the tqhw that wrote it",
        )
    return header


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """All tensors of a safetensors file; a TqhwError for one that is not there, cut short or damaged."""
    if not path.is_file():
        raise no_file(path)
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (OSError, SafetensorError) as error:
        raise TqhwError(
            f"is not a whole safetensors file: {error}",
            place=str(path),
            lever="pickles are not read: write the state dict with safetensors.torch.save_file",
        ) from error
