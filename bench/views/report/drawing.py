"""Charts as pygal draws them: points and lines over two axes, and lying bars. The one place that
knows pygal; svg.py makes of them what is published.

Charts are narrow: at this width their text can be read on a telephone, and wider screens show
several side by side, or scale one up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element

import pygal
from pygal.style import Style

from bench.views.report import svg
from bench.views.report.axes import LABEL, LETTER, TITLE, WIDTH, Axis, row_label, shortened

_SPACING = 8
_LONGEST_TITLE = 100  # letters
_STYLE = Style(
    title_font_size=TITLE,
    label_font_size=LABEL,
    major_label_font_size=LABEL,
    value_font_size=LABEL,
    value_label_font_size=LABEL,
)


class Point(NamedTuple):
    """said: what is told when it is pointed at; label: what is printed beside it."""

    x: float
    y: float
    said: str = ""
    label: str = ""


@dataclass(frozen=True)
class Series:
    """name: in the legend; "" for none. tone: of the palette, or ink, mark, guide. look: words of
    chart.css.j2; thin, wide, solid, dashed and dotted are lines. dots: their radius; 0: none."""

    name: str
    tone: str
    points: Sequence[Point]
    look: str = ""
    dots: float = 0.0

    @property
    def mark(self) -> svg.Mark:
        return svg.Mark(shortened(self.name), self.tone, self.look)


def chart(title: str, x: Axis, y: Axis, series: Sequence[Series], plot_height: int) -> Element:
    """Points and lines over two axes. `plot_height`: in pixels, without what stands around it."""
    drawn = pygal.XY(
        **_options(title, x, y, plot_height),
        x_labels=[{"value": x.place(value), "label": label} for value, label in x.ticks],
        y_labels=[{"value": y.place(value), "label": label} for value, label in y.ticks],
        xrange=x.ends,
        range=y.ends,
    )
    for one in series:
        drawn.add(
            None,
            [_value((x.place(point.x), y.place(point.y)), point) for point in one.points],
            stroke=bool(one.look) and one.look != "hollow",
            show_dots=one.dots > 0,
            dots_size=one.dots,
        )
    return svg.cleaned(drawn, title, [one.mark for one in series], beside_bars=False)


def stacks(
    title: str, x: Axis, rows: Sequence[str], parts: Sequence[Series], row_height: int = 20
) -> Element:
    """Lying bars, a row for each name from the top down; the points of a part are its shares of
    each row: x how long, y is not used. A part with the look "ghost" is room that stays empty."""
    drawn = (
        pygal.HorizontalStackedBar(  # the first at the bottom; its axes are those of upright bars
            **_options(title, x, Axis("", 0, 1, ()), len(rows) * row_height),
            x_labels=[row_label(name) for name in reversed(rows)],
            y_labels=[{"value": value, "label": label} for value, label in x.ticks],
            range=x.ends,
            print_values_position="top",
        )
    )
    for one in parts:
        drawn.add(None, [_value(point.x, point) for point in reversed(one.points)])
    return svg.cleaned(drawn, title, [one.mark for one in parts], beside_bars=True)


def _value(place: Any, point: Point) -> dict[str, Any]:
    return {"value": place, "label": point.label or None, "formatter": lambda _: point.said}


def _options(title: str, x: Axis, y: Axis, plot_height: int) -> dict[str, Any]:
    shown = shortened(title, _LONGEST_TITLE)
    title_lines = math.ceil(len(shown) * LETTER * TITLE / (WIDTH - 2 * _SPACING))
    return {
        "style": _STYLE,
        "css": (),
        "js": (),
        "title": shown,
        "x_title": x.title or None,
        "y_title": y.title or None,
        "width": WIDTH,
        "height": plot_height + (title_lines + 2) * (TITLE + _SPACING) + 4 * _SPACING,
        "margin": _SPACING,
        "margin_right": 2 * _SPACING,
        "spacing": _SPACING,
        "disable_xml_declaration": True,
        "truncate_label": -1,
        "show_legend": False,
        "print_labels": True,
    }
