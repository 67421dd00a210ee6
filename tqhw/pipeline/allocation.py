"""``tqhw allocate``: from an experiment to the front of accuracy and energy over the bits of its layers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

from tqhw import quant
from tqhw.allocation import Allocated, AllocationAnswer, Choices, Switch, front
from tqhw.allocation.answer import choice
from tqhw.allocation.energies import LayerEnergies, taken_apart
from tqhw.allocation.measure import MeasuredTop1
from tqhw.allocation.over_seeds import difference, together
from tqhw.allocation.shown import as_csv, as_json, picture
from tqhw.backends import Search, backend
from tqhw.errors import TqhwError
from tqhw.experiment import Experiment
from tqhw.objectives import one_objective
from tqhw.pipeline import accuracy, hardware
from tqhw.pipeline.joined import data_of, trained_networks
from tqhw.pipeline.kept_subject import Subject
from tqhw.pipeline.measured import HARDWARE_SCHEME
from tqhw.pipeline.results_folder import OutputFolder
from tqhw.pipeline.run import backend_settings
from tqhw.pipeline.seed_networks import Bits, SeedNetwork, each
from tqhw.pipeline.subject import subject
from tqhw.pipeline.training import AccuracyTask, Tell, planned
from tqhw.results import MetricLook
from tqhw.scenario.methods import REFERENCE
from tqhw.system.files import content_digest
from tqhw.system.progress import Watcher, unwatched
from tqhw.train.interval import simultaneous

POINTS, IMAGES = 12, 1024


def allocate(
    experiment: Experiment,
    out: str | Path | None = None,
    *,
    points: int = POINTS,
    budgets_mj: Sequence[float] = (),
    images: int = IMAGES,
    watch: Watcher = unwatched,
    jobs: int = 1,
    cache: bool = True,
    strict: bool = False,
    trust: bool = False,
) -> AllocationAnswer:
    """The best bits of every layer for a range of energies, each allocation measured; with ``out`` written there.

    ``points``: energies between the least and the most; ``budgets_mj``: these in their place. ``images``: training
    images that the added loss of a layer is measured on. The networks are those of all seeds, trained as the experiment
    says, or read from the folders that it joins, so many ``jobs`` at a time: added losses are means over them, and so
    are accuracies. What was trained or measured before in ``out`` is taken up.

    Raises TqhwError for an experiment without a training, layers that do not switch, a budget that no allocation meets,
    and all that :func:`tqhw.pipeline.run.run` refuses.
    """
    if points < 2 or images < 1:
        raise TqhwError(
            f"{points} points, {images} images", place="allocate", lever="give 2 points and 1 image or more"
        )
    if experiment.training is None:
        lever = "add `training: {epochs: 10}`, or `training: {from: [FOLDER]}` for what was trained before"
        raise TqhwError("there is no accuracy to measure: the experiment trains nothing", place="training", lever=lever)
    one_objective(experiment.search.objective, "an allocation", "run `tqhw run` for the front")
    with _kept_in(out) as (folder, kept):
        tasks = _tasks(experiment, kept)
        about = subject(experiment, trust)
        energies = _energies(experiment, about, out, watch, jobs, cache, strict)
        networks = _networks(experiment, energies.names, tasks, kept, images)
        choices = _choices(experiment, energies, networks, images, watch, jobs)
        chosen = front(choices, points, budgets_mj)
        found = _answer(experiment, energies, choices, chosen, networks, images, watch, jobs)
        if folder is not None:
            _write(folder, found)
    return found


@contextmanager
def _kept_in(out: str | Path | None) -> Iterator[tuple[OutputFolder | None, Callable[[str], Path]]]:
    """The folder of the answer, and where trainings and measurements are kept: there, else for so long as this runs."""
    if out is not None:
        with OutputFolder(out) as folder:
            yield folder, folder.kept
        return
    with TemporaryDirectory(prefix="tqhw-") as scratch:
        yield None, Path(scratch).joinpath


def _energies(
    experiment: Experiment,
    about: Subject,
    out: str | Path | None,
    watch: Watcher,
    jobs: int,
    cache: bool,
    strict: bool,
) -> LayerEnergies:
    """From proved mappings, on the first of the experiment's scratchpads."""
    asked = experiment.model_copy(update={"methods": (REFERENCE,), "spad_models": experiment.spad_models[:1]})
    engine = backend(asked.backend, backend_settings(asked, out))
    search = Search(asked.search.objective, jobs=jobs, cache=cache)
    (evaluated,) = hardware.evaluate(asked, about.workload, engine, search, watch, strict, about.scales)
    unproved = [i for (i, _), found in evaluated.found.items() if found.proved_optimal is False]
    if unproved:
        names = ", ".join(about.workload.layers[i].names[0] for i in dict.fromkeys(unproved))
        raise TqhwError(
            f"mappings are not proved to be the best: {names}", place="allocate", lever="use backend: embedded"
        )
    return taken_apart(about.workload.layers, evaluated.network, evaluated.costs, experiment.options())


