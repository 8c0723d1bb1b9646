"""How figures are written, the same in every view: three significant digits and a unit."""

from __future__ import annotations

import html
import math

from bench.runs import one_line


def seconds(value: float) -> str:
    """0.00123 -> "1.23ms"."""
    for limit, factor, unit in ((1e-6, 1e9, "ns"), (1e-3, 1e6, "us"), (1.0, 1e3, "ms")):
        if value < limit:
            return f"{three_digits(value * factor)}{unit}"
    return f"{three_digits(value)}s"


def three_digits(value: float) -> str:
    """1234.5 -> "1234", 12.345 -> "12.3", 0.012 -> "0.0120": whole digits are never dropped."""
    if value == 0:
        return "0"
    if value < 0.01:
        return f"{value:.2e}"
    decimals = max(0, 2 - math.floor(math.log10(value)))
    return f"{value:.{decimals}f}"


def factor(value: float) -> str:
    """ "1,234x", "12.3x", "0.87x"."""
    return f"{value:,.0f}x" if value >= 100 else f"{three_digits(value)}x"


def percent(value: float) -> str:
    """ "93%", "2.1%"."""
    return f"{value:.0f}%" if value >= 10 else f"{value:.1f}%"


def change(value: float) -> str:
    """Head / base - 1: 0.031 -> "+3.1%", -0.0042 -> "-0.42%", 2.0 -> "+200%"."""
    size = abs(value)
    decimals = 2 if size < 0.00995 else 1 if size < 0.9995 else 0
    shown = f"{100 * value:+.{decimals}f}%"
    return shown if float(shown[:-1]) else "0%"


def nbytes(value: int) -> str:
    """ "24 KiB", "128 MiB"."""
    return f"{value / 2**20:.4g} MiB" if value >= 2**20 else f"{value / 2**10:.4g} KiB"


def error(value: float) -> str:
    if value == 0:
        return "0"
    return f"{value:.1f}" if 0.05 <= value < 1000 else f"{value:.0e}"


def escaped(text: str) -> str:
    """As Markdown: nothing in it is markup, mentions anybody, or ends a table's cell."""
    text = html.escape(one_line(text).replace("\\", "\\\\"), quote=False)
    for character in "`*_[]|~#@":
        text = text.replace(character, "\\" + character)
    return text
