"""What decides the weights of a run: the keys that an experiment and a recipe have in common, and their older forms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field, model_validator

from tqhw.options.methods import METHODS
from tqhw.options.network import DataOptions, ModelOptions
from tqhw.options.quantization import QuantizationOptions
from tqhw.options.section import DocumentSection, refused
from tqhw.options.training import MAX_SEED, Training

OLD: Final[Mapping[str, str]] = {
    "method": "training.schemes",
    "training.seed": "seed",
    "training.data": "data.name",
    "training.path": "data.path",
    "training.size": "data.size",
    "training.data_options": "data.options",
}
"""Keys of earlier recipes and experiments, and where today's have the same."""
_IMPLIED: Final = {"name": "digits", "size": 16}
_IMPLIED_SCHEMES: Final = ("truncquant", "dorefa")
"""What an experiment meant that had no data section, where it said nothing."""


class RecipeDocument(DocumentSection):
    """The part of an experiment that decides weights."""

    old: ClassVar[Mapping[str, str]] = OLD

    model: ModelOptions = ModelOptions()
    """The network."""
    data: DataOptions = DataOptions()
    """The data set."""
    bits: tuple[Annotated[int, Field(strict=True)], ...] = (2, 4, 6, 8)
    """The precisions."""
    quantization: QuantizationOptions = QuantizationOptions()
    """Which layers are quantized, and how."""
    training: Training | None = None
    """How the network is trained."""
    seed: Annotated[int, Field(strict=True, ge=0, le=MAX_SEED)] = 0
    """Of training and of the network's first weights."""

    @model_validator(mode="before")
    @classmethod
    def _written(cls, document: Any) -> Any:
        if not isinstance(document, Mapping) or any(isinstance(part, DocumentSection) for part in document.values()):
            return document
        return completed(cls.modernized(document))

    @classmethod
    def modernized(cls, document: Mapping[str, Any]) -> dict[str, Any]:
        """The document with today's keys in place of older ones."""
        return modern(document)


def modern(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document whose older keys stand where today's do. Raises what pydantic tells where both are given."""
    found = {key: dict(part) if isinstance(part, Mapping) else part for key, part in document.items()}
    implied = implies_data(document)
    for old, new in given_old(document):
        section, _, key = old.rpartition(".")
        value = (found[section] if section else found).pop(key)
        if _at(found, new) is not _ABSENT and not (implied and new.startswith("data.")):
            raise refused(f"says what {new} says, too", old, f"leave one of them out: {new} is today's key")
        _put(found, new, [value] if old == "method" else value)
    if implied:
        if not isinstance(found.get("data"), Mapping) or "name" not in found["data"]:
            found["data"] = {**_IMPLIED, **found.get("data", {})}
        elif found["data"]["name"] in ("digits", "imagefolder"):
            found["data"].setdefault("size", _IMPLIED["size"])
        found["training"].setdefault("schemes", list(_IMPLIED_SCHEMES))
    return found


def given_old(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The older keys that a document has, with today's."""
    for old, new in OLD.items():
        if _at(document, old) is not _ABSENT:
            yield old, new


def implies_data(document: Mapping[str, Any]) -> bool:
    """Whether a document trains, and is an older experiment, which had no data section."""
    training = document.get("training")
    if not isinstance(training, Mapping) or "data" in document or "method" in document:
        return False
    return not {"from", "seed"} & {*training}


def hints(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What of a document is written otherwise today, as a key and a sentence."""
    for old, new in given_old(document):
        yield old, f"is written as {new} today"
    if implies_data(document) and _at(document, "training.data") is _ABSENT:
        size = document["training"].get("size", _IMPLIED["size"])
        yield "training", f"is of digits of {size}x{size} pixels: say data: {{name: digits, size: {size}}}"
    if implies_data(document) and _at(document, "training.schemes") is _ABSENT:
        yield "training", "trains truncquant and dorefa: say schemes: [truncquant, dorefa]"


def as_written(path: Sequence[str], document: Mapping[str, Any]) -> list[str]:
    """A path of today's keys as ``document`` has it."""
    dotted = ".".join(path)
    for old, new in given_old(document):
        if dotted == new or (dotted == new.partition(".")[0] and not document.get(dotted)):
            return old.split(".")
    return list(path)


def completed(document: dict[str, Any]) -> dict[str, Any]:
    """The document with what its training methods have where it says nothing."""
    training = document.get("training")
    schemes = training.get("schemes") if isinstance(training, Mapping) else None
    for name in schemes if isinstance(schemes, list | tuple) else ():
        method = METHODS.get(name) if isinstance(name, str) else None
        if method is None:
            continue
        for section in {*method.defaults, *method.fixed}:
            said = document.get(section)
            if said is None or isinstance(said, Mapping):
                document[section] = method.complete(section, said or {})
    return document


_ABSENT: Final = object()


def _at(document: Mapping[str, Any], path: str) -> Any:
    section, _, key = path.rpartition(".")
    part = document.get(section) if section else document
    return part.get(key, _ABSENT) if isinstance(part, Mapping) else _ABSENT


def _put(document: dict[str, Any], path: str, value: Any) -> None:
    section, _, key = path.rpartition(".")
    if section and not isinstance(document.get(section), dict):
        document[section] = {}
    (document[section] if section else document)[key] = value
