"""Reading the reference values beside the tests (data/README.md says how they were made)."""

import csv
from pathlib import Path
from typing import Any

import pytest

from tqhw import spec
from tqhw.spec import yamlio

DATA = Path(__file__).parent / "data"
TIMELOOP = Path(__file__).parent.parent / "data" / "timeloop"
COMMON = {"technology": "45nm", "global_cycle_seconds": 1e-9}


def rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def close(value: float, rel: float = 1e-5) -> Any:
    return pytest.approx(value, rel=rel, abs=1e-30)


def accelergy_components(path: Path) -> list[yamlio.Map]:
    """The components of an architecture in Accelergy's own format, with the attributes that they inherit."""
    top = yamlio.load(path)["architecture"]["subtree"][0]
    for component in top["local"]:
        component["attributes"] = {**component["attributes"], **top["attributes"]}
        component["attributes"].pop("version", None)
    return list(top["local"])


def accelergy_tables(folder: Path, prefix: str = "") -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """Energies by component and action (the largest of several arguments), and areas."""
    energies: dict[str, dict[str, float]] = {}
    for table in yamlio.load(folder / f"{prefix}ERT.yaml")["ERT"]["tables"]:
        actions = energies.setdefault(spec.tables.short_name(table["name"]), {})
        for action in table["actions"]:
            actions[action["name"]] = max(action["energy"], actions.get(action["name"], 0.0))
    areas = yamlio.load(folder / f"{prefix}ART.yaml")["ART"]["tables"]
    return energies, {spec.tables.short_name(table["name"]): table["area"] for table in areas}
