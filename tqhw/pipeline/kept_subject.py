"""What a run is about, kept by a hash of all that decides it: a packaged network need not be built and run again.

A run that trains nothing and whose network is kept does without PyTorch, which takes seconds to load.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from pydantic import TypeAdapter

from tqhw.errors import TqhwError
from tqhw.experiment import Experiment
from tqhw.pipeline.measured import measures
from tqhw.scenario.network import Scales
from tqhw.scenario.summary import Switching
from tqhw.system.json_files import checked
from tqhw.system.kept_answers import KeptAnswers, cache_folder, digest
from tqhw.system.packaged import code_digest, runs_as_read
from tqhw.workload import Workload, is_onnx

DECIDES_NETWORK: Final = {"model", "quantization", "data", "training", "bits", "stored_bits", "seed"}
"""The keys of an experiment that its network depends on."""
PACKAGES: Final = ("torch", "numpy")
MOST: Final = 200  # networks, of about 50 kB each


@dataclass(frozen=True)
class Subject:
    """``scales``, ``notes`` and ``switching`` are those of :func:`tqhw.pipeline.assemble.assemble`."""

    workload: Workload
    scales: Scales
    notes: tuple[str, ...]
    switching: Switching


def kept(experiment: Experiment, make: Callable[[], Subject]) -> Subject:
    """The subject of an experiment that ``make`` makes: of a packaged network that is as published, one made before.

    Whatever a warning was given of is made each time, so that it is given each time.
    """
    if not _is_ours(experiment):
        return make()
    answers = KeptAnswers(cache_folder() / "networks.sqlite", "networks", "cache of networks", "built", MOST)
    key = digest([code_digest(*PACKAGES), experiment.model_dump(mode="json", include=DECIDES_NETWORK)])
    payload = answers.get(key)
    found = None if payload is None else _read(payload)
    if found is None:
        if payload is not None:
            answers.doubt("what is kept is no network")
        with _heard() as heard:
            found = make()
        document = TypeAdapter(Subject).dump_python(found, mode="json")
        if not heard.anything and _read(document) == found and runs_as_read():
            answers.put(key, document)
    if answers.warning is not None:
        logging.getLogger("tqhw").warning(answers.warning)
    return found


def _is_ours(experiment: Experiment) -> bool:
    """Whether our own code and the experiment's keys decide the network: no file, no code of others, no training."""
    model = experiment.model
    return not (measures(experiment) or model.weights is not None or ":" in model.name or is_onnx(model.name))


def _read(document: object) -> Subject | None:
    try:
        return checked(Subject, document, "a kept network")
    except TqhwError:
        return None


class _Heard(logging.Handler):
    """Whether a warning was given."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.anything = False

    def emit(self, record: logging.LogRecord) -> None:
        self.anything = True


@contextmanager
def _heard() -> Iterator[_Heard]:
    """Listens to what tqhw says meanwhile."""
    handler = _Heard()
    logging.getLogger("tqhw").addHandler(handler)
    try:
        yield handler
    finally:
        logging.getLogger("tqhw").removeHandler(handler)
