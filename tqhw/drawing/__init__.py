"""Architectures and mappings as pictures (SVG, readable in light and dark) and as text."""

from tqhw.drawing.chart import Chart, FanOut, LevelBox, chart
from tqhw.drawing.chart_picture import chart_svg, chart_text
from tqhw.drawing.nest import LoopNest, NestLevel, NestLoop, Tile, loop_nest
from tqhw.drawing.nest_picture import nest_svg, nest_text

__all__ = [
    "Chart",
    "FanOut",
    "LevelBox",
    "LoopNest",
    "NestLevel",
    "NestLoop",
    "Tile",
    "chart",
    "chart_svg",
    "chart_text",
    "loop_nest",
    "nest_svg",
    "nest_text",
]
