from dataclasses import replace

from tests.report.sample import BITS, sample
from tqhw.report import headline
from tqhw.results import Ratio, Results

NOTHING = Results(experiment={"bits": [2, 8]})


def test_ratios_that_do_not_depend_on_the_scratchpads_stand_once() -> None:
    (table,) = headline.ratios(sample())
    assert table.title == "Headline ratios: Any-Precision / TruncQuant"
    assert table.columns[:3] == ("How many times more", "Scratchpads", "State")
    assert table.columns[3:] == ("2 bits", "4 bits", "6 bits", "8 bits", "Paper")
    labels = [row[:3] for row in table.rows]
    assert labels[:3] == [("DRAM traffic", "any", s) for s in ("initial loading", "precision switching", "steady")]
    assert [spad for _, spad, state in labels[3:] if state == "steady"] == ["smartbuffer_rf", "register_file", "sram"]
    assert table.rows[1] == ("DRAM traffic", "any", "precision switching", "10.3x", "7.38x", "5.97x", "5.15x", "20x")
    assert table.rows[0][-1] == ""


def test_every_baseline_has_its_own_table_and_claims_only_where_there_are_any() -> None:
    results = sample()
    others = tuple(
        replace(r, numerator="fixed", numerator_way="fixed", value=2.0, paper=None) for r in results.summary if r.bits
    )
    first, second = headline.ratios(replace(results, summary=results.summary + others))
    assert (first,) == headline.ratios(results)
    assert second.title == "Headline ratios: Fixed / TruncQuant"
    assert second.columns[-1] == "8 bits"
    assert {row[1] for row in second.rows} == {"any"}
    assert second.note == ""


def test_storage() -> None:
    table = headline.storage_ratios(sample())
    assert table is not None
    assert table.rows[1] == ("FP32 / TruncQuant", "as trained", "1.10 MB", "0.340 MB", "3.24x", "3.53x")
    unclaimed = headline.storage_ratios(replace(sample(), summary=sample().summary[-2:-1]))
    assert unclaimed is not None
    assert unclaimed.columns[-1] == "Ratio"
    assert unclaimed.rows == (("FP32 / TruncQuant", "batch norm folded", "1.10 MB", "0.310 MB", "3.55x"),)


def test_overview_joins_accuracy_and_cost() -> None:
    table = headline.overview(sample())
    assert table is not None
    assert table.columns[2:4] == ("Top-1 in %, TruncQuant, truncated", "Top-1 in %, Ordinary QAT, re-quantized")
    assert table.rows[0] == ("2 bits", "initial loading", "97.3", "97.8", "0.0435", "0.118", "0.0435", "-")
    assert len(table.rows) == 3 * len(BITS)
    unmeasured = headline.overview(replace(sample(), accuracy=()))
    assert unmeasured is not None
    assert {row[2] for row in unmeasured.rows} == {"not measured"}


def test_cards_say_what_they_are() -> None:
    cards = headline.cards(sample())
    assert [card.value for card in cards] == ["10.3x", "2.72x", "3.55x", "97.3 %", "60.7 %"]
    assert cards[0].what == "DRAM traffic, Any-Precision / TruncQuant, 2 bits, precision switching"
    assert cards[0].beside == "the paper: up to 20x"
    assert cards[4].what == "Top-1 at 2 bits, Ordinary QAT, truncated"


def test_nothing_compared_nothing_shown() -> None:
    assert headline.ratios(NOTHING) == ()
    assert headline.storage_ratios(NOTHING) is None
    assert headline.overview(NOTHING) is None
    assert [card.value for card in headline.cards(NOTHING)] == ["not measured"]


def test_the_table_tells_which_way_was_divided() -> None:
    (table,) = headline.ratios(sample())
    assert table.note.splitlines()[0] == "Initial loading: Any-Precision (fused)"
    some = [replace(r, numerator_way="streaming") if r.bits == 8 else r for r in sample().summary]
    (table,) = headline.ratios(replace(sample(), summary=tuple(some)))
    mixed = "Any-Precision (fused) at 2, 4, 6 bits, Any-Precision (streaming) at 8 bits"
    assert table.note.splitlines()[1] == f"Precision switching: {mixed}"
    some = [replace(r, numerator_way="streaming") if r.spad_model == "sram" else r for r in some]
    (table,) = headline.ratios(replace(sample(), summary=tuple(some)))
    line = f"smartbuffer_rf: {mixed}; register_file: {mixed}; sram: Any-Precision (streaming)"
    assert table.note.splitlines()[2] == f"Steady: {line}"


def test_a_comparison_with_nothing_is_explained() -> None:
    some = tuple(replace(r, value=None, denominator_value=0.0) for r in sample().summary if r.bits == 2)
    (table,) = headline.ratios(replace(sample(), summary=some))
    assert table.rows[0][3] == "x / 0"
    assert table.note.splitlines()[-1].startswith("x / 0: ")


def test_the_share_of_weights_that_switch_is_a_card_made_of_its_fields() -> None:
    row = Ratio(
        "switching_weights", None, None, None, "weights that switch", "all weights", 1152, 1384, "", 0.832, None, ""
    )
    (card,) = (c for c in headline.cards(replace(sample(), summary=(row,))) if "switch" in c.what)
    assert (card.value, card.what) == ("83.2 %", "of the weights switch their bits")
    assert card.beside == "1,152 of 1,384; the notes say what stays"
