"""A kept result is not taken when anything has changed that it depends on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.backends.cases import StandIns
from tqhw.backends.timeloop.identity import accelergy_identity, program_digest


@pytest.fixture
def installed(tmp_path: Path, stand_ins: StandIns) -> Path:
    """timeloop-model in an installation of its own, and an ``ldd`` that names a library elsewhere."""
    for name in ("opt/bin", "opt/lib", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "opt/bin/timeloop-model").write_bytes(b"program")
    for library in ("opt/lib/libtimeloop-model.so", "opt/lib/libother.so", "elsewhere/libisl.so.23"):
        (tmp_path / library).write_bytes(b"library")
    lines = f"\tlibisl.so.23 => {tmp_path}/elsewhere/libisl.so.23 (0x7f)\n\tlibc.so.6 => /lib/libc.so.6 (0x7f)"
    stand_ins.put("ldd", f"cat <<'END'\n{lines}\n\tlibgone.so => not found\nEND")
    return tmp_path


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        ("opt/bin/timeloop-model", True),
        ("opt/lib/libtimeloop-model.so", True),
        ("elsewhere/libisl.so.23", True),
        ("opt/lib/libother.so", False),
    ],
)
def test_a_program_is_its_libraries_too(installed: Path, file: str, counts: bool) -> None:
    program = installed / "opt/bin/timeloop-model"
    before = program_digest(program)
    assert program_digest(program) == before
    (installed / file).write_bytes(b"changed")
    assert (program_digest(program) != before) is counts


def test_without_ldd_the_libraries_of_its_name_count(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(installed / "nothing"))
    program = installed / "opt/bin/timeloop-model"
    before = program_digest(program)
    (installed / "opt/lib/libtimeloop-model.so").write_bytes(b"changed")
    assert program_digest(program) != before


@pytest.fixture
def accelergy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script, its package, its configuration in a home folder, and a plug-in that this names."""
    monkeypatch.setenv("HOME", str(tmp_path))
    texts = {
        "accelergy": f"#!{tmp_path}/python\n",
        "python": f"#!/bin/sh\necho 0.4\necho {tmp_path}/package/__init__.py\n",
        "package/__init__.py": "",
        ".config/accelergy/accelergy_config.yaml": f"estimator_plug_ins: [{tmp_path}/plug-ins]\ntable_plug_ins:\n"
        f"    roots: [{tmp_path}/tables, {tmp_path}/gone]\n",
        "plug-ins/cacti/cacti_wrapper.py": "",
        "plug-ins/cacti/cacti_inputs_outputs/old.cfg": "",
        "plug-ins/cacti/__pycache__/cacti_wrapper.pyc": "",
        "tables/adder.csv": "",
        "others/unrelated.csv": "",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        ("package/parsing.py", True),
        ("plug-ins/cacti/cacti_wrapper.py", True),
        ("plug-ins/new/estimator.yaml", True),
        ("tables/adder.csv", True),
        (".config/accelergy/accelergy_config.yaml", True),
        ("plug-ins/cacti/cacti_inputs_outputs/new.cfg", False),
        ("plug-ins/cacti/__pycache__/cacti_wrapper.pyc", False),
        ("others/unrelated.csv", False),
    ],
)
def test_accelergy_is_its_package_configuration_and_plug_ins(accelergy: Path, file: str, counts: bool) -> None:
    version, before = accelergy_identity(accelergy / "accelergy")
    assert version == "0.4"
    (accelergy / file).parent.mkdir(exist_ok=True)
    (accelergy / file).write_text("energy: 2\n")
    assert (accelergy_identity(accelergy / "accelergy")[1] != before) is counts


def test_an_accelergy_that_says_nothing_has_a_digest_all_the_same(accelergy: Path) -> None:
    (accelergy / "python").write_text("#!/bin/sh\nexit 1\n")
    (accelergy / ".config/accelergy/accelergy_config.yaml").write_text("{")
    version, digest = accelergy_identity(accelergy / "accelergy")
    assert (version, len(digest)) == ("unknown", 16)


def test_an_accelergy_without_a_home_folder_has_no_configuration(
    accelergy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(accelergy)
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # as for a user without an entry
    version, before = accelergy_identity(accelergy / "accelergy")
    assert version == "0.4"
    (accelergy / "plug-ins/cacti/cacti_wrapper.py").write_text("energy: 2\n")
    assert accelergy_identity(accelergy / "accelergy") == (version, before)
