"""What all commands share: errors become one line and an exit code, JSON goes to a file or to stdout."""

from __future__ import annotations

import contextlib
import functools
import inspect
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar

import typer

from tqhw.errors import TqhwError
from tqhw.system import signals

if TYPE_CHECKING:
    from rich.console import Console

NO, BAD_INPUT = 1, 2
LOGGER = logging.getLogger("tqhw")
NEWS = [logging.getLogger(f"tqhw.{room}") for room in ("pipeline", "engine")]  # what is no warning is told of these
Trust = Annotated[
    bool,
    typer.Option("--trust", help="Calls the file's model factory even if it does not declare to return an nn.Module."),
]
_P = ParamSpec("_P")
_R = TypeVar("_R")


def say(message: str) -> None:
    """One line on stderr, where there is one: the exit code is the same without a reader."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(f"tqhw: {message}\n")
        sys.stderr.flush()
    except OSError:
        with contextlib.suppress(OSError):  # Python would flush what is left once more at its end, and exit with 120
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


class _Teller(logging.Handler):
    """Says what the library logs, each text once."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.told: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if text not in self.told:
            self.told.add(text)
            say(f"warning: {text}" if record.levelno >= logging.WARNING else text)


@contextlib.contextmanager
def _telling() -> Iterator[None]:
    teller, levels = _Teller(), [logger.level for logger in NEWS]
    LOGGER.addHandler(teller)
    for logger in NEWS:
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        for logger, level in zip(NEWS, levels, strict=True):
            logger.setLevel(level)
        LOGGER.removeHandler(teller)


def guarded(command: Callable[_P, _R]) -> Callable[_P, _R]:
    """Turns what a user can mend, and Ctrl-C or another signal to end, into one line and an exit code.

    Warnings that the library logs are one line each.
    """

    @functools.wraps(command)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            with _telling():
                return command(*args, **kwargs)
        except TqhwError as error:
            say(str(error))
            raise typer.Exit(BAD_INPUT) from None
        except OSError as error:
            if error.filename is None:  # of standard output
                raise
            say(str(TqhwError(error.strerror or str(error), place=str(error.filename))))
            raise typer.Exit(BAD_INPUT) from None
        except KeyboardInterrupt as stop:
            say("interrupted; what was finished is kept, earlier results are untouched")
            raise typer.Exit(signals.exit_code(stop)) from None

    return wrapped


def bundled(command: Callable[..., _R]) -> Callable[..., _R]:
    """Opens every parameter that is a dataclass into its fields, each an option of its own; required ones first."""
    found = inspect.signature(command, eval_str=True)
    kinds: dict[str, Any] = {name: p.annotation for name, p in found.parameters.items() if is_dataclass(p.annotation)}
    opened: list[inspect.Parameter] = []
    for name, parameter in found.parameters.items():
        inner = inspect.signature(kinds[name], eval_str=True).parameters.values() if name in kinds else [parameter]
        opened += [option.replace(kind=inspect.Parameter.KEYWORD_ONLY) for option in inner]
    opened.sort(key=lambda option: option.default is not inspect.Parameter.empty)

    @functools.wraps(command)
    def wrapped(**given: Any) -> _R:
        bundles = {name: kind(**{f.name: given.pop(f.name) for f in fields(kind)}) for name, kind in kinds.items()}
        return command(**bundles, **given)

    wrapped.__signature__ = found.replace(parameters=opened)  # type: ignore[attr-defined]
    return wrapped


_OPTIONS = {  # keys of an experiment, and the options that say the same of a single problem
    "energy.source: ": "--energy-source ",
    "energy.adder: ": "--adder ",
    "source: file": "--ert FILE",
    "take source packaged": "take --energy-source packaged",
    "energy.source": "--energy-source",
    "energy.adder": "--adder",
    "energy.table": "--energy-table",
    "energy.ert": "--ert",
    "energy.art": "--art",
    "architecture.packing": "--packing",
    "architecture.multiplier": "--multiplier",
}
_PLACES = {
    "source": "--energy-source",
    "adder": "--adder",
    "ert": "--ert",
    "art": "--art",
    "table": "--energy-table",
    "multiplier": "--multiplier",
    "word_bits": "--word-bits",
}


def as_options(text: str) -> str:
    """A message of the library in the words of a command that has options where an experiment has keys."""
    for key, option in _OPTIONS.items():
        text = text.replace(key, option)
    return text


@contextlib.contextmanager
def in_options() -> Iterator[None]:
    """Says what is wrong with an option by the option's name, and which option mends it."""
    try:
        yield
    except TqhwError as error:
        place = as_options(error.place or "")
        head, separator, rest = place.partition(".")
        key, colon, more = head.partition(" ")
        place = f"{_PLACES[key]}{colon}{more}{separator}{rest}" if key in _PLACES else place
        lever = None if error.lever is None else as_options(error.lever)
        raise TqhwError(as_options(error.message), place=place or None, lever=lever) from None


def json_text(document: Mapping[str, Any]) -> str:
    """A document as the commands write it."""
    return json.dumps(document, indent=1) + "\n"


def write_json(document: Mapping[str, Any], target: str) -> None:
    """Writes ``document`` to a file, or to stdout where ``target`` is ``-``."""
    from tqhw.system.files import write_text

    text = json_text(document)
    if target == "-":
        sys.stdout.write(text)
    else:
        write_text(target, text)


def console(stderr: bool = False) -> Console:
    """A console that does not squeeze tables where nobody watches, and takes ``[bold]`` in a name for a name."""
    from rich.console import Console

    found = Console(stderr=stderr, markup=False)
    return found if found.is_terminal else Console(stderr=stderr, markup=False, width=140)


def tell_hints(experiment: Path, settings: Sequence[str] | None = None) -> None:
    """Says, after all else, what an experiment has as earlier versions wrote it, and how it is written today."""
    from tqhw.experiment import hints

    for hint in hints(experiment, [*(settings or ())]):
        console().print(f"hint: {hint}", highlight=False, soft_wrap=True)


def parameters(given: Sequence[str]) -> dict[str, str]:
    """``name=value`` settings of an architecture; their types are its own business."""
    result = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not equals or not name.strip():
            raise TqhwError(f"'{item}' is not name=value", place="--param", lever="for example --param weight_bits=2")
        result[name.strip()] = value.strip()
    return result
