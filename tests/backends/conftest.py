from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.backends.cases import StandIns


@pytest.fixture(autouse=True)
def _kept_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders of failed runs are kept: here where pytest removes them."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path_factory.mktemp("temporary")))


@pytest.fixture
def stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIns:
    return StandIns(tmp_path / "bin", monkeypatch)


@pytest.fixture
def timeloop_programs() -> None:
    """Skips where the real programs are not on PATH."""
    missing = [name for name in ("timeloop-model", "timeloop-mapper", "accelergy") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not on PATH")
