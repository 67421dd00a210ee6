"""Checkpoints from which a run goes on bit for bit: one safetensors file, replaced as a whole."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import torch
from pydantic import BaseModel, Field
from torch import nn

from tqhw.errors import TqhwError
from tqhw.options import TrainConfig
from tqhw.quant import is_quantized, quantization_of
from tqhw.quant.files.tensorfile import read_header, read_tensors, save_tensors
from tqhw.system.json_files import checked
from tqhw.train.differences import differences
from tqhw.train.health import first_broken_tensor

KIND: Final = "checkpoint"
VERSION: Final = 1
CHECKPOINT: Final = "checkpoint.safetensors"
_BITS = Annotated[str, Field(pattern=r"^[0-9]{1,2}$")]
_STATE: Final = re.compile(r"optimizer/([0-9]{1,9})/([^/]+)")


@dataclass(frozen=True)
class EpochRecord:
    """One epoch: the last learning rate, and mean training loss and accuracy (percent) by precision."""

    epoch: int
    learning_rate: float
    losses: dict[int, float]
    top1: dict[int, float]


@dataclass(frozen=True)
class Extent:
    """How far a training is: ``done`` epochs of ``epochs``."""

    done: int
    epochs: int

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to train."""
        return self.done >= self.epochs

    def __str__(self) -> str:
        return f"epoch {self.done} of {self.epochs}"


@dataclass(frozen=True)
class Checkpoints:
    """The folder in which a run keeps its checkpoint and logs, and what else belongs to it.

    ``recipe``: JSON that says how the model and the data are made, for those who only have the file.
    """

    folder: Path
    recipe: Mapping[str, Any]

    @property
    def path(self) -> Path:
        """The checkpoint's file."""
        return self.folder / CHECKPOINT

    def prepare(self) -> None:
        """Makes the folder, so that a place that cannot be written is told before the first epoch, not after it."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            raise TqhwError(
                f"cannot be written: {error.strerror}", place=str(self.folder), lever="choose another place"
            ) from None


def save(
    keep: Checkpoints,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    config: TrainConfig,
    history: list[EpochRecord],
) -> None:
    """Writes everything that the epochs to come depend on. A model with NaN or infinity is not written."""
    broken = first_broken_tensor(model)
    if broken is not None:
        raise TqhwError(
            f"'{broken}' holds NaN or infinity after epoch {len(history)}",
            place=str(keep.path),
            lever="the last good checkpoint is kept; try a lower learning rate",
        )
    tensors = {f"model/{name}": tensor for name, tensor in model.state_dict().items()}
    for index, values in optimizer.state_dict()["state"].items():
        for name, value in values.items():
            if value is not None:  # a momentum of zero has no buffer
                tensors[f"optimizer/{index}/{name}"] = value
    header = {
        "kind": KIND,
        "version": VERSION,
        "recipe": dict(keep.recipe),
        "quantization": quantization_json(model),
        "train": asdict(config),
        "history": [asdict(record) for record in history],
    }
    save_tensors(keep.path, tensors, header)


def restore(
    keep: Checkpoints, model: nn.Module, optimizer: torch.optim.Optimizer, config: TrainConfig
) -> list[EpochRecord]:
    """Loads model and optimizer, and returns the epochs done, where the checkpoint is of this very run."""
    header = _header(keep.path)
    _refuse_another_run(keep, header, quantization_json(model), asdict(config))
    tensors = read_tensors(keep.path)
    load_model(keep.path, tensors, model)
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, tensor in tensors.items():
        if key.startswith("optimizer/"):
            entry = _STATE.fullmatch(key)
            if entry is None:
                raise _damaged(keep.path, f"'{key}' is no state of an optimizer")
            state.setdefault(int(entry[1]), {})[entry[2]] = tensor
    try:
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    except (ValueError, LookupError, RuntimeError) as error:
        raise _damaged(keep.path, f"its optimizer's state is of another model ({error})") from None
    return [
        EpochRecord(
            record["epoch"],
            record["learning_rate"],
            _by_bits(record["losses"]),
            _by_bits(record["top1"]),
        )
        for record in header["history"]
    ]


def extent_of(path: Path) -> Extent:
    """How far the training is that left the checkpoint ``path``."""
    header = _header(path)
    return Extent(len(header["history"]), header["train"]["epochs"])


class _Record(BaseModel):
    """An epoch; of losses and accuracies the keys are bits."""

    epoch: int
    learning_rate: float
    losses: dict[_BITS, float]
    top1: dict[_BITS, float]


class _Training(BaseModel):
    """How it was trained, of which the number of epochs is read."""

    epochs: int


class _Header(BaseModel):
    """What :func:`save` says, beside kind and version."""

    recipe: dict[str, Any]
    quantization: dict[str, Any] | None
    train: _Training
    history: list[_Record]


def _header(path: Path) -> dict[str, Any]:
    """The header of a checkpoint that says all that :func:`save` lets it say."""
    header = read_header(path, KIND, VERSION)
    try:
        checked(_Header, header, str(path), what="a checkpoint's header")
    except TqhwError as error:
        raise _damaged(path, f"its header does not say how it was trained: {error.message}") from None
    return header


def _damaged(path: Path, why: str) -> TqhwError:
    return TqhwError(f"is damaged: {why}", place=str(path), lever="train anew, or take another copy of it")


def load_model(path: Path, tensors: Mapping[str, torch.Tensor], model: nn.Module) -> None:
    """Loads the model's part of a checkpoint's tensors; a TqhwError where they are of another model."""
    _load(path, {key.removeprefix("model/"): t for key, t in tensors.items() if key.startswith("model/")}, model)


def load_weights(model: nn.Module, path: Path) -> None:
    """Loads a safetensors state dict, or a checkpoint's: every tensor of the model and no other."""
    tensors = read_tensors(path)
    if any(name.startswith("model/") for name in tensors):
        load_model(path, tensors, model)
    else:
        _load(path, tensors, model)


