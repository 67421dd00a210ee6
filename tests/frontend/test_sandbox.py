"""Templates that loop, grow, leave their folder or reach for Python end in one message."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.frontend.files import ARCHITECTURE, PROBLEM, level, processed, with_attribute, write
from tqhw.errors import TqhwError
from tqhw.frontend import process

NESTED = "{% set n = namespace(x='a') %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}{% endfor %}"
USES = (
    *("n.x", "n.x ~ ''", "n.x | string | length", "n.x | tojson", "n.x | pprint", "'%s' % n.x", "'{}'.format(n.x)"),
    *("n.x == [n.x]", "n.x in [n.x]", "n.x | unique | list", "n.x | join", "n.x | upper"),
)
DOUBLING = "{% set n = namespace(x='ab') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (
            "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
            "loop more than 200000 times",
        ),
        ("{% set l = range(9999) | list %}{% for i in l %}{% for j in l %}{% endfor %}{% endfor %}", "loop more than"),
        ("{% for i in range(10**9) %}{% endfor %}", "Range too big"),
        ("{% macro m(n) %}{{ m(n) }}{{ m(n) }}{% endmacro %}{{ m(1) }}", "calls itself without end"),
        (DOUBLING, "make more than 10000000 characters"),
        (DOUBLING.replace("n.x ~ n.x", "n.x + n.x"), "make more than 10000000 characters"),
        (DOUBLING.replace("n.x ~ n.x", "[n.x, n.x] | join"), "make more than 10000000 characters"),
        (
            "{% set n = namespace(x=3) %}{% for i in range(60) %}{% set n.x = n.x * n.x %}{% endfor %}",
            "more than 1024 bits",
        ),
        ("{{ 5 | round(-10**9) }}", "make more than 10000000 characters"),
        ("{{ lipsum(n=10**6) }}", "'lipsum' is undefined"),
        *((NESTED + f"{{{{ {use} }}}}", "make more than 10000000 characters") for use in USES),
        ("{% set l = [1] %}{% for i in range(60) %}{% set _ = l.extend(l) %}{% endfor %}", "make more than 10000000"),
        ("{% set l = [1] %}{% set _ = l.append(l) %}{{ l }}", "make more than 10000000 characters"),
        ("{% set l = range(9999) | list %}{% for i in range(9999) %}{% set q = l[1:] %}{% endfor %}", "make more than"),
        (
            "{% set n = namespace(x=3) %}{% for i in range(99999) %}{% set n.x = n.x + n.x %}{% endfor %}",
            "make more than 10000000 characters",
        ),
        ("{% for i in [1] %}" * 30 + "{% endfor %}" * 30, "template error: too many statically nested blocks"),
        ("{% for i in [1] %}1{% endfor %}" * 3000, "a template of more than 5000 tags"),
        ("{% include 'twice1.yaml' %}", "loop more than 200000 times"),
        ("{{ 'x' * 10**9 }}", "make more than 10000000 characters"),
        ("{{ 'x' | center(10**9) }}", "make more than 10000000 characters"),
        ("{{ 'x'.ljust(10**9) }}", "make more than 10000000 characters"),
        ("{{ '%0999999999d' % 1 }}", "a format of more than 9,999 places"),
        ("{{ '%0999999999d' | format(1) }}", "a format of more than 9,999 places"),
        ("{{ '{:999999999}'.format(1) }}", "a format of more than 9,999 places"),
        ("{{ 2 ** 99999 ** 9 }}", "is too large"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ cwd.__globals__ }}", "unsafe"),
        ("{{ cwd }}", "is a function"),
        ("{{ setenv('A', 'b') }}", "would set an environment variable"),
        ("{{ include('../out/secret.yaml') }}", "is outside the given folders"),
        ("{{ include_text('../out/*.yaml') }}", "is outside the given folders"),
        ("{{ find_path('../out/secret.yaml') }}", "is outside the given folders"),
        ("{{ add_to_path('..') }}", "is outside the given folders"),
        ("{{ include('/etc/hostname') }}", "is outside the given folders"),
        ("x: !include ../out/secret.yaml", "is outside the given folders"),
        ("{% include '../out/secret.yaml' %}", "no file '../out/secret.yaml'"),
        ("{% include 'link.yaml' %}", "is outside the given folders"),
        ("{{ include('link.yaml') }}", "is outside the given folders"),
        ("{{ include('nowhere.yaml') }}", "there is no 'nowhere.yaml'"),
        ("{{ include('top.yaml') }}", "a file includes itself: top.yaml -> top.yaml"),
        ("{{ include_text('loop.yaml') }}", "a file includes itself: top.yaml -> loop.yaml -> top.yaml"),
        ("{% include 'top.yaml' %}", "calls itself without end"),
        ("{{ include('many1.yaml') }}", "more than 1000 files are included"),
        ("{{ include('down1.yaml') }}", "includes are nested deeper than 12"),
    ],
)
def test_refused(template: str, message: str, tmp_path: Path) -> None:
    write(tmp_path, out__secret="s: 1\n", here__loop="{{ include_text('top.yaml') }}")
    (tmp_path / "here/link.yaml").symlink_to(tmp_path / "out/secret.yaml")
    for n in range(1, 20):
        write(tmp_path, **{f"here__down{n}": f"{{{{ include('down{n + 1}.yaml') }}}}\n"})
    for n in range(1, 8):
        write(tmp_path, **{f"here__many{n}": f"{{{{ include_text('many{n + 1}.yaml') }}}}\n" * 3})
    write(tmp_path, here__many8="m: 1\n", here__twice30="# end\n")
    for n in range(1, 30):
        write(tmp_path, **{f"here__twice{n}": f"{{% include 'twice{n + 1}.yaml' %}}\n" * 2})
    with pytest.raises(TqhwError) as refusal:
        processed(tmp_path, "here/top.yaml", here__top=f"# first\n{template}\n" + ARCHITECTURE + PROBLEM)
    assert message in str(refusal.value)
    assert str(tmp_path / "here") in (refusal.value.place or "")


def test_path_exists_tells_nothing_of_other_folders(tmp_path: Path) -> None:
    write(tmp_path, out__secret="s: 1\n")
    text = with_attribute("there: {{ path_exists('../out/secret.yaml') }}") + PROBLEM
    assert level(processed(tmp_path, "here/top.yaml", here__top=text), "buf")["there"] is False


def test_an_allowed_folder_is_read(tmp_path: Path) -> None:
    write(tmp_path, out__size="size: 77\n", here__top=with_attribute("size: {{ include('../out/size.yaml', 'size') }}"))
    write(tmp_path, here__p=PROBLEM)
    found = process([tmp_path / "here"], allow=[tmp_path / "out"])
    assert level(found, "buf")["size"] == 77


def test_a_message_names_the_line_of_the_template(tmp_path: Path) -> None:
    with pytest.raises(TqhwError, match=r"top.yaml:2: template error: 'design' is undefined \(give it with --data"):
        processed(tmp_path, top="# one\nx: {{ design }}\n")


def test_a_comment_is_rendered_too(tmp_path: Path) -> None:
    with pytest.raises(TqhwError, match="'old' is undefined"):
        processed(tmp_path, top=ARCHITECTURE + PROBLEM + "# {{ old }}\n")


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("{% set l = [1] %}{% set _ = l.append(2) %}x: {{ l | sum }}", 3),
        ("{% set d = {} %}{% set _ = d.update({'a': 4}) %}x: {{ d.a }}", 4),
        ("x: {% set c = cycler(5, 6) %}{{ c.next() }}{{ c.next() }}", 56),
        ("x: {% set j = joiner(1) %}{{ j() }}2{{ j() }}", 21),
        ("x: {{ include(p='b.yaml', indices='q') }}", 5),
        ("x: {{ 3 if 2 in [1, 2] and (1, 2) == (1, 2) else 4 }}", 3),
        ("x: {{ {(1, 2): 7}[(1, 2)] }}", 7),
        ("x: {{ 'abc'[1:] | length }}", 2),
    ],
)
def test_what_a_template_can_do(line: str, value: int, tmp_path: Path) -> None:
    found = processed(tmp_path, "top.yaml", top=with_attribute(line) + PROBLEM, b="q: 5\n")
    assert level(found, "buf")["x"] == value


def test_an_include_of_nothing_is_null(tmp_path: Path) -> None:
    text = with_attribute("x: {{ include('b.yaml') }}") + PROBLEM
    assert "x" not in level(processed(tmp_path, "top.yaml", top=text, b="# nothing\n"), "buf")
