"""Where architecture templates live: the arch/ folder of the repository, or the copy inside the wheel."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tqhw.errors import TqhwError, unknown
from tqhw.system.packaged import packaged

TEMPLATE = "arch.yaml.j2"
PARAMETERS = "params.yaml"
COMPONENTS = "components.yaml"


@dataclass(frozen=True)
class Folder:
    """A template folder: ``arch.yaml.j2``, ``params.yaml`` and, if it has one, ``components.yaml``."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.resolve().name

    @property
    def template(self) -> Path:
        return self.path / TEMPLATE

    @property
    def parameters(self) -> Path:
        return self.path / PARAMETERS

    @property
    def components(self) -> Path | None:
        """The folder's own component classes, None if it needs no others than the packaged ones."""
        path = self.path / COMPONENTS
        return path if path.is_file() else None


def library() -> Path:
    """The folder of the templates that come with tqhw."""
    return packaged("arch")


def available() -> tuple[str, ...]:
    """The names of the templates that come with tqhw, sorted."""
    root = library()
    found = root.iterdir() if root.is_dir() else ()
    return tuple(sorted(folder.name for folder in found if (folder / TEMPLATE).is_file()))


def find(name_or_path: str | Path) -> Folder:
    """The template folder of that name in arch/, or at that path. A name of arch/ goes before a local folder.

    Raises TqhwError for an unknown name (the nearest is offered) and for a folder without its files.
    """
    text = str(name_or_path)
    path = Path(name_or_path)
    if text in available():
        path = library() / text
    elif not path.is_dir():
        if Path(text).name != text:
            raise TqhwError(
                "no such architecture file or template folder",
                place=text,
                lever=f"give an existing path or one of {', '.join(available())}",
            )
        raise unknown("architecture", text, available())
    for needed in (TEMPLATE, PARAMETERS):
        if not (path / needed).is_file():
            raise TqhwError(
                f"the folder has no {needed}", place=str(path), lever=f"a template is {TEMPLATE} with {PARAMETERS}"
            )
    return Folder(path)
