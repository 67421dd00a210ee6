"""A file as text: rendered by jinja2 with the front end's functions, from which other files are brought in."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2

from tqhw.errors import TqhwError, shown
from tqhw.frontend import documents
from tqhw.frontend.documents import Several
from tqhw.frontend.folders import Folders
from tqhw.frontend.merges import merge_all
from tqhw.frontend.sandbox import COMPUTATION, Budget, Sandbox

MAX_FILES = 1000
MAX_DEPTH = 12
"""Of files that include each other; each may nest its values a hundred deep."""
MAX_BYTES = 10_000_000
_CONTENT = re.compile(r"^\s*[^\s#]", re.MULTILINE)


@dataclass
class Reader:
    """Reads the files of one specification. ``open_files``: those being read, outermost first; ``read``: all so far."""

    folders: Folders
    given: tuple[Path, ...] = ()
    budget: Budget = field(default_factory=Budget)
    open_files: tuple[Path, ...] = ()
    read: list[Path] = field(default_factory=list)

    def tree(self, path: Path, data: Mapping[str, Any], search: tuple[Path, ...], place: str) -> Any:
        """The tree of a file: rendered, parsed, with its merges carried out."""
        return self.opened(path, place, lambda: _TemplateFile(self, path, data, search).tree())

    def text(self, path: Path, data: Mapping[str, Any], search: tuple[Path, ...], place: str) -> str:
        """The rendered text of a file."""
        return str(self.opened(path, place, lambda: _TemplateFile(self, path, data, search).text()))

    def opened(self, path: Path, place: str, action: Callable[[], Any]) -> Any:
        """``action`` while ``path`` counts as open. Raises TqhwError for a file that includes itself, or too many."""
        if path in self.open_files:
            loop = [*self.open_files[self.open_files.index(path) :], path]
            raise TqhwError(
                f"a file includes itself: {' -> '.join(p.name for p in loop)}", place=place, lever="break the loop"
            )
        self.read.append(path)
        if len(self.read) > MAX_FILES:
            raise TqhwError(f"more than {MAX_FILES} files are included", place=place, lever="include fewer")
        if path.stat().st_size > MAX_BYTES:
            raise TqhwError(f"the file has more than {MAX_BYTES} bytes", place=str(path))
        if len(self.open_files) >= MAX_DEPTH:
            raise TqhwError(f"includes are nested deeper than {MAX_DEPTH}", place=place, lever="include less deeply")
        before, self.open_files = self.open_files, (*self.open_files, path)
        try:
            return action()
        finally:
            self.open_files = before


class _TemplateFile:
    """One file while it is rendered: the folders it has added, the trees that it has included."""

    def __init__(self, reader: Reader, path: Path, data: Mapping[str, Any], search: tuple[Path, ...]) -> None:
        self.reader, self.path, self.data = reader, path, dict(data)
        self.added = list(search)
        self.loaded: dict[str, Any] = {}

    def text(self) -> str:
        sandbox = Sandbox(self.path.parent, self.reader.budget, lambda p: self.folders.check(p, str(self.path)))
        sandbox.globals.update(
            cwd=lambda: str(self.path.parent),
            include=lambda p, indices="": self._include(p, indices, single=True),
            include_all=lambda p, indices="": self._include(p, indices, single=False),
            include_text=self._include_text,
            find_path=lambda x: str(self.folders.first(_name(x), self.search, str(self.path))),
            find_paths=lambda x: [str(p) for p in self._hits(x)],
            path_exists=self._exists,
            add_to_path=self._add,
            setenv=_no_setenv,
        )
        return _rendered(sandbox, self.path, self.data)

    def tree(self) -> Any:
        text = self.text()
        if len(self.reader.open_files) > 1 and not _CONTENT.search(text):
            return None  # an include of nothing is null; a given file of nothing is refused
        tree = documents.read(text, str(self.path), self.loaded, self._fetch)
        return merge_all(tree, str(self.path))

    @property
    def folders(self) -> Folders:
        return self.reader.folders

    @property
    def search(self) -> tuple[Path, ...]:
        return (self.path.parent, *self.added)

    def _hits(self, name: Any) -> list[Path]:
        return self.folders.hits(_name(name), self.search, str(self.path))

    def _include(self, name: Any, index: str, single: bool) -> str:
        hits = [self._file(hit) for hit in self._hits(name)]
        if single and len(hits) > 1:
            raise TqhwError(
                f"include('{name}') finds {len(hits)} files: {', '.join(str(h) for h in hits)}",
                lever="include_all() takes several; a name that two folders have needs its folder",
            )
        trees = [self.reader.tree(hit, self.data, tuple(self.added), str(self.path)) for hit in hits]
        key = re.sub(r"\W+", "", f"{self.path.name.rpartition('.')[0]}_{len(self.loaded)}")
        self.loaded[key] = trees[0] if len(trees) == 1 else Several(trees)
        index = str(index).lstrip(".")
        return f"!include_loaded {key}.{index}" if index else f"!include_loaded {key}"

    def _include_text(self, p: Any) -> str:
        added = tuple(self.added)
        return "\n".join(self.reader.text(self._file(hit), self.data, added, str(self.path)) for hit in self._hits(p))

    def _fetch(self, name: str, folder: bool, place: str) -> Any:
        path = self.folders.first(name, (self.path.parent,), place)
        if folder:
            return [self.reader.tree(self._file(p), self.data, (), place) for p in sorted(path.glob("*.yaml"))]
        return self.reader.tree(self._file(path), self.data, (), place)

    def _file(self, path: Path) -> Path:
        if path.is_dir():
            raise TqhwError(f"'{path}' is a folder", lever="include a file")
        return self.folders.check(path, str(self.path))

    def _exists(self, p: Any) -> bool:
        try:
            self.folders.first(_name(p), self.search, str(self.path))
        except TqhwError:
            return False
        return True

    def _add(self, p: Any) -> str:
        self.added += self._hits(p)
        return ""


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise TqhwError(f"a file's name is a text, found {shown(value)}", lever="give one name or pattern")
    if "\0" in value:
        raise TqhwError("a file's name holds no NUL")
    return value


def _no_setenv(*_: Any) -> str:
    raise TqhwError("setenv() would set an environment variable", lever="remove it, nothing that is read is executed")


def _rendered(sandbox: Sandbox, path: Path, data: Mapping[str, Any]) -> str:
    """The text. Every failure carries the file and the line of the template."""
    try:
        return sandbox.get_template(path.name).render(data)
    except jinja2.TemplateSyntaxError as error:
        raise TqhwError(f"template error: {error.message}", place=f"{error.filename or path}:{error.lineno}") from None
    except jinja2.TemplateNotFound as error:
        raise TqhwError(f"no file '{error.name}' in the folder", place=_line(error, path)) from None
    except jinja2.UndefinedError as error:
        lever = "give it with --data, or write a default: {{ x | default(8) }}"
        raise TqhwError(f"template error: {error.message}", place=_line(error, path), lever=lever) from None
    except SyntaxError as error:  # of Python, which jinja2 makes of it
        raise TqhwError(f"template error: {error.msg}", place=str(path), lever="nest less") from None
    except TqhwError as error:
        place = _line(error, path) if error.place in (None, str(path)) else error.place
        raise TqhwError(error.message, place=place, lever=error.lever) from None
    except UnicodeDecodeError:
        raise TqhwError("not a text file in UTF-8", place=str(path)) from None
    except RecursionError:
        raise TqhwError("template error: it calls itself without end", place=_line(None, path)) from None
    except COMPUTATION as error:
        raise TqhwError(f"template error: {error}", place=_line(error, path)) from None


def _line(error: BaseException | None, path: Path) -> str:
    """File and line of the template that ``error`` came out of: jinja2 puts them into the traceback."""
    place = str(path)
    trace = None if error is None else error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if Path(name).parent == path.parent:
            place = f"{name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
