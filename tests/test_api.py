"""The front door: what `import tqhw` offers, from files and from objects."""

from __future__ import annotations

import doctest
import importlib
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import tqhw
from tests.cli.files import ARCH, ERT, write_case
from tests.report.sample import sample
from tqhw.errors import TqhwError
from tqhw.spec import Invalid, Mapping, Stats, parse_mapping


def test_nothing_heavy_is_imported_before_it_is_asked_for() -> None:
    heavy = ("numpy", "torch", "numba", "pydantic")
    code = f"import sys, tqhw; dir(tqhw); print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


def test_every_name_is_there_and_no_other() -> None:
    assert all(getattr(tqhw, name) is not None for name in tqhw.__all__)
    assert {*tqhw.__all__} <= {*dir(tqhw)}
    with pytest.raises(AttributeError, match="module 'tqhw' has no attribute 'serach'"):
        tqhw.serach  # noqa: B018


@pytest.mark.parametrize("name", ["tqhw.results.rows", pytest.param("tqhw.api", marks=pytest.mark.torch)])
def test_the_examples_are_true(name: str) -> None:
    if name == "tqhw.api":
        pytest.importorskip("torch")
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0
    assert result.attempted > 0


def test_a_mapping_is_evaluated_from_files_and_from_objects(tmp_path: Path) -> None:
    problem, mapping = write_case(tmp_path)
    found = tqhw.evaluate(ARCH, problem, mapping, ert=ERT)
    assert isinstance(found, Stats)
    assert found.computes == 12
    machine = tqhw.target(ARCH, ert=ERT)
    best = tqhw.search(machine, problem, cache=False)
    assert not isinstance(best, Invalid)
    assert best.proved_optimal
    assert best.stats.energy_pj <= found.energy_pj
    assert tqhw.evaluate(machine, problem, best.mapping) == best.stats
    with pytest.raises(TqhwError, match=r"objective: unknown objective 'enrgy' \(did you mean 'energy'"):
        tqhw.search(machine, problem, objective="enrgy")


def test_words_of_a_width_per_data_space(tmp_path: Path) -> None:
    problem, mapping = write_case(tmp_path)
    machine = tqhw.target(ARCH)
    whole = tqhw.evaluate(machine, problem, mapping)
    narrow = tqhw.evaluate(ARCH, problem, mapping, word_bits={"Weights": 2})
    assert isinstance(whole, Stats) and isinstance(narrow, Stats)
    assert narrow.energy_pj < whole.energy_pj and narrow.computes == whole.computes
    assert tqhw.evaluate(ARCH, problem, mapping, word_bits="Weights=2") == narrow
    best = tqhw.search(ARCH, problem, word_bits={"Weights": 2}, cache=False)
    assert not isinstance(best, Invalid) and best.stats.energy_pj <= narrow.energy_pj
    with pytest.raises(TqhwError, match=r"word_bits: no problem names the data spaces \(give problem=, too"):
        tqhw.target(ARCH, word_bits={"Weights": 2})
    with pytest.raises(TqhwError, match=r"word_bits: the target has its own \(give it to tqhw.target\(\)"):
        tqhw.search(machine, problem, word_bits={"Weights": 2})


