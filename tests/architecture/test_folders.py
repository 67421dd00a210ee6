"""Finding a template by its name or its path."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture import folder
from tqhw.architecture import available, folders
from tqhw.errors import TqhwError


def test_the_packaged_architectures_are_known_by_name() -> None:
    assert {"eyeriss_like", "weight_stationary"} <= {*available()}
    assert list(available()) == sorted(available())
    assert folders.find("eyeriss_like").path == folders.library() / "eyeriss_like"


def test_a_folder_is_found_by_its_path(tmp_path: Path) -> None:
    found = folders.find(folder.make(tmp_path))
    assert (found.name, found.components) == ("tiny", None)


def test_a_packaged_name_goes_before_a_local_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder.make(tmp_path).rename(tmp_path / "eyeriss_like")
    assert folders.find("eyeriss_like").path == folders.library() / "eyeriss_like"
    assert folders.find("./eyeriss_like/").path.resolve() == tmp_path / "eyeriss_like"


def test_an_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(TqhwError, match=r"unknown architecture 'eyeris_like' \(did you mean 'eyeriss_like'\?"):
        folders.find("eyeris_like")


def test_a_path_that_does_not_exist_says_so(tmp_path: Path) -> None:
    with pytest.raises(TqhwError, match=r"mine.yaml: no such architecture file or template folder \(give an existing"):
        folders.find(tmp_path / "mine.yaml")
    with pytest.raises(TqhwError, match=r"\./mine: no such architecture file or template folder"):
        folders.find("./mine")


@pytest.mark.parametrize("missing", ["arch.yaml.j2", "params.yaml"])
def test_a_folder_without_its_files_is_refused(tmp_path: Path, missing: str) -> None:
    path = folder.make(tmp_path)
    (path / missing).unlink()
    with pytest.raises(TqhwError, match=rf"tiny: the folder has no {missing} \(a template is arch.yaml.j2 with"):
        folders.find(path)