def _tasks(experiment: Experiment, kept: Callable[[str], Path]) -> list[tuple[AccuracyTask, str]]:
    """The networks for truncation by seed, each with a name that what decides it changes; all that is in joined folders
    has to be the experiment's."""
    folders = () if experiment.training is None else experiment.training.trained
    if not folders:
        recipes = [accuracy.recipe(experiment, HARDWARE_SCHEME, seed) for seed in accuracy.seeds(experiment)]
        return [(one, one.folder.name) for one in planned(experiment, kept, recipes) if one.folder is not None]
    found = [one for one in trained_networks(experiment) if one.recipe.method == HARDWARE_SCHEME]
    if not found:
        raise TqhwError(
            f"there is no network for truncation in {', '.join(folders)}",
            place="training.from",
            lever="train one with method truncquant",
        )
    return [(one, _digest(experiment, one.path)) for one in found]


def _networks(
    experiment: Experiment,
    names: tuple[str, ...],
    tasks: Sequence[tuple[AccuracyTask, str]],
    kept: Callable[[str], Path],
    images: int,
) -> list[SeedNetwork]:
    _check_layers(experiment, names)
    widths, stored = tuple(sorted(experiment.hardware_bits)), experiment.stored_bits
    return [
        SeedNetwork(task, kept(f"allocation-{name}-{stored}-{images}.json"), names, widths, stored)
        for task, name in tasks
    ]


def _digest(experiment: Experiment, path: Path) -> str:
    """A name for a checkpoint, and for the data that it is measured on here, which changes with them."""
    read = [path, *(Path(one) for one in (experiment.data.path,) if one is not None)]
    told = [content_digest(one) for one in read]
    return hashlib.sha256(json.dumps([told, repr(data_of(experiment))]).encode()).hexdigest()[:12]


def _check_layers(experiment: Experiment, names: tuple[str, ...]) -> None:
    """Refuses networks whose layers do not switch, before they are trained."""
    layers = quant.quantized_layers(accuracy.network(experiment, trust=True))  # the hardware side has asked before
    switching = {layer.name for layer in layers if not layer.quantizer.fixed}
    if not names or {*names} - switching:
        absent = ", ".join(sorted({*names} - switching)) or "none of its layers switches"
        lever = "let layers follow the precision (null in quantization), and train this network"
        raise TqhwError(f"the trained network has other layers: {absent}", place="allocate", lever=lever)


def _choices(
    experiment: Experiment,
    energies: LayerEnergies,
    networks: Sequence[SeedNetwork],
    images: int,
    watch: Watcher,
    jobs: int,
) -> Choices:
    """Added losses are means over the networks."""
    names, bits = networks[0].names, networks[0].widths
    steps = networks[0].task.steps + len(names)
    verb = f"{networks[0].task.verb}, {HARDWARE_SCHEME}, and loss of {len(names)} layers"
    found = each(networks, partial(_losses_of, images=images), verb, steps, watch, jobs)
    losses = tuple(tuple(fmean(one[name][str(width)] for one in found) for width in bits) for name in names)
    table, fixed = energies.table(bits)
    return Choices(names, bits, table, losses, fixed)


def _losses_of(one: SeedNetwork, tell: Tell, images: int) -> dict[str, dict[str, float]]:
    return one.losses(tell, images)


