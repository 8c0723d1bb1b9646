"""How time grows with size, as a table: the exponent of each variant, what an element costs in each
level of memory, and the largest jump between levels. scaling.py says what the figures are."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from bench.analysis.levels import LEVELS, cache_sizes
from bench.analysis.scaling import BEYOND_OVERHEAD, Growth, InLevel, LevelJump, growths
from bench.saved.runs import Run
from bench.stats.fits import Fit
from bench.views import units
from bench.views.matrix import UNCONFIRMED, markdown_table, text_table

BEYOND = "*"
_FEW_SIZES = 5


def table(found: Sequence[Growth]) -> tuple[list[str], list[list[str]]]:
    """Header and cells, as text."""
    levels = [level for level in LEVELS if any(level in growth.levels for growth in found)]
    header = ["kernel", "variant", "sizes", "overhead", "exponent", "within levels"]
    header += [f"ns in {level}" for level in levels] + ["largest jump"]
    return header, [_cells(growth, levels) for growth in found]


def notes(run: Run, found: Sequence[Growth]) -> list[str]:
    """What has to be said below the table."""
    lines = [
        "Time = overhead + a size^exponent, the size in elements, of products in multiply-adds "
        "(m n k): 1 is a constant cost for each. +- is the standard error of the fit.",
        "overhead: what a call costs besides, from its two smallest sizes; all other columns are "
        f"without it, and of larger sizes that take at least {BEYOND_OVERHEAD} times as long.",
    ]
    caches = cache_sizes(run)
    if caches:
        sizes = ", ".join(f"{level} {units.nbytes(size)}" for level, size in caches.items())
        lines.append(
            f"ns: for one element, or multiply-add, at the best size in each level ({sizes}). "
            "Native data are judged by buffers, Python's by lists of objects, 8 times as large as "
            "float32."
        )
        lines.append(
            f"largest jump: between neighbouring levels; {BEYOND} larger than the scatter of both "
            "sides together. What rises inside a level already has another cause as well, such as "
            "branches that can no longer be predicted."
        )
    else:
        lines.append("The run does not say how large the caches are: no figures by level.")
    if min((len(growth.points) for growth in found), default=0) < _FEW_SIZES:
        lines.append(
            "Few sizes were measured; pytest --benchmark-only --explain measures those between."
        )
    if any(not point.confirmed for growth in found for point in growth.points):
        lines.append(
            f"{UNCONFIRMED} from a time that was not confirmed; an exponent: from more such times "
            "than others."
        )
    return lines


def _cells(growth: Growth, levels: list[str]) -> list[str]:
    cells = [growth.kernel, growth.variant, str(len(growth.points)), _overhead(growth)]
    cells += [_exponent(growth), _within(growth)]
    cells += [_nanoseconds(growth.levels[v]) if v in growth.levels else "" for v in levels]
    return [*cells, _step(growth.largest_jump)]


def _overhead(growth: Growth) -> str:
    if growth.overhead is None:
        return ""
    return units.seconds(growth.overhead) if growth.overhead else "0"


def _exponent(growth: Growth) -> str:
    if growth.fit is None or growth.fit.error is None:
        return ""
    unstable = 2 * sum(not point.confirmed for point in growth.fitted) > len(growth.fitted)
    shown = f"{growth.fit.exponent:.3f} +- {growth.fit.error:.3f}"
    return UNCONFIRMED * unstable + shown


def _within(growth: Growth) -> str:
    fitted = {level: inside.fit for level, inside in growth.levels.items()}
    return ", ".join(f"{level} {fit.exponent:.2f}" for level, fit in fitted.items() if fit)


def _nanoseconds(inside: InLevel) -> str:
    value = inside.seconds * 1e9
    shown = f"{value:.3g}" if value < 0.01 else units.three_digits(value)
    return UNCONFIRMED * (not inside.confirmed) + shown


def _step(jump: LevelJump | None) -> str:
    if jump is None:
        return ""
    unstable, beyond = UNCONFIRMED * (not jump.confirmed), BEYOND * jump.beyond_scatter
    shown = (
        f"{unstable}{units.factor(jump.factor)}{beyond} {jump.before.level} to {jump.after.level}"
    )
    if jump.inside is None:
        return shown
    return f"{shown}, {units.factor(jump.inside)} of it inside {jump.before.level}"


# --- The three formats ---------------------------------------------------------------------------


def as_text(run: Run, kernels: Sequence[str] = ()) -> str:
    found = growths(run, kernels)
    return text_table(*table(found), notes(run, found))


def as_markdown(run: Run, kernels: Sequence[str] = ()) -> str:
    found = growths(run, kernels)
    return markdown_table(*table(found), notes(run, found))


def as_json(run: Run, kernels: Sequence[str] = ()) -> str:
    """The same as numbers, times in seconds, and every size."""
    return json.dumps(
        {
            "caches": cache_sizes(run),
            "variants": [_as_object(growth) for growth in growths(run, kernels)],
        },
        indent=2,
    )


def _as_object(growth: Growth) -> dict[str, object]:
    return {
        "kernel": growth.kernel,
        "variant": growth.variant,
        "per": growth.per,
        "overhead_seconds": growth.overhead,
        "fit": _fit(growth.fit),
        "levels": {
            name: {
                "seconds_per_unit": inside.seconds,
                "scatter": inside.scatter,
                "confirmed": inside.confirmed,
                "fit": _fit(inside.fit),
            }
            for name, inside in growth.levels.items()
        },
        "jumps": [
            {
                "from": jump.before.level,
                "to": jump.after.level,
                "factor": jump.factor,
                "inside": jump.inside,
                "beyond_scatter": jump.beyond_scatter,
            }
            for jump in growth.jumps
        ],
        "points": [vars(point) for point in growth.points],
    }


def _fit(fit: Fit | None) -> dict[str, object] | None:
    return None if fit is None else vars(fit)


FORMATS: dict[str, Callable[[Run, Sequence[str]], str]] = {
    "text": as_text,
    "md": as_markdown,
    "json": as_json,
}
