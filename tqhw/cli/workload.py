"""``tqhw workload``: problems out of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tqhw.cli.common import console, guarded


@guarded
def workload(
    model: Annotated[
        str, typer.Argument(help="resnet20, resnet18, resnet50, mobilenet_v2, or package.module:factory.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the problems and summary.json.")],
    input_shape: Annotated[
        str | None, typer.Option("--input", help="Batch first; without it 1,3,224,224, of resnet20 1,3,32,32.")
    ] = None,
) -> None:
    """Writes a Timeloop problem for every distinct layer of a model."""
    from tqhw.workload import generate, shape_text

    found = generate(model, out, input_shape)
    console().print(
        f"{model} on an input of {shape_text(found.input_shape)}: {len(found.layers)} distinct layers, "
        f"{found.macs:,} multiply-accumulates, {found.parameters:,} parameters, in {out}",
        highlight=False,
    )