def test_an_experiment_is_a_file_or_a_dictionary_with_keys_on_top(tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text("name: mine\nbits: [2]\n")
    found = tqhw.load_experiment(tmp_path / "e.yaml", ["scenario.layout=packed"], bits=[4, 8])
    assert (found.name, found.bits, found.scenario.layout) == ("mine", (4, 8), "packed")
    assert tqhw.load_experiment(bits=[8]) == tqhw.load_experiment({"bits": [8]})
    with pytest.raises(TqhwError, match=r"experiment: bits: 9 must be at most 8"):
        tqhw.load_experiment({"bits": [9]})


def test_results_give_tidy_rows_and_a_frame() -> None:
    results = sample()
    rows = results.rows("energy", method="truncquant", bits=(2, 8), state="steady", component="DRAM")
    assert [row["bits"] for row in rows] == [2, 8]
    assert {*rows[0]} == {"method", "bits", "state", "component", "energy_mj", "way"}
    with pytest.raises(TqhwError, match=r"unknown list of results 'enrgy' \(did you mean 'energy'"):
        results.rows("enrgy")
    with pytest.raises(TqhwError, match=r"energy: unknown field 'method_' \(did you mean 'method'"):
        results.rows("energy", method_="truncquant")
    pandas = pytest.importorskip("pandas")
    frame = results.to_frame("energy", method="truncquant")
    assert isinstance(frame, pandas.DataFrame) and len(frame) == len(results.rows("energy", method="truncquant"))


def test_without_pandas_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(TqhwError, match=r"to_frame: pandas is not installed \(install it, or use rows\(\)\)"):
        sample().to_frame()


def test_the_page_runs_and_names_every_function(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).parents[1]
    page = (root / "docs" / "python.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    monkeypatch.chdir(root)
    exec(compile(example, "docs/python.md", "exec"), {})
    for name in tqhw.__all__:
        assert name in ("TqhwError", "__version__") or f"| `{name}(" in page


def test_notebooks_show_tables_and_texts_stay_texts() -> None:
    shown = replace(sample(), experiment={"name": "<script>"})._repr_html_()
    assert "Any-Precision / TruncQuant" in shown and "&lt;script&gt;" in shown and "<script>" not in shown
    levels = tqhw.target(ARCH, ert=ERT).design.hardware._repr_html_()
    assert levels.index("DRAM") < levels.index("compute")
    factors = {"target": "DRAM", "type": "temporal", "factors": "C=2 M=1 P=4", "permutation": "PC"}
    mapping = parse_mapping({"mapping": [factors]})
    assert isinstance(mapping, Mapping)
    assert "<td>DRAM</td><td>P4 C2</td><td></td>" in mapping._repr_html_()


def test_every_function_says_what_it_raises_and_has_an_example() -> None:
    for name in tqhw.__all__:
        text = " ".join((getattr(tqhw, name).__doc__ or "").split())
        if name not in ("TqhwError", "__version__"):
            assert "Raises TqhwError" in text, name
            assert ">>>" in text or re.search(r":func:`\w+` has an example", text), name
            assert re.search(r"\bdocs/[\w/-]+\.md\b", text), f"{name}: where its formulas or terms stand"


@pytest.mark.torch
def test_a_small_model_goes_through_the_door(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from tests.quant.nets import tiny

    workload = tqhw.extract(tiny(), (1, 1, 8, 8), name="tiny")
    assert [layer.names for layer in workload.layers] == [("conv1",), ("conv2",), ("fc",)]
    model = tqhw.convert(tiny(), precisions=(2, 8))
    assert tqhw.export(model, tmp_path / "tiny.tqhw") == (tmp_path / "tiny.tqhw").stat().st_size
    with pytest.raises(TqhwError, match=r"an ONNX file needs the shape of an input \(such as input="):
        tqhw.export(model, tmp_path / "tiny.onnx")
    with pytest.raises(TqhwError, match=r"unknown scheme 'truncqaunt' \(did you mean 'truncquant'"):
        tqhw.quantize(torch.zeros(2), scheme="truncqaunt")


@pytest.mark.torch
def test_an_experiment_is_run_and_read_again_through_the_door(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    document = {"model": {"name": "tests.pipeline.tiny:net", "input": [1, 1, 8, 8]}, "spad_models": ["sram"]}
    found = tqhw.run_experiment(
        tqhw.load_experiment(document, bits=[2], quantization={"first": None}), tmp_path / "out"
    )
    assert tqhw.read_results(tmp_path / "out") == found
    assert {row["bits"] for row in found.rows("energy", method="truncquant")} == {2}
    with pytest.raises(TqhwError, match=r"nowhere"):
        tqhw.read_results(tmp_path / "nowhere")


@pytest.mark.torch
def test_what_is_extracted_can_be_skipped_routed_and_of_one_phase() -> None:
    """What messages and the command offer, Python has, too."""
    torch = pytest.importorskip("torch")
    from inspect import signature

    from tqhw import workload

    assert list(signature(tqhw.extract).parameters) == list(signature(workload.extract).parameters)
    model = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.Linear(4, 2))
    found = tqhw.extract(model, (1, 8), skip=["1"])
    assert found.macs == 32 and dict(found.skipped) == {"1": 8}
