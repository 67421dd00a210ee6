"""Reading results.json back: which schema it has, and that every row is one."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from tqhw.errors import TqhwError, shown
from tqhw.results.rows import (
    SCHEMA_VERSION,
    AccuracyRow,
    AmortisedRow,
    AreaRow,
    EnergyRow,
    FrontRow,
    LayerFrontRow,
    LayerRow,
    MethodRow,
    Ratio,
    Results,
    ScheduleRow,
    StorageRow,
    TrafficRow,
)
from tqhw.results.upgrade import upgraded
from tqhw.system.json_files import checked

_LEVER = "run the experiment again"


class _Asked(BaseModel):
    """Of the experiment, what the reports read."""

    bits: tuple[int, ...] = ()
    scenario: dict[str, Any] = {}


class _ResultsDocument(BaseModel):
    """results.json."""

    model_config = ConfigDict(extra="forbid")

    schema_version: int
    experiment: dict[str, Any]
    methods: tuple[MethodRow, ...]
    accuracy: tuple[AccuracyRow, ...]
    energy: tuple[EnergyRow, ...]
    traffic: tuple[TrafficRow, ...]
    storage: tuple[StorageRow, ...]
    area: tuple[AreaRow, ...] = ()  # not in files of earlier runs
    amortised: tuple[AmortisedRow, ...]
    schedule: tuple[ScheduleRow, ...]
    layers: tuple[LayerRow, ...]
    summary: tuple[Ratio, ...]
    fronts: tuple[FrontRow, ...] = ()  # only where a front was searched for
    layer_fronts: tuple[LayerFrontRow, ...] = ()
    notes: tuple[str, ...]
    provenance: dict[str, Any]


def from_json(document: Any, place: str = "results.json") -> Results:
    """The results in a document that :meth:`Results.as_json` made.

    Raises TqhwError for another schema version or a row that lacks or does not know a field, or has a text where a
    number belongs.
    """
    document = upgraded(document)
    if not isinstance(document, dict) or document.get("schema_version") != SCHEMA_VERSION:
        found = document.get("schema_version") if isinstance(document, dict) else None
        raise TqhwError(
            f"schema_version is {shown(found)}, this tqhw reads {SCHEMA_VERSION}", place=place, lever=_LEVER
        )
    read = checked(_ResultsDocument, document, place, _LEVER, "a results file of tqhw")
    checked(_Asked, read.experiment, f"{place}: experiment", _LEVER, "the experiment of a results file")
    return Results(**{name: getattr(read, name) for name in Results.__dataclass_fields__})
