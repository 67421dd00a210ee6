"""A run whose outcome is known: it tells whether a timeloop-model reads and counts as the supported one does.

Timeloop prints no version that could be asked. The case is the reference's ``R_inner_P_outer``: three steps of R
inside four of P fetch 9 input words, because the model's walk keeps the word where the move of the innermost
loop is undone; another version may say 12 or 6.
"""

from __future__ import annotations

from pathlib import Path

from tqhw.backends.protocol import Design, Target
from tqhw.backends.timeloop.flatten import architecture_section, problem_section
from tqhw.backends.timeloop.process import Children
from tqhw.backends.timeloop.programs import SUPPORTED
from tqhw.backends.timeloop.runs import scratch, write_input
from tqhw.backends.timeloop.statistics import read_statistics
from tqhw.errors import TqhwError
from tqhw.spec import (
    ART,
    CONV2D,
    ERT,
    directives,
    dump_art,
    dump_ert,
    flatten,
    make_problem,
    parse_architecture,
    parse_mapping,
    yamlio,
)

_ARCHITECTURE = """\
architecture:
  nodes:
  - !Component {name: DRAM, class: DRAM, attributes: {width: 64, datawidth: 8}}
  - !Component {name: buffer, class: storage, attributes: {depth: 64, width: 32, datawidth: 8}}
  - !Component {name: mac, class: compute}
"""
_STORAGES = ("DRAM", "buffer")
_BOUNDS = {"R": 3, "P": 4}
# Reads, fills and updates per instance of Weights, Inputs and Outputs, and cycles.
_EXPECTED = {
    "DRAM": ((12, 0, 0), (9, 0, 0), (0, 0, 4)),
    "buffer": ((12, 12, 0), (12, 9, 0), (8, 0, 12)),
}
_CYCLES = 12


def probe(program: Path, children: Children, budget_s: float) -> None:
    """Runs the case. Raises TqhwError that names the supported versions where the outcome is another one."""
    architecture = parse_architecture(yamlio.parse(_ARCHITECTURE, "probe"), "probe", "probe")
    design = Design("probe", architecture, flatten(architecture), _ARCHITECTURE)
    energies = {name: {"read": 2.0, "write": 3.0, "update": 5.0, "leak": 0.0} for name in _STORAGES}
    energies["mac"] = {"compute": 1.0}
    full_names = {name: f"top_level.{name}[1..1]" for name in energies}
    target = Target(design, ERT(energies, full_names), ART(dict.fromkeys(energies, 1.0), full_names))
    bounds = {dimension: _BOUNDS.get(dimension, 1) for dimension in CONV2D.dimensions}
    problem = make_problem(CONV2D, bounds, "probe")
    keep = {"type": "datatype", "keep": list(CONV2D.data_space_names), "bypass": []}
    mapping = parse_mapping(
        [
            *({"target": name, **keep} for name in _STORAGES),
            {"target": "DRAM", "type": "temporal", "factors": "R3 P4", "permutation": "RPCMSNQG"},
        ]
    )
    text = yamlio.dump(
        {
            "architecture": architecture_section(design),
            "problem": problem_section(problem),
            "mapping": directives(mapping, CONV2D.dimensions),
            "ERT": yamlio.parse(dump_ert(target.ert))["ERT"],
            "ART": yamlio.parse(dump_art(target.art))["ART"],
        }
    )
    with scratch("probe") as folder:
        write_input(folder, text)
        ended = children.run([str(program), "input.yaml"], folder, folder / "log", budget_s)
        try:
            stats = read_statistics(folder, "timeloop-model", problem, target)
        except TqhwError as error:
            last = (ended.log.strip().splitlines() or ["it said nothing"])[-1][:300]
            raise _unsupported(program, f"{error.message}; its log ends with: {last}") from None
    for level, spaces in _EXPECTED.items():
        found = stats.levels[level].dataspaces
        counts = tuple((d.reads, d.fills, d.updates) for d in found.values())
        if counts != spaces:
            raise _unsupported(program, f"reads, fills and updates of {level} are {counts}, not {spaces}")
    if stats.cycles != _CYCLES:
        raise _unsupported(program, f"{stats.cycles} cycles, not {_CYCLES}")


def _unsupported(program: Path, what: str) -> TqhwError:
    return TqhwError(
        f"it does not evaluate a known case as it should: {what}", place=str(program), lever=f"supported: {SUPPORTED}"
    )
