"""Results side by side."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.report.sample import sample as results
from tqhw.comparison import Side, csv_text, differences, inputs, tables, totals, write_page
from tqhw.comparison.roles import roles
from tqhw.errors import TqhwError
from tqhw.report.labels import number
from tqhw.report.listings import levels
from tqhw.results import AccuracyRow, Results


def _halved() -> Results:
    """The sample on a better machine: half the energy in DRAM, other inputs, a layer less."""
    found = results()
    energy = tuple(
        replace(row, energy_mj=row.energy_mj / 2) if row.component == "DRAM" else row for row in found.energy
    )
    return replace(found, energy=energy, layers=found.layers[1:], experiment={**found.experiment, "bits": [2]})


def _of_errors(value: float) -> Results:
    row = AccuracyRow(
        "truncquant", 2, "shifted", None, 9, True, metric="rmse", value=value, unit="", lower_is_better=True
    )
    return replace(results(), accuracy=(row, replace(row, metric="r2", value=0.5, lower_is_better=False)))


def test_metrics_have_rows_of_their_own_that_say_the_direction() -> None:
    pair = (Side("a", _of_errors(50.0)), Side("b", _of_errors(60.0)))
    (found,) = [row for row in differences(pair) if row.kind == "accuracy" and not row.same]
    assert found.of == ("truncquant", "2 bits", "shifted", "RMSE, lower is better") and found.values == (50.0, 60.0)
    (table,) = [one for one in tables(pair) if one.title.startswith("Accuracy")]
    assert table.title == "Accuracy" and table.rows[0][0].endswith("truncated, RMSE, lower is better")
    mixed = [one.title for one in tables((SIDES[0], pair[0])) if one.title.startswith("Accuracy")]
    assert mixed == ["Accuracy (%)", "Accuracy"], "percentages do not stand in one table with errors"


SIDES = (Side("a", results()), Side("b", _halved()))


def test_inputs_that_differ_are_named() -> None:
    assert inputs(SIDES) == [("bits", (results().experiment["bits"], [2]))]
    assert inputs((SIDES[0], SIDES[0])) == []


def test_energies_have_their_ratios_and_totals() -> None:
    found = {row.of: row for row in differences(SIDES) if row.kind == "energy" and not row.layer}
    method = results().energy[0]
    of = (method.method, f"{method.bits} bits", method.state)
    assert found[*of, "DRAM"].ratios == (0.5,)
    assert found[*of, "GLB"].same
    parts = [r.energy_mj for r in results().energy if (r.method, f"{r.bits} bits", r.state) == of]
    assert found[*of, "all"].values[0] == pytest.approx(sum(parts))


def test_layers_that_a_side_does_not_have_are_told() -> None:
    lost = results().layers[0].name
    rows = [row for row in differences(SIDES) if row.layer == lost]
    assert {row.kind for row in rows} == {"energy", "traffic", "cycles"}
    assert all(row.values[0] is not None and row.values[1] is None and row.ratios == (None,) for row in rows)


def test_every_kind_of_number_has_a_table_and_what_is_alike_is_counted() -> None:
    found = {table.title.partition(" (")[0]: table for table in tables(SIDES)}
    kinds = {"Energy", "DRAM traffic", "Cycles", "Area", "Storage", "Accuracy"}
    assert kinds <= {*found}
    assert {"Energy, per layer", "Cycles, per layer"} <= {*found}
    assert found["Storage"].rows == ()
    assert found["Storage"].note == f"All {len(results().storage)} are alike."
    everything = {table.title.partition(" (")[0]: table for table in tables(SIDES, everything=True)}
    assert len(everything["Storage"].rows) == len(results().storage)
    assert found["Energy"].columns == ("Of", "a", "b", "b / a")
    assert found["Energy, per layer"].columns == ("Layer", "Of", "a", "b", "b / a")


def test_things_are_called_as_in_the_tables_of_a_run() -> None:
    found = {table.title.partition(" (")[0]: [row[0] for row in table.rows] for table in tables(SIDES, everything=True)}
    assert "Any-Precision, 2 bits, precision switching, all" in found["Energy"]
    assert "TruncQuant, 2 bits, truncated" in found["Accuracy"]
    assert not any("_" in row for row in found["Energy"] + found["Storage"] + found["Accuracy"])


def test_what_is_alike_has_no_empty_table_in_the_terminal() -> None:
    (storage,) = (table for table in tables(SIDES) if table.title.startswith("Storage"))
    screen = Console(width=80, record=True, file=io.StringIO())
    screen.print(storage.terminal())
    assert screen.export_text().split("\n")[1:] == [storage.title, storage.note, ""]


def test_a_csv_has_every_number() -> None:
    rows = [*csv.DictReader(csv_text((*SIDES, Side("c", results()))).splitlines())]
    assert rows[0]["kind"] == "input"
    assert rows[0]["of"] == "bits"
    numbers = [row for row in rows if row["kind"] != "input"]
    assert len(numbers) == len(differences(SIDES))
    assert {row["c / a"] for row in numbers if row["a"] and float(row["a"])} == {"1.0"}


def test_a_page_has_the_tables_and_names_stay_text(tmp_path: Path) -> None:
    write_page((SIDES[0], Side("<script>b", _halved())), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "&lt;script&gt;b / a" in page
    assert "<script>b" not in page
    assert page.count("<script") == 1, "the page's own"
    assert page.index("Totals") < page.index("Energy, per layer")
    assert "://" not in page
    assert "What differs in the inputs" in page


def _at(*bits: int) -> Results:
    """The sample at other precisions."""
    found = results()
    given = sorted({row.bits for row in found.energy if row.method == "truncquant"})
    now = dict(zip(given, bits, strict=False))

    def moved(rows: Any) -> Any:
        return tuple(replace(row, bits=now.get(row.bits, row.bits)) for row in rows if row.method == "truncquant")

    return replace(found, energy=moved(found.energy), traffic=moved(found.traffic))


def test_totals_are_one_table_of_what_differs() -> None:
    asked, sums = totals(SIDES)
    assert asked.title == "What differs in the inputs"
    assert sums.columns == ("Total", "Of", "a", "b", "b / a")
    assert ("Energy (mJ)", "Any-Precision, 2 bits, precision switching") in {row[:2] for row in sums.rows}
    assert not any(row[1].endswith(("all", "DRAM")) for row in sums.rows)
    assert all("-" not in row[2:] and row[-1].endswith("x") for row in sums.rows)
    assert "more are alike" in sums.note
    (_, everything) = totals(SIDES, everything=True)
    assert len(everything.rows) > len(sums.rows)


def test_sides_at_different_precisions_have_rows_in_common() -> None:
    given = sorted({row.bits for row in results().energy if row.method == "truncquant"})
    other = [bits + 1 for bits in given]
    sides = (Side("a", _at(*given)), Side("b", _at(*other)))
    found = {row.of: row for row in differences(sides) if row.kind == "energy" and row.of[-1] == "all"}
    for role, end in (("lowest", 0), ("highest", -1)):
        name = f"{role} precision ({given[end]} bits / {other[end]} bits)"
        row = found["truncquant", name, "precision_switching", "all"]
        assert row.ratios == (1.0,), "the same numbers under other names"
    assert any(name in line[1] for line in totals(sides, everything=True)[1].rows)
    shared = {value.of[1] for value in found.values() if None not in value.values}
    assert {f"{bits} bits" for bits in {*given} & {*other}} <= shared


def _run_at(*kept: int) -> Results:
    """The sample where the layers that follow the precision run at those kept; the others stay at their own."""
    found = results()
    layers = [
        replace(layer, evaluations=tuple(e for e in layer.evaluations if e.weight_bits == e.fetch_bits in kept))
        if layer.bits is None
        else layer
        for layer in found.layers
    ]
    return replace(found, layers=tuple(layers))


def test_layers_of_a_precision_of_their_own_are_not_the_highest() -> None:
    assert max(layer.bits or 0 for layer in results().layers) == 32
    found = [row for row in differences((Side("a", _run_at(2, 4)), Side("b", _run_at(2, 6)))) if row.kind == "cycles"]
    highest = [row for row in found if not row.layer and row.of[0].startswith("highest precision")]
    assert highest and all(None not in row.values for row in highest)
    assert {row.of[0] for row in highest} == {"highest precision (4 bits fetched, 4 bits / 6 bits fetched, 6 bits)"}
    own = [row for row in found if row.of[0] == "32 bits fetched, 32 bits"]
    assert own and {row.layer for row in own} == {layer.name for layer in results().layers if layer.bits == 32}


def test_fronts_are_compared_by_their_ends() -> None:
    shorter = replace(results(), fronts=results().fronts[1:])
    found = {row.of: row for row in differences((SIDES[0], Side("b", shorter))) if row.kind == "fronts"}
    assert found["2 bits", "points"].values == (2, 1)
    assert found["2 bits", "least energy, mJ"].values == (0.5, 0.75)
    assert found["2 bits", "fewest cycles"].same and found["8 bits", "points"].same
    assert any(row[0] == "Pareto front" for row in totals((SIDES[0], Side("b", shorter)))[1].rows)


def test_energies_by_level_stand_among_the_parts_and_not_among_the_totals() -> None:
    rows = [row for row in differences((SIDES[0], SIDES[0])) if row.kind == "levels"]
    assert {row.of[-1] for row in rows} == {"DRAM_weights", "glb", "weights_spad"}
    assert all(row.ratios == (1.0,) and row.unit == "mJ" for row in rows)
    assert not any("glb" in line[1] for line in totals(SIDES, everything=True)[1].rows)


def test_energies_by_level_are_of_all_layers_as_the_report_has_them() -> None:
    found = results()
    assert {layer.bits is None for layer in found.layers} == {True, False}, "some have a precision of their own"
    table = levels(found)
    assert table is not None
    of = {row.of: row.values[0] for row in differences((SIDES[0], SIDES[0])) if row.kind == "levels"}
    for bits, spad, *cells, _ in table.rows:
        for name, cell in zip(table.columns[2:-1], cells, strict=True):
            assert number(of[f"{bits[0]} bits fetched, {bits[0]} bits", spad, name]) == cell


@pytest.mark.parametrize(
    ("sides", "named"),
    [
        ([[2, 8], [2, 8]], [{2: ["2"], 8: ["8"]}, {2: ["2"], 8: ["8"]}]),
        ([[2], [8]], [{2: ["2", "precision (2 / 8)"]}, {8: ["8", "precision (2 / 8)"]}]),
        (
            [[2], [3], []],
            [{2: ["2", "precision (2 / 3 / -)"]}, {3: ["3", "precision (2 / 3 / -)"]}, {}],
        ),
        (
            [[2, 4], [3, 8]],
            [{2: ["2", "low 2 / 3"], 4: ["4", "high 4 / 8"]}, {3: ["3", "low 2 / 3"], 8: ["8", "high 4 / 8"]}],
        ),
        ([[2], [3, 8]], [{2: ["2", "low 2 / 3", "high 2 / 8"]}, {3: ["3", "low 2 / 3"], 8: ["8", "high 2 / 8"]}]),
        ([[2, 8], []], [{2: ["2"], 8: ["8"]}, {}]),
    ],
)
def test_roles(sides: list[list[int]], named: list[dict[int, list[str]]]) -> None:
    found = roles(sides, str)
    words = re.compile(r"(low|high)est precision \((.*)\)")
    short = [{v: [words.sub(r"\1 \2", name) for name in names] for v, names in one.items()} for one in found]
    assert short == named


def test_one_alone_is_no_comparison() -> None:
    with pytest.raises(TqhwError, match="nothing to compare with"):
        differences(SIDES[:1])
