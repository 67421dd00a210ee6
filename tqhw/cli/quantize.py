"""``tqhw quantize``: a trained network becomes one model of several precisions, without training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tqhw.cli.common import console, guarded
from tqhw.errors import TqhwError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from tqhw.datasets import Calibration


@guarded
def quantize(
    model: Annotated[str, typer.Argument(help="package.module:factory, or a network of tqhw with --weights.")],
    out: Annotated[Path, typer.Option(help="The model's file; ONNX where it ends with .onnx.")],
    calibrate: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="What the model reads: a .npy, .npz or .safetensors file, arrays by argument, or a data set, digits "
            "or cifar10:PATH.",
        ),
    ] = None,
    data_free: Annotated[bool, typer.Option("--data-free", help="Without data, from the weights alone.")] = False,
    weights: Annotated[Path | None, typer.Option(help="A safetensors file with the network's state dict.")] = None,
    bits: Annotated[str, typer.Option(help="The precisions, 2,4,8 or 1-8.")] = "2,4,6,8",
    granularity: Annotated[
        str | None,
        typer.Option(help="One scale per tensor, channel, or so many neighbours; 64 unless a layer is no multiple."),
    ] = None,
    full: Annotated[
        list[str] | None, typer.Option(help="Pattern of layers to leave in floating point; any number of times.")
    ] = None,
    priority: Annotated[
        list[str] | None,
        typer.Option(metavar="BITS=NUMBER", help="How much a precision's errors count, 2 to its bits unless said."),
    ] = None,
    samples: Annotated[int, typer.Option(help="How many samples of the data are read.")] = 256,
    batch_size: Annotated[int, typer.Option(help="How many of them at once.")] = 32,
) -> None:
    """A trained network as one model of several precisions.

    Codes are rounded so that a shift serves every precision; prints how far the outputs are from the network's.
    """
    import torch

    from tqhw.cli.training import bits_in, show_parts
    from tqhw.datasets import calibration
    from tqhw.quant import PostTraining, convert, post_train, post_training_config, quantized_layers, storage
    from tqhw.train.recipe import ModelRecipe, Recipe

    if (calibrate is None) != data_free:
        raise TqhwError("name data, or say that there are none", place="quantize", lever="--calibrate or --data-free")
    how = PostTraining(_priorities(priority or ()))
    precisions = bits_in(bits)
    data = None if calibrate is None else calibration(calibrate, samples=samples, batch_size=batch_size)
    if weights is None and ":" not in model:
        raise TqhwError(f"{model} has random weights", place="quantize", lever="name trained ones with --weights FILE")
    named = ModelRecipe(name=model, weights=None if weights is None else str(weights))
    network = Recipe(model=named).plain_model(trust=True).eval()  # it was named by whoever gives the command
    torch.set_num_threads(1)  # the same file, however many cores there are
    real = None if data is None else _answers(network, data)
    config = post_training_config(network, precisions, _granularity(granularity), dict.fromkeys(full or (), "full"))
    convert(network, config)
    post_train(network, None if data is None else data.batches, how)
    per = config.granularity if isinstance(config.granularity, str) else f"{config.granularity} weights"
    served = ", ".join(map(str, config.precisions))
    console().print(f"{len(quantized_layers(network))} layers at {served} bits, one scale per {per}", highlight=False)
    size = _write(network, out, data, model)
    if data is not None and real is not None:
        _tell_distances(network, data, real)
    show_parts(out, size, storage(network))


def _priorities(given: list[str] | tuple[str, ...]) -> dict[int, float] | None:
    found = {}
    for text in given:
        bits, _, number = text.partition("=")
        try:
            found[int(bits)] = float(number)
        except ValueError:
            raise TqhwError(f"'{text}' is no priority", place="--priority", lever="for example 2=8") from None
    return found or None


def _granularity(text: str | None) -> str | int | None:
    return int(text) if text is not None and text.isdecimal() else text


def _answers(model: nn.Module, data: Calibration) -> list[torch.Tensor]:
    import torch

    from tqhw.quant.calls import first_tensor
    from tqhw.quant.post_training.moments import call

    with torch.no_grad():
        return [first_tensor(call(model, batch)).float() for batch in data.batches]


def _tell_distances(model: nn.Module, data: Calibration, real: list[torch.Tensor]) -> None:
    """How far outputs are from those of the network in floating point, as a share of these."""
    from tqhw.quant import at_bits, quantization_of

    whole = sum(float(one.square().sum()) for one in real) or 1.0
    for bits in quantization_of(model).precisions:
        with at_bits(model, bits):
            pairs = zip(_answers(model, data), real, strict=True)
            apart = sum(float((got - one).square().sum()) for got, one in pairs)
        share = f"{(apart / whole) ** 0.5:.2%}"
        console().print(
            f"{bits} bits: outputs {share} from those in floating point, on {data.samples} samples", highlight=False
        )


def _write(model: nn.Module, out: Path, data: Calibration | None, name: str) -> int:
    from tqhw.quant import save, save_onnx
    from tqhw.quant.calls import each

    if out.suffix != ".onnx":
        return save(model, out, recipe={"model": name})
    if data is None:
        raise TqhwError("calibration data say what an ONNX file reads", place=str(out), lever="add --calibrate")
    return save_onnx(model, out, each(data.batches[0], lambda value: value[:2]))
