from __future__ import annotations

import pytest

from tqhw.backends import BACKENDS, backend
from tqhw.errors import TqhwError


@pytest.mark.parametrize("name", sorted(BACKENDS))
def test_every_backend_knows_its_name_and_versions(name: str) -> None:
    found = backend(name)
    assert found.name == name
    assert all(found.versions().values())


def test_an_unknown_backend_lists_those_that_exist() -> None:
    with pytest.raises(
        TqhwError, match=r"backend: unknown backend 'embeded' \(did you mean 'embedded'\? known: embedded"
    ):
        backend("embeded")
