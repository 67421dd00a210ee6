"""Every YAML that went into the numbers, so that anyone can run them through Timeloop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tqhw import energy
from tqhw.pipeline.fronts import FRONTS
from tqhw.pipeline.hardware import Evaluated
from tqhw.spec import dump_art, dump_ert, dump_mapping, dump_problem, yamlio
from tqhw.spec.word_bits import WORDS
from tqhw.spec.yamlio import write_text
from tqhw.workload import Workload, file_names
from tqhw.workload import write as write_problems

_README = """\
What went into results.json, in Timeloop's v0.4 format.

problems/                            one problem per distinct layer; summary.json says what they stand for
hardware/<spad model>/fetchF_weightsB[_activationsA]/
    architecture.yaml                weights leave the DRAM with F bits and are B bits wide on the chip; activations
                                     have A bits where the quantized model says so
    words.yaml                       bits of words by data space, where the architecture alone does not say them
    components.yaml                  the compound classes it names
    ERT.yaml, ART.yaml               energies and areas of an action, an instance
    problems/                        only where weights are taken in digits: with a dimension for them; and padded
    mappings/                        the mapping of every layer on it, by the name of its problem
    fronts/LAYER/                    where a front was searched for, the mappings on it, by the number of the point;
                                     the problem of one that is padded
"""


def write(folder: Path, workload: Workload, evaluated: tuple[Evaluated, ...]) -> None:
    """Writes the problems, and per rendering the architecture, its tables and the mappings, below ``folder``."""
    write_text(folder / "README.txt", _README)
    write_problems(workload, folder / "problems")
    files = file_names(workload.layers)
    for one in evaluated:
        for rendering in one.renderings.values():
            place, target = folder / rendering.folder, rendering.target
            write_text(place / "architecture.yaml", target.design.text)
            if rendering.words is not None:
                write_text(place / WORDS, yamlio.dump(rendering.words.as_json()))
            write_text(place / "components.yaml", energy.packaged_components_text())
            if target.design.components_text:
                write_text(place / "components_own.yaml", target.design.components_text)
            write_text(place / "ERT.yaml", dump_ert(target.ert))
            write_text(place / "ART.yaml", dump_art(target.art))
        own = {one.rendering(*key).folder for key, found in one.found.items() if found.padded is not None}
        for (index, width), found in one.found.items():
            problem, place = workload.layers[index].problem, folder / one.rendering(index, width).folder
            computed = one.rendering(index, width).target.design.problem(problem)
            if found.padded is not None:
                computed = replace(computed, bounds=dict(found.padded))
            if computed is not problem or one.rendering(index, width).folder in own:
                write_text(place / "problems" / files[index], dump_problem(computed))
            write_text(place / "mappings" / files[index], dump_mapping(found.mapping, computed.shape.dimensions))
            for number, point in enumerate(found.front.points if found.front else (), 1):
                file = f"{files[index].removesuffix('.yaml')}/{number}"
                write_text(place / FRONTS / f"{file}.yaml", dump_mapping(point.mapping, computed.shape.dimensions))
                if point.padded is not None:
                    padded = replace(computed, bounds=dict(point.padded))
                    write_text(place / FRONTS / f"{file}.problem.yaml", dump_problem(padded))
