"""What every point needs, before anything is done: tables, searches and trainings, each distinct one once."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from tqhw.backends import Backend, Found, Job, Settings, Target, backend
from tqhw.backends.keys import digest, search_keys, table_key
from tqhw.errors import TqhwError
from tqhw.experiment import Experiment
from tqhw.objectives import Goal, goal_of
from tqhw.pipeline import accuracy, hardware
from tqhw.pipeline.assemble import assemble
from tqhw.pipeline.hardware import Evaluated, HardwarePlan, Pricings
from tqhw.pipeline.joined import TrainedNetwork, trained_networks
from tqhw.pipeline.kept_subject import DECIDES_NETWORK, Subject
from tqhw.pipeline.measured import not_measured
from tqhw.pipeline.renderings import RenderedWords, Unpriced, priced, render
from tqhw.pipeline.run import backend_settings
from tqhw.pipeline.subject import subject
from tqhw.pipeline.training import Measured, TrainingTask, planned, rows
from tqhw.results import Results
from tqhw.scenario.methods import widths
from tqhw.spec import Invalid, Problem
from tqhw.sweep.tasks import SEARCH, TABLE, TRAINING, SweepTask, versions
from tqhw.system.files import content_digest

T = TypeVar("T")
KEPT = 256
"""So many renderings, networks and trainings are kept for the next points."""


@dataclass
class PointsPlan:
    """The searches of all points that differ in their scenarios alone; ``experiment`` is the first one's.

    ``network``: a hash of the subject, whose counts no search tells. ``searches``: a key for every entry of
    ``hardware.searches``, once the ``renderings`` have their tables.
    """

    key: str
    experiment: Experiment
    subject: Subject
    network: str
    hardware: HardwarePlan
    engine: Backend
    settings: Settings
    goal: Goal
    tables: tuple[str, ...]
    renderings: Pricings = field(default_factory=dict)
    searches: tuple[str, ...] = ()

    def table_tasks(self) -> list[SweepTask]:
        """In the order of ``tables``."""
        chosen, options = (self.engine.name, self.settings), self.experiment.energy
        return [
            SweepTask(TABLE, key, (*chosen, found.design, options))
            for key, found in zip(self.tables, self.hardware.rendered.values(), strict=True)
        ]

    def price(self, targets: Sequence[Target]) -> None:
        """Takes the tables, in the order of ``tables``: now it is known which searches there are.

        Designs that differ in the widths of words in their memories alone have one table; each keeps its own memories.
        """
        rendered = self.hardware.rendered
        pairs = zip(targets, rendered.values(), strict=True)
        self.renderings = priced(rendered, [replace(target, design=own.design) for target, own in pairs])
        self.searches = tuple(search_keys(self.engine, self.jobs(), self.goal, self.settings))

    def jobs(self) -> list[Job]:
        return hardware.jobs(self.hardware, self.renderings)

    def search_tasks(self, cache: bool) -> list[SweepTask]:
        """In the order of ``searches``."""
        chosen = (self.engine.name, self.settings)
        return [
            SweepTask(SEARCH, key, (*chosen, job, self.goal, cache), job.problem.computes)
            for key, job in zip(self.searches, self.jobs(), strict=True)
        ]

    def evaluated(self, answers: Sequence[Found | Invalid | str]) -> tuple[Evaluated, ...]:
        """What the answers, in the order of ``searches``, come to. Raises TqhwError where a layer has no mapping."""
        for answer in answers:
            if isinstance(answer, str):
                raise TqhwError(answer)
        found = [answer for answer in answers if not isinstance(answer, str)]
        return hardware.conclude(self.experiment, self.hardware, self.renderings, found, self.subject.scales)


class Planner:
    """Makes plans, and keeps what points have in common: networks, renderings, plans by their key."""

    def __init__(self, folder: Path | None = None, trust: bool = False, keep_trainings: bool = False) -> None:
        """``folder``: where a backend keeps finished layers; with ``keep_trainings``, trainings their checkpoints."""
        self.folder, self.trust = folder, trust
        self.kept = folder / "kept" if folder is not None and keep_trainings else None
        self.plans: dict[str, PointsPlan] = {}
        self._subjects: OrderedDict[str, Subject | TqhwError] = OrderedDict()
        self._trainings: OrderedDict[str, list[SweepTask] | TqhwError] = OrderedDict()
        self._rendered: OrderedDict[str, Unpriced | TqhwError] = OrderedDict()

    def plan(self, experiment: Experiment) -> PointsPlan:
        """The plan of an experiment. Raises TqhwError where it cannot be run."""
        key = _plan_key(experiment)
        if key not in self.plans:
            self.plans[key] = self._planned(key, experiment)
        return self.plans[key]

    def trainings(self, experiment: Experiment) -> list[SweepTask]:
        """One task per network that is trained, or was. Raises TqhwError where folders hold none of the experiment."""
        if experiment.quantize is not None:
            lever = "run it by itself, or train: {from: [FOLDER]}"
            raise TqhwError("post-training is not part of a sweep", place="quantize", lever=lever)
        if experiment.training is None:
            return []
        chosen = experiment.model_dump(mode="json", include=DECIDES_NETWORK)
        return _kept(self._trainings, digest(chosen), lambda: self._planned_trainings(experiment))

    def _planned_trainings(self, experiment: Experiment) -> list[SweepTask]:
        assert experiment.training is not None
        if experiment.training.trained:
            return [_measuring(found) for found in trained_networks(experiment)]
        recipes = [
            accuracy.recipe(experiment, scheme, seed)
            for scheme in experiment.training.schemes
            for seed in accuracy.seeds(experiment)
        ]
        return [self._training(found) for found in planned(experiment, Path, recipes)]

    def _training(self, found: TrainingTask) -> SweepTask:
        name = str(found.folder)
        key = digest([name, sorted(found.bits), found.stored])
        return SweepTask(TRAINING, key, (replace(found, folder=None if self.kept is None else self.kept / name),), 1e30)

    def subject(self, experiment: Experiment) -> Subject:
        """The experiment's network as the hardware side sees it, run once."""
        chosen = experiment.model_dump(mode="json", include=DECIDES_NETWORK)
        return _kept(self._subjects, digest(chosen), lambda: subject(experiment, self.trust))

    def _planned(self, key: str, experiment: Experiment) -> PointsPlan:
        settings = backend_settings(experiment, self.folder)
        engine = backend(experiment.backend, settings)
        about = self.subject(experiment)
        found = hardware.plan(experiment, about.workload, self._render)
        tables = tuple(table_key(engine, one.design, experiment.energy, settings) for one in found.rendered.values())
        goal = goal_of(experiment.search.objective)
        return PointsPlan(key, experiment, about, digest(repr(about)), found, engine, settings, goal, tables)

    def _render(self, experiment: Experiment, model: str | None, at: RenderedWords, problem: Problem) -> Unpriced:
        chosen = experiment.model_dump(mode="json", include={"architecture", "word_bits"})
        seen = problem if experiment.architecture.files else problem.shape  # files may say what depends on the sizes
        key = digest([chosen, model, repr(at), repr(seen)])
        return _kept(self._rendered, key, lambda: render(experiment, model, at, problem))


