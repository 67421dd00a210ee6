"""``tqhw workload``: problems out of a model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tqhw.cli.common import console, guarded

if TYPE_CHECKING:
    from tqhw.workload import Workload
    from tqhw.workload.generation import Phase


@guarded
def workload(
    model: Annotated[
        str,
        typer.Argument(
            help="resnet20, resnet8, resnet18, resnet50, mobilenet_v2, preact_resnet20, package.module:factory, "
            "or an ONNX file."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the problems and summary.json, with --phases two of them.")],
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            help="Batch first, 1,3,224,224 or NAME:TYPE[SHAPE] as in ids:int64[1,128]; once per input. "
            "Without it 1,3,224,224, of resnet20 1,3,32,32, of an ONNX file its own.",
        ),
    ] = None,
    skip: Annotated[
        list[str] | None,
        typer.Option(help="Pattern of layers, modules or operators (aten.mm) to leave out; any number of times."),
    ] = None,
    routing: Annotated[
        str | None,
        typer.Option(help="Shares of the rows that stacked experts get, as in 3,1,0,0; without it alike."),
    ] = None,
    phases: Annotated[
        bool,
        typer.Option(help="Of a model that writes text, two workloads: OUT/prefill, and OUT/decode with the KV cache."),
    ] = False,
) -> None:
    """Writes a Timeloop problem per distinct layer of a model."""
    from tqhw.workload import generate, parse_routing

    shares = None if routing is None else parse_routing(routing)
    parts: dict[Phase | None, Path] = {"prefill": out / "prefill", "decode": out / "decode"} if phases else {None: out}
    for phase, folder in parts.items():
        found = generate(model, folder, inputs, skip=skip or (), routing=shares, phase=phase)
        console().print(
            f"{model} on an input of {found.input_text}: {len(found.layers)} distinct layers, "
            f"{found.macs:,} multiply-accumulates, {found.parameters:,} parameters, in {folder}",
            highlight=False,
        )
        for line in _bits(found):
            console().print(line, highlight=False, markup=False)
        for note in found.notes:
            console().print(f"note: {note}", highlight=False)


def _bits(found: Workload) -> Iterator[str]:
    """What another tool quantized, layer by layer."""
    if all(layer.bits_from is None for layer in found.layers):
        return
    for layer in found.layers:
        if layer.has_weights or layer.bits_from is not None:
            more = f" and {len(layer.names) - 1} more" if len(layer.names) > 1 else ""
            weights = "no weights" if layer.weight_bits is None else f"weights of {layer.weight_bits} bits"
            inputs = "" if layer.input_bits is None else f", inputs of {layer.input_bits} bits"
            yield f"  {layer.names[0]}{more}: {weights}{inputs} ({layer.bits_from or 'not quantized'})"
