"""What a user of Python needs, one function each; ``import tqhw`` offers it. Heavy rooms are imported when called.

Every function raises :class:`tqhw.errors.TqhwError` with value, rule, place and lever for what is wrong with its input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

if TYPE_CHECKING:
    import torch
    from torch import nn

    from tqhw.backends import Backend, Found, Target
    from tqhw.experiment import Experiment
    from tqhw.objectives import Goal
    from tqhw.quant import QuantConfig, QuantizedTensor
    from tqhw.quant.calls import Inputs
    from tqhw.results import Results
    from tqhw.spec import Invalid, Problem, Stats
    from tqhw.spec import Mapping as LoopMapping
    from tqhw.system.progress import Watcher
    from tqhw.workload import Workload
    from tqhw.workload.examples import Input
    from tqhw.workload.generation import Phase

Files = str | Path | Sequence[str | Path]
WordBits = str | Mapping[str, int]


class MachineOptions(TypedDict, total=False):
    """What :func:`target` makes an accelerator of, beside its files."""

    params: Mapping[str, Any] | None
    ert: str | Path | None
    word_bits: WordBits | None


def load_experiment(
    source: str | Path | Mapping[str, Any] | None = None, settings: Sequence[str] = (), **keys: Any
) -> Experiment:
    """An experiment from a YAML file or a dictionary, with ``key.sub=value`` settings and top-level ``keys`` on top.

    docs/experiment.md has all keys, which ``tqhw run --keys`` prints. ``data`` may be a
    :class:`tqhw.datasets.TensorData`, too: tensors held in memory, known from then on by the digest of what they hold.
    Raises TqhwError with line, nearest key and rule for whatever does not fit.

    >>> import tqhw
    >>> tqhw.load_experiment({"model": {"name": "resnet20"}}, ["scenario.layout=packed"], bits=[2, 8]).bits
    (2, 8)
    """
    from tqhw.experiment import parse
    from tqhw.spec import yamlio

    document = yamlio.load(source) if isinstance(source, str | Path) else yamlio.Map(source or {})
    if isinstance(document, dict):
        document.update(keys)
        if not isinstance(document.get("data", {}), Mapping | str):
            from tqhw.datasets import section_of  # PyTorch, only where there are tensors

            document["data"] = yamlio.Map(section_of(document["data"]))
    return parse(document, str(source) if isinstance(source, str | Path) else "experiment", settings)


def run_experiment(
    experiment: Experiment | str | Path | Mapping[str, Any],
    out: str | Path | None = None,
    *,
    watch: Watcher | None = None,
    jobs: int = 1,
    cache: bool = True,
) -> Results:
    """Runs an experiment, which ``tqhw run`` does; with ``out``, the results folder is written too.

    ``watch`` is told of the stages (:mod:`tqhw.system.progress`). ``jobs`` above 1: so many processes search and train,
    and a script needs ``if __name__ == "__main__"``. ``cache``: answers of earlier searches may be used and kept.
    Neither changes a number; docs/scenarios.md has the formulas. Raises TqhwError where the experiment, the network,
    the accelerator or the folder is not fit for it; results of an earlier run then stay as they are.

    >>> import tempfile, tqhw
    >>> small = {"model": {"name": "tests.pipeline.tiny:net", "input": [1, 1, 8, 8]}, "bits": [2]}
    >>> experiment = tqhw.load_experiment(small, spad_models=["sram"], quantization={"first": None})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     results = tqhw.run_experiment(experiment, folder)
    ...     tqhw.read_results(folder) == results
    True
    >>> [row["bits"] for row in results.rows("energy", method="truncquant", state="steady", component="DRAM")]
    [2]
    """
    from tqhw.experiment import Experiment
    from tqhw.pipeline.run import run

    chosen = experiment if isinstance(experiment, Experiment) else load_experiment(experiment)
    return run(chosen, out, watch=watch, jobs=jobs, cache=cache)


def train_experiment(
    experiment: Experiment | str | Path | Mapping[str, Any],
    folder: str | Path,
    *,
    resume: bool = False,
    watch: Watcher | None = None,
    trust: bool = False,
) -> tuple[Path, ...]:
    """Trains the networks of an experiment without the hardware, which ``tqhw train`` does; returns their checkpoints.

    :func:`run_experiment` joins them with energies, of an experiment with ``training={"from": [folder]}``
    (docs/how-to/join-what-was-trained.md). ``resume`` goes on from the last finished epoch, to the same weights bit for
    bit. ``watch`` as :func:`run_experiment` has it. ``trust``: calls a factory that does not declare to give a model,
    too. Raises TqhwError where the experiment trains nothing, for a checkpoint of other options or data, and for a
    folder that holds one where nothing is to be resumed.

    >>> import tempfile, torch, tqhw
    >>> from tqhw.datasets import TensorData
    >>> images, labels = torch.rand(64, 1, 8, 8), torch.arange(64) % 10
    >>> mine = TensorData("noise", 10, images, labels, images, labels)
    >>> small = {"model": {"name": "tests.pipeline.tiny:net"}, "training": {"epochs": 1, "batch_size": 32}}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found = tqhw.train_experiment(tqhw.load_experiment(small, data=mine, bits=[2, 8]), folder)
    >>> [path.name for path in found]
    ['checkpoint.safetensors']
    """
    from tqhw.experiment import Experiment
    from tqhw.pipeline.networks import train_networks
    from tqhw.system.progress import unwatched

    chosen = experiment if isinstance(experiment, Experiment) else load_experiment(experiment)
    return train_networks(chosen, Path(folder), resume=resume, watch=watch or unwatched, trust=trust)


def read_results(folder: str | Path) -> Results:
    """The results of a finished run, from its folder; energies in mJ, traffic in bits.

    Their ``rows`` and ``to_frame`` give tidy lists, which docs/reference/files.md explains. Raises TqhwError where no
    run has ended in the folder. :func:`run_experiment` has an example.
    """
    from tqhw import report

    return report.load(folder)


def target(
    architecture: Files,
    *,
    params: Mapping[str, Any] | None = None,
    ert: str | Path | None = None,
    problem: Problem | None = None,
    word_bits: WordBits | None = None,
    backend: Backend | str = "embedded",
) -> Target:
    """An accelerator with its energies: a template of arch/ with ``params``, or the field's own files.

    ``ert``: a table of energies in pJ in place of the packaged ones. ``problem``: where constraints depend on sizes.
    ``word_bits``: bits of a word by data space (``{"Weights": 2, "Outputs@DRAM": 8}``) on memories of one width; whole
    words fill a row and the multiplier narrows with them. It needs the ``problem`` that has these data spaces.
    docs/architecture.md has the templates, docs/energy.md the sources of the energies. Raises TqhwError for unknown
    names and parameters, and for what the engine does not model.

    >>> import tqhw
    >>> tqhw.target("eyeriss_like", params={"weight_bits": 2}).design.hardware.level_names[-1]
    'DRAM_weights'
    """
    from tqhw import architecture as rooms
    from tqhw.backends import Design, Target, with_word_bits
    from tqhw.errors import TqhwError
    from tqhw.spec import ART, load_ert
    from tqhw.spec.word_bits import parse_word_bits

    found = rooms.load(architecture, params, problem=problem)
    design = Design.of(found)
    if word_bits is not None:
        if problem is None:
            raise TqhwError("no problem names the data spaces", place="word_bits", lever="give problem=, too")
        design = with_word_bits(design, parse_word_bits(word_bits, otherwise=found.word_bits), problem.shape)
    return _engine(backend).target(design) if ert is None else Target(design, load_ert(ert), ART({}))


def evaluate(
    architecture: Files | Target,
    problem: Files | Problem,
    mapping: Files | LoopMapping,
    *,
    backend: Backend | str = "embedded",
    **machine: Unpack[MachineOptions],
) -> Stats | Invalid:
    """Counts, cycles and energy (pJ) of one mapping, or why it is none; arguments as files or as objects.

    The counts are Timeloop's, as docs/timeloop-model.md has them.

    ``machine``: params, ert and word_bits as :func:`target` has them, for an architecture that is given as files.
    Raises TqhwError for files that cannot be read, and for levels and dimensions that are not there; a mapping that
    breaks a rule is an :class:`tqhw.spec.Invalid` with its reasons. :func:`search` has an example.
    """
    from tqhw import frontend
    from tqhw.spec import Mapping as LoopMapping

    layer, made = _problem_on(architecture, problem, backend, machine)
    if not isinstance(mapping, LoopMapping):
        mapping = frontend.load_mapping(frontend.sources(mapping), layer, made.design.hardware)
    return _engine(backend).evaluate(layer, made, mapping)


def search(
    architecture: Files | Target,
    problem: Files | Problem,
    *,
    objective: str | Goal = "energy",
    budget_s: float | None = None,
    factors: str = "perfect",
    pad: bool = False,
    cache: bool = True,
    backend: Backend | str = "embedded",
    **machine: Unpack[MachineOptions],
) -> Found | Invalid:
    """The best mapping of a problem by ``objective`` (energy, edp, latency, or your own), or why there is none.

    Of two objectives, as ``"energy,latency"``, their Pareto front, in ``found.front``; the answer itself is the best by
    the first of them.

    ``budget_s``: wall-clock seconds after which the best so far is the answer; ``proved_optimal`` says whether it is
    the best there is (docs/mapper.md). ``factors`` imperfect: with remainders; ``pad``: larger problems, too.
    ``machine``: params, ert and word_bits as :func:`target` has them. Raises
    TqhwError for an unknown objective, and for files that cannot be read.

    >>> import torch, tqhw
    >>> problem = tqhw.extract(torch.nn.Linear(8, 4), (1, 8)).layers[0].problem
    >>> machine = tqhw.target("eyeriss_like", params={"weight_bits": 2, "fetch_bits": 2})
    >>> found = tqhw.search(machine, problem, objective="edp")
    >>> found.proved_optimal, tqhw.evaluate(machine, problem, found.mapping) == found.stats
    (True, True)
    >>> front = tqhw.search(machine, problem, objective="energy,latency").front
    >>> [point.stats.cycles for point in front.points]
    [4, 2, 1]
    """
    from tqhw.backends import Job, Search
    from tqhw.backends.uneven import way_of
    from tqhw.objectives import goal_of

    wanted, way = goal_of(objective, "objective"), way_of(factors, pad)
    layer, made = _problem_on(architecture, problem, backend, machine)
    (found,) = _engine(backend).search([Job(layer, made, way)], Search(wanted, budget_s, cache=cache))
    return found


def extract(
    model: nn.Module,
    input: Input,
    *,
    name: str | None = None,
    skip: Sequence[str] = (),
    routing: Sequence[int] | None = None,
    phase: Phase | None = None,
) -> Workload:
    """The layers of a PyTorch model, as Timeloop problems, and how often each occurs.

    ``input``: a shape such as ``(1, 3, 224, 224)``, batch first, or what else the model is called with; it runs once,
    in evaluation mode. ``skip``: patterns of places or operators that are left out, visibly; ``routing``: the shares of
    rows that stacked experts get; ``phase``: ``prefill`` or ``decode`` of a model that writes text. docs/workload.md
    says what is counted. Raises TqhwError for operators that no problem is made of.

    >>> import torch, tqhw
    >>> found = tqhw.extract(torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.ReLU()), (1, 8))
    >>> [(layer.names, layer.count, layer.macs) for layer in found.layers]
    [(('0',), 1, 32)]
    """
    from tqhw import workload

    return workload.extract(model, input, name=name, skip=skip, routing=routing, phase=phase)


def convert(model: nn.Module, config: QuantConfig | None = None, **options: Any) -> nn.Module:
    """Quantizes a model in place, and returns it: by a configuration, or by its ``options`` (``precisions=(2, 8)``).

    Afterwards ``tqhw.quant.set_bits(model, 2)`` switches it; docs/quantization.md has the formulas. Raises TqhwError
    for a model with nothing to quantize, for one that is quantized already, and for options that do not fit.

    >>> import torch, tqhw
    >>> from tqhw.quant import is_quantized
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.Linear(4, 2))
    >>> is_quantized(tqhw.convert(model, precisions=(2, 8), first=None, last=None))
    True
    """
    from tqhw import quant

    return quant.convert(model, config or quant.QuantConfig(**options))


def quantize(weight: torch.Tensor, bits: int = 8, scheme: str = "truncquant") -> QuantizedTensor:
    """The integer codes (uint8, shape of ``weight``) of a tensor, which a right shift truncates to fewer bits.

    ``bits``: 1 to 8. ``scheme``: truncquant (arXiv 2506.11431), dorefa (arXiv 1606.06160), or one that was added;
    docs/quantization.md has the formulas. Raises TqhwError for other bits, an unknown
    scheme, and numbers that are not finite.

    >>> import torch, tqhw
    >>> whole = tqhw.quantize(torch.tensor([-1.0, -0.1, 0.1, 1.0]))
    >>> whole.codes.tolist(), whole.truncate(2).codes.tolist()
    ([0, 111, 144, 255], [0, 1, 2, 3])
    """
    from tqhw import quant

    return quant.quantize(weight, bits=bits, scheme=scheme)


def export(
    model: nn.Module,
    path: str | Path,
    *,
    stored: int = 8,
    input: Sequence[int] | Inputs | None = None,
    fold: bool = False,
    integers: bool = False,
) -> int:
    """Writes a quantized model for deployment, its codes stored once at ``stored`` bits; returns the size in bytes.

    A ``path`` that ends in ``.onnx`` needs the shape of one ``input``, without the batch, or whole inputs: a tensor,
    a tuple of tensors by position, or a dictionary of tensors by name; ``integers`` then writes layers with quantized
    inputs as sums of integers. Another one is read by ``tqhw.quant.load``, docs/format.md has its
    layout, and ``fold`` leaves of batch norms two numbers per channel in the place of four. Raises TqhwError for a
    model that is not quantized, for an option of the other form, and where nothing can be written.

    >>> import tempfile, torch, tqhw
    >>> model = tqhw.convert(torch.nn.Sequential(torch.nn.Linear(8, 4)), precisions=(2, 8), first=None, last=None)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tqhw.export(model, f"{folder}/model.tqhw") > 0
    True
    """
    from tqhw import quant

    given: Any = tuple(input) if isinstance(input, list) else input
    return quant.export(model, path, stored=stored, input=given, fold=fold, integers=integers)


def _engine(backend: Backend | str) -> Backend:
    from tqhw import backends

    return backends.backend(backend) if isinstance(backend, str) else backend


def _problem_on(
    architecture: Files | Target, problem: Files | Problem, backend: Backend | str, machine: MachineOptions
) -> tuple[Problem, Target]:
    from tqhw import frontend
    from tqhw.backends import Target
    from tqhw.errors import TqhwError
    from tqhw.spec import Problem

    layer = problem if isinstance(problem, Problem) else frontend.load_problem(frontend.sources(problem))
    if isinstance(architecture, Target):
        for name in (name for name, value in machine.items() if value is not None):
            raise TqhwError("the target has its own", place=name, lever="give it to tqhw.target()")
        return architecture.design.problem(layer), architecture
    made = target(architecture, problem=layer, backend=backend, **machine)
    return made.design.problem(layer), made
