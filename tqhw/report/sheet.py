"""What all pages have in common: one style sheet, one script, one set of components.

A page needs no network and no other file, and can be read without its script. Its template extends ``base.html`` and
takes tables, cards and folds from ``components.html``.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup

_HERE = Path(__file__).parent


class LinkedText(str):
    """A cell of a table that leads somewhere."""

    link: str

    def __new__(cls, text: str, link: str) -> LinkedText:
        made = super().__new__(cls, text)
        made.link = link
        return made


def page(folder: Path, **values: Any) -> str:
    """The text of ``page.html`` in ``folder``, with ``page.css`` and ``page.js`` beside it after those of all pages.

    ``values``: what the template reads. Every text of it is escaped.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, _HERE]),
        autoescape=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(slug=_slug, quoted=lambda text: quote(text, safe=""))
    css, script = (_joined(folder, name) for name in ("page.css", "page.js"))
    return environment.get_template("page.html").render(
        css=Markup(css),
        script=Markup(script),
        digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        **values,
    )


def _joined(folder: Path, name: str) -> str:
    files = dict.fromkeys((_HERE / name, folder / name))
    return "".join(file.read_text("utf-8") for file in files if file.is_file())


def _slug(title: str) -> str:
    return re.sub("[^a-z0-9]+", "_", title.lower())[:60].strip("_") or "table"
