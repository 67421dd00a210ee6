"""The figures: what stands in them, and that it does not overlap."""

import itertools
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import matplotlib
import pytest
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Annotation, Text

from tests.report.sample import drawn, sample, with_hardware
from tqhw.report import bars, layer_figures, lines, style, tradeoff
from tqhw.report.figures import pictures
from tqhw.results import STATES, AccuracyRow, AmortisedRow, EnergyRow, Results, TrafficRow
from tqhw.scenario.methods import METHODS


def many() -> Results:
    """The most that an experiment can ask for: eight precisions, four methods, three states."""
    runs = [(m, b) for m in METHODS for b in range(1, 9) if m != "fixed" or b == 8]
    return Results(
        experiment={"bits": list(range(1, 9))},
        methods=tuple(method.row() for method in METHODS.values()),
        accuracy=tuple(
            AccuracyRow(scheme, b, weights, 90 + b - (40 if b == 2 and weights == "shifted" else 0), 10, False)
            for scheme, weights, b in itertools.product(
                ("truncquant", "dorefa"), ("shifted", "requantized"), range(1, 9)
            )
        ),
        energy=tuple(
            EnergyRow(m, b, s, c, 1250.0 * b) for m, b in runs for s in STATES for c in ("DRAM", "GLB", "Quantizer")
        ),
        traffic=tuple(TrafficRow(m, b, s, "Weights", 10**10 * b, 0) for m, b in runs for s in STATES),
        amortised=tuple(AmortisedRow(m, b, n, 1e4 * b / n, 1.0) for m, b in runs for n in (1, 10, 100, 1000, 10000)),
    )


def least() -> Results:
    """One method, one state, one precision, one component; nothing measured."""
    return Results(
        experiment={"bits": [3]},
        energy=(EnergyRow("truncquant", 3, "steady", "DRAM", 1e-6),),
        traffic=(TrafficRow("truncquant", 3, "steady", "Weights", 5, 0),),
        amortised=(AmortisedRow("truncquant", 3, 7, 1e-6, 5.0),),
    )


def texts(figure: Figure) -> list[Text]:
    """All texts that are really drawn: a hidden tick has a label too."""
    drawn: dict[int, Text] = {}
    original = Text.draw

    def noted(self: Text, renderer: RendererBase) -> None:
        drawn[id(self)] = self
        original(self, renderer)

    figure.canvas.draw()  # lays out
    with patch.object(Text, "draw", noted):
        figure.canvas.draw()
    return [t for t in drawn.values() if t.get_visible() and t.get_text().strip()]


def assert_readable(figure: Figure) -> None:
    """No two texts overlap and none leaves the figure."""
    boxes = [(t.get_text(), t.get_window_extent()) for t in texts(figure)]
    width, height = figure.canvas.get_width_height()
    for text, box in boxes:
        assert box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1, text
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        shared_x, shared_y = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert shared_x < 1 or shared_y < 1, f"'{one}' overlaps '{other}'"


@pytest.mark.parametrize("results", [sample(), many(), least()], ids=["sample", "many", "least"])
@pytest.mark.parametrize("draw", [bars.energy, bars.traffic, lines.accuracy, lines.amortised])
def test_no_labels_overlap(results: Results, draw: Callable[[Results], Figure]) -> None:
    with style.style():
        assert_readable(draw(results))


def test_the_check_for_overlaps_finds_them() -> None:
    figure, (axis,) = style.figure(2, 2)
    axis.text(0.5, 0.5, "one")
    axis.text(0.52, 0.5, "two")
    with pytest.raises(AssertionError, match="'one' overlaps 'two'"):
        assert_readable(figure)


def test_what_a_switch_costs_little_of_stays_inside_its_panel() -> None:
    runs = [AmortisedRow("truncquant", 8, n, 7e-3 + 2e-4 / n, 1.0) for n in (1, 10, 100)]
    with style.style():
        figure = lines.amortised(replace(sample(), amortised=tuple(runs)))
    bottom, top = figure.axes[0].get_ylim()
    assert bottom == 0
    assert top >= 1.04 * 7.2e-3


def test_bars_stack_up_to_the_total() -> None:
    results = sample()
    with style.style():
        figure = bars.energy(results)
    tops = [
        max(p.get_y() + p.get_height() for p in column)
        for axis in figure.axes
        for column in _columns([p for p in axis.patches if isinstance(p, Rectangle)])
    ]
    expected = []
    for state in STATES:
        for bits in (2, 4, 6, 8):
            for method in METHODS:
                found = [r.energy_mj for r in results.energy if (r.state, r.bits, r.method) == (state, bits, method)]
                expected += [sum(found)] if found else []
    assert tops == pytest.approx(expected)


