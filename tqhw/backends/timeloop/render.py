"""The one input file of a run: what timeloop-model, timeloop-mapper and accelergy are given."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tqhw.backends.protocol import Design, Target
from tqhw.backends.timeloop import front_end
from tqhw.backends.timeloop.constraints import constraint_targets
from tqhw.backends.timeloop.flatten import VERSION, architecture_section, components_section, problem_section
from tqhw.errors import TqhwError
from tqhw.objectives import OBJECTIVES, Objective, objective_of
from tqhw.options import TimeloopOptions
from tqhw.spec import Hardware, LevelMapping, Mapping, Problem, directives, dump_art, dump_ert, yamlio
from tqhw.spec.links import name_links

METRICS = {"energy": "energy", "edp": "edp", "latency": "delay"}


def _metric(objective: str | Objective) -> str:
    wanted = objective_of(objective)
    if wanted.name not in METRICS or OBJECTIVES[wanted.name] != wanted:
        lever = f"use one of {', '.join(METRICS)}, or the embedded engine"
        raise TqhwError(f"Timeloop cannot search by {wanted.name}", place="objective", lever=lever)
    return METRICS[wanted.name]


class Renderer:
    """Renders by Timeloop's own front end where it is importable, and on its own otherwise.

    An architecture is flattened once, whatever the number of problems on it.
    """

    def __init__(self, use_front_end: bool | None = None) -> None:
        self.front_end = front_end.find() if use_front_end in (None, True) else None
        self._architectures: dict[str, dict[str, Any]] = {}

    def accelergy(self, design: Design) -> str:
        """The input of accelergy."""
        return yamlio.dump(
            {"architecture": self._architecture(design), "compound_components": components_section(design)}
        )

    def model(self, problem: Problem, target: Target, mapping: Mapping) -> str:
        """The input of timeloop-model: the architecture without its constraints, with the tables in it."""
        complete = directives(complete_mapping(mapping, target.hardware, problem), problem.shape.dimensions)
        return yamlio.dump({**self._common(problem, target), "mapping": complete})

    def mapper(
        self,
        problem: Problem,
        target: Target,
        objective: str | Objective,
        options: TimeloopOptions,
        diagnostics: bool = False,
    ) -> str:
        """The input of timeloop-mapper. ``diagnostics``: have it say what invalid mappings break."""
        if self.front_end is None:
            targets = constraint_targets(target.hardware, problem)
        else:
            targets = self.front_end.constraint_targets(target.design, problem)
        search: dict[str, Any] = {
            "version": VERSION,
            "algorithm": options.algorithm,
            "optimization_metrics": [_metric(objective)],
            "num_threads": options.num_threads,
            "victory_condition": options.victory_condition,
            "timeout": options.timeout,
            "search_size": options.search_size,
            "log_stats": not diagnostics,
            "live_status": False,
            "diagnostics": diagnostics,
        }
        document = {**self._common(problem, target), "architecture_constraints": {"targets": targets}}
        return yamlio.dump({**document, "mapper": search, "mapspace": {"version": VERSION, "template": "uber"}})

    def _common(self, problem: Problem, target: Target) -> dict[str, Any]:
        ert = yamlio.parse(dump_ert(target.ert))["ERT"]
        art = yamlio.parse(dump_art(target.art))["ART"]
        architecture = self._architecture(target.design)
        return {"architecture": architecture, "problem": problem_section(problem), "ERT": ert, "ART": art}

    def _architecture(self, design: Design) -> dict[str, Any]:
        if design.text not in self._architectures:
            if self.front_end is None:
                self._architectures[design.text] = architecture_section(design)
            else:
                self._architectures[design.text] = self.front_end.architecture(design)
        return self._architectures[design.text]


def complete_mapping(mapping: Mapping, hardware: Hardware, problem: Problem) -> Mapping:
    """The mapping with every level in it, by the engine's names, keep, bypass and forbidden links written out.

    A storage keeps what a mapping does not name there, a pseudo level nothing; Timeloop would keep there too. Links are
    forbidden by the mapping and by the hardware's constraints, which timeloop-model does not look at.
    The mapping names nothing that does not exist (:func:`tqhw.engine.batch.check_names`).
    """
    pseudo = {level.node: level.name for level in hardware.levels if level.kind == "fanout"}
    known = set(hardware.level_names)
    parts = {pseudo.get(m.target, m.target) if m.target not in known else m.target: m for m in mapping.levels}
    levels = []
    spaces = problem.shape.data_space_names
    for level in hardware.levels:
        part = parts.pop(level.name, LevelMapping(level.name))
        default = level.kind == "storage"
        keep = tuple(name for name in spaces if name in part.keep or (default and name not in part.bypass))
        bypass = tuple(name for name in spaces if name not in keep)
        levels.append(replace(part, target=level.name, keep=keep, bypass=bypass))
    return name_links(Mapping(tuple(levels)), hardware, spaces)
