"""What an experiment found: the frozen tree behind results.json, the tables, the figures and the report.

Every list is tidy (one observation per row). Nothing here depends on the clock except ``provenance``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from tqhw.errors import TqhwError, unknown
from tqhw.results.metrics import ACCURACY, TOP1, MetricLook
from tqhw.system import html

SCHEMA_VERSION = 2
_GREY = "#999999"

DRAM, GLB, ARRAY, QUANTIZER = "DRAM", "GLB", "MAC & spad", "Quantizer"
COMPONENTS = (DRAM, GLB, ARRAY, QUANTIZER)
"""Component groups in the order of the figures. The quantizer is the baseline's, an estimate (docs/scenarios.md)."""

STATES = ("initial_loading", "precision_switching", "steady")
NORMALIZATION = "Normalization"
KV_CACHE = "KV cache"
"""The name, among the data spaces of the traffic, of the batch-norm parameters fetched at a switch."""
SCALES = "Scales"
"""Likewise of the scales and offsets that make numbers of codes, where no batch norm takes them up."""


OF_OTHER_METRICS = ("metric", "value", "unit", "lower_is_better")
"""Fields of :class:`AccuracyRow` that files of top-1 accuracies do not have."""


class _Row:
    """One observation. Nothing else is read as one than what a run writes: every field, no other, each of its type."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "strict": True}


@dataclass(frozen=True)
class MethodRow(_Row):
    """A method of the run, as reports name and draw it; ``style`` of its line as matplotlib has it.

    ``switches``: whether it runs at other precisions than its own. ``choice``: the scenario's option that names its
    ways, "" where there is none to choose.
    """

    name: str
    label: str
    colour: str
    style: Mapping[str, Any]
    switches: bool = True
    choice: str = ""


@dataclass(frozen=True)
class AccuracyRow(_Row):
    """Top-1 in percent, None where it was not measured; where ``metric`` is another one, its ``value`` stands in place.

    ``scheme``: the training method. ``weights``: ``shifted`` (integer codes stored once, shifted right),
    ``requantized`` (the real weights quantized at ``bits``) or ``full`` (a network in floating point, never
    quantized). ``samples``: test images of one run. ``verified``: the shifted integers are those of the quantizer,
    logits equal bit for bit. ``runs``: networks that differ in their seeds, whose mean ``top1`` is; ``deviation``: the
    sample's, of several. ``low`` and ``high``: the ends of the 95 % interval (docs/quantization.md).
    ``unit``: of the metric, "%" or none; ``lower_is_better``: its direction. ``by_seed``: of several runs each one's.
    """

    scheme: str
    bits: int
    weights: str
    top1: float | None
    samples: int
    verified: bool
    runs: int = 1
    deviation: float | None = None
    low: float | None = None
    high: float | None = None
    metric: str = ACCURACY
    value: float | None = None
    unit: str = "%"
    lower_is_better: bool = False
    by_seed: Mapping[str, float] = field(default_factory=dict, hash=False)

    @property
    def measured(self) -> float | None:
        """Top-1, or what the metric says; None where it was not measured."""
        return self.top1 if self.metric == ACCURACY else self.value

    @property
    def look(self) -> MetricLook:
        """How the metric is called and read."""
        return MetricLook(self.metric, self.unit, self.lower_is_better)


@dataclass(frozen=True)
class EnergyRow(_Row):
    """mJ of one state: the extra pass plus one inference. ``component``: one of :data:`COMPONENTS`."""

    method: str
    bits: int
    state: str
    component: str
    energy_mj: float
    way: str | None = None
    """How the method went about it, where it has names for that."""


@dataclass(frozen=True)
class TrafficRow(_Row):
    """Bits that cross the DRAM's interface in one state; ``padding_bits`` of them carry nothing."""

    method: str
    bits: int
    state: str
    dataspace: str
    dram_bits: int
    padding_bits: int
    way: str | None = None


@dataclass(frozen=True)
class StorageRow(_Row):
    """What a method keeps in DRAM to serve all ``bits``. 1 MB = 10^6 bytes; the parts add up to ``megabytes``.

    Parts: ``codes`` (weights that are quantized), ``scales``, ``batch_norm`` (one set per precision),
    ``quantized_copy`` (any_precision with writeback), ``unquantized`` (other weights, biases).
    """

    method: str
    bits: tuple[int, ...]
    megabytes: float
    parts: Mapping[str, float]


