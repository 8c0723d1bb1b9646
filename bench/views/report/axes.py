"""Axes: from where to where, and what stands at their ticks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.saved.runs import one_line
from bench.views import units

WIDTH = 400  # of a chart, in its pixels
LABEL = 12  # the size of text in it
TITLE = 13  # and of titles
LETTER = 0.6  # of these: the width of a letter, as pygal reckons
_NARROWEST_PLOT = 220
_SHORTEST = 1e-9  # from end to end of an axis
_LONGEST_NAME, _LONGEST_ROW, _LONGEST_TEXT = 46, 23, 500  # letters


@dataclass(frozen=True)
class Axis:
    """From low to high; a value beyond stands at the edge. title: with the unit."""

    title: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    log: bool = False

    def place(self, value: float) -> float:
        inside = min(max(value, self.low), self.high)
        return math.log10(inside) if self.log else inside

    @property
    def ends(self) -> tuple[float, float]:
        return self.place(self.low), self.place(self.high)


def log_axis(
    title: str, values: Sequence[float], said: Callable[[float], str], room: float = 0.0
) -> Axis:
    """Over all values, by decades. room: for labels on the right, as a share of the axis."""
    low, high = min(values), max(values)
    edge = (high / low) ** 0.05 if high > low else 1.5
    low, high = low / edge, high * edge * (high / low) ** room
    decades = [10.0**e for e in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)]
    widest = max((len(said(tick)) for tick in decades), default=1) * LETTER * LABEL + 10
    ticks = decades[:: math.ceil(len(decades) * widest / _NARROWEST_PLOT) or 1]
    if len(ticks) < 2:  # less than two decades
        around = range(math.floor(math.log10(low)), math.ceil(math.log10(high)))
        steps = [f * 10.0**e for e in around for f in (1, 2, 5)]
        ticks = steps if high > 5 * low else round_ticks(low, high)
        ticks = [tick for tick in ticks if low <= tick <= high]
    return Axis(f"{title} (log)", low, high, [(t, said(t)) for t in ticks], log=True)


def times(value: float) -> str:
    """ "1,000x", "0.5x": at a tick."""
    if value >= 1e6:
        return f"{units.si(value)}x"
    return f"{value:,.0f}x" if value >= 100 else f"{value:.6g}x"


def round_ticks(low: float, high: float) -> list[float]:
    """Two to six of them, in steps of 1, 2 or 5 and zeros."""
    step = _round_step(low, high)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(n * step, _decimals(step)) for n in range(first, last + 1)]


def _round_step(low: float, high: float) -> float:
    """So short that two of them are between the ends, wherever these are."""
    most = (high - low) / 2.1
    power = 10.0 ** math.floor(math.log10(most))
    return max(factor * power for factor in (1, 2, 5) if factor * power <= most)


def _decimals(step: float) -> int:
    return max(0, -math.floor(math.log10(step)))


def axis(title: str, low: float, high: float, room: float = 0.0) -> Axis:
    """Linear. room: for labels on the right, as a share of the axis."""
    high = max(high, low + _SHORTEST)
    decimals = _decimals(_round_step(low, high))
    ticks = [(tick, f"{tick:,.{decimals}f}") for tick in round_ticks(low, high)]
    return Axis(title, low, high + room * (high - low), ticks)


def row_axis(names: Sequence[str], longest: int = _LONGEST_ROW) -> Axis:
    """Upright, a row for each name from the top down: row n stands at -n."""
    shown = [(-n, row_label(name, longest)) for n, name in enumerate(names)]
    return Axis("", -len(names) + 0.4, 0.6, shown)


def row_label(name: str, longest: int = _LONGEST_ROW) -> str:
    return shortened(name, longest)


def clipped(text: object) -> str:
    """On one line, and none that fills a page: what a name of 10 MB is can be seen from less."""
    plain = one_line(text)
    return plain if len(plain) <= _LONGEST_TEXT else f"{plain[:_LONGEST_TEXT]}…"


def shortened(name: str, longest: int = _LONGEST_NAME) -> str:
    """The end of a long name: that is where names of tests differ."""
    name = one_line(name)
    return name if len(name) <= longest else "…" + name[1 - longest :]
