"""Files of named arrays: NumPy's and safetensors."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Final

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from tqhw.errors import TqhwError

Arrays = dict[str, torch.Tensor]
_FORMS: Final = "a .npy, .npz or .safetensors file, or a data set, such as digits or cifar10:PATH"


def read_arrays(path: Path) -> Arrays:
    """The arrays of a file by name, ``input`` for that of an .npy. Raises TqhwError for what is no file of arrays."""
    if path.suffix not in (".npy", ".npz", ".safetensors"):
        lever = f"give {_FORMS}"
        if path.exists():
            raise TqhwError(f"'{path.suffix or path.name}' is no file of arrays", place=str(path), lever=lever)
        raise TqhwError("there is no such file or data set", place=str(path), lever=lever)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        loaded = np.load(path, allow_pickle=False)
        found = {"input": loaded} if isinstance(loaded, np.ndarray) else dict(loaded)
        return {name: _tensor(name, array, path) for name, array in found.items()}
    except OSError as error:
        raise TqhwError(f"cannot be read: {error.strerror or error}", place=str(path)) from None
    except (ValueError, TypeError, EOFError, SafetensorError, zipfile.BadZipFile) as error:
        told = str(error)
        told = "it holds objects, or nothing that NumPy knows" if "pickle" in told else told
        raise TqhwError(f"is no file of plain arrays: {told}", place=str(path), lever=f"give {_FORMS}") from None


def _tensor(name: str, array: np.ndarray, path: Path) -> torch.Tensor:
    try:
        return torch.from_numpy(np.array(array, array.dtype.newbyteorder("="), order="C"))
    except TypeError:
        raise TqhwError(
            f"an array of {array.dtype} and shape {[*array.shape]} holds no numbers",
            place=f"{path}: {name}",
            lever="give whole or real numbers",
        ) from None
