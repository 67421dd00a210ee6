"""The command line. Every command is thin: it reads its arguments, calls the library and prints.

Exit codes: 0 done; 1 the answer is no (an invalid mapping, a case that differs); 2 bad input, with one message;
130 interrupted by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP.
"""

from __future__ import annotations

import errno
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tqhw.cli import (
    allocate,
    compare,
    convert,
    hardware,
    quantize,
    reference,
    report,
    run,
    show,
    sweep,
    training,
    workload,
)
from tqhw.cli.common import BAD_INPUT, say
from tqhw.system import signals
from tqhw.version import __version__


def _version(asked: bool) -> None:
    if asked:
        place = Path(__file__).parents[1]
        sys.stdout.write(f"tqhw {__version__} from {place} (Python {platform.python_version()})\n")
        raise typer.Exit


app = typer.Typer(
    name="tqhw",
    help="What a quantized network costs on an accelerator, and what switching its precision costs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def _tqhw(
    version: Annotated[
        bool, typer.Option("--version", help="Says the version, and from where.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Options before the command."""


app.command("run")(run.run)
app.command("evaluate")(hardware.evaluate)
app.command("map")(hardware.search)
app.command("show")(show.show)
app.command("conformance")(reference.conformance)
app.command("verify")(reference.verify)
app.command("convert-spec")(convert.convert_spec)
app.add_typer(sweep.app)
app.add_typer(reference.docker)
app.command("workload")(workload.workload)
app.command("allocate")(allocate.allocate)
app.command("train")(training.train)
app.command("table")(training.table)
app.command("eval")(training.evaluate)
app.command("export")(training.export)
app.command("quantize")(quantize.quantize)
app.command("compare")(compare.compare)
app.command("report")(report.report)
app.command("doctor")(report.doctor)


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script. Always ends in SystemExit."""
    if sys.stdout is None:  # closed at the start
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - for good
    try:
        with signals.handled():
            try:
                app(args=None if arguments is None else list(arguments))
            finally:
                sys.stdout.flush()
    except KeyboardInterrupt as stop:
        say("interrupted")
        sys.exit(signals.exit_code(stop))
    except OSError as error:
        if error.filename is not None:
            raise
        # Python would flush what is left once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno == errno.EPIPE:
            sys.exit(1)  # nobody reads on, as in `tqhw ... | head`
        say(f"standard output cannot be written: {error.strerror}")
        sys.exit(BAD_INPUT)
