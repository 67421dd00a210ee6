"""``tqhw allocate``: from an experiment to the front of accuracy and energy over the bits of its layers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from tqhw import quant, train
from tqhw.allocation import Allocated, AllocationAnswer, Choices, Switch, front
from tqhw.allocation.energies import LayerEnergies, taken_apart
from tqhw.allocation.measure import MeasuredTop1, measure
from tqhw.allocation.sensitivity import calibration, sensitivities
from tqhw.allocation.shown import as_csv, as_json, picture
from tqhw.backends import Search, backend
from tqhw.datasets import Data, example
from tqhw.errors import TqhwError
from tqhw.experiment import Experiment
from tqhw.pipeline import accuracy, hardware
from tqhw.pipeline.joined import trained_networks
from tqhw.pipeline.results_folder import OutputFolder
from tqhw.pipeline.run import backend_settings
from tqhw.pipeline.subject import Subject, subject
from tqhw.pipeline.training import planned
from tqhw.results import MetricLook
from tqhw.scenario.methods import REFERENCE
from tqhw.system.files import write_text
from tqhw.system.json_files import read_json
from tqhw.system.progress import Watcher, unwatched
from tqhw.train.losses import LOSSES
from tqhw.train.metrics import Metric, metric_of

POINTS, IMAGES = 12, 1024
_Trained = tuple[nn.Module, Data, str, train.Recipe]


@dataclass
class _KeptMeasurements:
    """What was measured, kept in a file as it comes: losses by layer, accuracies by allocation."""

    path: Path | None
    losses: dict[str, list[float]] = field(default_factory=dict)
    measured: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path | None) -> _KeptMeasurements:
        """What is there of an earlier run; a file that is none of ours is begun anew."""
        try:
            found = {} if path is None or not path.exists() else read_json(path)
            return cls(path, dict(found.get("losses", {})), dict(found.get("measured", {})))
        except (TqhwError, TypeError, ValueError, AttributeError):
            return cls(path)

    def write(self) -> None:
        if self.path is not None:
            write_text(self.path, json.dumps({"losses": self.losses, "measured": self.measured}, indent=1))

    def loss(self, name: str, row: list[float]) -> None:
        self.losses[name] = row
        self.write()


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
    images that the added loss of a layer is measured on. The network is that of the first seed, trained as the
    experiment says, or read from the folders that it joins. What was trained or measured before in ``out`` is taken up.

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
    with nullcontext() if out is None else OutputFolder(out) as folder:
        about = subject(experiment, trust)
        energies = _energies(experiment, about, out, watch, jobs, cache, strict)
        model, data, name, recipe = _trained(experiment, folder, watch)
        kept = _KeptMeasurements.read(None if folder is None else folder.kept(f"allocation-{name}-{images}.json"))
        choices = _choices(experiment, energies, model, data, images, kept, watch, recipe)
        chosen = front(choices, points, budgets_mj)
        found = _answer(experiment, energies, choices, chosen, model, data, images, kept, watch, recipe)
        if folder is not None:
            _write(folder, found)
    return found


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
    search.one_objective("an allocation")
    (evaluated,) = hardware.evaluate(asked, about.workload, engine, search, watch, strict, about.scales)
    unproved = [i for (i, _), found in evaluated.found.items() if found.proved_optimal is False]
    if unproved:
        names = ", ".join(about.workload.layers[i].names[0] for i in dict.fromkeys(unproved))
        raise TqhwError(
            f"mappings are not proved to be the best: {names}", place="allocate", lever="use backend: embedded"
        )
    return taken_apart(about.workload.layers, evaluated.network, evaluated.costs, experiment.options())


def _trained(experiment: Experiment, folder: OutputFolder | None, watch: Watcher) -> _Trained:
    """The network of the first seed, its data, a name for what decides both, and its recipe."""
    recipe = accuracy.recipe(experiment, accuracy.HARDWARE_SCHEME, experiment.seed)
    joined = () if experiment.training is None else experiment.training.trained
    if joined:
        return _joined(experiment, joined)
    (task,) = planned(experiment, None if folder is None else folder.kept, [recipe])
    data = task.opened()
    keep = None if task.folder is None else train.Checkpoints(task.folder, recipe.json)
    model = recipe.network(recipe.bits, trust=True)  # the hardware side has asked before
    with watch(f"training, {recipe.method}", task.steps) as tick:
        train.train(
            model, data, recipe.training, lambda progress: tick(progress.step), keep=keep, resume=keep is not None
        )
    name = "trained" if task.folder is None else task.folder.name
    return train.finished(model, recipe, data), data, name, recipe


def _joined(experiment: Experiment, folders: Sequence[str]) -> _Trained:
    """The first network for truncation in the folders; all that is in them has to be the experiment's."""
    for one in trained_networks(experiment):
        if one.recipe.method == accuracy.HARDWARE_SCHEME:
            data = one.opened()
            model, _ = train.load_run(one.path, model=one.model, data=data)
            return model, data, _digest(one.path), one.recipe
    raise TqhwError(
        f"there is no network for truncation in {', '.join(folders)}",
        place="training.from",
        lever="train one with method truncquant",
    )


