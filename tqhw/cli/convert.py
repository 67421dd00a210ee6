"""``tqhw convert-spec``: the field's own files, as the front end reads them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from tqhw.cli.common import guarded, say, write_json

Given = Annotated[list[str], typer.Argument(help="Files, patterns of files, or folders, in the order of the sections.")]
Data = Annotated[str | None, typer.Option(metavar="JSON|FILE", help="What the templates use, as a mapping.")]
Allow = Annotated[
    list[Path] | None, typer.Option(metavar="FOLDER", help="Includes may read there too; else in the given folders.")
]
Json = Annotated[str | None, typer.Option("--json", metavar="FILE|-", help="Writes the processed specification.")]
Out = Annotated[Path | None, typer.Option(metavar="DIR", help="Writes clean files of version 0.4 into a new folder.")]


@guarded
def convert_spec(given: Given, data: Data = None, allow: Allow = None, json: Json = None, out: Out = None) -> None:
    """Reads Timeloop's own files and writes them clean.

    They are read as its Python front end does; --json writes what it makes of them.
    """
    from tqhw import frontend
    from tqhw.errors import TqhwError

    if json is None and out is None:
        raise TqhwError(
            "nothing is to be written", place="convert-spec", lever="add --json FILE, --json - or --out DIR"
        )
    values = template_data(data)
    if json is not None:
        found = frontend.process(given, values, allow or [])
        for warning in found.warnings:
            say(warning)
        write_json(found.as_json(), json)
    if out is not None:
        _write(frontend.convert(frontend.sources(given, values, allow or ())), out)


def _write(documents: Mapping[str, Any], out: Path) -> None:
    """All files, or none."""
    from tqhw.errors import TqhwError
    from tqhw.spec import yamlio

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise TqhwError("the folder is not empty", place=str(out), lever="name a new one")
    texts = {name: yamlio.dump(document) for name, document in documents.items()}
    for name, text in texts.items():
        yamlio.write_text(out / name, text)
    say(f"{out}: {', '.join(texts)}")


def template_data(given: str | None) -> dict[str, Any]:
    """What ``--data`` means: a mapping in JSON or YAML, written out or in a file."""
    from tqhw.errors import TqhwError
    from tqhw.spec import yamlio

    if given is None:
        return {}
    source = "--data"
    text = given
    if not given.lstrip().startswith("{"):
        source, text = given, yamlio.read_text(given)
    found = yamlio.parse(text, source)
    if not isinstance(found, dict):
        raise TqhwError(f"'{text[:60]}' is no mapping", place=source, lever="""write '{"name": "value"}'""")
    plain = _plain(found)
    assert isinstance(plain, dict)
    return plain


def _plain(value: Any) -> Any:
    """Without lines and quotes, which a template has no use for."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, str) else value
