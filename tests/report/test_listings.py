from dataclasses import replace

import pytest
from rich.console import Console

from tests.report.sample import sample
from tqhw.report import listings
from tqhw.report.table import Table
from tqhw.results import AccuracyRow, AreaRow, Results

NOTHING = Results(experiment={"bits": [2, 8]})


def rows(table: Table | None) -> tuple[tuple[str, ...], ...]:
    assert table is not None
    return table.rows


def test_accuracy_marks_what_was_verified() -> None:
    table = listings.accuracy(sample())
    assert table.title == "Accuracy, top-1 in %, 450 test samples"
    assert table.columns == ("", "2 bits", "4 bits", "6 bits", "8 bits")
    assert table.rows[0] == ("TruncQuant, truncated", "97.3 *", "97.6 *", "97.8 *", "97.8 *")
    assert table.rows[2] == ("Ordinary QAT, truncated", "60.7", "97.3", "98.0", "98.2")
    assert table.note.startswith("* ")


def test_accuracies_that_nobody_measured_are_there_and_say_so() -> None:
    unmeasured = ("TruncQuant, truncated", "not measured", "not measured")
    assert rows(listings.accuracy(NOTHING)) == (unmeasured,)
    told = replace(NOTHING, accuracy=(AccuracyRow("truncquant", 2, "shifted", None, 0, False),))
    assert rows(listings.accuracy(told)) == (unmeasured,)
    half = replace(NOTHING, accuracy=(AccuracyRow("dorefa", 8, "shifted", 0.0, 9, False),))
    assert rows(listings.accuracy(half)) == (("Ordinary QAT, truncated", "not measured", "0.0"),)


def test_energy_adds_up() -> None:
    table = listings.energy(sample())
    assert table is not None
    assert table.columns[3:] == ("DRAM", "GLB", "MAC & spad", "Quantizer (estimate)", "Total")
    first = {row[:3]: row[3:] for row in table.rows}
    assert first["Initial loading", "2 bits", "TruncQuant"] == ("0.00752", "0.0120", "0.0240", "-", "0.0435")
    assert first["Steady", "8 bits", "Fixed"][-1] == "0.0925"
    assert [row[:2] for row in table.rows[:4]] == [("Initial loading", b) for b in ("2 bits",) * 3 + ("4 bits",)]


def test_traffic_with_its_unit_and_padding() -> None:
    table = listings.traffic(sample())
    assert table is not None
    assert table.title.startswith("DRAM traffic in Mbit")
    assert table.rows[0][3:] == ("0.540", "0.250", "0.150", "0.0440", "0.984", "6.2 %")
    totals = listings.traffic_totals(sample())
    assert rows(totals)[0] == ("Initial loading", "TruncQuant", "0.984", "1.52", "2.06", "2.60")
    assert rows(totals)[3] == ("Initial loading", "Fixed", "-", "-", "-", "2.60")


def test_area_of_the_chip_that_holds_the_stored_bits() -> None:
    table = listings.area(sample())
    assert table is not None
    assert table.title == "Area in mm^2, weights of 8 bits on the chip"
    assert table.columns == ("Component", "Group", "Instances", "smartbuffer_rf", "register_file", "sram")
    assert table.rows[1] == ("buffer", "GLB", "1", "0.800", "0.900", "1.00")
    assert table.rows[-1] == ("In all", "", "", "2.48", "2.79", "3.10")
    assert table.note == ""


def test_an_area_that_no_table_says_is_not_zero() -> None:
    buffer = AreaRow(8, 8, None, "buffer", "GLB", 1, 5e5)
    mac = AreaRow(8, 8, None, "mac", "MAC & spad", 4, None)
    table = listings.area(Results({"bits": [2], "stored_bits": 8}, area=(buffer, mac)))
    assert table is not None
    assert table.columns[-1] == "mm^2"
    assert [row[-1] for row in table.rows] == ["0.500", "not known", "at least 0.500"]
    assert "not counted" in table.note