def _digest(path: Path) -> str:
    """A name for a checkpoint that changes with it."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def _choices(
    experiment: Experiment,
    energies: LayerEnergies,
    model: nn.Module,
    data: Data,
    images: int,
    kept: _KeptMeasurements,
    watch: Watcher,
    recipe: train.Recipe,
) -> Choices:
    bits = tuple(sorted(experiment.hardware_bits))
    switching = {layer.name for layer in quant.quantized_layers(model) if not layer.quantizer.fixed}
    names = energies.names
    if not names or {*names} - switching:
        absent = ", ".join(sorted({*names} - switching)) or "none of its layers switches"
        lever = "let layers follow the precision (null in quantization), and train this network"
        raise TqhwError(f"the trained network has other layers: {absent}", place="allocate", lever=lever)
    loss = LOSSES.named(recipe.training.loss, "training.loss")
    batches = calibration(data, images, experiment.seed)
    known = {name: row for name, row in kept.losses.items() if name in names}
    with watch(f"loss of {len(names)} layers", len(names)) as tick:

        def tell(name: str, row: list[float]) -> None:
            kept.loss(name, row)
            tick()

        losses = sensitivities(model, batches, names, bits, experiment.stored_bits, known, tell, loss)
    table, fixed = energies.table(bits)
    return Choices(names, bits, table, losses, fixed)


def _answer(
    experiment: Experiment,
    energies: LayerEnergies,
    choices: Choices,
    chosen: Sequence[tuple[int, ...]],
    model: nn.Module,
    data: Data,
    images: int,
    kept: _KeptMeasurements,
    watch: Watcher,
    recipe: train.Recipe,
) -> AllocationAnswer:
    layers = len(choices.names)
    metric = metric_of(recipe.training, example(data)[1])
    uniform = [(bits,) * layers for bits in choices.bits]
    with watch("accuracy of allocations", len({*chosen, *uniform})) as tick:

        def allocated(bits: tuple[int, ...], width: int | None = None) -> Allocated:
            top1 = _measured(
                dict(zip(choices.names, bits, strict=True)), model, data, experiment.stored_bits, kept, metric
            )
            tick()
            energy = energies.energy_mj(bits)
            return Allocated(bits, energy, choices.loss(bits), **asdict(top1), uniform=width)

        points = tuple(allocated(bits) for bits in chosen)
        even = tuple(allocated(bits, bits[0]) for bits in uniform)
    switches = tuple(
        Switch(i, j, *energies.switch(points[i].bits, points[j].bits))
        for i in range(len(points))
        for j in range(len(points))
        if i != j
    )
    return AllocationAnswer(
        experiment.name,
        choices.names,
        points,
        even,
        switches,
        choices.energies_mj,
        choices.losses,
        choices.bits,
        choices.fixed_mj,
        images,
        _notes(experiment, points, choices),
        MetricLook(metric.name, metric.unit, metric.lower_is_better),
    )


def _measured(
    bits: Mapping[str, int], model: nn.Module, data: Data, stored: int, kept: _KeptMeasurements, metric: Metric
) -> MeasuredTop1:
    key = ",".join(f"{name}={width}" for name, width in bits.items())
    try:
        return MeasuredTop1(**kept.measured[key])
    except (KeyError, TypeError):
        found = measure(model, data, bits, stored, metric=metric)
    kept.measured[key] = asdict(found)
    kept.write()
    return found


def _notes(experiment: Experiment, points: Sequence[Allocated], choices: Choices) -> tuple[str, ...]:
    found = [
        "the integer program takes the losses that single layers add as if they summed up; what it says of an "
        "allocation is a prediction, and every accuracy here was measured",
        f"one network, seed {experiment.seed}: the intervals say nothing of another training",
    ]
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
