"""The report in sentences."""

from dataclasses import replace

from tests.report.sample import sample
from tqhw.report import words
from tqhw.results import AccuracyRow, Results


def test_what_was_found_is_said_with_its_numbers() -> None:
    told = words.found(sample())
    assert told[0].startswith("At 2 bits, a switch of the precision with one inference takes ")
    assert "10.3x as much DRAM traffic" in told[0] and told[0].endswith("with Any-Precision as with TruncQuant.")
    assert "To serve 2, 4, 6, 8 bits, TruncQuant keeps 0.310 MB in DRAM (others: Any-Precision 1.37" in told[2]
    assert "TruncQuant, truncated, is right (top-1) in 97.3 % at 2 bits and in 97.8 % at 8 bits." in told
    assert any(text.startswith("A steady inference with TruncQuant takes ") for text in told)
    assert told[-1] == "Of 33 mappings searched, 22 are proved to be the optimum."


def test_ratios_that_differ_over_scratchpads_are_said_from_the_least_to_the_most() -> None:
    switching = [r for r in sample().summary if (r.quantity, r.state, r.bits) == ("energy", "precision_switching", 2)]
    least, most = (f"{end(r.value or 0.0 for r in switching):.2f}x" for end in (min, max))
    assert least != most
    assert f"{least} to {most} as much energy" in words.found(sample())[0]


def test_intervals_are_said() -> None:
    row = AccuracyRow("truncquant", 2, "shifted", 96.0, 1000, True, 1, None, 94.7, 97.3)
    assert words.found(Results({"bits": [2]}, accuracy=(row,))) == (
        "TruncQuant, truncated, is right (top-1) in 96.0 % (95 % interval 94.7 to 97.3) at 2 bits.",
    )


def test_what_was_assumed() -> None:
    results = replace(
        sample(),
        experiment={**sample().experiment, "architecture": {"name": "eyeriss_like"}, "spad_models": ["sram", None]},
        provenance={"table_source": ["packaged tables"]},
    )
    assert words.assumed(results) == (
        "The accelerator is eyeriss_like, scratchpads: sram.",
        "Weights are stored with 8 bits.",
        "Scenario: layout bitplane, requantize best.",
        "The energy of the baseline's quantizer is an estimate.",
        "Energies of single actions: packaged tables.",
        "2 notes below say what was estimated, padded or chosen.",
    )


def test_nothing_found_nothing_assumed() -> None:
    assert words.found(Results({})) == ("No accuracy was measured.",)
    assert words.assumed(Results({})) == ()
