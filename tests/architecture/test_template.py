"""Mistakes in an arch.yaml.j2, each with the line of the template."""

from __future__ import annotations

from pathlib import Path

import pytest

from tqhw.architecture.template import fill
from tqhw.errors import TqhwError


def template(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "arch.yaml.j2"
    path.write_text(text)
    return path


def test_values_and_functions_are_filled_in(tmp_path: Path) -> None:
    text = "a: {{ bits }}\n{% if bits > 2 %}\nb: {{ words_per_row(64, bits) }}\n{% endif %}\nc: {{ ceil(1.5) }}\n"
    assert fill(template(tmp_path, text), {"bits": 3}) == "a: 3\nb: 21\nc: 2\n"


def test_a_template_may_use_files_of_its_own_folder(tmp_path: Path) -> None:
    (tmp_path / "parts.j2").write_text("{% macro twice(x) %}{{ 2 * x }}{% endmacro %}")
    path = template(tmp_path, "{% from 'parts.j2' import twice %}\na: {{ twice(4) }}\n")
    assert fill(path, {}) == "a: 8\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: {{ bits }\n", r"arch.yaml.j2:2: template error: unexpected '}'"),
        ("a: 1\nb: {{ row }}\n", r"arch.yaml.j2:2: 'row' is a function \(call it, {{ row\(...\) }}, or name"),
        ("a: 1\n{% if bits %}\n", r"arch.yaml.j2:2: template error: Unexpected end of template"),
        (
            "a: 1\nb: {{ bytes }}\n",
            r"arch.yaml.j2:2: template error: 'bytes' is undefined \(declare it in params.yaml\)",
        ),
        ("a: 1\n\nb: {{ row(16, 32) }}\n", r"arch.yaml.j2:3: a word of 32 bits does not fit a row of 16 bits"),
        ("a: {{ 1 / 0 }}\n", r"arch.yaml.j2:1: template error: division by zero"),
        ("a: 1\nb: {{ row(16) }}\n", r"arch.yaml.j2:2: template error: row\(\) missing 1 required positional argument"),
        ("a: {{ bits.__class__.__mro__ }}\n", r"arch.yaml.j2:1: template error: access to attribute '__class__'"),
        ("a: 1\nb: {{ '%d %d' % 1 }}\n", r"arch.yaml.j2:2: template error: not enough arguments"),
        ("a: {{ range(10 ** 9) }}\n", r"arch.yaml.j2:1: template error: Range too big"),
        ("a: 1\n{% include 'other.j2' %}\n", r"arch.yaml.j2:2: no file 'other.j2' in the folder"),
        ("a: 1\n{% include '../other.j2' %}\n", r"arch.yaml.j2:2: no file '../other.j2' in the folder"),
        ("a: {{ nothing_like_it | sort_of }}\n", r"arch.yaml.j2:1: template error: No filter named 'sort_of'"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path.parent / "other.j2").write_text("out of reach")
    with pytest.raises(TqhwError, match=message):
        fill(template(tmp_path, text), {"bits": 8})


def test_a_template_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "arch.yaml.j2"
    path.write_bytes(b"a: \xff\xfe\n")
    with pytest.raises(TqhwError, match=r"arch.yaml.j2: not a text file in UTF-8"):
        fill(path, {})
