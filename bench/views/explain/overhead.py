"""What crossing between Python and native code costs, and from which size on native code is faster
than the fastest Python: from the times of saved runs, by linear interpolation between their sizes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise

from bench.saved.overhead import Crossing, Growth, crossings, growths
from bench.saved.runs import BadRun, Run
from bench.views import units
from bench.views.matrix import UNCONFIRMED, markdown_table, text_table

# Two times that differ by no more than this share of either could change places in another run.
NEAR = 0.10
# What native code is reached by: a variant's suffix, and what the table calls it.
WAYS = {"": "pointers", "_checked": "checked", "_lists": "lists"}
TIERS = ("scalar", "avx2")


@dataclass(frozen=True)
class BreakEven:
    """From which size on a native variant is always faster than Python, as far as was measured.

    size               None: it is not faster at the largest; `smallest`: it is at every size
    smallest, largest  that both were measured at
    near_from          the same if the native variant took 10 % less time,
    near_to            and 10 % more; between these two sizes the times are about equal
    """

    kernel: str
    variant: str
    counts: str  # what a size counts: elements, columns, side
    size: int | None
    smallest: int
    largest: int
    near_from: int | None
    near_to: int | None


# --- Break-even ----------------------------------------------------------------------------------


def break_evens(run: Run) -> list[BreakEven]:
    """Of every kernel and way that was measured beside Python, in the order of measurement."""
    variants = [f"c-{tier}{way}" for way in WAYS for tier in TIERS]
    found = [_break_even(g, v) for g in growths(run) for v in variants if v in g.times]
    return [one for one in found if one is not None]


def _break_even(growth: Growth, variant: str) -> BreakEven | None:
    python, native = growth.python, growth.times[variant]
    sizes = sorted(python.keys() & native.keys())
    if not sizes:
        return None

    def with_native_times(factor: float) -> int | None:
        lead = {size: python[size] - factor * native[size] for size in sizes}
        return first_always_positive(lead, growth.power)

    return BreakEven(
        growth.kernel,
        variant,
        growth.counts,
        with_native_times(1.0),
        sizes[0],
        sizes[-1],
        with_native_times(1 / (1 + NEAR)),
        with_native_times(1 + NEAR),
    )


def first_always_positive(values: dict[int, float], power: int = 1) -> int | None:
    """The smallest whole n from which on a function is positive up to the largest n of `values`.
    Between those it is linear in n ** power. None where it is not positive at the largest."""
    sizes = sorted(values)
    if values[sizes[-1]] <= 0:
        return None
    for before, after in reversed(list(pairwise(sizes))):
        if values[before] > 0:
            continue
        rise = (values[after] - values[before]) / (after**power - before**power)
        low, high = before, after
        while high - low > 1:  # it rises from one to the other: bisection
            middle = (low + high) // 2
            if values[before] + rise * (middle**power - before**power) > 0:
                high = middle
            else:
                low = middle
        return high
    return sizes[0]


# --- As text -------------------------------------------------------------------------------------


def crossings_table(run: Run) -> tuple[list[str], list[list[str]]]:
    """Header and cells, as text."""
    rows = crossings(run)
    counted = any(row.instructions is not None for row in rows)
    header = ["crossing", "by", "elements", "time", "per element"]
    return header + ["instructions"] * counted, [_crossing_cells(row, counted) for row in rows]


def _crossing_cells(row: Crossing, counted: bool) -> list[str]:
    elements = f"{row.elements:,} {row.element or ''}".strip() if row.elements else ""
    each = row.seconds_per_element
    cells = [row.name, row.binding, elements]
    cells.append(("" if row.confirmed else UNCONFIRMED) + units.seconds(row.minimum))
    cells.append(units.seconds(each) if each is not None else "")
    if counted:
        cells.append("" if row.instructions is None else f"{row.instructions:,.0f}")
    return cells


def break_even_table(run: Run) -> tuple[list[str], list[list[str]]]:
    """Header and cells, as text: a row for each kernel, a column for each way."""
    found = break_evens(run)
    columns = [
        (f"{tier} {label}", f"c-{tier}{way}")
        for way, label in WAYS.items()
        for tier in TIERS
        if any(one.variant == f"c-{tier}{way}" for one in found)
    ]
    kernels = dict.fromkeys((one.kernel, one.counts) for one in found)
    by_cell = {(one.kernel, one.variant): said(one) for one in found}
    cells = [
        [kernel, counts, *(by_cell.get((kernel, variant), "") for _, variant in columns)]
        for kernel, counts in kernels
    ]
    return ["kernel", "size in", *(label for label, _ in columns)], cells


def said(one: BreakEven) -> str:
    """ "12 (10-14)", "always", "at most 100", "never up to 512"."""
    if one.size is None:
        text = f"never up to {one.largest}"
    elif one.size == one.smallest:
        text = "always" if one.smallest == 1 else f"at most {one.smallest}"
    else:
        text = str(one.size)
    if one.near_from == one.near_to:
        return text
    ends = f"{one.near_from}-{one.near_to or f'{one.largest}+'}"
    return f"{text} ({ends})"


def crossings_notes(run: Run) -> list[str]:
    return [
        "Times are minima of a call, the loop around it included: that of a Python function which "
        "does nothing is what the others are to be compared with. cffi API: a compiled module; "
        "cffi ABI and ctypes: the same library, opened at run time.",
        "per element: of lists, which are copied; a buffer is only looked at.",
    ]


def break_even_notes(run: Run) -> list[str]:
    lines = [
        "The smallest size from which on the native kernel is always faster than the fastest "
        "Python variant, by linear interpolation between the sizes of the run. In brackets the "
        f"sizes at which the two are about equal: native times {100 * NEAR:.0f} % shorter or "
        "longer would move it there. at most N: faster at N already, the smallest size that was "
        "measured.",
        "pointers: to buffers, made beforehand; checked: the methods of kernels_c, which check the "
        "buffers; lists: copied to buffers and back in every call.",
    ]
    if not any(one.variant.endswith(tuple(w for w in WAYS if w)) for one in break_evens(run)):
        lines.append("pytest --benchmark-only --explain also measures smaller sizes, and the rest.")
    return lines


def _require_something(run: Run) -> None:
    if not crossings(run) and not break_evens(run):
        raise BadRun(
            f"{run.source}: holds no crossing, and no kernel in Python and C++ at the same size"
        )


def crossings_as_text(run: Run) -> str:
    return text_table(*crossings_table(run), crossings_notes(run))


def crossings_as_markdown(run: Run) -> str:
    """Raises BadRun where there is none."""
    if not crossings(run):
        raise BadRun(f"{run.source}: holds no crossing; test_bench_boundary.py measures them")
    return markdown_table(*crossings_table(run), crossings_notes(run))


def break_even_as_markdown(run: Run) -> str:
    """Raises BadRun where there is none."""
    if not break_evens(run):
        raise BadRun(f"{run.source}: holds no kernel in Python and C++ at the same size")
    return markdown_table(*break_even_table(run), break_even_notes(run))


def as_text(run: Run) -> str:
    _require_something(run)
    parts = [crossings_as_text(run)] if crossings(run) else []
    if break_evens(run):
        parts.append(text_table(*break_even_table(run), break_even_notes(run)))
    return "\n\n".join(parts)


def as_markdown(run: Run) -> str:
    _require_something(run)
    parts = [crossings_as_markdown(run)] if crossings(run) else []
    if break_evens(run):
        parts.append(break_even_as_markdown(run))
    return "\n\n".join(parts)


def as_json(run: Run) -> str:
    """The same as numbers, times in seconds."""
    _require_something(run)
    found = {
        "crossings": [
            {**asdict(row), "seconds_per_element": row.seconds_per_element}
            for row in crossings(run)
        ],
        "break_even": [asdict(one) for one in break_evens(run)],
    }
    return json.dumps(found, indent=2)


FORMATS: dict[str, Callable[[Run], str]] = {
    "text": as_text,
    "md": as_markdown,
    "json": as_json,
}
