"""The field's own files: problems, architectures, templates, parameters, components, mappings, tables."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from tests.architecture.folder import PARAMS, TEMPLATE
from tests.fuzz.kind import Kind
from tqhw import architecture, energy, engine
from tqhw.cli.common import parameters
from tqhw.spec import (
    CONV2D,
    ERT,
    MATMUL,
    Hardware,
    LevelMapping,
    Loops,
    Mapping,
    Problem,
    dump_art,
    dump_ert,
    dump_problem,
    flatten,
    load_art,
    load_ert,
    load_mapping,
    load_problem,
    make_problem,
    parse_architecture,
    parse_problem,
    yamlio,
)

DATA = Path(__file__).parents[1] / "data" / "timeloop"
ARRAY = """\
variables: {version: 0.4, technology: "45nm", global_cycle_seconds: 1e-9, rows: 64}
architecture:
  version: 0.4
  nodes:
  - !Container {name: system, attributes: {word: 8}}
  - !Component {name: DRAM, class: DRAM, subclass: dram_channel, attributes: {row_bits: 64, width: 64, datawidth: word}}
  - !Parallel
    nodes:
    - !Component
      name: weights
      class: storage
      subclass: sram_buffer
      attributes: {row_bits: 32, rows: rows * 8, width: 32, depth: 512, datawidth: 8, multiple_buffering: 2}
      constraints: {dataspace: {keep: [Weights]}, temporal: {factors: [C<=4], permutation: [C, M]}}
    - !Component
      name: others
      class: SRAM
      subclass: sram_buffer
      attributes:
        {row_bits: 32, rows: 512, block_size: 2, depth: 512, datawidth: 16, read_bandwidth: 4, shared_bandwidth: 8.5}
      constraints: {dataspace: {keep: [Inputs, Outputs]}}
  - !Container
    name: PE
    spatial: {meshX: 4, meshY: 2}
    constraints: {spatial: {permutation: [M, C], split: 1, factors_only: [M<=4, C<=2]}}
  - !Component
    name: spad
    class: regfile
    subclass: register_file
    energy_scale: 1.5
    attributes: {row_bits: 16, rows: 12, entries: 12, datawidth: 16}
    constraints: {dataspace: {keep_only: [Weights]}, temporal: {factors: "C=2"}}
  - !Component {name: mac, class: mac, subclass: int_mac, attributes: {a_bits: 8, b_bits: 8, acc_bits: 16}}
"""
COMPONENTS = """\
components:
  version: 0.4
  classes:
  - name: cell
    attributes: {technology: must_specify, global_cycle_seconds: must_specify, width: 8, banks: 2}
    subcomponents:
    - {name: 'reg[0..banks - 1]', class: aladdin_register, attributes: {width: width}}
    - {name: add, class: aladdin_adder, attributes: {width: ceil(log2(width))}, area_scale: 2}
    actions:
    - {name: read, arguments: {data_delta: 0..1}, subcomponents: [{name: 'reg[0]', actions: [{name: read}]}]}
    - {name: write, subcomponents: [{name: 'reg[0..1]', actions: [{name: write, energy_scale: 0.5}]}]}
    - {name: update, subcomponents: [{name: add, actions: [{name: add, repeat: width}]}]}
    - {name: leak, subcomponents: [{name: add, actions: [{name: leak}]}]}
"""
USES_CELL = """\
variables: {technology: "45nm", global_cycle_seconds: 1e-9}
architecture:
  nodes:
  - !Component {name: memory, class: storage, subclass: cell, attributes: {width: 16, datawidth: 8}}
  - !Component {name: mac, class: mac, subclass: int_mac, attributes: {a_bits: 8, b_bits: 8, acc_bits: 16}}
