"""Data sets that are open, each once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqhw.datasets import Data
from tqhw.train.recipe import Recipe


class OpenedData:
    """The data sets of recipes, each opened once; ``path``: where they lie here, whatever the recipes say.

    ``held``: those in memory, of which recipes that were read from a file know the digest alone.
    """

    def __init__(self, path: str | None = None, held: Any = None) -> None:
        self._path = path
        self._held = held
        self._found: dict[str, Data] = {}

    def of(self, recipe: Recipe) -> Data:
        """The data set of a recipe."""
        here = replace(recipe.data, path=self._path or recipe.data.path, held=self._held or recipe.data.held)
        moved = replace(recipe, data=here)
        key = repr(moved.data) + (f" {moved.training.seed}" if moved.data.split == "seed" else "")
        if key not in self._found:
            self._found[key] = moved.open_data()
        return self._found[key]

    def skipped(self) -> Iterator[list[Path]]:
        """Of every data set the images that could not be read, where there are any."""
        for data in self._found.values():
            found = sorted(getattr(data, "skipped", ()))
            if found:
                yield found
