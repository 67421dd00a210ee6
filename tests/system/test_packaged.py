import os
import time
from pathlib import Path

import pytest

import tqhw.system.packaged
from tqhw.system.packaged import code_digest, packaged, runs_as_read


def test_an_installed_package_looks_into_its_own_data(tmp_path: Path) -> None:
    package = tmp_path / "site-packages" / "tqhw"
    (package / "data" / "arch").mkdir(parents=True)
    assert packaged("arch", package) == package / "data" / "arch"


def test_a_checkout_looks_beside_the_package(tmp_path: Path) -> None:
    assert packaged("arch", tmp_path / "checkout" / "tqhw") == tmp_path / "checkout" / "arch"
    assert (packaged("experiments") / "quickstart.yaml").is_file()


def test_the_digest_of_the_code_knows_sources_and_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tqhw.system.packaged, "_PACKAGE", tmp_path)
    digest = code_digest.__wrapped__  # that of the process is found once
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "module.py").write_text("A = 1\n")
    one = digest("numpy", "no-such-package")
    assert one == digest("numpy", "no-such-package")
    monkeypatch.setattr(tqhw.system.packaged, "version", lambda package: "0.0")
    other = digest("numpy", "no-such-package")
    (tmp_path / "room" / "module.py").write_text("A = 2\n")
    assert len({one, other, digest("numpy", "no-such-package"), digest("numpy")}) == 4


def test_sources_that_were_changed_since_they_were_loaded_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tqhw.system.packaged, "_PACKAGE", tmp_path)
    source = tmp_path / "room" / "module.py"
    source.parent.mkdir()
    source.write_text("A = 1\n")
    assert not runs_as_read()
    monkeypatch.setattr(tqhw.system.packaged, "LOADED_AT", time.time() + 5.0)
    (source.parent / ".#module.py").symlink_to("someone@host.1234")  # as an editor locks a file
    assert runs_as_read() and code_digest.__wrapped__()
    os.utime(source, (0, time.time() + 9.0))
    assert not runs_as_read()
