"""Checkpoints from which a run goes on bit for bit: one safetensors file, replaced as a whole."""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import torch
from pydantic import BaseModel, Field, TypeAdapter
from torch import nn

from tqhw.errors import TqhwError
from tqhw.options import TrainConfig
from tqhw.quant import is_quantized, quantization_of
from tqhw.quant.files.tensorfile import read_header, read_tensors, save_tensors
from tqhw.system.json_files import checked
from tqhw.train.differences import beyond_rounding, differences
from tqhw.train.health import first_broken_tensor
from tqhw.train.metrics import ACCURACY

KIND: Final = "checkpoint"
VERSION: Final = 1
CHECKPOINT: Final = "checkpoint.safetensors"
BEST: Final = "best.safetensors"
_BITS = Annotated[str, Field(pattern=r"^[0-9]{1,2}$")]
_CONFIG: Final = TypeAdapter(TrainConfig)
_STATE: Final = re.compile(r"optimizer/([0-9]{1,9})/([^/]+)")


@dataclass(frozen=True)
class EpochRecord:
    """One epoch: the last learning rate, mean training loss by precision, and what ``metric`` says of the answers.

    ``validation``: the metric on the samples held out, empty where it was not measured after this epoch.
    """

    epoch: int
    learning_rate: float
    losses: dict[int, float]
    scores: dict[int, float]
    metric: str = ACCURACY
    validation: dict[int, float] = field(default_factory=dict)

    @property
    def top1(self) -> dict[int, float]:
        """Accuracy in percent, of a training that has labels."""
        return self.scores if self.metric == ACCURACY else {}

    @property
    def json(self) -> dict[str, Any]:
        """As the header of a checkpoint has it."""
        document = asdict(self)
        scores, metric = document.pop("scores"), document.pop("metric")
        validation = document.pop("validation")
        said = {"top1": scores} if metric == ACCURACY else {"scores": scores, "metric": metric}
        return document | said | ({"validation": validation} if validation else {})

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> EpochRecord:
        """The record that :attr:`json` wrote."""
        return cls(
            document["epoch"],
            document["learning_rate"],
            _by_bits(document["losses"]),
            _by_bits(document.get("top1") or document.get("scores") or {}),
            document.get("metric") or ACCURACY,
            _by_bits(document.get("validation") or {}),
        )


@dataclass(frozen=True)
class Within:
    """Where an epoch was left: steps done of it, sums of what was measured in them, (1 + k, precisions), the last
    learning rate, and the states of the generators of random numbers, of the CPU and of the GPU if there is one."""

    steps: int
    sums: torch.Tensor
    rate: float
    random: tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class Extent:
    """How far a training is: ``done`` epochs of ``epochs``, and ``steps`` of the next one."""

    done: int
    epochs: int
    steps: int = 0

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to train."""
        return self.done >= self.epochs

    def __str__(self) -> str:
        more = f" and {self.steps} steps" if self.steps else ""
        return f"epoch {self.done} of {self.epochs}{more}"


@dataclass(frozen=True)
class Checkpoints:
    """The folder in which a run keeps its checkpoint and logs, and what else belongs to it.

    ``recipe``: JSON that says how the model and the data are made, for those who only have the file; ``data``: what the
    data were (:func:`tqhw.train.agree.facts_of`), which resuming does not compare where nothing is said.
    """

    folder: Path
    recipe: Mapping[str, Any]
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The checkpoint's file."""
        return self.folder / CHECKPOINT

    @property
    def best(self) -> Path:
        """That of the best epoch, where a training keeps it."""
        return self.folder / BEST

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
    within: Within | None = None,
) -> None:
    """Writes everything that the steps to come depend on. A model with NaN or infinity is not written."""
    tensors = _model_tensors(keep.path, model, history)
    for index, values in optimizer.state_dict()["state"].items():
        for name, value in values.items():
            if value is not None:  # a momentum of zero has no buffer
                tensors[f"optimizer/{index}/{name}"] = value
    header = _described(keep, model, config, history)
    if within is not None:
        header["within"] = {"steps": within.steps, "rate": within.rate}
        tensors["within/sums"] = within.sums
        tensors |= {f"within/random/{index}": state for index, state in enumerate(within.random)}
    save_tensors(keep.path, tensors, header)


def save_best(keep: Checkpoints, model: nn.Module, config: TrainConfig, history: list[EpochRecord]) -> None:
    """Writes the network alone, as the best so far."""
    save_tensors(keep.best, _model_tensors(keep.best, model, history), _described(keep, model, config, history))


def _model_tensors(path: Path, model: nn.Module, history: list[EpochRecord]) -> dict[str, torch.Tensor]:
    broken = first_broken_tensor(model)
    if broken is not None:
        raise TqhwError(
            f"'{broken}' holds NaN or infinity after epoch {len(history)}",
            place=str(path),
            lever="the last good checkpoint is kept; try a lower learning rate",
        )
    return {f"model/{name}": tensor for name, tensor in model.state_dict().items()}


def _described(keep: Checkpoints, model: nn.Module, config: TrainConfig, history: list[EpochRecord]) -> dict[str, Any]:
    return {
        "kind": KIND,
        "version": VERSION,
        "recipe": dict(keep.recipe),
        **({"data": dict(keep.data)} if keep.data else {}),
        "quantization": quantization_json(model),
        "train": _CONFIG.dump_python(config, mode="json"),
        "history": [record.json for record in history],
    }


