"""What the real front end made of small specifications, and the defaults that its results leave out.

``data/probes.jsonl``: a line for each case, its files, what is handed over, and the result or none.
Recorded by the project with pytimeloop.timeloopfe.v4 (timeloop-python b8aaf2c; depth and width optional); ``processed``
lacks the defaults that :func:`restore` puts back. ``<here>`` is the folder of the case.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from tqhw.frontend.arch import COMPUTE, STORAGE
from tqhw.frontend.sections import Globals, Mapper, MapspaceNode

CASES: dict[str, dict[str, Any]] = {
    case["name"]: case
    for case in map(json.loads, (Path(__file__).parent / "data/probes.jsonl").read_text("utf-8").splitlines())
}
_ANY = {"has_power_gating": False, "power_gated_at": None}
_STORAGE = {
    **_ANY,
    "n_banks": 2,
    "cluster_size": 1,
    "reduction_supported": True,
    "multiple_buffering": 1,
    "min_utilization": 0,
    "allow_overbooking": False,
}
_DUMMY = {"width": 1, "depth": 1, "datawidth": 1, "technology": -1}
_SECTIONS: dict[str, dict[str, Any]] = {
    "mapper": {name: key.default for name, key in Mapper.fields.items()},
    "mapspace": {name: key.default for name, key in MapspaceNode.fields.items()},
    "globals": {**{name: key.default for name, key in Globals.fields.items()}, "environment_variables": {}},
}


def write(case: dict[str, Any], folder: Path) -> None:
    """The files of a case."""
    for name, text in case["files"].items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def restore(processed: dict[str, Any]) -> dict[str, Any]:
    """The specification in full."""
    out = copy.deepcopy(processed)
    if out.pop("untrimmed", False):
        return out
    out["top"]["attributes"] = {**_ANY, **out["top"]["attributes"]}
    for level in out["levels"]:
        storage = any(word in level["class"] for word in STORAGE)
        dummy = level["class"] == "dummy_storage"
        given = _STORAGE if storage else _ANY
        level["attributes"] = {**given, **(_DUMMY if dummy else {}), **level["attributes"]}
        level.setdefault("enabled", True)
        if storage and not dummy:
            level.setdefault("required_actions", ["leak", "read", "update", "write"])
        elif not storage and any(word in level["class"] for word in COMPUTE):
            level.setdefault("required_actions", ["compute"])
    for name, defaults in _SECTIONS.items():
        out[name] = {**copy.deepcopy(defaults), **out.get(name, {})}
    return out
