"""A loop nest as SVG and as text."""

from __future__ import annotations

from tqhw.drawing.nest import LoopNest, NestLevel
from tqhw.drawing.svg import LINE, Canvas, bold_width, chip_width, colour, mono_width

_PAD, _INDENT = 14, 16


def nest_text(nest: LoopNest) -> str:
    """The nest, every loop further in than the one around it, with what each level keeps and how full that makes it."""
    lines, depth = [nest.title, nest.summary], 0
    for level in nest.levels:
        if level.instances:
            kept = f": {', '.join(tile.text for tile in level.tiles)}" if level.tiles else ""
            lines.append(f"{'  ' * depth}{level.name}{_used(level)}{kept}")
        for loop in level.loops:
            lines.append(f"{'  ' * depth}{loop.text}")
            depth += 1
    return "\n".join(lines) + "\n"


def _used(level: NestLevel) -> str:
    return f" ({level.used:,} of {level.instances:,} used)" if level.instances > 1 else ""


def nest_svg(nest: LoopNest) -> str:
    """Levels at the left with their tiles, their loops at the right, each further in than the one around it."""
    canvas = Canvas()
    left = max(_width(level, nest) for level in nest.levels) + _PAD
    loops = [loop for level in nest.levels for loop in level.loops]
    right = max([mono_width(loop.text) + number * _INDENT for number, loop in enumerate(loops)], default=0.0)
    width = max(left + right + 3 * _PAD, bold_width(nest.title) + 2 * _PAD, mono_width(nest.summary) + 2 * _PAD)
    canvas.text(_PAD, LINE + 5, nest.title, "ink", "bold")
    canvas.text(_PAD, 2 * LINE + 5, nest.summary, "soft", "mono")
    y, depth = 3.0 * LINE, 0
    for level in nest.levels:
        height = _height(level)
        canvas.line(_PAD, y, width - _PAD, y)
        canvas.text(_PAD, y + LINE, f"{level.name}{_used(level)}", "ink", "bold")
        for number, tile in enumerate(level.tiles):
            canvas.chip(_PAD, y + (2 + number) * LINE + 5 + 3 * number, tile.text, colour(tile.data_space, nest.spaces))
        for number, loop in enumerate(level.loops):
            style = "ink" if loop.axis else "soft"
            canvas.text(left + _PAD + depth * _INDENT, y + (1 + number) * LINE, loop.text, style, "mono")
            depth += 1
        y += height
    return canvas.svg(width, y, f"Mapping {nest.title}: {nest.summary}")


def _height(level: NestLevel) -> float:
    tiles = len(level.tiles) * (LINE + 3)
    return max(LINE + tiles, len(level.loops) * LINE) + _PAD


def _width(level: NestLevel, nest: LoopNest) -> float:
    return max([bold_width(level.name + _used(level)), *(chip_width(tile.text) for tile in level.tiles)])