def _accuracies_of(one: SeedNetwork, tell: Tell, asked: Sequence[Bits]) -> dict[Bits, MeasuredTop1]:
    return one.accuracies(tell, asked)


def _answer(
    experiment: Experiment,
    energies: LayerEnergies,
    choices: Choices,
    chosen: Sequence[Bits],
    networks: Sequence[SeedNetwork],
    images: int,
    watch: Watcher,
    jobs: int,
) -> AllocationAnswer:
    uniform = [(bits,) * len(choices.names) for bits in choices.bits]
    asked = tuple(dict.fromkeys((*chosen, *uniform)))
    found = each(networks, partial(_accuracies_of, asked=asked), "accuracy of allocations", len(asked), watch, jobs)
    metric, several = networks[0].metric(), len(networks) > 1

    def allocated(bits: Bits, width: int | None = None) -> Allocated:
        runs = [one[bits] for one in found]
        cell, samples = together(runs, metric), min(one.samples for one in runs)
        return Allocated(
            bits,
            energies.energy_mj(bits),
            choices.loss(bits),
            cell.mean,
            cell.low,
            cell.high,
            samples,
            cell.verified,
            width,
            tuple(one.top1 for one in runs) if several else (),
        )

    points = tuple(allocated(bits) for bits in chosen)
    even = tuple(allocated(bits, bits[0]) for bits in uniform)
    preferred = [(one, choice(one, points)) for one in even]
    pairs = [(one, best) for one, best in preferred if best is not None and best.bits != one.bits]
    return AllocationAnswer(
        experiment.name,
        choices.names,
        points,
        even,
        _switches(energies, points),
        choices.energies_mj,
        choices.losses,
        choices.bits,
        choices.fixed_mj,
        images,
        _notes(experiment, points, choices, networks, len(pairs)),
        MetricLook(metric.name, metric.unit, metric.lower_is_better),
        tuple(one.seed for one in networks) if several else (),
        {
            one.bits[0]: difference(
                [run[best.bits] for run in found], [run[one.bits] for run in found], metric, len(pairs)
            )
            for one, best in pairs
        },
    )


def _switches(energies: LayerEnergies, points: Sequence[Allocated]) -> tuple[Switch, ...]:
    return tuple(
        Switch(i, j, *energies.switch(points[i].bits, points[j].bits))
        for i in range(len(points))
        for j in range(len(points))
        if i != j
    )


def _notes(
    experiment: Experiment,
    points: Sequence[Allocated],
    choices: Choices,
    networks: Sequence[SeedNetwork],
    comparisons: int,
) -> tuple[str, ...]:
    said = f"one network, seed {networks[0].seed}: the intervals say nothing of another training"
    if len(networks) > 1:
        said = (
            f"{len(networks)} networks, seeds {', '.join(str(one.seed) for one in networks)}: added losses are means "
            "over them, which one allocation for all is chosen by"
        )
    found = [
        "the integer program takes the losses that single layers add as if they summed up; what it says of an "
        "allocation is a prediction, and every accuracy here was measured",
        said,
    ]
    if comparisons > 1:
        found.append(simultaneous(comparisons))
    if experiment.scenario.layout == "packed":
        found.append(
            "packed: every layer fetches all stored bits and shifts them; given to `tqhw run` as bits of layers, an "
            "allocation is stored with these, fetches no more, and costs less"
        )
    if any(abs(one.energy_mj - choices.energy_mj(one.bits)) > 1e-9 * one.energy_mj for one in points):
        found.append("some allocations fit the weight buffer and others do not: energies are below the program's sum")
    return tuple(found)


def _write(folder: OutputFolder, found: AllocationAnswer) -> None:
    drawn = picture(found)
    with folder.staging() as staged:
        for name, content in (
            ("allocation.json", as_json(found).encode()),
            ("allocation.csv", as_csv(found).encode()),
            ("allocation.png", drawn.png),
            ("allocation.svg", drawn.svg.encode()),
            ("allocation.pdf", drawn.pdf),
        ):
            (staged / name).write_bytes(content)
