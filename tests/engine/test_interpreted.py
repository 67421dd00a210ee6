"""Python alone gives the compiled figures to the last bit, and a command that finds its answer loads no compiler."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from tests.mapper.places import conv, machine
from tests.sampling import EVERY
from tqhw.engine import Batch, Model, build_model, conformance, encode, evaluation, interpreted
from tqhw.engine.kernel import Counts, make_work
from tqhw.spec import Mapping

ROOT = Path(__file__).parent.parent.parent


@dataclass
class Twice:
    """``run_batch`` by the compiler, and for every third mapping (or fewer) by Python alone too."""

    alone: bool = False
    calls: int = 0
    compared: list[int] = field(default_factory=list)

    def pays(self, model: Model, batch: Batch) -> bool:
        return self.alone

    def __call__(self, model: Model, batch: Batch, detail: bool = False) -> Counts:
        self.alone = False
        compiled = evaluation.run_batch(model, batch, detail)
        self.calls += 1
        if self.calls % (3 * EVERY) == 0:
            self.alone = True
            alone = evaluation.run_batch(model, batch, detail)
            for name, expected, found in zip(Counts._fields, compiled, alone, strict=True):
                assert expected.dtype == found.dtype
                assert expected.tobytes() == found.tobytes(), name
            self.compared.append(int(compiled.rule[0]))
        return compiled


@pytest.mark.parametrize(("folder", "valid"), [("timeloop", 200), ("timeloop_more", 100)])
def test_figures_are_the_same_to_the_last_bit(folder: str, valid: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every architecture and shape of the recorded cases, with sliding windows, links, bandwidths and misfits."""
    twice = Twice()
    monkeypatch.setattr(conformance, "run_batch", twice)
    monkeypatch.setattr(evaluation, "pays", twice.pays)
    assert conformance.check_folder(ROOT / "tests/data" / folder).differences == ()
    assert twice.compared.count(0) > valid / EVERY
    assert len({*twice.compared}) > 2


def test_a_copy_for_python_shares_arrays_and_leaves_the_records_alone() -> None:
    work = make_work(build_model(conv(C=4), *machine("eyeriss_like")))
    copy = interpreted.interpreted(work)
    assert type(copy) is type(work)
    assert copy.plan.bounds is work.plan.bounds
    assert copy.plan.levels[0].capacity == work.plan.levels[0].capacity
    assert type(copy.plan.levels[0].capacity) is int
    copy.total[0].cycles = 7
    assert work.total[0].cycles == 0
    assert copy.flow.counts[0, 1] is not copy.flow.counts[0, 2]


def test_python_alone_is_for_few_single_mappings(monkeypatch: pytest.MonkeyPatch) -> None:
    hardware, ert = machine("eyeriss_like")
    model, batch = build_model(conv(C=4, P=4, R=3), hardware, ert), encode(conv(), hardware, [Mapping(())])
    monkeypatch.delitem(sys.modules, "tqhw.engine.compiler", raising=False)
    monkeypatch.setattr(interpreted, "_left", iter(range(2)))
    wide = Batch(*(np.concatenate([a, a]) for a in vars(batch).values()))
    assert not interpreted.pays(model, wide)
    many = Batch(**{**vars(batch), "spatial": np.full_like(batch.spatial, 3)})
    assert not model.separable.all()
    assert not interpreted.pays(model, many)  # 3 ** 8 elements of a sliding window
    assert [interpreted.pays(model, batch) for _ in range(3)] == [True, True, False]
    monkeypatch.setattr(interpreted, "_left", iter(range(2)))
    monkeypatch.setitem(sys.modules, "tqhw.engine.compiler", sys)
    assert not interpreted.pays(model, batch)


def test_the_compiler_is_loaded_at_once_where_many_mappings_are_to_come(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(interpreted, "import_module", loaded.append)
    interpreted.expect(interpreted.MAX_MAPPINGS)
    assert loaded == []
    interpreted.expect(interpreted.MAX_MAPPINGS + 1)
    assert loaded == ["tqhw.engine.compiler"]


def test_a_mapping_out_of_the_cache_loads_neither_compiler_nor_torch(tmp_path: Path) -> None:
    problem = tmp_path / "problem.yaml"
    problem.write_text("problem:\n  shape: conv2d\n  instance: {C: 4, M: 4, P: 4, Q: 1, R: 3, S: 1, N: 1, G: 1}\n")
    options = ["map", "--arch", "eyeriss_like", "--problem", str(problem)]
    command = [sys.executable, "-X", "importtime", "-m", "tqhw", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(tmp_path)}
    first, again = (subprocess.run(command, env=environment, capture_output=True, text=True) for _ in range(2))
    assert (first.returncode, again.returncode) == (0, 0), first.stderr
    assert again.stdout.replace("True", "False") == first.stdout.replace("True", "False")
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in again.stderr.splitlines()}
    assert loaded >= {"tqhw", "numpy"}
    assert loaded.isdisjoint({"numba", "llvmlite", "torch", "scipy"})