@dataclass(frozen=True)
class AreaRow(_Row):
    """um^2 of all instances of a component on one rendering of the architecture; None where no table says it."""

    fetch_bits: int
    weight_bits: int
    spad_model: str | None
    component: str
    group: str
    instances: int
    area_um2: float | None


@dataclass(frozen=True)
class LayerEvaluation(_Row):
    """One layer (once, not times its count) on one rendering of the architecture, best mapping."""

    fetch_bits: int
    weight_bits: int
    spad_model: str | None
    energy_pj: float
    cycles: int
    utilization: float
    proved_optimal: bool
    components: Mapping[str, float]
    """pJ by component group."""
    dram_bits: Mapping[str, int]
    """Bits over the DRAM's interface by data space."""
    files: str
    """Folder of its architecture, ERT, ART and mappings, relative to the results."""
    levels: Mapping[str, float] = field(default_factory=dict)
    """pJ by level of the architecture, leakage included; the groups of ``components`` add these up."""


@dataclass(frozen=True)
class LayerRow(_Row):
    """One distinct layer. ``name`` is its first occurrence, ``count`` how often it occurs.

    ``bits``: the precision it always runs at; None where it follows the model's.
    """

    name: str
    names: tuple[str, ...]
    count: int
    shape: str
    instance: Mapping[str, int]
    macs: int
    weights: int
    bits: int | None
    evaluations: tuple[LayerEvaluation, ...]


@dataclass(frozen=True)
class FrontRow(_Row):
    """A point of the network's Pareto front: the energy and the cycles of one inference, a mapping for each layer.

    Of each layer, by its name, ``choices`` says how many of its occurrences take each point of its own front, see
    :class:`LayerFrontRow`. ``within``: 0 where the front is whole; else each point of it has one here of no more cycles
    and at most so much more energy, as a part of it.
    """

    bits: int
    point: int
    energy_mj: float
    cycles: int
    within: float
    choices: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class LayerFrontRow(_Row):
    """A point of a layer's front (once, not times its count). ``file``: its mapping, relative to the results."""

    layer: str
    bits: int
    point: int
    energy_pj: float
    cycles: int
    utilization: float
    file: str


@dataclass(frozen=True)
class AmortisedRow(_Row):
    """Mean per inference when ``inferences`` run between two switches to ``bits``."""

    method: str
    bits: int
    inferences: int
    energy_mj: float
    dram_bits: float
    way: str | None = None


@dataclass(frozen=True)
class ScheduleRow(_Row):
    """One step of the schedule: ``inferences`` at ``bits``, the switch included. ``cumulative_mj`` from step 1."""

    method: str
    step: int
    bits: int
    inferences: int
    state: str
    energy_mj: float
    dram_bits: int
    cumulative_mj: float
    way: str | None = None


@dataclass(frozen=True)
class Ratio(_Row):
    """A headline: ``value`` = numerator / denominator, the methods (or FP32) and the ways they took; None where the
    denominator is 0.

    ``quantity``: ``dram_traffic``, ``dram_weight_traffic``, ``energy``, ``storage`` or ``switching_weights``, the
    share of the weights that follow the precision. ``paper`` is the paper's number for the nearest claim, for
    comparison only. ``spad_model`` is None where it plays no role.
    """

    quantity: str
    state: str | None
    bits: int | None
    spad_model: str | None
    numerator: str
    denominator: str
    numerator_value: float
    denominator_value: float
    unit: str
    value: float | None
    paper: float | None
    note: str
    numerator_way: str | None = None
    denominator_way: str | None = None