def _measuring(found: TrainedNetwork) -> SweepTask:
    """What a network measures that was trained before, which its checkpoint, the data and the precisions decide."""
    read: list[str | Path] = [found.path, *found.recipe.files, *([] if found.here.path is None else [found.here.path])]
    contents = [content_digest(path) for path in read]
    told = [found.recipe.json, found.model, sorted(found.bits), found.stored, contents]
    return SweepTask(TRAINING, digest(told), (found,), 1e29)


def _kept(places: OrderedDict[str, T | TqhwError], key: str, make: Callable[[], T]) -> T:
    """What was made for ``key``, or was refused: made now where it is new, and the oldest forgotten."""
    if key not in places:
        try:
            places[key] = make()
        except TqhwError as error:
            places[key] = error
        if len(places) > KEPT:
            places.popitem(last=False)
    places.move_to_end(key)
    found = places[key]
    if isinstance(found, TqhwError):
        raise found
    return found


def _plan_key(experiment: Experiment) -> str:
    """Equal for experiments with the same searches: those that differ in name, states and scenario alone.

    Of the scenario, only what it needs of the hardware counts.
    """
    told = experiment.model_dump(mode="json", exclude={"name", "states", "scenario"})
    scheduled = [step.bits for step in experiment.scenario.steps()]
    needed = widths(experiment.methods, tuple(sorted({*experiment.hardware_bits, *scheduled})), experiment.options())
    return digest([told, [[width.fetch_bits, width.weight_bits] for width in needed], experiment.scenario.residency])


def point_key(experiment: Experiment, plan: PointsPlan, trainings: Sequence[SweepTask]) -> str:
    """A hash of what decides a point: its experiment and network, its searches and trainings, and our versions."""
    told = experiment.model_dump(mode="json")
    return digest([told, plan.network, list(plan.searches), [task.key for task in trainings], versions()])


def results(
    experiment: Experiment,
    plan: PointsPlan,
    evaluated: tuple[Evaluated, ...],
    trainings: Sequence[SweepTask],
    measured: Sequence[Measured],
) -> Results:
    """What ``tqhw run`` finds for the experiment, but for its provenance. ``measured``: what the trainings gave."""
    about = plan.subject
    found = rows(measured) or not_measured(experiment)
    said = dict.fromkeys(task.arguments[0].note for task in trainings if task.arguments[0].note is not None)
    notes = (*about.notes, *said)
    return assemble(experiment, about.workload, evaluated, found, about.scales, notes, about.switching)


def is_quick(task: SweepTask) -> bool:
    """Whether a table takes no program: some milliseconds, fewer than sending it where there are few."""
    name, _, _, options = task.arguments
    return (name == "embedded" and options is None) or (options is not None and options.source in ("packaged", "file"))


def is_here(task: SweepTask) -> bool:
    """Whether the numbers of a table stand in files of this machine."""
    options = task.arguments[3]
    return options is not None and options.source == "file"


def settings_text(settings: Mapping[str, Any]) -> str:
    """The settings of a point as they are kept."""
    return json.dumps(settings, ensure_ascii=False)