def test_storage_amortisation_schedule_and_layers() -> None:
    assert rows(listings.storage(sample()))[0] == ("TruncQuant", "2 4 6 8", "0.270", "0.0100", "0.0300", "0.310")
    amortised = listings.amortised(sample())
    assert amortised is not None
    assert amortised.columns[2:] == ("1", "2", "5", "10", "100", "1000")
    assert amortised.rows[1][:3] == ("2 bits", "Any-Precision", "0.118")
    schedule = listings.schedule(sample())
    assert schedule is not None
    assert schedule.columns[-1] == "DRAM Gbit"
    assert schedule.rows[1][:5] == ("TruncQuant", "2", "precision switching", "2 bits", "100")
    layers = listings.layers(sample())
    assert layers is not None
    assert layers.columns[-4:] == ("uJ at 2", "uJ at 4", "uJ at 6", "uJ at 8")
    assert layers.rows[0][:4] == ("layer1.0.conv1", "conv2d C=16 M=16 R=3 S=3 P=16 Q=16", "the model's", "yes")
    assert layers.rows[0][-4:] == ("6.40", "12.8", "19.2", "25.6")
    assert layers.rows[2][-4:] == ("410",) * 4  # runs at 32 bits, whatever the model does


def test_without_rows_there_is_no_table() -> None:
    for make in (
        listings.energy,
        listings.traffic,
        listings.traffic_totals,
        listings.storage,
        listings.area,
        listings.amortised,
        listings.schedule,
        listings.layers,
    ):
        assert make(NOTHING) is None


def test_on_the_terminal_repeated_labels_are_left_out() -> None:
    table = Table(
        "T", ("A", "B", "n"), (("x", "y", "1"), ("x", "y", "2"), ("x", "z", "3"), ("w", "z", "[4]")), labels=2
    )
    console = Console(width=60)
    with console.capture() as captured:
        console.print(table.terminal())
    cells = [[c.strip() for c in line.split("│")[1:-1]] for line in captured.get().splitlines() if line.startswith("│")]
    assert cells == [["x", "y", "1"], ["", "y", "2"], ["", "z", "3"], ["w", "z", "[4]"]]


def test_the_energies_of_the_cheapest_ways_say_so() -> None:
    table = listings.energy(sample())
    assert table is not None
    assert table.note == listings.BEST
    scenario = {**sample().experiment["scenario"], "requantize": "streaming"}
    one_way = listings.energy(replace(sample(), experiment={**sample().experiment, "scenario": scenario}))
    assert one_way is not None
    assert one_way.note == ""


def test_accuracies_stand_with_their_intervals_and_beside_floating_point() -> None:
    rows = (
        AccuracyRow("truncquant", 2, "shifted", 96.04, 1000, True, 3, 0.26, 94.7, 97.3),
        AccuracyRow("fp32", 32, "full", 98.0, 1000, False, 3, 0.1, 96.9, 98.7),
    )
    found = Results({"bits": [2, 8]}, accuracy=rows)
    table = listings.accuracy(found)
    assert table.title == "Accuracy, top-1 in %, 1000 test samples, mean of 3 runs ± standard deviation"
    assert table.columns == ("", "2 bits", "8 bits", "FP32")
    assert table.rows == (
        ("TruncQuant, truncated", "96.0 ± 0.3 *", "not measured", "-"),
        ("  95 % interval", "94.7 to 97.3", "", ""),
        ("FP32", "-", "-", "98.0 ± 0.1"),
        ("  95 % interval", "", "", "96.9 to 98.7"),
    )
    assert "Wilson's" in table.note and "Student's t" in table.note
    assert listings.precisions(found) == (2, 8)


def test_fronts_are_told_by_their_ends() -> None:
    table = listings.fronts(sample())
    assert table is not None
    assert table.rows == (
        ("2 bits", "2", "0.500", "900", "0.750", "400", "0.00%"),
        ("8 bits", "1", "1.50", "900", "1.50", "900", "1.00%"),
    )
    layers = listings.layer_fronts(sample())
    assert layers is not None
    assert layers.rows == (("fc", "2 bits", "1", "0.00123", "64", "25.0%"),)
    assert listings.fronts(Results({})) is None


def test_energy_of_an_inference_by_level() -> None:
    results = sample()
    table = listings.levels(results)
    assert table is not None
    assert table.columns == ("Bits", "Scratchpads", "DRAM_weights", "glb", "weights_spad", "In all")
    own = [
        row.count * e.levels["weights_spad"] / 1e9
        for row in results.layers
        for e in row.evaluations
        for wanted in [row.bits or 2]  # a layer with bits of its own does not follow
        if (e.spad_model, e.fetch_bits, e.weight_bits) == (table.rows[0][1], wanted, wanted)
    ]
    assert table.rows[0][0] == "2 bits" and float(table.rows[0][4]) == pytest.approx(sum(own), rel=5e-3)
    first = results.layers[0]
    bare = replace(first, evaluations=tuple(replace(e, levels={}) for e in first.evaluations))
    assert listings.levels(replace(results, layers=(bare,))) is None, "results of before say nothing of levels"
