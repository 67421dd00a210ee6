"""A recorded Timeloop case as the files that the commands take."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CASES = Path(__file__).parents[1] / "data" / "timeloop"
ARCH = CASES / "arch" / "two_level.yaml"
ERT = CASES / "ert" / "two_level.ERT.yaml"


def case() -> dict[str, Any]:
    """The first case of two_level: R = 3 inside P = 4, 12 multiply-accumulates."""
    first = (CASES / "cases" / "two_level.jsonl").read_text().splitlines()[0]
    found: dict[str, Any] = json.loads(first)
    return found


def write_case(folder: Path, **replaced: dict[str, Any] | None) -> tuple[Path, Path]:
    """The case's problem and mapping as files; ``LEVEL=None`` leaves out a level's temporal loops."""
    recorded = case()
    problem, mapping = folder / "problem.yaml", folder / "mapping.yaml"
    body = {"version": 0.4, "shape": recorded["problem"]["shape"], "instance": recorded["problem"]["instance"]}
    problem.write_text(json.dumps({"problem": body}))
    directives = [replaced.get(d["target"], d) if d["type"] == "temporal" else d for d in recorded["mapping"]]
    mapping.write_text(json.dumps({"mapping": [d for d in directives if d is not None]}))
    return problem, mapping
