"""``tqhw train``, ``table``, ``eval`` and ``export``: a network of several precisions without the hardware."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tqhw.cli.common import NO, Trust, console, guarded, tell_hints, write_json
from tqhw.cli.networks import given, only, tell_skipped
from tqhw.errors import TqhwError

if TYPE_CHECKING:
    from torch import nn

    from tqhw.datasets import Data
    from tqhw.experiment import Experiment
    from tqhw.pipeline.networks import NetworkRun
    from tqhw.quant import Storage
    from tqhw.results import MetricLook
    from tqhw.train import Accuracy, Cell, OpenedData

ExperimentFile = Annotated[
    Path, typer.Argument(help="An experiment; of it model, data, bits, quantization and training are read.")
]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Changes a key, e.g. training.epochs=3.")
]
Checkpoint = Annotated[
    Path, typer.Argument(help="A checkpoint, the folder that holds it, or an experiment with training.from.")
]
Checkpoints = Annotated[
    list[Path],
    typer.Argument(
        help="Checkpoints, folders that hold them, or an experiment with training.from; of several, a mean over seeds."
    ),
]
Bits = Annotated[str | None, typer.Option(help="2,4,8 or 1-8; without it, those it was trained at.")]
ExportBits = Annotated[
    str | None,
    typer.Option(
        help="2,4,8 or 1-8: the file serves these alone, and holds no other batch norms, but codes of all stored bits; "
        "without it, those it was trained at."
    ),
]
_STORED = typer.Option(help="Bits of the stored codes, which lower precisions are shifted from; 8 without it.")
Stored = Annotated[int, _STORED]
StoredHere = Annotated[int | None, _STORED]
Model = Annotated[
    str | None,
    typer.Option(help="The checkpoint's own model, package.module:factory, whose code is run only if named."),
]
Json = Annotated[str | None, typer.Option("--json", metavar="FILE|-", help="Writes the accuracies.")]


@guarded
def train(
    experiment: ExperimentFile,
    out: Annotated[Path, typer.Option(help="Folder for checkpoint and logs.")],
    settings: Settings = None,
    resume: Annotated[bool, typer.Option("--resume", help="Goes on from the last finished epoch.")] = False,
    trust: Trust = False,
) -> None:
    """Trains the networks of an experiment, without hardware.

    Each is trained jointly at all its precisions. A checkpoint is left after every epoch. Of several methods or seeds,
    each network has a folder of its own. Under torchrun, the processes share every batch.
    """
    from tqhw.pipeline.networks import networks, runs_in
    from tqhw.quant import coverage
    from tqhw.train import OpenedData, joined

    wanted = networks(_loaded(experiment, settings))
    runs = runs_in(out, wanted, resume=resume)
    opened = OpenedData()
    opened.of(wanted[0])
    with joined(wanted[0].training.device) as team:
        _train(runs, opened, resume=resume, leads=team.leads, trust=trust)
        if team.leads:
            tell_skipped(opened)
            quantized = {recipe.method: recipe for recipe in wanted if recipe.way.training != "float"}.values()
            told = [coverage(recipe.quantize(recipe.plain_model(), recipe.bits)).text for recipe in quantized]
            for switching in dict.fromkeys(told):
                console().print(switching, highlight=False, markup=False, soft_wrap=True)
            console().print(f"Trained at {list(wanted[0].bits)} bits, in {out}", highlight=False)
            tell_hints(experiment, settings)


@guarded
def table(
    experiment: ExperimentFile,
    out: Annotated[Path, typer.Option(help="Folder for the checkpoints; what is finished there is kept.")],
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="How many runs of each method, from the experiment's seed up; its own where it has several, or 3.",
        ),
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(help="Which methods; the experiment's own where it has several, or dorefa,truncquant."),
    ] = None,
    settings: Settings = None,
    stored: Stored = 8,
    json: Json = None,
    trust: Trust = False,
) -> None:
    """Trains every method with several seeds: the paper's table.

    Run again, it goes on where it was stopped.
    """
    from tqhw.pipeline.networks import below, networks
    from tqhw.train import OpenedData, joined

    chosen = _loaded(experiment, settings)
    own = chosen.training
    listed = own.schemes if own is not None and len(own.schemes) > 1 else ("dorefa", "truncquant")
    ways = listed if methods is None else tuple(name.strip() for name in methods.split(","))
    several = own.seeds if own is not None and own.seeds > 1 else 3
    wanted = networks(chosen, ways, several if seeds is None else seeds)
    runs = below(out, wanted)
    opened = OpenedData()
    opened.of(wanted[0])
    with joined(wanted[0].training.device) as team:
        _train(runs, opened, resume=True, leads=team.leads, trust=trust)
        if team.leads:
            _measure([run.folder for run in runs], None, stored, json, wanted[0].model.name, opened)
            if json != "-":
                tell_hints(experiment, settings)


@guarded
def evaluate(
    checkpoints: Checkpoints, bits: Bits = None, stored: StoredHere = None, json: Json = None, model: Model = None
) -> None:
    """Measures accuracies of checkpoints at every precision.

    Of the real weights quantized anew, and of integer codes stored once and shifted.
    """
    found = given(checkpoints, model)
    from tqhw.train import OpenedData

    wanted = found.bits if bits is None else bits_in(bits)
    _measure(
        found.places, wanted, found.stored if stored is None else stored, json, found.model, OpenedData(found.path)
    )


@guarded
def export(
    checkpoint: Checkpoint,
    out: Annotated[Path, typer.Option(help="The model's file; ONNX where it ends with .onnx.")],
    bits: ExportBits = None,
    stored: StoredHere = None,
    model: Model = None,
    fold: Annotated[
        bool, typer.Option("--fold", help="Of batch norms, two numbers per channel in the place of four.")
    ] = False,
    integers: Annotated[
        bool, typer.Option("--integers", help="Of an ONNX file, layers with quantized inputs as sums of integers.")
    ] = False,
) -> None:
    """Writes one deployable model that serves all precisions.

    Lower precisions are shifts of the stored codes. An ONNX file is compared with PyTorch on all test samples; exit
    code 1 where an answer differs.
    """
    found = given([checkpoint], model)
    from tqhw.quant import check_bits, keep_precisions, storage
    from tqhw.train import OpenedData, checkpoints_in, export_run, load_run, serve
    from tqhw.train.agree import check_same_facts

    checkpoint, stored = only(found.places), found.stored if stored is None else stored
    wanted = found.codes if bits is None else bits_in(bits)
    for one in wanted or ():
        check_bits(one, place="--bits", stored=check_bits(stored, place="--stored"))
    network, recipe = load_run(checkpoint, model=found.model)
    data = None  # read where there is something to calibrate or to compare, alone
    if out.suffix == ".onnx" or {*(wanted or ())} - {*recipe.bits}:
        data = OpenedData(found.path).of(recipe)
        check_same_facts(checkpoint, data)
    if wanted is not None:
        serve(network, recipe, wanted, data)
        keep_precisions(network, wanted)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        size = export_run(network, recipe, out, stored=stored, data=data, fold=fold, integers=integers)
    for warning in dict.fromkeys(str(warning.message) for warning in told):
        console(stderr=True).print(warning, highlight=False, soft_wrap=True)
    show_parts(out, size, storage(network, stored, fold=fold))
    for path in checkpoints_in(checkpoint):
        _tell_unfinished(path)
    if out.suffix == ".onnx" and data is not None and not _agrees(network, data, out, stored):
        raise typer.Exit(NO)


def _loaded(path: Path, settings: Iterable[str] | None) -> Experiment:
    from tqhw import experiment

    return experiment.load(path, [*(settings or ())])


def _train(runs: Sequence[NetworkRun], opened: OpenedData, *, resume: bool, leads: bool, trust: bool) -> None:
    """Trains one recipe after the other, each by the name it is shown with into a folder of its own."""
    from tqhw.cli.epochs import Epochs
    from tqhw.train import train_run

    if not leads:
        for run in runs:
            train_run(run.recipe, run.folder, resume=resume, data=opened.of(run.recipe), trust=trust)
        return
    total = sum(run.recipe.training.epochs * len(run.recipe.way.networks(run.recipe.bits)) for run in runs)
    epochs = Epochs(console(stderr=True), total)
    for run in runs:
        data = opened.of(run.recipe)
        with epochs.watch(run.name, run.recipe, data) as watch:
            train_run(run.recipe, run.folder, resume=resume, watch=watch, data=data, trust=trust)


def _measure(
    places: Sequence[Path],
    bits: tuple[int, ...] | None,
    stored: int,
    json: str | None,
    name: str | None,
    opened: OpenedData,
) -> None:
    """Prints the table of all checkpoints in ``places``, which are of the model that the user calls ``name``."""
    from tqhw.train import check_seeds, checkpoints_in, evaluate_run, extent_of, load_run, recipe_of
    from tqhw.train.agree import check_same_facts

    paths = [path for place in places for path in checkpoints_in(place)]
    recipes = [recipe_of(path) for path in paths]
    check_seeds(zip(paths, recipes, strict=True))
    separate = {recipe.bits for recipe in recipes if recipe.way.training == "separate"}
    if bits is not None and len(separate) > 1:
        raise TqhwError(
            f"networks of one precision each, {sorted(b for (b,) in separate)} bits, have no common --bits",
            place="--bits",
            lever="leave it out, or measure them one by one",
        )
    found: dict[str, list[Accuracy]] = {}
    rows = []
    for path in paths:
        model, recipe = load_run(path, model=name)
        data = opened.of(recipe)
        check_same_facts(path, data)
        measured = evaluate_run(model, recipe, recipe.bits if bits is None else bits, stored=stored, data=data)
        found.setdefault(recipe.way.label, []).extend(measured)
        extent = extent_of(path)
        run = {"method": recipe.method, "seed": recipe.training.seed, "epoch": extent.done, "epochs": extent.epochs}
        rows += [{**run, **row.row, "seed": recipe.training.seed} for row in measured]
    tell_skipped(opened)
    if json is not None:
        write_json({"accuracy": rows}, json)
    if json != "-":
        _show(found)
    for path in paths:
        _tell_unfinished(path, stderr=json == "-")


def _tell_unfinished(path: Path, *, stderr: bool = False) -> None:
    from tqhw.train import extent_of

    extent = extent_of(path)
    if not extent.finished:
        text = f"{path.parent} is not trained to its end: {extent} (tqhw train with --resume goes on)"
        console(stderr=stderr).print(text, highlight=False, soft_wrap=True)


def _show(found: dict[str, list[Accuracy]]) -> None:
    from rich.table import Table

    from tqhw.report import labels
    from tqhw.results import VERIFIED_NOTE
    from tqhw.train import accuracy_table

    measured = [row for rows in found.values() for row in rows]
    looks = dict.fromkeys(_look(row) for row in measured)
    if len(looks) > 1:
        told = " and ".join(look.label for look in looks)
        raise TqhwError(f"networks measured by {told} stand in no table", place="eval", lever="measure them one by one")
    (look,) = looks
    widths = sorted({row.bits for row in measured})
    shown = Table("", *(labels.bits(b) for b in widths), title=look.in_unit[:1].upper() + look.in_unit[1:])
    for name, cells in accuracy_table(found).items():
        shown.add_row(name, *(_cell(cells[b], look) if b in cells else "-" for b in widths))
    console().print(shown)
    console().print(VERIFIED_NOTE)


def _look(row: Accuracy) -> MetricLook:
    from tqhw.results import TOP1, MetricLook

    other = row.other
    return TOP1 if other is None else MetricLook(other.metric, other.unit, other.lower_is_better)


def show_parts(out: Path, size: int, parts: Storage) -> None:
    """Where the bytes of a file go: the parts add up to ``size``."""
    rest = "graph, codes in whole bytes" if out.suffix == ".onnx" else "header with checksums, counters"
    screen = console()
    if size < parts.total:
        left_out = "which has no layers that do not run in evaluation"
        screen.print(f"{size:,} bytes in {out}, {left_out}", highlight=False, soft_wrap=True)
    else:
        screen.print(
            f"{size:,} bytes in {out}: codes {parts.codes:,}, scales {parts.scales:,}, batch norms {parts.norms:,}, "
            f"not quantized {parts.unquantized:,}, the rest ({rest}) {size - parts.total:,}",
            highlight=False,
            soft_wrap=True,
        )
    screen.print(
        f"FP32 takes {parts.fp32:,}: {parts.ratio:.2f} times the {parts.total:,} without the rest, "
        f"{parts.fp32 / size:.2f} times the file",
        highlight=False,
    )


def _agrees(model: nn.Module, data: Data, path: Path, stored: int) -> bool:
    """Whether the ONNX file gives the model's answers; said, not checked, where there is no runtime."""
    from importlib.util import find_spec

    from tqhw.report import labels
    from tqhw.train import compare_onnx

    if find_spec("onnxruntime") is None:
        console().print("not compared with PyTorch: onnxruntime is not installed")
        return True
    found = compare_onnx(path, model, data, stored=stored)
    for row in found:
        if row.failure is not None:
            console().print(
                f"{labels.bits(row.bits)} in onnxruntime: not the answers of PyTorch: {row.failure}",
                highlight=False,
                soft_wrap=True,
            )
            continue
        console().print(
            f"{labels.bits(row.bits)} in onnxruntime: {row.same} of {row.samples} answers as in PyTorch, logits within "
            f"{row.largest_difference:.1e}",
            highlight=False,
        )
    return all(row.agrees for row in found)


def bits_in(text: str) -> tuple[int, ...]:
    """``2,4,8`` and ``1-8``, mixed as one likes."""
    found: list[int] = []
    for part in text.split(","):
        low, dash, high = part.strip().partition("-")
        if not low.isdecimal() or (dash and not high.isdecimal()) or (dash and not int(low) <= int(high) <= 32):
            raise TqhwError(f"'{part}' is neither a number nor a range", place="--bits", lever="for example 2,4 or 1-8")
        found += range(int(low), int(high if dash else low) + 1)
    return tuple(dict.fromkeys(found))


def _cell(cell: Cell, look: MetricLook) -> str:
    from tqhw.report.labels import measured
    from tqhw.results import marked

    spread = f" ± {measured(cell.deviation, look)}" if cell.runs > 1 else ""
    return marked(f"{measured(cell.mean, look)}{spread}", cell.verified)
