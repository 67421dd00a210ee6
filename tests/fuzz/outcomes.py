"""What tqhw writes and reads again: results, manifests, conformance folders, caches, container messages."""

from __future__ import annotations

import hashlib
import io
import json
import sqlite3
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from rich.console import Console

from tests.fuzz import field
from tests.fuzz.kind import Kind
from tests.report.sample import sample
from tqhw import energy, report
from tqhw.backends.embedded import Embedded
from tqhw.backends.protocol import Design, Target
from tqhw.backends.reference import verify
from tqhw.engine.conformance import check_folder
from tqhw.engine.evaluation import evaluate
from tqhw.mapper import MappingCache, SearchResult, search
from tqhw.mapper.cache import cache_key
from tqhw.mapper.kept import payload
from tqhw.pipeline.results_folder import OutputFolder
from tqhw.spec import (
    MATMUL,
    Problem,
    Stats,
    dump_art,
    dump_ert,
    dump_mapping,
    dump_problem,
    flatten,
    make_problem,
    parse_architecture,
    yamlio,
)

FIGURES = True
SMALL = """\
architecture:
  nodes:
  - !Component {name: DRAM, class: DRAM, attributes: {datawidth: 8}}
  - !Component {name: buffer, class: SRAM, attributes: {depth: 64, datawidth: 8}}
  - !Component {name: mac, class: mac}
"""


def _results(folder: Path) -> None:
    found = report.load(folder)
    report.write(found, folder / "again", figures=FIGURES and (folder / "results.json").stat().st_size % 50 == 0)
    screen = Console(file=io.StringIO(), width=140, force_terminal=True)
    for table in report.tables(found):
        screen.print(table)


def _sample() -> list[dict[str, bytes]]:
    document = sample().as_json()
    for name in ("energy", "traffic", "amortised", "summary"):  # enough rows of each, and not thousands
        document[name] = document[name][:: max(1, len(document[name]) // 24)]
    for layer in document["layers"]:
        layer["evaluations"] = layer["evaluations"][:2]
    return [{"results.json": json.dumps(document).encode()}]


def _run(folder: Path) -> None:
    """``tqhw verify``, with our engine as the reference; then a run that writes over what is there."""
    (folder / "hardware" / "array" / "mappings").mkdir(parents=True, exist_ok=True)
    try:
        run = verify.read_run(folder)
        for one in run.architectures:
            for _, problem, mapping in one.evaluations:
                evaluate(problem, one.target.hardware, one.target.ert, mapping)
        verify.verify(run, _Reference()).as_json()
    finally:
        with OutputFolder(folder) as out, out.staging() as staged:
            (staged / "results.json").write_text("{}")


class _Reference(Embedded):
    """The embedded engine where real Timeloop belongs."""

    def evaluate_all(self, evaluations, done=None):  # type: ignore[no-untyped-def]
        return [self.evaluate(*one) for one in evaluations]


def _runs() -> list[dict[str, bytes]]:
    problem, (hardware, ert) = field.conv(), field.array()
    loops = field.outermost(problem, hardware)
    stats = evaluate(problem, hardware, ert, loops)
    assert isinstance(stats, Stats)
    place = "hardware/array"
    said = {"files": place, "energy_pj": stats.energy_pj, "cycles": stats.cycles, "utilization": stats.utilization}
    tables = energy.tables(parse_architecture(yamlio.parse(field.ARRAY, "array"), "array", "array"))
    files = {
        f"{place}/architecture.yaml": field.ARRAY,
        f"{place}/ERT.yaml": dump_ert(tables.ert),
        f"{place}/ART.yaml": dump_art(tables.art),
        f"{place}/mappings/conv.yaml": dump_mapping(loops, problem.shape.dimensions),
        "problems/conv.yaml": dump_problem(problem),
        "problems/summary.json": json.dumps({"layers": [{"file": "conv.yaml"}]}),
        "results.json": json.dumps(
            {"experiment": {"architecture": {"params": {}}}, "layers": [{"evaluations": [said]}]}
        ),
    }
    files["files.json"] = json.dumps([*files])
    return [{name: text.encode() for name, text in files.items()}]


def _conformance(folder: Path) -> None:
    json.dumps(check_folder(folder).as_json())


def _recorded() -> list[dict[str, bytes]]:
    found = []
    for name in ("two_level_array", "clustered"):
        lines = (field.DATA / "cases" / f"{name}.jsonl").read_bytes().splitlines()
        files = {f"cases/{name}.jsonl": b"\n".join([*lines[:2], *lines[-2:]])}
        for path in (f"arch/{name}.yaml", f"ert/{name}.ERT.yaml", "problem_shapes.yaml"):
            files[path] = (field.DATA / path).read_bytes()
        found.append(files)
    return found


@cache
def searched() -> tuple[Problem, Target, SearchResult]:
    """A small problem, a machine, and its best mapping."""
    problem = make_problem(MATMUL, {"M": 4, "K": 8, "N": 3}, "matmul")
    architecture = parse_architecture(yamlio.parse(SMALL, "small"), "small", "small")
    from tqhw.spec import ART, ERT

    costs = {"read": 2.0, "write": 3.0}
    ert = ERT({"DRAM": {"read": 200.0, "write": 200.0}, "buffer": costs, "mac": {"compute": 1.0}})
    target = Target(Design("small", architecture, flatten(architecture), SMALL), ert, ART({"buffer": 1.0}))
    return problem, target, search(problem, target.hardware, ert)


def _row(folder: Path) -> None:
    """A cache's row, sealed as if we had written it; the answer must not depend on it. Or the file itself."""
    problem, target, fresh = searched()
    path = folder / "mappings.sqlite"
    row = folder / "row.json"
    if row.is_file():
        path.unlink(missing_ok=True)
        text = row.read_bytes()
        sealed: object = hashlib.sha256(text).hexdigest().encode() + b" " + text
        key = cache_key(problem, target.hardware, target.ert, "energy")
        with sqlite3.connect(path) as file:
            file.execute("CREATE TABLE mappings (key TEXT PRIMARY KEY, payload TEXT NOT NULL)")
            with suppress(UnicodeDecodeError):
                sealed = sealed.decode()  # type: ignore[attr-defined]
            file.execute("INSERT INTO mappings VALUES (?, ?)", (key, sealed))
        file.close()
    found = search(problem, target.hardware, target.ert, cache=MappingCache(path))
    assert found.stats == fresh.stats and found.proved_optimal, "the cache has been believed"


def _rows() -> list[dict[str, bytes]]:
    problem, target, fresh = searched()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mappings.sqlite"
        search(problem, target.hardware, target.ert, cache=MappingCache(path))
        content = path.read_bytes()
    row = json.dumps(payload(fresh, None)).encode()
    return [{"row.json": row}, {"row.json": row}, {"mappings.sqlite": content}]


KINDS = (
    Kind("results", _sample, _results),
    Kind("manifests", _runs, _run, targets=("files.json", "results.json", "summary.json")),
    Kind("result folders", _runs, _run),
    Kind("conformance folders", _recorded, _conformance),
    Kind("cache rows", _rows, _row),
)
