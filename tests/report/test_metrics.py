"""Of networks that no accuracy is measured of, tables, figures and words say the metric, and which way is better."""

from dataclasses import replace

import pytest

from tests.report.sample import sample
from tqhw.report import figures, headline, listings, words
from tqhw.report.csvs import texts
from tqhw.results import AccuracyRow


def of_errors():
    def row(bits, value, weights="shifted", scheme="truncquant"):
        return AccuracyRow(
            scheme,
            bits,
            weights,
            None,
            111,
            weights == "shifted",
            low=value - 4,
            high=value + 4,
            metric="rmse",
            value=value,
            unit="",
            lower_is_better=True,
        )

    return replace(sample(), accuracy=(row(2, 61.25), row(8, 54.5), row(32, 53.0, "full", "fp32")))


def test_the_table_says_the_metric_its_direction_and_intervals():
    table = listings.accuracy(of_errors())
    assert table.title == "RMSE, lower is better, 111 test samples"
    assert table.rows[0][:2] == ("TruncQuant, truncated", "61.2 *") and table.rows[1][1] == "57.2 to 65.2"
    assert "drawn anew (Efron 1979)" in table.note and "Wilson" not in table.note


def test_words_and_cards_say_it_too():
    (told,) = [text for text in words.found(of_errors()) if "RMSE" in text]
    assert told == (
        "TruncQuant, truncated: RMSE is 61.2 (95 % interval 57.2 to 65.2) at 2 bits and 54.5 (95 % interval 50.5 "
        "to 58.5) at 8 bits; less is better."
    )
    cards = [card for card in headline.cards(of_errors()) if "RMSE" in card.what]
    assert [(card.value, card.what) for card in cards] == [("61.2", "RMSE at 2 bits, TruncQuant, truncated")]
    assert "RMSE, lower is better, TruncQuant, truncated" in headline.overview(of_errors()).columns


@pytest.mark.parametrize("name", ["accuracy", "accuracy_energy"])
def test_axis_and_caption_of_the_figures(name, monkeypatch):
    monkeypatch.setattr(figures.FIGURES, "_things", {name: figures.FIGURES[name]})
    (picture,) = figures.pictures(of_errors())
    assert "RMSE (lower is better)" in picture.svg and "Top-1" not in picture.svg + picture.caption
    if name == "accuracy_energy":
        assert picture.caption.endswith("Down and to the left is better.")


def test_the_csv_has_the_metric_in_columns_of_its_own():
    heads, first, *_ = texts(of_errors())["accuracy.csv"].splitlines()
    assert heads.endswith("metric,value,unit,lower_is_better") and first.endswith("rmse,61.25,,True")
    assert texts(sample())["accuracy.csv"].splitlines()[0].endswith("deviation,low,high")
