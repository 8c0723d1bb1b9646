"""Every kernel's ladder in one picture: how many times as fast as Python's loop, rung by rung."""

from __future__ import annotations

import math
from typing import Any

from bench.analysis.ladder import Ladder, MeasuredRung, ladders
from bench.analysis.rows import by_hand
from bench.saved.runs import Run
from bench.views import matrix, units
from bench.views.report import svg
from bench.views.report.palette import TIERS

WIDTH = 700  # legible at this width: no text is smaller than 11 px
_MARGIN, _TOP, _GAP = 16, 102, 24
_PANEL = (WIDTH - 2 * _MARGIN - _GAP) // 2  # two side by side
_LABEL, _VALUE = 98, 52  # to the left of the bars, and to the right of the longest
_ROW, _TITLE = 15, 22

_KINDS = {  # and the tone of each
    "Python": "py-loop",
    "C++, compiled": "c-autovec",
    "C++ by hand, one core": "c-avx2",
    "C++ by hand, all cores": "c-avx512_omp",
}


def ladders_svg(run: Run, dark: bool = False) -> str:
    """Of each kernel at its largest size. Raises BadRun."""
    found, theme = ladders(run), int(dark)
    decades = math.ceil(math.log10(max(one.total for one in found))) or 1
    per_decade = (_PANEL - _LABEL - _VALUE) / decades
    colors = {kind: TIERS[tone][theme] for kind, tone in _KINDS.items()}
    panels = [_panel(one, per_decade, colors) for one in found]
    y = _TOP
    for row in (panels[i : i + 2] for i in range(0, len(panels), 2)):
        for column, panel in enumerate(row):
            panel.update(x=_MARGIN + column * (_PANEL + _GAP), y=y)
        y += max(panel["bottom"] for panel in row) + _MARGIN
    return svg.template("ladders.svg.j2").render(
        width=WIDTH,
        height=y,
        margin=_MARGIN,
        panel_width=_PANEL,
        label_width=_LABEL,
        fonts=svg.FONTS,
        colors={name: pair[theme] for name, pair in svg.PAGE.items()},
        title=f"How many times as fast as {_first(found)}",
        subtitle=["Logarithmic: each line is ten times the one before.", matrix.machine_line(run)],
        description="; ".join(_in_words(one) for one in found),
        legend=_legend(colors),
        ticks=[round(_LABEL + per_decade * decade, 1) for decade in range(decades + 1)],
        panels=panels,
    )


def _first(found: list[Ladder]) -> str:
    loops = all(one.rungs[0].rung.variant == "py-loop" for one in found)
    return "Python's loop" if loops else "the first of each"


def _legend(colors: dict[str, str]) -> list[dict[str, Any]]:
    letters = [len(kind) for kind in colors]
    return [
        {"name": kind, "color": color, "x": _MARGIN + sum(letters[:i]) * 6.5 + i * 30}
        for i, (kind, color) in enumerate(colors.items())
    ]


def _panel(found: Ladder, per_decade: float, colors: dict[str, str]) -> dict[str, Any]:
    bars = [
        {
            "name": measured.rung.variant.removeprefix("c-"),
            "value": units.factor(measured.cumulative),
            "color": colors[_kind(measured)],
            "width": round(max(per_decade * math.log10(measured.cumulative), 1.0), 1),
            "y": _TITLE + i * _ROW,
        }
        for i, measured in enumerate(found.rungs)
    ]
    bottom = _TITLE + len(bars) * _ROW
    name = f"{found.kernel}, {found.size}"
    return {"name": name, "total": units.factor(found.total), "bars": bars, "bottom": bottom}


def _kind(measured: MeasuredRung) -> str:
    python, compiled, one_core, all_cores = _KINDS
    if measured.metadata.side == "python":
        return python
    if not by_hand(measured.metadata):
        return compiled
    return all_cores if (measured.metadata.threads or 1) > 1 else one_core


def _in_words(found: Ladder) -> str:
    """For those who hear the picture."""
    rungs = (f"{m.rung.variant} {units.factor(m.cumulative)}" for m in found.rungs)
    return f"{found.kernel} at {found.size}: {', '.join(rungs)}"
