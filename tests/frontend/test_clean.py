"""Clean files read back to the same specification."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.frontend.probes import CASES, write
from tests.sampling import some
from tqhw.errors import TqhwError
from tqhw.frontend import convert, process, sources
from tqhw.spec import yamlio

# names twice cannot be written into one file; the order of factors there is not fixed
TAKEN = [n for n, case in CASES.items() if case["ok"] and not case["executes"] and n != "m_two_archs_names"]


@pytest.mark.parametrize("name", some(TAKEN))
def test_reads_back(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES[name]
    write(case, tmp_path)
    monkeypatch.chdir(tmp_path)
    before = process(case["given"], case["jinja_parse_data"]).as_json()
    for file, document in convert(sources(case["given"], case["jinja_parse_data"])).items():
        yamlio.write_text(tmp_path / "clean" / file, yamlio.dump(document))
    after = process([tmp_path / "clean"]).as_json()
    after["globals"] = before["globals"]  # environment variables are left out
    assert after == before


def test_two_architectures_with_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES["m_two_archs_names"]
    write(case, tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TqhwError, match="two nodes are named"):
        convert(sources(case["given"]))
