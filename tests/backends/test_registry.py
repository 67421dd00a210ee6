from __future__ import annotations

from pathlib import Path

import pytest

from tqhw.backends import BACKENDS, Settings, backend
from tqhw.backends.container import ContainerBackend
from tqhw.errors import TqhwError
from tqhw.options import ContainerOptions, TimeloopOptions


@pytest.mark.parametrize("name", sorted(BACKENDS))
def test_every_backend_knows_its_name(name: str) -> None:
    assert backend(name).name == name


def test_the_embedded_engine_runs_everywhere() -> None:
    assert all(backend("embedded").versions().values())


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        (
            "embedded",
            Settings(timeloop=TimeloopOptions()),
            r"timeloop: backend embedded takes no options of 'timeloop",
        ),
        ("embedded", Settings(container=ContainerOptions()), r"container: backend embedded takes no options"),
        ("timeloop", Settings(container=ContainerOptions()), r"takes no options of 'container'.*--backend container"),
    ],
)
def test_options_that_would_be_ignored_are_refused(name: str, settings: Settings, message: str) -> None:
    with pytest.raises(TqhwError, match=message):
        backend(name, settings)


def test_options_reach_the_backend(tmp_path: Path) -> None:
    settings = Settings(TimeloopOptions(victory_condition=7), ContainerOptions(image="mine", memory_mb=100), tmp_path)
    found = backend("container", settings)
    assert isinstance(found, ContainerBackend)
    assert (found.options.image, found.options.memory_mb) == ("mine", 100)
    assert (found.timeloop.victory_condition, found.folder) == (7, tmp_path)


def test_an_unknown_backend_lists_those_that_exist() -> None:
    with pytest.raises(
        TqhwError, match=r"backend: unknown backend 'embeded' \(did you mean 'embedded'\? known: embedded"
    ):
        backend("embeded")
