"""From a template folder and parameters to an architecture that unmodified Timeloop accepts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqhw import frontend
from tqhw.architecture import folders, template
from tqhw.architecture.packing import Packing, packings
from tqhw.architecture.parameters import Parameters, Value
from tqhw.architecture.params_file import GROUPS, load_parameters
from tqhw.drawing import chart, chart_svg
from tqhw.errors import TqhwError
from tqhw.spec import Architecture, Digits, Hardware, Problem, flatten, parse_architecture, yamlio

PACKING = "packing"  # the parameter, where a template has it, that chooses between `pack` and `ideal`

_SIZED = "constraints that need a layer's sizes (maximize_dims, ...) hold for each; architecture.yaml has none of them"


@dataclass(frozen=True)
class Rendered:
    """An architecture, and all that the other rooms need to know about it.

    ``text``: the YAML as Timeloop reads it. ``params``: all parameters, the defaults too. ``components_text``: the
    template's own component classes ("" if none), to be added to the packaged ones. ``groups``: component -> group
    of the reports. ``packings``: words and padding per memory, outermost first. ``notes``: what a reader of results
    must know. ``word_bits``: bits of words where ``--word-bits`` does not say them. ``digits``: what weights are taken
    in, if not whole. ``sized``: what it says depends on a problem (:func:`load`). A YAML file that was
    given as it is has no params, groups and packings.
    """

    name: str
    architecture: Architecture
    hardware: Hardware
    text: str
    params: Mapping[str, Value]
    components_text: str
    groups: Mapping[str, str]
    packings: tuple[Packing, ...]
    notes: tuple[str, ...]
    word_bits: Mapping[str, int] = field(default_factory=dict)
    digits: Digits | None = None
    sized: bool = False

    def _repr_html_(self) -> str:
        """What a notebook shows: the levels and fan-outs as a picture."""
        return chart_svg(chart(self.hardware, self.architecture))

    @property
    def ideal_packing(self) -> bool:
        """Whether padding is to be used too: after the fact, accesses shrink by each packing's ``utilization``."""
        return self.params.get(PACKING) == "ideal"


def render(name_or_path: str | Path, params: Mapping[str, Any] | None = None) -> Rendered:
    """The template of that name in arch/, or the template folder at that path, with ``params``.

    Values may be texts (``{"weight_bits": "2"}``): params.yaml gives their types. Raises TqhwError for whatever
    does not fit: the folder, a parameter, the template, the architecture that comes out, a component in no group.
    """
    folder = folders.find(name_or_path)
    parameters = load_parameters(folder.parameters)
    values = parameters.complete(params or {}, folder.name)
    filled = template.fill(folder.template, values)
    text = _header(folder.name, parameters, values) + filled
    source = f"{folder.template} (rendered)"
    try:
        architecture, hardware = _parsed(text, source, folder.name)
        packed = packings(hardware)
    except TqhwError as error:
        raise _quoting(error, source, text) from None
    _check_groups(architecture, parameters)
    return Rendered(
        name=folder.name,
        architecture=architecture,
        hardware=hardware,
        text=text,
        params=values,
        components_text=yamlio.read_text(folder.components) if folder.components else "",
        groups=parameters.groups,
        packings=packed,
        notes=_notes(packed, values.get(PACKING) == "ideal"),
        word_bits=parameters.words(values),
        digits=parameters.digits_of(values),
    )


def load(
    arch: str | Path | Sequence[str | Path],
    params: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
    allow: Iterable[str | Path] = (),
    problem: Problem | None = None,
    per_problem: bool = False,
) -> Rendered:
    """What ``--arch`` and ``--param`` mean: a name in arch/, a template folder, or the field's own files.

    Files, patterns and folders are read as Timeloop's front end reads them, with ``data`` for their templates and
    ``allow`` for folders that they may include from. Expressions that look at the problem, and macros among their
    constraints that depend on its sizes, need ``problem``; ``per_problem``: macros are left out, for whoever asks again
    with each problem. Raises TqhwError as :func:`render` does,
    and for parameters given to files, which have none.
    """
    given = [arch] if isinstance(arch, str | Path) else list(arch)
    if len(given) == 1 and is_template(given[0]):
        if data:
            raise TqhwError("a template of arch/ takes no data", place=str(given[0]), lever="give --param NAME=VALUE")
        return render(given[0], params)
    if params:
        raise TqhwError(
            f"a rendered architecture takes no parameters, found {', '.join(params)}",
            place=", ".join(map(str, given)),
            lever="give the template's name or folder instead",
        )
    found = frontend.load_machine(frontend.sources(given, data, allow), problem, per_problem)
    parsed, components = found.architecture, found.components
    notes = (*parsed.notes, *((_SIZED,) if found.sized else ()))
    return Rendered(parsed.name, parsed, flatten(parsed), found.text, {}, components, {}, (), notes, sized=found.sized)


def is_template(arch: str | Path) -> bool:
    """Whether a name means a template: it is in arch/, a folder with a template's files, or nothing that exists."""
    path = Path(arch)
    if str(arch) in folders.available():
        return True
    if path.is_dir():
        return any((path / name).is_file() for name in (folders.TEMPLATE, folders.PARAMETERS))
    return not path.is_file() and not any(sign in str(arch) for sign in "*?")


def parameters_of(name_or_path: str | Path) -> Parameters:
    """The parameters of a template, for help texts and documentation."""
    return load_parameters(folders.find(name_or_path).parameters)


def _header(name: str, parameters: Parameters, values: Mapping[str, Value]) -> str:
    read = [p.name for p in parameters.parameters if parameters.applies(p, values)]
    lines = [f"# Rendered by tqhw from the template {name}, with"]
    return "\n".join([*lines, *(f"#   {key}: {_plain(values[key])}" for key in read)]) + "\n"


def _plain(value: Value) -> str:
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _parsed(text: str, source: str, name: str) -> tuple[Architecture, Hardware]:
    architecture = parse_architecture(yamlio.parse(text, source), source, name)
    return architecture, flatten(architecture)


def _quoting(error: TqhwError, source: str, text: str) -> TqhwError:
    """``error`` with the rendered line it is about: nobody can look that line up in the template."""
    found = re.match(rf"{re.escape(source)}:(\d+)", error.place or "")
    if found is None:
        return error
    # YAML's breaks: Python's own splitlines knows others, too.
    lines = re.split("\r\n|[\r\n\x85\u2028\u2029]", text)
    line = lines[min(int(found[1]), len(lines)) - 1].strip()
    lever = f"{error.lever}; " if error.lever else ""
    return TqhwError(error.message, place=error.place, lever=f"{lever}the line is `{line}`")


def _check_groups(architecture: Architecture, parameters: Parameters) -> None:
    for component in architecture.components():
        if component.name not in parameters.groups:
            raise TqhwError(
                f"the component '{component.name}' is in no group of the reports",
                place=f"{parameters.source}: groups",
                lever=f"add it to one of {', '.join(GROUPS)}",
            )


def _notes(packed: tuple[Packing, ...], ideal: bool) -> tuple[str, ...]:
    notes = []
    for p in packed:
        if p.padding_bits:
            text = f"{p.component}: {p.words_per_row} words of {p.word_bits} bits in a row of {p.row_bits} bits"
            if ideal:
                notes.append(
                    f"{text}, counted after the fact as {p.row_bits / p.word_bits:.4g} (packing: ideal; "
                    f"accesses and energy x {p.utilization:.4f}; not a Timeloop result)"
                )
            else:
                notes.append(f"{text}, {p.padding_bits} bits of padding ({p.padding_bits / p.row_bits:.1%})")
    return tuple(notes)
