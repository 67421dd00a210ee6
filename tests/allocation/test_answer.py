"""What is said of points and uniform precisions, as words, files and figure."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest

from tqhw.allocation import Allocated, AllocationAnswer, PairedDifference, Switch
from tqhw.results import MetricLook

pytest.importorskip("torch")

from tqhw.allocation.shown import as_csv, as_json, picture, table


def one(bits: tuple[int, ...], energy: float, top1: float, uniform: int | None = None) -> Allocated:
    return Allocated(bits, energy, (100 - top1) / 100, top1, top1 - 2, top1 + 2, 500, True, uniform)


ANSWER = AllocationAnswer(
    experiment="x",
    layers=("a", "b"),
    points=(one((2, 2), 1.0, 80.0), one((2, 8), 1.4, 92.0)),
    uniform=(one((2, 2), 1.0, 80.0, 2), one((4, 4), 1.5, 85.0, 4), one((8, 8), 2.0, 93.0, 8)),
    switches=(Switch(0, 1, 0.25, 640), Switch(1, 0, 0.0, 0)),
    energies_mj=((0.5, 0.7, 1.0), (0.5, 0.8, 1.0)),
    losses=((0.1, 0.0, 0.0), (0.2, 0.1, 0.0)),
    widths=(2, 4, 8),
    fixed_mj=0.0,
    calibration_images=64,
    notes=("one network",),
    differences={4: PairedDifference(7.0, 2.0, 12.0), 8: PairedDifference(-1.0, -4.0, 2.0)},
)


def test_verdicts_by_the_differences() -> None:
    assert list(ANSWER.verdicts()) == [
        "2 bits everywhere (1 mJ, 80.0 %): no other allocation costs as little",
        "4 bits everywhere (1.5 mJ, 85.0 %): 1x2, 1x8 (1.4 mJ, 92.0 %) is better; on the same samples +7 points, "
        "simultaneous 95 % interval +2 to +12",
        "8 bits everywhere (2 mJ, 93.0 %): 1x2, 1x8 (1.4 mJ, 92.0 %) is not shown to be better; on the same samples -1 "
        "points, simultaneous 95 % interval -4 to +2; it costs 30.0 % less",
    ]


def test_the_choice_is_the_program_s_and_not_that_of_the_test_images() -> None:
    unlucky = replace(ANSWER, points=(replace(ANSWER.points[0], top1=95.0, low=93.0, high=97.0), ANSWER.points[1]))
    assert list(unlucky.verdicts())[1] == list(ANSWER.verdicts())[1]


def test_where_the_program_chose_the_uniform_precision_itself() -> None:
    """What is cheaper and was not preferred is not said to have been."""
    even = one((4, 4), 1.5, 94.0)
    same = replace(ANSWER, points=(*ANSWER.points, replace(even, predicted_loss=0.01)))
    assert list(same.verdicts())[1] == "4 bits everywhere (1.5 mJ, 85.0 %): the program chose the same"
    assert list(replace(same, points=(even,)).verdicts())[1].endswith(": no other allocation costs as little")


def test_where_the_program_chose_worse() -> None:
    differences = {4: PairedDifference(-15.0, -20.0, -10.0), 8: PairedDifference(-23.0, -28.0, -18.0)}
    worse = replace(ANSWER, points=(one((2, 8), 1.4, 70.0),), differences=differences)
    assert list(worse.verdicts())[1] == (
        "4 bits everywhere (1.5 mJ, 85.0 %): better than 1x2, 1x8 (1.4 mJ, 70.0 %), which the program preferred; "
        "on the same samples -15 points, simultaneous 95 % interval -20 to -10"
    )


def test_json_and_csv_say_the_same() -> None:
    document = json.loads(as_json(ANSWER))
    assert document["points"][1]["bits"] == {"a": 2, "b": 8}
    assert document["layers"][1] == {
        "name": "b",
        "energy_mj": {"2": 0.5, "4": 0.8, "8": 1.0},
        "added_loss": {"2": 0.2, "4": 0.1, "8": 0.0},
    }
    assert document["switches"][0] == {"source": 0, "target": 1, "energy_mj": 0.25, "dram_bits": 640}
    assert document["differences"]["4"] == {"mean": 7.0, "low": 2.0, "high": 12.0}
    assert document["differences_confidence"] == {"together": 0.95, "each": 0.975}
    rows = list(csv.DictReader(io.StringIO(as_csv(ANSWER))))
    assert [(row["kind"], float(row["top1"]), row["a"], row["b"]) for row in rows][1] == ("point", 92.0, "2", "8")
    assert len(rows) == 5


def test_the_table_and_the_figure() -> None:
    cells = table(ANSWER).rows
    assert cells[2] == ("front", "1x2, 1x8", "1.40", "92.0 (90.0 to 94.0) *", "0.0800")
    drawn = picture(ANSWER)
    assert drawn.png.startswith(b"\x89PNG")
    assert picture(ANSWER) == drawn
    assert drawn.pdf.startswith(b"%PDF") and b"/FontFile2" in drawn.pdf, "its fonts are in it"


def test_of_an_error_less_is_better_and_the_words_are_its_own() -> None:
    rmse = replace(ANSWER, metric=MetricLook("rmse", "", True))
    verdicts = list(rmse.verdicts())
    assert verdicts[1] == (
        "4 bits everywhere (1.5 mJ, RMSE 85): better than 1x2, 1x8 (1.4 mJ, RMSE 92), which the program preferred; "
        "on the same samples +7, simultaneous 95 % interval +2 to +12"
    )
    less = replace(rmse, differences={4: PairedDifference(-35.0, -40.0, -30.0), 8: ANSWER.differences[8]})
    lower = replace(less, points=(replace(ANSWER.points[1], top1=50.0, low=48.0, high=52.0),))
    assert "1x2, 1x8 (1.4 mJ, RMSE 50) is better; on the same samples -35," in list(lower.verdicts())[1]
    document = json.loads(as_json(rmse))
    assert document["metric"] == {"name": "rmse", "unit": "", "lower_is_better": True}
    assert document["points"][0]["value"] == 80.0 and "top1" not in document["points"][0]
    assert next(csv.reader(io.StringIO(as_csv(rmse))))[2] == "rmse"
    assert table(rmse).columns[3] == "RMSE, lower is better, 95 % interval"
    assert "RMSE (lower is better)" in picture(rmse).svg and "Top-1" not in picture(rmse).svg


@pytest.mark.parametrize(
    ("apart", "said"),
    [
        ((7.0, 2.0, 12.0), "is better; seed by seed +7 points, 95 % interval +2 to +12"),
        (
            (7.0, -1.0, 15.0),
            "is not shown to be better; seed by seed +7 points, 95 % interval -1 to +15; it costs 6.7 % less",
        ),
    ],
)
def test_over_several_seeds_the_difference_decides(apart: tuple[float, float, float], said: str) -> None:
    paired = replace(ANSWER, seeds=(0, 1), uniform=ANSWER.uniform[:2], differences={4: PairedDifference(*apart)})
    assert list(paired.verdicts())[1] == f"4 bits everywhere (1.5 mJ, 85.0 %): 1x2, 1x8 (1.4 mJ, 92.0 %) {said}"


def test_over_several_seeds_it_may_have_chosen_worse() -> None:
    only = {"uniform": ANSWER.uniform[:2], "differences": {4: PairedDifference(-15.0, -20.0, -10.0)}}
    worse = replace(ANSWER, seeds=(0, 1), points=(one((2, 8), 1.4, 70.0),), **only)
    assert list(worse.verdicts())[1].endswith(
        "better than 1x2, 1x8 (1.4 mJ, 70.0 %), which the program preferred; seed by seed -15 points, "
        "95 % interval -20 to -10"
    )


def test_a_loss_of_nothing_has_no_sign() -> None:
    points = (replace(ANSWER.points[0], predicted_loss=-0.00004), replace(ANSWER.points[1], predicted_loss=-0.2))
    cells = [row[-1] for row in table(replace(ANSWER, points=points, uniform=())).rows]
    assert cells == ["0.0000", "-0.2000"]
    none = replace(ANSWER, differences={4: PairedDifference(-0.0, -0.0, 0.0), 8: PairedDifference(-0.0, -1.0, 1.0)})
    assert not [told for told in none.verdicts() if "-0 " in told or "-0," in told]
