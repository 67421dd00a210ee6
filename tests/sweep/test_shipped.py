"""The sweeps of experiments/."""

from __future__ import annotations

from pathlib import Path

import pytest

from tqhw.sweep.points import load

SWEEPS = sorted((Path(__file__).parents[2] / "experiments" / "sweeps").glob("*.yaml"))


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_its_points_are_experiments(path: Path) -> None:
    sweep = load(path)
    points = [*sweep]
    assert len(points) >= 500
    for point in (points[0], points[-1]):
        assert point.experiment().model.name == "resnet18"
    assert len({str(point.settings) for point in points}) == len(points)
