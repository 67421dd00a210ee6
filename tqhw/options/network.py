"""The network and its data set: what the accuracy side and the hardware side have in common."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from tqhw.options.section import DocumentSection, Positive, refused, section

Flag = Annotated[bool, Field(strict=True)]
Count = Annotated[int, Field(strict=True, ge=0)]


class ModelOptions(DocumentSection):
    """The network."""

    name: str = "resnet20"
    """resnet20, resnet8, resnet18, resnet50, mobilenet_v2, preact_resnet20, package.module:factory of your own, or an
    ONNX file."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of the factory."""
    weights: str | None = None
    """A safetensors file with a state dict to start from, such as pretrained ones, or the checkpoint of a network that
    was trained in floating point."""
    partial: Flag = False
    """Whether tensors of that file that do not fit, such as a head of other classes, are left out, and those that it
    lacks keep their first weights; it is said which. Otherwise all of them must fit."""
    input: tuple[Positive, ...] | dict[str, str] | None = None
    """Shape of the input, batch first, or one text per input: {ids: "int64[1,128]"}; without it that of the data set
    where something is trained or measured, else 1,3,32,32 for resnet20 and 1,3,224,224 for any other."""
    skip: tuple[str, ...] = ()
    """Patterns of layers, modules or operators that are left out of the hardware side, and named as such."""
    routing: tuple[Count, ...] | None = None
    """Shares of the rows that stacked experts get; null for alike."""
    phase: Literal["prefill", "decode"] | None = None
    """Of a model that writes text: reading the input, or one more token after it with the KV cache."""

    @model_serializer(mode="wrap")
    def _without_weights_that_are_not_said(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = serialize(self)
        return {key: value for key, value in found.items() if key not in ("weights", "partial") or value}


@section
class DataOptions:
    """The data set. Options of another data set are refused."""

    name: str = "digits"
    """The data set: digits (scikit-learn's, 8x8), mnist_subset (5,000 pictures), cifar10, imagefolder, arrays (an .npz
    file of pictures), samples (arrays of any shape), diabetes (a table), torchvision or huggingface (data sets of these
    packages), memory (tensors that Python gives), or one that was added (docs/extending.md)."""
    path: str | None = None
    """Where it lies; nothing is downloaded."""
    size: Positive | None = None
    """Pixels along each side of its images, of a data set that leaves the choice."""
    split: Literal["seed"] | Count | None = None
    """Which images test, of a data set that is not split: the number of a split, or seed for another one with every
    seed of the training."""
    workers: Count | None = None
    """Processes that read an imagefolder."""
    skip_corrupt: Flag | None = None
    """Whether an imagefolder's corrupt images are passed over."""
    check: Flag | None = None
    """Whether cifar10's checksums are compared."""
    options: dict[str, Any] | None = None
    """What a data set takes beside these."""
    held: Annotated[Any, Field(exclude=True)] = field(default=None, compare=False, repr=False)
    """The data themselves, of memory: not a key of any file. What they hold has its digest among the options."""

    @model_serializer(mode="wrap")
    def _without_a_split_that_is_not_said(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = serialize(self)
        return {key: value for key, value in found.items() if key != "split" or value is not None}

    def __post_init__(self) -> None:
        if self.held is not None and not hasattr(self.held, "digest"):
            raise refused("unknown key 'held'", "held", "Python gives data in memory: load_experiment(..., data=...)")
