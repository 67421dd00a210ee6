"""What an experiment found: the frozen tree behind results.json, the tables, the figures and the report.

Every list is tidy (one observation per row). Nothing here depends on the clock except ``provenance``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import NoneType
from typing import Any, get_type_hints

from tqhw.errors import TqhwError
from tqhw.results.upgrade import upgraded

SCHEMA_VERSION = 2
_GREY = "#999999"

DRAM, GLB, ARRAY, QUANTIZER = "DRAM", "GLB", "MAC & spad", "Quantizer"
COMPONENTS = (DRAM, GLB, ARRAY, QUANTIZER)
"""Component groups in the order of the figures. The quantizer is the baseline's, an estimate (docs/scenarios.md)."""

STATES = ("initial_loading", "precision_switching", "steady")
NORMALIZATION = "Normalization"
"""The name, among the data spaces of the traffic, of the batch-norm parameters fetched at a switch."""


@dataclass(frozen=True)
class MethodRow:
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
class AccuracyRow:
    """Top-1 in percent, None where it was not measured.

    ``weights``: ``shifted`` (integer codes stored once, shifted right) or ``requantized`` (the real weights
    quantized at ``bits``). ``verified``: the shifted integers are those of the quantizer, logits equal bit for bit.
    """

    scheme: str
    bits: int
    weights: str
    top1: float | None
    samples: int
    verified: bool


@dataclass(frozen=True)
class EnergyRow:
    """mJ of one state: the extra pass plus one inference. ``component``: one of :data:`COMPONENTS`."""

    method: str
    bits: int
    state: str
    component: str
    energy_mj: float
    way: str | None = None
    """How the method went about it, where it has names for that."""


@dataclass(frozen=True)
class TrafficRow:
    """Bits that cross the DRAM's interface in one state; ``padding_bits`` of them carry nothing."""

    method: str
    bits: int
    state: str
    dataspace: str
    dram_bits: int
    padding_bits: int
    way: str | None = None


@dataclass(frozen=True)
class StorageRow:
    """What a method keeps in DRAM to serve all ``bits``. 1 MB = 10^6 bytes; the parts add up to ``megabytes``.

    Parts: ``codes`` (weights that are quantized), ``scales``, ``batch_norm`` (one set per precision),
    ``quantized_copy`` (any_precision with writeback), ``unquantized`` (other weights, biases).
    """

    method: str
    bits: tuple[int, ...]
    megabytes: float
    parts: Mapping[str, float]


@dataclass(frozen=True)
class LayerEvaluation:
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


@dataclass(frozen=True)
class LayerRow:
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
class AmortisedRow:
    """Mean per inference when ``inferences`` run between two switches to ``bits``."""

    method: str
    bits: int
    inferences: int
    energy_mj: float
    dram_bits: float
    way: str | None = None


@dataclass(frozen=True)
class ScheduleRow:
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
class Ratio:
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
    amortised: tuple[AmortisedRow, ...] = ()
    schedule: tuple[ScheduleRow, ...] = ()
    layers: tuple[LayerRow, ...] = ()
    summary: tuple[Ratio, ...] = ()
    notes: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def method(self, name: str) -> MethodRow:
        """A method of the run; of one that it does not know, a row with the bare name."""
        return next((row for row in self.methods if row.name == name), MethodRow(name, name, _GREY, {"marker": "v"}))

    def as_json(self) -> dict[str, Any]:
        """The document of results.json."""
        document: dict[str, Any] = {"schema_version": SCHEMA_VERSION}
        for name in self.__dataclass_fields__:
            document[name] = _plain(getattr(self, name))
        return document


_ROWS: dict[str, type] = {
    "methods": MethodRow,
    "accuracy": AccuracyRow,
    "energy": EnergyRow,
    "traffic": TrafficRow,
    "storage": StorageRow,
    "amortised": AmortisedRow,
    "schedule": ScheduleRow,
    "layers": LayerRow,
    "summary": Ratio,
}


_ALLOWED: dict[Any, tuple[type, ...]] = {  # JSON writes 2.0 as 2.0, but other programs write 2
    str: (str,),
    int: (int,),
    float: (int, float),
    bool: (bool,),
    str | None: (str, NoneType),
    int | None: (int, NoneType),
    float | None: (int, float, NoneType),
}


def from_json(document: Any, place: str = "results.json") -> Results:
    """The results in a document that :meth:`Results.as_json` made.

    Raises TqhwError for another schema version or a row that lacks or does not know a field, or has a text where a
    number belongs.
    """
    document = upgraded(document)
    if not isinstance(document, dict) or document.get("schema_version") != SCHEMA_VERSION:
        found = document.get("schema_version") if isinstance(document, dict) else None
        raise TqhwError(
            f"schema_version is {found}, this tqhw reads {SCHEMA_VERSION}",
            place=place,
            lever="run the experiment again",
        )
    try:
        rows = {name: tuple(_row(kind, item) for item in document[name]) for name, kind in _ROWS.items()}
        return Results(
            experiment=document["experiment"],
            notes=tuple(document["notes"]),
            provenance=document["provenance"],
            **rows,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise TqhwError(f"not a results file of tqhw: {error}", place=place, lever="run the experiment again") from None


def _row(kind: type, item: Mapping[str, Any]) -> Any:
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in item.items()}
    if kind is LayerRow:
        values["evaluations"] = tuple(_row(LayerEvaluation, evaluation) for evaluation in values["evaluations"])
    for name, hint in get_type_hints(kind).items():
        if name in values and not _fits(values[name], _ALLOWED.get(hint)):
            raise TypeError(f"{name} of {kind.__name__} is {values[name]!r}")
    return kind(**values)


def _fits(value: Any, allowed: tuple[type, ...] | None) -> bool:
    if allowed is None:
        return True
    return isinstance(value, allowed) and (bool in allowed or not isinstance(value, bool))


def _plain(value: Any) -> Any:
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value