"""
FRONT_END_MAPPING = """\
mapping:
- {target: DRAM, type: temporal, factors: [C=8, M=4, P=7], permutation: [C, M, P]}
- {target: DRAM, type: dataspace, keep: [Weights, Inputs, Outputs], bypass: []}
- {target: PE, type: spatial, factors: "C=2, M=4", permutation: [M, C], split: 1}
- {target: spad, type: bypass, keep: [Weights], bypass: [Inputs, Outputs]}
- {target: weights, type: datatype, keep: [Weights], bypass: [Inputs, Outputs]}
- {target: others, type: temporal, factors: "R3 S3 Q7 C1"}
"""


def conv() -> Problem:
    """A convolution of 8 factors."""
    return make_problem(CONV2D, {"C": 16, "M": 16, "R": 3, "S": 3, "N": 1, "P": 7, "Q": 7, "G": 1}, "conv")


@cache
def array() -> tuple[Hardware, ERT]:
    """A machine with its energies."""
    found = parse_architecture(yamlio.parse(ARRAY, "array.yaml"), "array.yaml", "array")
    return flatten(found), energy.tables(found).ert


def outermost(problem: Problem, hardware: Hardware) -> Mapping:
    """All loops in the outermost memory, which is the simplest mapping."""
    bounds = {dimension: bound for dimension, bound in problem.bounds.items() if bound > 1}
    name = next(level.name for level in reversed(hardware.levels) if level.kind == "storage")
    return Mapping((LevelMapping(name, temporal=Loops(bounds, tuple(problem.shape.dimensions))),))


def _evaluated(problem: Problem, hardware: Hardware, ert: ERT, mapping: Mapping) -> None:
    text = json.dumps(engine.evaluate(problem, hardware, ert, mapping).as_json())
    text.encode()


def _problem(folder: Path) -> None:
    problem = load_problem(folder / "problem.yaml")
    assert parse_problem(yamlio.parse(dump_problem(problem)), "again", problem.name) == problem
    hardware, ert = array()
    _evaluated(problem, hardware, ert, outermost(problem, hardware))


def _architecture(folder: Path) -> None:
    found = architecture.load(folder / "arch.yaml")
    levels = [level.name for level in found.hardware.levels if level.kind == "storage"]
    costs = {"read": 1.0, "write": 1.0, "leak": 0.5}
    ert = ERT({**dict.fromkeys(levels, costs), found.hardware.compute.name: {"compute": 1.0}})
    _evaluated(conv(), found.hardware, ert, outermost(conv(), found.hardware))
    tables = energy.tables(found.architecture)
    dump_ert(tables.ert), dump_art(tables.art)
    _evaluated(conv(), found.hardware, tables.ert, outermost(conv(), found.hardware))


def _template(folder: Path) -> None:
    given = (folder / "given.txt").read_text(encoding="utf-8", errors="replace")
    found = architecture.render(folder, parameters(given.split(";")))
    architecture.parameters_of(folder).table()
    if found.architecture.variables:
        energy.tables(found.architecture)


def _components(folder: Path) -> None:
    own = energy.load_components(folder / "components.yaml")
    found = parse_architecture(yamlio.parse(USES_CELL, "arch.yaml"), "arch.yaml")
    tables = energy.tables(found, own)
    dump_ert(tables.ert), dump_art(tables.art)


def _mapping(folder: Path) -> None:
    hardware, ert = array()
    _evaluated(conv(), hardware, ert, load_mapping(folder / "mapping.yaml"))


def _tables(folder: Path) -> None:
    hardware, _ = array()
    ert, art = load_ert(folder / "ERT.yaml"), load_art(folder / "ART.yaml")
    dump_ert(ert), dump_art(art)
    _evaluated(conv(), hardware, ert, outermost(conv(), hardware))


def _problems() -> list[dict[str, bytes]]:
    matmul = make_problem(MATMUL, {"M": 4, "K": 16, "N": 5}, "matmul")
    named = b"problem: {shape: matmul, instance: {M: 2, K: 3, N: 4}}\n"
    return [*({"problem.yaml": dump_problem(one).encode()} for one in (conv(), matmul)), {"problem.yaml": named}]


def _architectures() -> list[dict[str, bytes]]:
    recorded = [
        (DATA / "arch" / f"{name}.yaml").read_bytes() for name in ("two_level_array", "clustered", "simba_like")
    ]
    return [{"arch.yaml": text} for text in (ARRAY.encode(), *recorded)]


def _templates() -> list[dict[str, bytes]]:
    own = {"arch.yaml.j2": TEMPLATE.encode(), "params.yaml": PARAMS.encode()}
    packaged = architecture.parameters_of("weight_stationary")
    folder = Path(packaged.source).parent
    theirs = {name: (folder / name).read_bytes() for name in own}
    return [
        {**own, "given.txt": b"weight_bits=2;speed=1.5;wide=true;wide_bits=256"},
        {**theirs, "given.txt": b"weight_bits=4"},
    ]


def _mappings() -> list[dict[str, bytes]]:
    hardware, _ = array()
    loops = outermost(conv(), hardware)
    from tqhw.spec import dump_mapping

    return [{"mapping.yaml": text.encode()} for text in (dump_mapping(loops, CONV2D.dimensions), FRONT_END_MAPPING)]


def _ert_and_art() -> list[dict[str, bytes]]:
    found = energy.tables(parse_architecture(yamlio.parse(ARRAY, "array.yaml"), "array.yaml", "array"))
    return [{"ERT.yaml": dump_ert(found.ert).encode(), "ART.yaml": dump_art(found.art).encode()}]


KINDS = (
    Kind("problems", _problems, _problem),
    Kind("architectures", _architectures, _architecture),
    Kind("templates", _templates, _template, targets=(".j2",)),
    Kind("parameters", _templates, _template, targets=("params.yaml", "given.txt")),
    Kind("components", lambda: [{"components.yaml": COMPONENTS.encode()}], _components),
    Kind("mappings", _mappings, _mapping),
    Kind("tables", _ert_and_art, _tables),
)
