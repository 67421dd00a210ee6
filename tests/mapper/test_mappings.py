"""The mappings in mappings/ still cost what stands beside them, and belong to the space."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tqhw import architecture, energy, engine
from tqhw.spec import Stats, flatten, load_mapping, load_problem, yamlio

ROOT = Path(__file__).parent.parent.parent
FOLDERS = sorted((ROOT / "mappings").glob("*/*/costs.json"))


def test_all_models_are_there():
    assert {path.parent.name for path in FOLDERS} >= {"resnet20", "resnet18", "resnet50", "mobilenet_v2"}


@pytest.mark.parametrize("path", FOLDERS, ids=lambda path: f"{path.parent.parent.name}-{path.parent.name}")
def test_costs_are_still_true(path):
    rendered = architecture.render(path.parent.parent.name, {})
    text = rendered.components_text
    own = energy.parse_components(yamlio.parse(text, "components"), "components") if text else None
    hardware, ert = flatten(rendered.architecture), energy.tables(rendered.architecture, own).ert
    costs = json.loads(path.read_text())
    assert set(costs) == {p.stem for p in (ROOT / "workloads" / path.parent.name).glob("*.yaml")}
    for name, cost in costs.items():
        problem = load_problem(ROOT / "workloads" / path.parent.name / f"{name}.yaml")
        stats = engine.evaluate(problem, hardware, ert, load_mapping(path.parent / f"{name}.map.yaml"))
        assert isinstance(stats, Stats)
        assert stats.cycles == cost["cycles"]
        assert stats.energy_pj == pytest.approx(cost["energy_pj"], rel=1e-9)
        assert cost["proved_optimal"]
