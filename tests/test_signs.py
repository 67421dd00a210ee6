"""Formats that show a sign show none of a zero: -0.04 in one digit is +0.0, and not -0.0."""

import re
from pathlib import Path

import tqhw

SIGNED = re.compile(r"""\{[^{}"]+:\+(?!z)[^{}]*\}""")


def test_every_format_with_a_sign_takes_it_from_what_is_shown() -> None:
    root = Path(tqhw.__file__).parent
    sources = [*root.rglob("*.py"), *(root.parent / "benchmarks").glob("*.py")]
    found = [f"{path.name}: {text}" for path in sources for text in SIGNED.findall(path.read_text("utf-8"))]
    assert len(sources) > 100 and found == [], "write {value:+z.1f}"
    assert SIGNED.search('f"{100 * value:+.1f}"') and not SIGNED.search('f"{value:+z.1f}"')
