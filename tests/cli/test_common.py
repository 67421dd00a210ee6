"""What all commands share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from tqhw.cli.common import bundled, guarded


@dataclass(frozen=True)
class Place:
    city: Annotated[str, typer.Option(help="Where to.")]
    streets: Annotated[list[str] | None, typer.Option("--street", help="Through there.")] = None
    fast: Annotated[bool, typer.Option("--fast")] = False


app = typer.Typer()


@app.command()
@guarded
@bundled
def travel(who: Annotated[str, typer.Argument()] = "Ann", *, place: Place) -> None:
    """Goes there."""
    typer.echo(f"{who}: {place}")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--city", "Oslo"], "Ann: Place(city='Oslo', streets=None, fast=False)"),
        (
            ["Bob", "--street", "a", "--city", "Oslo", "--street", "b", "--fast"],
            "Bob: Place(city='Oslo', streets=['a', 'b'], fast=True)",
        ),
    ],
)
def test_a_bundle_is_one_option_per_field(given: list[str], told: str) -> None:
    found = CliRunner().invoke(app, given)
    assert (found.exit_code, found.stdout.strip()) == (0, told)


def test_what_a_bundle_needs_is_asked_for() -> None:
    found = CliRunner().invoke(app, [])
    assert found.exit_code == 2
    assert "--city" in found.output
