"""Tiny runs whose outcome is known: they tell whether the programs read, count and estimate as the supported ones do.

Timeloop prints no version that could be asked. The model's case is the reference's ``R_inner_P_outer``: three steps of
R inside four of P fetch 9 input words, because the model's walk keeps the word where the move of the innermost loop is
undone; another version may say 12 or 6.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tqhw.backends.protocol import Design, Target
from tqhw.backends.timeloop.accelergy import run_accelergy
from tqhw.backends.timeloop.programs import SUPPORTED
from tqhw.backends.timeloop.render import Renderer
from tqhw.backends.timeloop.runs import scratch, write_input
from tqhw.backends.timeloop.statistics import read_statistics
from tqhw.errors import TqhwError
from tqhw.options import TimeloopOptions
from tqhw.spec import ART, CONV2D, ERT, Problem, Stats, flatten, make_problem, parse_architecture, parse_mapping, yamlio
from tqhw.system.programs import Children

LIMIT_S = 30.0  # of a run that takes about a second
_ARCHITECTURE = """\
architecture:
  nodes:
  - !Component
    name: DRAM
    class: DRAM
    subclass: dram_channel
    attributes: {row_bits: 64, width: 64, datawidth: 8}
  - !Component
    name: buffer
    class: storage
    subclass: sram_buffer
    attributes: {rows: 64, row_bits: 32, depth: 64, width: 32, datawidth: 8}
  - !Component
    name: mac
    class: compute
    subclass: int_mac
    attributes: {a_bits: 8, b_bits: 8, acc_bits: 16}
variables: {technology: "45nm", global_cycle_seconds: 1e-9}
"""
_STORAGES = ("DRAM", "buffer")
_BOUNDS = {"R": 3, "P": 4}
# Reads, fills and updates per instance of Weights, Inputs and Outputs, and cycles.
_EXPECTED = {
    "DRAM": ((12, 0, 0), (9, 0, 0), (0, 0, 4)),
    "buffer": ((12, 12, 0), (12, 9, 0), (8, 0, 12)),
}
_CYCLES = _COMPUTES = 12
_RENDERER = Renderer(use_front_end=False)


def probe_model(program: Path, children: Children) -> None:
    """Evaluates the case. Raises TqhwError that names the supported versions where the outcome is another one."""
    problem, target = _problem(), _target()
    keep = {"type": "datatype", "keep": list(CONV2D.data_space_names), "bypass": []}
    mapping = parse_mapping(
        [
            *({"target": name, **keep} for name in _STORAGES),
            {"target": "DRAM", "type": "temporal", "factors": "R3 P4", "permutation": "RPCMSNQG"},
        ]
    )
    stats = _run(program, _RENDERER.model(problem, target, mapping), problem, target, children)
    for level, spaces in _EXPECTED.items():
        found = stats.levels[level].dataspaces
        counts = tuple((d.reads, d.fills, d.updates) for d in found.values())
        if counts != spaces:
            raise _unsupported(program, f"reads, fills and updates of {level} are {counts}, not {spaces}")
    if stats.cycles != _CYCLES:
        raise _unsupported(program, f"{stats.cycles} cycles, not {_CYCLES}")


def probe_mapper(program: Path, children: Children) -> None:
    """Searches a mapping of the case; raises as :func:`probe_model` does."""
    problem, target = _problem(), _target()
    text = _RENDERER.mapper(problem, target, "energy", TimeloopOptions(victory_condition=1))
    stats = _run(program, text, problem, target, children)
    if stats.computes != _COMPUTES:
        raise _unsupported(program, f"{stats.computes} computes, not {_COMPUTES}")


def probe_accelergy(program: Path, children: Children) -> None:
    """Estimates a DRAM, an SRAM and a multiplier; raises as :func:`probe_model` does."""
    design = _design()
    with scratch("probe") as folder:
        try:
            run_accelergy(program, design, _RENDERER.accelergy(design), folder, children, LIMIT_S)
        except TqhwError as error:
            raise _unsupported(program, error.message) from None


PROBES: Mapping[str, Callable[[Path, Children], None]] = {
    "timeloop-model": probe_model,
    "timeloop-mapper": probe_mapper,
    "accelergy": probe_accelergy,
}
"""By the program's name."""


def _problem() -> Problem:
    return make_problem(CONV2D, {dimension: _BOUNDS.get(dimension, 1) for dimension in CONV2D.dimensions}, "probe")


def _design() -> Design:
    architecture = parse_architecture(yamlio.parse(_ARCHITECTURE, "probe"), "probe", "probe")
    return Design("probe", architecture, flatten(architecture), _ARCHITECTURE)


def _target() -> Target:
    """With energies that no program had to estimate."""
    energies = {name: {"read": 2.0, "write": 3.0, "update": 5.0, "leak": 0.0} for name in _STORAGES}
    energies["mac"] = {"compute": 1.0}
    full_names = {name: f"top_level.{name}[1..1]" for name in energies}
    return Target(_design(), ERT(energies, full_names), ART(dict.fromkeys(energies, 1.0), full_names))


def _run(program: Path, text: str, problem: Problem, target: Target, children: Children) -> Stats:
    with scratch("probe") as folder:
        write_input(folder, text)
        ended = children.run([str(program), "input.yaml"], folder, folder / "log", LIMIT_S, grace_s=1.0)
        if ended.timed_out:
            raise _unsupported(program, f"it did not end within {LIMIT_S:.0f} s")
        try:
            return read_statistics(folder, program.name, problem, target)
        except TqhwError as error:
            last = (ended.log.strip().splitlines() or ["it said nothing"])[-1][:300]
            raise _unsupported(program, f"{error.message}; its log ends with: {last}") from None


def _unsupported(program: Path, what: str) -> TqhwError:
    return TqhwError(
        f"it does not answer a known case as it should: {what}", place=str(program), lever=f"supported: {SUPPORTED}"
    )
