"""The one place that knows pygal: how our charts look, and how one becomes a clean SVG.

What pygal writes by default cannot be published as it is: it carries a script, a random id, the
date of the day, tooltips that need the network, and the name "Pygal" as its title. `as_svg` takes
all of that out, so that the same runs give the same bytes and a chart works anywhere, offline.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pygal
from pygal.style import Style

from bench.saved.runs import one_line

# pygal is untyped: this says what is meant, mypy cannot check it.
Chart = Any

TEMPLATES = Path(__file__).parent / "templates"
_DARK_STYLESHEET = TEMPLATES / "chart.css"
FONTS = 'system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif'

# Every colour has a contrast of at least 3:1 (WCAG 2.1, 1.4.11) on both backgrounds, light and
# dark: so a variant keeps its colour in both. tests/test_report.py recomputes the contrasts.
PALETTE = (
    "#7d848c",  # grey
    "#a07a22",  # ochre
    "#d0553f",  # red
    "#bf4a90",  # magenta
    "#8b66d6",  # violet
    "#3f7fd6",  # blue
    "#17899b",  # teal
    "#3f8f46",  # green
    "#a8653f",  # brown
    "#6b7fae",  # slate
)
_MARK = "#818b98"  # as the major guides
BACKGROUNDS = ("#ffffff", "#14171a")  # light, dark; chart.css and report.html.j2 say the same

WIDTH = 800
_MARGIN = 20
_LEGEND_FONT = 13
_VALUE_FONT = 11  # pygal puts the text of a point so far to its right
_RIGHT_PART = 0.7
_LEGEND_WIDTH = 560  # of the narrowest plot
_LONGEST_NAME = 60  # letters that fit beside the widest axis


def bars(names: Sequence[str], groups: int, **options: Any) -> Chart:
    """Horizontal, so that there is room for every value beside its bar. `names`: of the series, in
    all of these, for the legend's size."""
    return _chart(
        pygal.HorizontalBar,
        names,
        height=110 + groups * (len(names) * 17 + 10),
        print_values=True,
        print_values_position="top",  # at the end of the bar
        **options,
    )


def scatter(names: Sequence[str], **options: Any) -> Chart:
    return _chart(pygal.XY, names, height=440, dots_size=3.5, print_labels=True, **options)


def lines(names: Sequence[str], **options: Any) -> Chart:
    return _chart(pygal.Line, names, height=420, dots_size=3.5, allow_interruptions=True, **options)


def add(chart: Chart, name: str, values: Sequence[Any], color: str, dashed: bool = False) -> None:
    """One series. Its colour is ours to say: pygal's follow the order within one chart."""
    chart.config.style.colors += (color,)
    stroke = {"width": 2, "dasharray": "7, 4"} if dashed else {"width": 2}
    chart.add(_shortened(name), list(values), stroke_style=stroke)


def mark(chart: Chart, label: str, x: float, low: float, high: float) -> None:
    """An upright line across a logarithmic scatter, with its label beside its lower end; not in the
    legend. Say `marks`, how many there will be, when making the chart."""
    chart.config.style.colors += (_MARK,)
    labelled = {"value": (x, low * (high / low) ** 0.1), "label": label}
    stroke = {"width": 1, "dasharray": "2, 3"}
    chart.add(None, [(x, low), labelled, (x, high)], stroke_style=stroke, dots_size=0)


def decades(low: float, high: float) -> list[float]:
    """The powers of ten from the one at or below `low` to the one at or above `high`: the ticks of
    a logarithmic axis. At least two; pygal's own become linear where an axis spans little."""
    first = math.floor(math.log10(low))
    last = max(math.ceil(math.log10(high)), first + 1)
    return [10.0**exponent for exponent in range(first, last + 1)]


def _shortened(name: str) -> str:
    """The end of a long name: that is where names of tests differ."""
    name = one_line(name)
    return name if len(name) <= _LONGEST_NAME else "…" + name[1 - _LONGEST_NAME :]