def restore(
    keep: Checkpoints, model: nn.Module, optimizer: torch.optim.Optimizer, config: TrainConfig
) -> tuple[list[EpochRecord], Within | None]:
    """Loads model and optimizer, and returns the epochs done, and where the next one was left, where the checkpoint is
    of this very run."""
    header = _header(keep.path)
    _refuse_another_run(keep, header, quantization_json(model), _CONFIG.dump_python(config, mode="json"))
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
    return [EpochRecord.of(record) for record in header["history"]], _within(keep.path, header, tensors)


def _within(path: Path, header: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> Within | None:
    found = header.get("within")
    if found is None:
        return None
    states = sorted(key for key in tensors if key.startswith("within/random/"))
    if "within/sums" not in tensors or not states:
        raise _damaged(path, "it does not say where its epoch was left")
    return Within(found["steps"], tensors["within/sums"], found["rate"], tuple(tensors[key] for key in states))


def history_of(path: Path) -> list[EpochRecord]:
    """The epochs of the training that left the checkpoint ``path``."""
    return [EpochRecord.of(record) for record in _header(path)["history"]]


def extent_of(path: Path) -> Extent:
    """How far the training is that left the checkpoint ``path``."""
    header = _header(path)
    within = header.get("within") or {}
    return Extent(len(header["history"]), header["train"]["epochs"], within.get("steps", 0))


class _Record(BaseModel):
    """An epoch; of losses and accuracies the keys are bits."""

    epoch: int
    learning_rate: float
    losses: dict[_BITS, float]
    top1: dict[_BITS, float] | None = None
    scores: dict[_BITS, float] | None = None
    metric: str | None = None
    validation: dict[_BITS, float] | None = None


class _Left(BaseModel):
    """Where an epoch was left."""

    steps: Annotated[int, Field(gt=0)]
    rate: float


class _Training(BaseModel):
    """How it was trained, of which the number of epochs is read."""

    epochs: int


class _Header(BaseModel):
    """What :func:`save` says, beside kind and version."""

    recipe: dict[str, Any]
    quantization: dict[str, Any] | None
    train: _Training
    history: list[_Record]
    within: _Left | None = None


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
    """Loads the model's part of a checkpoint's tensors; a TqhwError where they are of another model or damaged."""
    own = {key.removeprefix("model/"): t for key, t in tensors.items() if key.startswith("model/")}
    expected = model.state_dict()
    for name, there in own.items():
        here = expected.get(name)
        if here is not None and there.dtype != here.dtype:
            raise TqhwError(f"has '{name}' as {there.dtype}, the model as {here.dtype}", place=str(path))
        if bool(torch.isnan(there).any()):  # a mask among the buffers may hold infinity
            lever = "train it again, or copy the file anew"
            raise TqhwError(f"is damaged: '{name}' holds NaN", place=str(path), lever=lever)
    _load(path, own, model)


def load_weights(model: nn.Module, path: Path, *, partial: bool = False) -> None:
    """Loads a safetensors state dict, or a checkpoint's: every tensor of the model and no other.

    ``partial``: those that fit, and a logger is told what is left out. Raises TqhwError where none fits.
    """
    tensors = read_tensors(path)
    of_checkpoint = any(name.startswith("model/") for name in tensors)
    if of_checkpoint:
        tensors = {key.removeprefix("model/"): t for key, t in tensors.items() if key.startswith("model/")}
    if not partial:
        _load(path, tensors, model, "model.partial takes what fits")
        return
    wrong = _mismatches(tensors, model)
    fitting = {name: tensor for name, tensor in tensors.items() if name not in wrong}
    if not any(name in dict(model.named_parameters()) for name in fitting):
        raise TqhwError(f"is of another model: {_listed(wrong)}", place=str(path), lever="no tensor of it fits")
    model.load_state_dict(fitting, strict=False)
    if wrong:
        logging.getLogger(__name__).warning(f"{path}: left out, with first weights in their place: {_listed(wrong)}")


def _load(path: Path, loaded: Mapping[str, torch.Tensor], model: nn.Module, lever: str | None = None) -> None:
    wrong = _mismatches(loaded, model)
    if wrong:
        raise TqhwError(f"is of another model: {_listed(wrong)}", place=str(path), lever=lever)
    model.load_state_dict(loaded)


def _mismatches(loaded: Mapping[str, torch.Tensor], model: nn.Module) -> dict[str, str]:
    """What a file and the model have of each tensor that they do not have alike, by name."""
    expected, wrong = model.state_dict(), {}
    for name in sorted(expected.keys() | loaded.keys()):
        there = tuple(loaded[name].shape) if name in loaded else "nothing"
        here = tuple(expected[name].shape) if name in expected else "nothing"
        if there != here:
            wrong[name] = f"it has {there} as '{name}', the model has {here}"
    return wrong


def _listed(wrong: Mapping[str, str]) -> str:
    return "; ".join(wrong.values())


def quantization_json(model: nn.Module) -> dict[str, Any] | None:
    """The model's quantization as JSON; None where it has none."""
    return quantization_of(model).document() if is_quantized(model) else None


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
    found.pop("training.checkpoint_steps", None)  # how often the way is written down is no part of it
    if not found:  # it follows from a recipe, which has the words of whoever wrote it
        found = differences({"quantization": header["quantization"]}, _as_json({"quantization": quantization}))
    if not found and keep.data and isinstance(header.get("data"), dict):  # what is now where the recipe says
        found = beyond_rounding(header["data"], keep.data)
        found = {f"data.{key}": values for key, values in found.items()}
    if found:
        told = "; ".join(
            f"{key} is {there} in the checkpoint, {here} here" for key, (there, here) in sorted(found.items())
        )
        raise TqhwError(
            f"is of another run: {told}",
            place=str(keep.path),
            lever="resume with the run's own options, or start anew",
        )