@dataclass(frozen=True)
class Results:
    """All of it. ``experiment`` is the experiment file with every default written out."""

    experiment: Mapping[str, Any]
    methods: tuple[MethodRow, ...] = ()
    accuracy: tuple[AccuracyRow, ...] = ()
    energy: tuple[EnergyRow, ...] = ()
    traffic: tuple[TrafficRow, ...] = ()
    storage: tuple[StorageRow, ...] = ()
    area: tuple[AreaRow, ...] = ()
    amortised: tuple[AmortisedRow, ...] = ()
    schedule: tuple[ScheduleRow, ...] = ()
    layers: tuple[LayerRow, ...] = ()
    summary: tuple[Ratio, ...] = ()
    fronts: tuple[FrontRow, ...] = ()
    layer_fronts: tuple[LayerFrontRow, ...] = ()
    notes: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def method(self, name: str) -> MethodRow:
        """A method of the run; of one that it does not know, a row with the bare name."""
        return next((row for row in self.methods if row.name == name), MethodRow(name, name, _GREY, {"marker": "v"}))

    @property
    def metric(self) -> MetricLook:
        """By which its networks were measured; top-1 where none was."""
        return next((row.look for row in self.accuracy if row.measured is not None), TOP1)

    def rows(self, name: str, **where: Any) -> list[dict[str, Any]]:
        """The rows of a list as dictionaries; ``where``: only those with these values, or one of several.

        >>> from tqhw.results import EnergyRow, Results
        >>> parts = {"DRAM": 0.5, "GLB": 0.2}
        >>> found = Results({}, energy=tuple(EnergyRow("fixed", 8, "steady", *part) for part in parts.items()))
        >>> [row["energy_mj"] for row in found.rows("energy", component=("GLB", "MAC & spad"))]
        [0.2]
        """
        if name not in _ROWS:
            raise unknown("list of results", name, _ROWS)
        known = [field.name for field in fields(_ROWS[name])]
        for key in where:
            if key not in known:
                raise unknown("field", key, known, name)
        wanted = {key: value if isinstance(value, tuple | list | set) else (value,) for key, value in where.items()}
        return [
            {field: getattr(row, field) for field in known}
            for row in getattr(self, name)
            if all(getattr(row, key) in values for key, values in wanted.items())
        ]

    def to_frame(self, name: str = "energy", **where: Any) -> Any:
        """The rows of a list as a pandas frame, whose columns are the rows' fields. Raises TqhwError without pandas."""
        found = self.rows(name, **where)
        try:
            import pandas
        except ImportError:
            raise TqhwError("pandas is not installed", place="to_frame", lever="install it, or use rows()") from None
        return pandas.DataFrame(found, columns=[field.name for field in fields(_ROWS[name])])

    def _repr_html_(self) -> str:
        """What a notebook shows: the headline ratios."""
        shown = [
            (
                r.quantity.replace("_", " "),
                f"{self.method(r.numerator).label} / {self.method(r.denominator).label}",
                r.state and r.state.replace("_", " "),
                r.bits,
                r.spad_model,
                r.value,
            )
            for r in self.summary
        ]
        heads = ("How many times more", "Methods", "State", "Bits", "Scratchpads", "Ratio")
        return html.table(heads, shown, str(self.experiment.get("name", "results")))

    def as_json(self) -> dict[str, Any]:
        """The document of results.json."""
        document: dict[str, Any] = {"schema_version": SCHEMA_VERSION}
        for name in self.__dataclass_fields__:
            if getattr(self, name) or name not in _WHERE_SEARCHED:
                document[name] = _plain(getattr(self, name))
        return document


_WHERE_SEARCHED = ("fronts", "layer_fronts")  # lists that are there only where there is something in them


_ROWS: dict[str, Any] = {
    "methods": MethodRow,
    "accuracy": AccuracyRow,
    "energy": EnergyRow,
    "traffic": TrafficRow,
    "storage": StorageRow,
    "area": AreaRow,
    "amortised": AmortisedRow,
    "schedule": ScheduleRow,
    "layers": LayerRow,
    "summary": Ratio,
    "fronts": FrontRow,
    "layer_fronts": LayerFrontRow,
}


def _plain(value: Any) -> Any:
    if hasattr(value, "__dataclass_fields__"):
        left_out: tuple[str, ...] = ()
        if isinstance(value, AccuracyRow):
            left_out = OF_OTHER_METRICS if value.metric == ACCURACY else ()
            left_out += () if value.by_seed else ("by_seed",)
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__ if name not in left_out}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value