def _columns(patches: list[Rectangle]) -> list[list[Rectangle]]:
    places = sorted({round(p.get_x(), 6) for p in patches})
    return [[p for p in patches if round(p.get_x(), 6) == place] for place in places]


def test_units_stand_on_the_axes_and_estimates_are_marked() -> None:
    with style.style():
        energy, traffic = bars.energy(sample()), bars.traffic(sample())
    assert {a.get_ylabel() for a in energy.axes} == {"Energy (mJ)"}
    assert {a.get_ylabel() for a in traffic.axes} == {"DRAM traffic (Mbit)"}
    assert [a.get_title() for a in energy.axes] == [""] * 3  # they stand on the left
    assert [a.get_title(loc="left") for a in energy.axes] == ["Initial loading", "Precision switching", "Steady"]
    legend = [t.get_text() for t in energy.legends[0].get_texts()]
    assert legend == ["DRAM", "GLB", "MAC & spad", "Quantizer (estimate)"]
    hatched = [p for a in energy.axes for p in a.patches if p.get_hatch()]
    assert len(hatched) == 2 * 4  # any_precision, in the two states that quantize, at four precisions


def test_the_gap_is_marked_where_it_is_largest() -> None:
    with style.style():
        figure = lines.accuracy(sample())
    notes = [t.get_text() for t in figure.axes[0].texts if isinstance(t, Annotation)]
    assert "QT gap 37.1 points" in notes
    legend = [t.get_text() for t in figure.legends[0].get_texts()]
    assert legend == ["TruncQuant, truncated or re-quantized", "Ordinary QAT, truncated", "Ordinary QAT, re-quantized"]


def test_no_gap_no_mark() -> None:
    closed = tuple(row for row in sample().accuracy if row.scheme == "truncquant")
    with style.style():
        figure = lines.accuracy(replace(sample(), accuracy=closed))
    assert not figure.axes[0].texts


def test_accuracies_that_were_not_measured_are_named() -> None:
    def rows(*tops: float | None) -> tuple[AccuracyRow, ...]:
        return tuple(AccuracyRow("truncquant", b, "shifted", t, 0, False) for b, t in zip((2, 8), tops, strict=True))

    nothing = Results(experiment={"bits": [2, 8]})
    with style.style():
        never, once = lines.accuracy(nothing), lines.accuracy(replace(nothing, accuracy=rows(None, 90.0)))
    assert [t.get_text() for t in never.axes[0].texts] == ["not measured"]
    assert [t.get_text() for t in once.legends[0].get_texts()] == ["TruncQuant, truncated (not measured at 2)"]
    assert [list(line.get_ydata()) for line in once.axes[0].lines] == [[90.0]]


def test_the_same_results_give_the_same_bytes_whatever_the_users_style() -> None:
    first = drawn()
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red"}):
        again = pictures(sample())
    assert first == again
    assert [p.name for p in first] == [
        *("energy", "accuracy", "amortised", "traffic"),
        *("accuracy_energy", "layers", "roofline", "fronts"),
    ]


def test_nothing_of_the_day_or_the_program_is_in_the_files() -> None:
    for picture in drawn():
        assert picture.png.startswith(b"\x89PNG")
        assert b"tEXt" not in picture.png
        assert "<dc:date>" not in picture.svg
        assert b"Date" not in picture.pdf
        assert b"/FontFile2" in picture.pdf and b"/Type3" not in picture.pdf  # TrueType, embedded
        width, height = struct.unpack(">II", picture.png[16:24])
        assert width >= 300 * style.COLUMN - 1 and height > 300  # 300 dots per inch


def test_figures_without_rows_are_left_out_but_that_of_the_accuracies() -> None:
    assert [p.name for p in pictures(Results(experiment={"bits": [2]}))] == ["accuracy"]


def test_intervals_and_the_network_in_floating_point_are_drawn() -> None:
    rows = (
        AccuracyRow("truncquant", 2, "shifted", 96.0, 1000, True, 3, 0.3, 94.7, 97.3),
        AccuracyRow("fp32", 32, "full", 98.0, 1000, False, 3, 0.1, 96.9, 98.7),
    )
    (axis,) = lines.accuracy(Results({"bits": [2, 8]}, accuracy=rows)).axes
    assert [2, 2] in [list(line.get_xdata()) for line in axis.lines]
    assert (94.7, 97.3) in [tuple(line.get_ydata()) for line in axis.lines]
    names = axis.get_legend_handles_labels()[1]
    assert "FP32" in names and axis.get_ylim()[0] < 94.7 and list(axis.get_xticks()) == [2, 8]


