import csv
import io
from dataclasses import replace

from tests.report.sample import sample
from tqhw.report import csvs
from tqhw.results import AccuracyRow, Results


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_one_file_per_list_one_row_per_observation() -> None:
    results = sample()
    texts = csvs.texts(results)
    for name in ("accuracy", "energy", "traffic", "storage", "amortised", "schedule", "summary"):
        assert len(read(texts[f"{name}.csv"])) == len(getattr(results, name)), name
    assert len(read(texts["layers.csv"])) == sum(len(row.evaluations) for row in results.layers)


def test_numbers_survive() -> None:
    results = sample()
    texts = csvs.texts(results)
    assert [float(row["energy_mj"]) for row in read(texts["energy.csv"])] == [row.energy_mj for row in results.energy]
    layer = read(texts["layers.csv"])[0]
    evaluation = results.layers[0].evaluations[0]
    assert float(layer["DRAM energy_pj"]) == evaluation.components["DRAM"]
    assert int(layer["Weights dram_bits"]) == evaluation.dram_bits["Weights"]
    assert layer["instance"].startswith("C=16 M=16 R=3")
    assert layer["names"] == "layer1.0.conv1 layer1.0.conv2"
    storage = read(texts["storage.csv"])[0]
    assert (storage["bits"], float(storage["codes_megabytes"])) == ("2 4 6 8", 0.27)


def test_energy_by_level_is_a_file_of_its_own() -> None:
    results = sample()
    rows = read(csvs.texts(results)["levels.csv"])
    assert len(rows) == sum(len(e.levels) for row in results.layers for e in row.evaluations)
    first = results.layers[0].evaluations[0]
    assert [(row["level"], float(row["energy_pj"])) for row in rows[: len(first.levels)]] == [*first.levels.items()]
    assert "level" not in csvs.texts(results)["layers.csv"].splitlines()[0]


def test_what_is_missing() -> None:
    unmeasured = replace(sample(), accuracy=(AccuracyRow("truncquant", 2, "shifted", None, 0, False),))
    texts = csvs.texts(unmeasured)
    assert read(texts["accuracy.csv"])[0]["top1"] == "not measured"
    assert read(texts["summary.csv"])[-1]["spad_model"] == ""


def test_empty_lists_keep_their_heads() -> None:
    texts = csvs.texts(Results(experiment={}))
    assert texts["energy.csv"] == "method,bits,state,component,energy_mj,way\n"
    assert all(text.count("\n") == 1 for text in texts.values())


def test_a_front_has_a_column_of_choices_for_each_layer() -> None:
    texts = csvs.texts(sample())
    first = read(texts["fronts.csv"])[0]
    assert (first["bits"], first["energy_mj"], first["cycles"], first["within"]) == ("2", "0.5", "900", "0.0")
    assert (first["layer1.0"], first["layer2.0"], first["fc"]) == ("2 0", "1 1", "1")
    assert read(texts["layer_fronts.csv"])[0]["file"].endswith("fronts/fc/1.yaml")
    assert "fronts.csv" not in csvs.texts(Results(experiment={}))
