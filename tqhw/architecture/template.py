"""Filling in a jinja2 template: sandboxed, undefined variables refused, errors with the template's line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tqhw.architecture.packing import row, words_per_cycle, words_per_row
from tqhw.errors import TqhwError
from tqhw.frontend.sandbox import COMPUTATION

# What a template may call besides its parameters.
FUNCTIONS = {
    "row": row,
    "words_per_row": words_per_row,
    "words_per_cycle": words_per_cycle,
    "ceil": math.ceil,
    "floor": math.floor,
    "log2": math.log2,
}


def fill(template: Path, values: Mapping[str, Any]) -> str:
    """The text of ``template`` with ``values``; it may include or import files of its own folder.

    Raises TqhwError, at the template's line, for a syntax error, an undefined variable, a failing computation
    and anything that the sandbox forbids.
    """
    try:
        return _environment(template.parent).get_template(template.name).render(dict(values))
    except jinja2.TemplateSyntaxError as error:
        raise TqhwError(
            f"template error: {error.message}", place=f"{error.filename or template}:{error.lineno}"
        ) from None
    except jinja2.TemplateNotFound as error:
        raise TqhwError(f"no file '{error.name}' in the folder", place=_line(error, template)) from None
    except jinja2.UndefinedError as error:
        raise TqhwError(
            f"template error: {error.message}", place=_line(error, template), lever="declare it in params.yaml"
        ) from None
    except TqhwError as error:
        raise TqhwError(error.message, place=_line(error, template), lever=error.lever) from None
    except UnicodeDecodeError:
        raise TqhwError("not a text file in UTF-8", place=str(template)) from None
    except COMPUTATION as error:
        raise TqhwError(f"template error: {error}", place=_line(error, template)) from None


@cache
def _environment(folder: Path) -> jinja2.Environment:
    """Keeps compiled templates, and looks at every use whether their files have changed."""
    environment = ImmutableSandboxedEnvironment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
        finalize=_written,
    )
    environment.globals.update(FUNCTIONS)
    return environment


def _written(value: Any) -> Any:
    """What ``{{ }}`` writes; a function that was not called is a slip for a parameter of a similar name."""
    if callable(value) and not isinstance(value, jinja2.Undefined):
        name = getattr(value, "__name__", str(value))
        raise TqhwError(f"'{name}' is a function", lever=f"call it, {{{{ {name}(...) }}}}, or name a parameter")
    return value


def _line(error: BaseException, template: Path) -> str:
    """File and line of the template that ``error`` came out of: jinja2 puts them into the traceback."""
    place = str(template)
    trace = error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if Path(name).parent == template.parent:
            place = f"{name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