def _load(path: Path, loaded: Mapping[str, torch.Tensor], model: nn.Module) -> None:
    expected = model.state_dict()
    for name in sorted(expected.keys() | loaded.keys()):
        there = tuple(loaded[name].shape) if name in loaded else "nothing"
        here = tuple(expected[name].shape) if name in expected else "nothing"
        if there != here:
            raise TqhwError(f"is of another model: it has {there} as '{name}', the model has {here}", place=str(path))
    model.load_state_dict(loaded)


def quantization_json(model: nn.Module) -> dict[str, Any] | None:
    """The model's quantization as JSON; None where it has none."""
    if not is_quantized(model):
        return None
    config = asdict(quantization_of(model))
    return {**config, "layers": dict(config["layers"]), "precisions": list(config["precisions"])}


def _by_bits(values: Mapping[str, float]) -> dict[int, float]:
    return dict(sorted((int(bits), value) for bits, value in values.items()))


def _as_json(value: Any) -> Any:
    """Tuples as the lists that they come back as."""
    if isinstance(value, dict):
        return {key: _as_json(part) for key, part in value.items()}
    return [_as_json(part) for part in value] if isinstance(value, list | tuple) else value


def _refuse_another_run(
    keep: Checkpoints, header: Mapping[str, Any], quantization: dict[str, Any] | None, training: dict[str, Any]
) -> None:
    # A recipe holds the training section too, under the same keys, so that both are told once.
    found = differences({"training": header["train"]}, _as_json({"training": training}))
    found |= differences(header["recipe"], _as_json(dict(keep.recipe)))
    if not found:  # it follows from a recipe, which has the words of whoever wrote it
        found = differences({"quantization": header["quantization"]}, _as_json({"quantization": quantization}))
    if found:
        told = "; ".join(
            f"{key} is {there} in the checkpoint, {here} here" for key, (there, here) in sorted(found.items())
        )
        raise TqhwError(
            f"is of another run: {told}",
            place=str(keep.path),
            lever="resume with the run's own options, or start anew",
        )
