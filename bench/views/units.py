"""How figures are written, the same in every view: three significant digits and a unit."""

from __future__ import annotations

import html
import math
import re

from bench.saved.runs import one_line

# What opens markup, and what makes a link of bare text; what opens a list or a rule in a new line.
_ACTIVE = re.compile(r"[\\`*_{}\[\]|~#@$]|:(?=//)|(?<=www)\.", re.IGNORECASE)
_OPENING = re.compile(r"^(?=[-=]+$|[-+](?:\s|$))|^\d+(?=[.)](?:\s|$))")

UNCONFIRMED = "~"
NOT_CONFIRMED = (
    f"{UNCONFIRMED} not confirmed: a single call took too long to repeat, or the machine was never "
    "quiet for long enough"
)


def marked(shown: str, confirmed: bool) -> str:
    """ "~1.2ms" where the time, or what was made of it, was not confirmed."""
    return shown if confirmed else UNCONFIRMED + shown


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


def si(value: float) -> str:
    """ "20k", "1.5M", "100G": of anything but seconds and bytes."""
    for size, name in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{name}"
    return f"{value:g}"


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


def escaped(text: object) -> str:
    """The door to Markdown, as one_line is to a terminal: on one line, and nothing in it is markup,
    a link, mentions anybody, or ends a table's cell."""
    plain = _ACTIVE.sub(r"\\\g<0>", html.escape(one_line(text).strip(), quote=False))
    # GitHub looks for @name and #1 in the finished text, where a backslash has done its work: they
    # are kept apart by a space of no width.
    return _OPENING.sub(r"\g<0>\\", re.sub(r"(\\[@#])(?=\w)", r"\1&#8203;", plain))
