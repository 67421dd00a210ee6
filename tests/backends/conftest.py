from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.backends.cases import StandIns


@pytest.fixture
def stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIns:
    return StandIns(tmp_path / "bin", monkeypatch)


@pytest.fixture
def timeloop_programs() -> None:
    """Skips where the real programs are not on PATH."""
    missing = [name for name in ("timeloop-model", "timeloop-mapper", "accelergy") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not on PATH")