def layers(count: int) -> Results:
    """As many layers, whose names are long; every fourth occurs twice."""
    first = sample().layers[0]
    named = (f"encoder.block{i}.attention.output.$dense$_{i}" for i in range(count))
    rows = (replace(first, name=name, count=1 + (i % 4 == 0)) for i, name in enumerate(named))
    return replace(sample(), layers=tuple(rows))


@pytest.mark.parametrize("results", [sample(), layers(60)], ids=["sample", "sixty"])
@pytest.mark.parametrize("draw", [layer_figures.layer_energy, tradeoff.accuracy_energy])
def test_no_labels_of_layers_and_points_overlap(results: Results, draw: Callable[[Results], Figure]) -> None:
    with style.style():
        assert_readable(draw(results))


def test_the_energy_of_a_layer_is_that_of_all_its_occurrences() -> None:
    with style.style():
        low, high = layer_figures.layer_energy(sample()).axes
    assert [low.get_title(loc="left"), high.get_title(loc="left")] == ["2 bits", "8 bits"]
    assert [t.get_text() for t in low.get_yticklabels()] == ["layer1.0.conv1 ×2", "layer2.0.conv1 ×2", "fc.conv1 ×2"]
    first = sample().layers[0]
    one = next(e for e in first.evaluations if (e.fetch_bits, e.weight_bits) == (8, 8))
    bars_of_first = [p for p in high.patches if isinstance(p, Rectangle) and abs(p.get_y() + p.get_height() / 2) < 0.01]
    assert sum(p.get_width() for p in bars_of_first) == pytest.approx(2 * sum(one.components.values()) / 1e6)


def test_layers_that_are_too_many_are_one_bar() -> None:
    with style.style():
        names = [t.get_text() for t in layer_figures.layer_energy(layers(60)).axes[0].get_yticklabels()]
    assert len(names) == layer_figures.MOST_LAYERS + 1 and names[-1] == "20 others"
    assert names[0] == "encoder.bloc…put.$dense$_0 ×2"  # a dollar is no formula


def test_the_roofline_has_the_array_and_the_bandwidth_that_an_architecture_gives(tmp_path: Path) -> None:
    with style.style():
        (bare,) = layer_figures.roofline(with_hardware(tmp_path / "bare"), tmp_path / "bare").axes
        (given,) = layer_figures.roofline(with_hardware(tmp_path / "given", dram_bandwidth=64), tmp_path / "given").axes
    assert bare.get_title(loc="left") == "DRAM: no bandwidth given"
    assert given.get_title(loc="left").startswith("DRAM: ") and given.get_title(loc="left").endswith(" bytes per cycle")
    assert [t.get_text() for t in bare.texts] == ["168 MACs per cycle"]
    (x, y) = bare.collections[0].get_offsets().tolist()[0]  # type: ignore[union-attr]
    assert (x, y) == (pytest.approx(115605504 * 8 / 1294912), pytest.approx(144))
    slope = next(line for line in given.lines if len(set(line.get_ydata())) == 2)
    (x0, x1), (y0, y1) = slope.get_xdata(), slope.get_ydata()
    assert y0 / x0 == pytest.approx(y1 / x1) and y1 == pytest.approx(168, rel=1e-3)


def test_accuracy_stands_against_the_energy_of_a_steady_inference() -> None:
    rows = (
        AccuracyRow("truncquant", 2, "shifted", 96.0, 1000, True, 1, None, 94.7, 97.3),
        AccuracyRow("dorefa", 2, "requantized", 97.0, 1000, True, 1, None, 95.7, 98.3),
    )
    parts = [
        (m, s, c, e) for m in ("truncquant", "any_precision") for s, e in (("steady", 1.5), ("x", 9)) for c in "ab"
    ]
    energy = tuple(EnergyRow(m, 2, s, c, e) for m, s, c, e in parts)
    with style.style():
        (axis,) = tradeoff.accuracy_energy(Results({"bits": [2]}, accuracy=rows, energy=energy)).axes
        (nothing,) = tradeoff.accuracy_energy(Results({"bits": [2]}, energy=energy)).axes
    drawn_lines = [(list(line.get_xdata()), list(line.get_ydata())) for line in axis.lines]
    assert ([3.0, 3.0], [94.7, 97.3]) in drawn_lines
    assert ([3.0], [96.0]) in drawn_lines and ([3.0], [97.0]) in drawn_lines
    assert [t.get_text() for t in nothing.texts] == ["not measured"]
