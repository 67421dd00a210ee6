"""``tqhw workload``: problems out of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tqhw.commands.common import console, guarded


@guarded
def workload(
    model: Annotated[
        str, typer.Argument(help="resnet20, resnet18, resnet50, mobilenet_v2, or package.module:factory.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the problems and summary.json.")],
    input_shape: Annotated[
        str | None, typer.Option("--input", help="Batch first, e.g. 1,3,224,224; without it, as published.")
    ] = None,
) -> None:
    """Writes a Timeloop problem for every distinct layer of a model."""
    from tqhw.workload import generate

    found = generate(model, out, input_shape)
    console().print(
        f"{model}: {len(found.layers)} distinct layers, {found.macs:,} multiply-accumulates, "
        f"{found.parameters:,} parameters, in {out}",
        highlight=False,
    )
