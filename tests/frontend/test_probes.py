"""Every recorded case: the same result, or a refusal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.frontend.probes import CASES, restore, write
from tqhw.errors import TqhwError
from tqhw.frontend import process

TAKEN = [name for name, case in CASES.items() if case["ok"] and not case["executes"]]
REFUSED = [name for name in CASES if name not in TAKEN]


def processed(case: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    write(case, folder)
    monkeypatch.chdir(folder)
    text = json.dumps(process(case["given"], case["jinja_parse_data"]).as_json(), allow_nan=False)
    found: dict[str, Any] = json.loads(text.replace(str(folder), "<here>"))
    return found


def comparable(specification: dict[str, Any], case: dict[str, Any]) -> dict[str, Any]:
    """Without what a case does not record: whole classes where it has names, an order that a set gave."""
    if isinstance(case["processed"]["components"], list) and isinstance(specification["components"], dict):
        specification["components"] = [entry["name"] for entry in specification["components"]["classes"]]
    if case["unordered"]:
        for constraint in specification["constraints"]:
            for key, separator in (("factors", ","), ("permutation", None)):
                if key in constraint:
                    constraint[key] = sorted(constraint[key].split(separator) if separator else constraint[key])
    return specification


@pytest.mark.parametrize("name", TAKEN)
def test_equals_the_front_end(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES[name]
    found = comparable(processed(case, tmp_path.resolve(), monkeypatch), case)
    wanted = comparable(restore(case["processed"]), case)
    # by text, for 1 == True == 1.0 in Python
    assert json.dumps(found, sort_keys=True) == json.dumps(wanted, sort_keys=True)


@pytest.mark.parametrize("name", REFUSED)
def test_refused_as_the_front_end_does_and_where_python_would_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TqhwError) as refusal:
        processed(CASES[name], tmp_path.resolve(), monkeypatch)
    assert refusal.value.place


def test_both_kinds_are_there() -> None:
    assert len(TAKEN) == 271
    assert len(REFUSED) == 152
