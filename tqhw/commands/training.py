"""``tqhw train``, ``eval`` and ``export``: a network of several precisions without the hardware."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tqhw.commands.common import console, guarded, write_json

if TYPE_CHECKING:
    from tqhw.train import Cell

Checkpoint = Annotated[Path, typer.Argument(help="A checkpoint, or the folder that holds it.")]
Checkpoints = Annotated[list[Path], typer.Argument(help="Checkpoints or their folders; of several, a mean over seeds.")]
Stored = Annotated[int, typer.Option(help="Bits of the stored codes, which lower precisions are shifted from.")]


@guarded
def train(
    recipe: Annotated[Path, typer.Argument(help="Method, bits, model, data, quantization, training.")],
    out: Annotated[Path, typer.Option(help="Folder for checkpoint and logs.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Changes a key, e.g. training.epochs=3.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Goes on from the last finished epoch.")] = False,
) -> None:
    """Trains a network jointly at all its precisions; a checkpoint is left after every epoch.

    Under torchrun, the processes share every batch.
    """
    from tqhw.errors import TqhwError
    from tqhw.experiment_file import apply_setting
    from tqhw.pipeline.progress import bars, unwatched
    from tqhw.spec import yamlio
    from tqhw.train import Progress, joined, read_recipe, train_run

    document = yamlio.as_map(yamlio.load(recipe), str(recipe), "a recipe")
    for setting in settings or []:
        apply_setting(document, setting)
    found = read_recipe(document, str(recipe))
    if not resume and any(out.glob("**/checkpoint.safetensors")):
        raise TqhwError("holds a checkpoint already", place=str(out), lever="add --resume, or choose another --out")
    networks = found.way.networks(found.bits)
    data = found.data.open()
    steps = found.training.epochs * (data.train_size // found.training.batch_size)
    with joined(found.training.device) as team:
        watch = bars(console(stderr=True)) if team.leads else unwatched
        with watch("training", steps * len(networks)) as tick:

            def told(bits: tuple[int, ...], progress: Progress) -> None:
                note = ", ".join(f"{b} bits {progress.losses[b]:.2f} {progress.top1[b]:.0f} %" for b in bits)
                tick(networks.index(bits) * steps + progress.step, note)

            train_run(found, out, resume=resume, watch=told)
        if team.leads:
            console().print(f"Trained at {list(found.bits)} bits, in {out}", highlight=False)


@guarded
def evaluate(
    checkpoints: Checkpoints,
    bits: Annotated[str | None, typer.Option(help="2,4,8 or 1-8; without it, those it was trained at.")] = None,
    stored: Stored = 8,
    json: Annotated[str | None, typer.Option("--json", metavar="FILE|-", help="Writes the accuracies.")] = None,
) -> None:
    """Measures accuracies: the real weights quantized anew, and integer codes stored once and shifted."""
    from rich.table import Table

    from tqhw.train import accuracy_table, evaluate_run, load_run

    found = []
    for checkpoint in checkpoints:
        model, recipe = load_run(checkpoint)
        found += evaluate_run(model, recipe, recipe.bits if bits is None else _bits(bits), stored=stored)
    if json is not None:
        write_json({"accuracy": [asdict(row) for row in found]}, json)
    if json != "-":
        rows = accuracy_table(found)
        widths = sorted({row.bits for row in found})
        table = Table("trained-inferred", *(f"{b} bits" for b in widths), title="Top-1 in %")
        for name, cells in rows.items():
            table.add_row(name, *(_cell(cells[b]) if b in cells else "-" for b in widths))
        console().print(table)
        console().print("v: the shifted integers are those of the quantizer, the logits equal bit for bit")


@guarded
def export(
    checkpoint: Checkpoint,
    out: Annotated[Path, typer.Option(help="The model's file; ONNX where it ends with .onnx.")],
    stored: Stored = 8,
) -> None:
    """Writes one deployable model that serves every precision up to the stored bits."""
    from tqhw.train import export_run, load_run

    model, recipe = load_run(checkpoint)
    size = export_run(model, recipe, out, stored=stored)
    console().print(f"{size:,} bytes in {out}", highlight=False)


def _bits(text: str) -> tuple[int, ...]:
    """``2,4,8`` and ``1-8``, mixed as one likes."""
    from tqhw.errors import TqhwError

    found: list[int] = []
    for part in text.split(","):
        low, dash, high = part.strip().partition("-")
        if not low.isdecimal() or (dash and not high.isdecimal()):
            raise TqhwError(f"'{part}' is neither a number nor a range", place="--bits", lever="for example 2,4 or 1-8")
        found += range(int(low), int(high if dash else low) + 1)
    return tuple(dict.fromkeys(found))


def _cell(cell: Cell) -> str:
    spread = f" ± {cell.deviation:.1f}" if cell.runs > 1 else ""
    return f"{cell.mean:.1f}{spread}{' v' if cell.verified else ''}"
