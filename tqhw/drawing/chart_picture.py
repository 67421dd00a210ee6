"""A chart as SVG and as text."""

from __future__ import annotations

from tqhw.drawing.chart import Chart, FanOut, LevelBox
from tqhw.drawing.svg import LINE, Canvas, bold_width, chip_width, colour, mono_width

_PAD, _GAP, _STACK = 12, 14, 4  # pixels within a box, between boxes, and by which the copies of a frame stand out


def chart_text(chart: Chart) -> str:
    """A line per level, what stands inside of a fan-out further in."""
    lines: list[tuple[str, str, str, str]] = []
    depth = 0
    for row in chart.rows:
        if isinstance(row, FanOut):
            lines.append((f"{'  ' * depth}{row.text}", "", "", ""))
            depth += 1
            continue
        for box in row:
            kept = [*box.keeps, *(f"({name})" for name in box.may_keep)]
            lines.append(
                (f"{'  ' * depth}{box.name}", f"x {box.instances:,}", ", ".join(box.facts), f"keeps {', '.join(kept)}")
                if kept
                else (f"{'  ' * depth}{box.name}", f"x {box.instances:,}", ", ".join(box.facts), "")
            )
    levels = [line for line in lines if line[1]]
    widths = [max(len(line[i]) for line in levels) for i in range(3)]
    told = [
        f"{line[0]:<{widths[0]}}  {line[1]:>{widths[1]}}  {line[2]:<{widths[2]}}  {line[3]}" if line[1] else line[0]
        for line in lines
    ]
    return "\n".join([chart.title, *(line.rstrip() for line in told)]) + "\n"


def chart_svg(chart: Chart) -> str:
    """Nested frames: what stands in a frame is there as often as its heading says."""
    canvas = Canvas()
    depth = sum(isinstance(row, FanOut) for row in chart.rows)
    inner = max(_row_width(row) for row in chart.rows) + depth * 2 * (_PAD + _STACK)
    width = max(inner, bold_width(chart.title), mono_width(_legend(chart))) + 2 * (_PAD + _GAP)
    heights = [LINE + _GAP if isinstance(row, FanOut) else max(map(_height, row)) + _GAP for row in chart.rows]
    bottom = 3 * LINE + _GAP + sum(heights) + depth * (_PAD + _STACK)
    canvas.text(_GAP, LINE + 5, chart.title, "ink", "bold")
    canvas.text(_GAP, 2 * LINE + 5, _legend(chart), "soft", "mono")
    y, level = 3.0 * LINE, 0
    for row, height in zip(chart.rows, heights, strict=True):
        left = _GAP + level * (_PAD + _STACK)
        if isinstance(row, FanOut):
            _frame(canvas, left, y, width - 2 * left, bottom - _GAP - level * (_PAD + _STACK) - y, row)
            level += 1
        else:
            _boxes(canvas, left + (_PAD if level else 0), y, width - 2 * (left + (_PAD if level else 0)), row, chart)
        y += height
    return canvas.svg(width, bottom, f"Architecture {chart.title}")


def _row_width(row: tuple[LevelBox, ...] | FanOut) -> float:
    if isinstance(row, FanOut):
        return bold_width(row.text) + 2 * _PAD
    return sum(max(map(_width, row)) for _ in row) + _GAP * (len(row) - 1)


def _width(box: LevelBox) -> float:
    chips = sum(map(chip_width, (*box.keeps, *box.may_keep)))
    return max(bold_width(_head(box)), *(mono_width(text) for text in (box.kind, *box.facts)), chips) + 2 * _PAD


def _height(box: LevelBox) -> float:
    return (2 + len(box.facts)) * LINE + (LINE + 6 if box.keeps or box.may_keep else 0) + _PAD


def _head(box: LevelBox) -> str:
    return f"{box.name}  x {box.instances:,}" if box.instances > 1 else box.name


def _legend(chart: Chart) -> str:
    boxes = [box for row in chart.rows if not isinstance(row, FanOut) for box in row]
    return "outermost first" + "; dashed: as the mapping says" * any(box.may_keep for box in boxes)


def _frame(canvas: Canvas, x: float, y: float, width: float, height: float, fan: FanOut) -> None:
    for shift in (2 * _STACK, _STACK, 0):
        canvas.rect(x + shift, y + shift, width - 2 * _STACK, height - 2 * _STACK, "frame")
    canvas.text(x + _PAD, y + LINE, fan.text, "ink", "bold")


def _boxes(canvas: Canvas, x: float, y: float, width: float, row: tuple[LevelBox, ...], chart: Chart) -> None:
    each = (width - _GAP * (len(row) - 1)) / len(row)
    height = max(map(_height, row))
    for box in row:
        canvas.rect(x, y, each, height, "box")
        canvas.text(x + _PAD, y + LINE, _head(box), "ink", "bold")
        for number, line in enumerate((box.kind, *box.facts)):
            canvas.text(x + _PAD, y + (2 + number) * LINE, line, "soft", "mono")
        chip = x + _PAD
        for names, whole in ((box.keeps, True), (box.may_keep, False)):
            for name in names:
                chip = canvas.chip(chip, y + height - _PAD, name, colour(name, chart.spaces), whole)
        x += each + _GAP
