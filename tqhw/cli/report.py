"""``tqhw report`` and ``tqhw doctor``: results again, and what works on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tqhw.cli.common import console, guarded, write_json
from tqhw.cli.machine import ARCHITECTURES
from tqhw.system.processors import processors

_PACKAGES = ("numpy", "numba", "torch", "pydantic", "jinja2", "matplotlib", "safetensors", "scikit-learn")
_OPTIONAL = {"onnx": "onnx", "onnxruntime": "onnx", "dask": "sweep", "distributed": "sweep", "pyarrow": "parquet"}
"""The extra that each comes with."""


@guarded
def report(
    results: Annotated[Path, typer.Argument(help="A results folder.")],
    out: Annotated[Path | None, typer.Option(help="Where to write; without it, into the same folder.")] = None,
    figures: Annotated[bool, typer.Option(help="Draw the figures too.")] = True,
) -> None:
    """Prints the tables of a run and writes its page anew.

    CSVs and figures, too.
    """
    from tqhw import report as reporting

    found = reporting.load(results)
    reporting.write(found, out or results, figures=figures, run=results)
    for table in reporting.tables(found):
        console().print(table)


@guarded
def doctor(
    json: Annotated[str | None, typer.Option("--json", metavar="FILE|-", help="Writes it as JSON.")] = None,
) -> None:
    """Says what works on this machine and what mends the rest.

    Exit code 1 where the embedded engine fails.
    """
    from rich.table import Table

    from tqhw.backends import doctor as backends

    rows = [*_interpreter(), *(_package(name, needed=True) for name in _PACKAGES)]
    rows += [_package(name, needed=False) for name in _OPTIONAL]
    rows += backends.checks()
    works = all(row["found"] for row in rows if row["needed"])
    if json is not None:
        write_json({"works": works, "checks": rows}, json)
    if json != "-":
        table = Table("what", "version", "needed", "what to do")
        for row in rows:
            cells = (row["what"], row["version"], "yes" if row["needed"] else "no", row["lever"])
            table.add_row(*cells)
        console().print(table)
    if not works:
        raise typer.Exit(1)


def _interpreter() -> list[dict[str, Any]]:
    import platform

    return [
        {"what": "python", "version": platform.python_version(), "found": True, "needed": True, "lever": ""},
        {"what": "cores", "version": str(processors()), "found": True, "needed": True, "lever": ""},
        {"what": "architectures", "version": ARCHITECTURES, "found": True, "needed": True, "lever": ""},
    ]


def _package(name: str, needed: bool) -> dict[str, Any]:
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version(name)
    except PackageNotFoundError:
        lever = f"pip install {name}" if needed else f"pip install 'tqhw[{_OPTIONAL[name]}]'"
        return {"what": name, "version": "missing", "found": False, "needed": needed, "lever": lever}
    return {"what": name, "version": found, "found": True, "needed": needed, "lever": ""}