def _chart(
    kind: Any, names: Sequence[str], *, height: int, marks: int = 0, **options: Any
) -> Chart:
    columns = _legend_columns(names)
    rows = math.ceil(len(names) / columns)
    # pygal reserves as many rows for the legend as its series, marks too, fill: the last one could
    # be cut off, or be followed by empty ones.
    missing_rows = rows - (len(names) + marks) // columns
    row_height = round(1.5 * _LEGEND_FONT)
    style = Style(
        font_family=FONTS,
        background=BACKGROUNDS[0],
        plot_background=BACKGROUNDS[0],
        foreground="#3d444d",
        foreground_strong="#1f2328",
        foreground_subtle="#59636e",
        guide_stroke_color="#d1d9e0",
        major_guide_stroke_color="#818b98",
        value_colors=("#1f2328",) * (len(names) + marks),
        colors=(),
        opacity="1",
        opacity_hover="1",
        stroke_opacity="1",
        stroke_width="2",
        transition="0s",
        title_font_size=17,
        label_font_size=12,
        major_label_font_size=12,
        value_font_size=_VALUE_FONT,
        legend_font_size=_LEGEND_FONT,
    )
    options["title"] = one_line(options["title"])
    return kind(
        style=style,
        css=("file://style.css", "file://graph.css", f"file://{_DARK_STYLESHEET}"),
        js=(),
        width=WIDTH,
        height=height + rows * row_height,
        disable_xml_declaration=True,
        truncate_label=-1,
        truncate_legend=-1,
        legend_at_bottom=True,
        legend_at_bottom_columns=columns,
        margin_bottom=_MARGIN + missing_rows * row_height or 1,  # pygal takes 0 for not said
        **options,
    )


def _legend_columns(names: Sequence[str]) -> int:
    """As many as fit side by side: pygal's have one width and would overlap."""
    letters = max(len(_shortened(name)) for name in names)
    fitting = _LEGEND_WIDTH // round(letters * 0.6 * _LEGEND_FONT + 30)
    return max(1, min(fitting, 4, len(names)))


# --- Cleaning up ---------------------------------------------------------------------------------


def as_svg(chart: Chart, name: str) -> str:
    """The chart as an SVG document. `name`, of letters, digits, - and _, is unique in the page."""
    chart.uuid = name
    chart.xml_filters = [lambda root: _cleaned(root, chart)]
    return str(chart.render(is_unicode=True)) + "\n"


def _cleaned(root: Any, chart: Chart) -> Any:
    root.set("role", "img")
    root.set("aria-label", chart.config.title)
    for parent in list(root.iter()):
        for child in list(parent):
            if _is_unwanted(child):
                parent.remove(child)
            elif parent is not root and child.get("id"):
                del child.attrib["id"]  # would be there once for each chart of the page
    for text in root.iter("text"):
        if text.get("class") == "label" and float(text.get("x")) > _RIGHT_PART * WIDTH:
            text.set("text-anchor", "end")  # to the left of its mark: to the right is no room
            text.set("x", str(float(text.get("x")) - 2 * _VALUE_FONT))
    for group in root.iter("g"):
        found = re.match(r"series serie-(\d+)", group.get("class", ""))
        if found:
            _, options = chart.raw_series[int(found[1])]
            _name_marks(group, options["title"])
    return root


def _is_unwanted(node: Any) -> bool:
    """Comments (one holds the date), scripts and the empty box of a tooltip that needs a script."""
    return (
        not isinstance(node.tag, str)
        or node.tag == "script"
        or "tooltip-overlay" in node.get("class", "")
    )


def _name_marks(group: Any, name: str | None) -> None:
    """Each bar and dot says what it is when pointed at: <title>, which needs no script, in place of
    the <desc> elements that pygal's script would read."""
    for mark in group.iter("g"):
        described = {d.get("class", "").strip(): d for d in mark.findall("desc")}
        if "value" not in described:
            continue
        for desc in described.values():
            mark.remove(desc)
        # What is in no legend has a label instead, on one of its ends.
        parts = ("label",) if name is None else ("x_label", "value")
        said = [described[what].text for what in parts if what in described]
        title = mark.makeelement("title", {})
        title.text = ", ".join([*([name] if name else []), *said])
        mark.insert(0, title)


def colors_of(names: Iterable[str]) -> dict[str, str]:
    """A colour for each name, by position; they repeat beyond the tenth."""
    return {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(names)}
