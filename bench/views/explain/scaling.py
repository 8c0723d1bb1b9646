"""How time grows with size, as a table: the exponent of each variant, what an element costs in each
level of memory, the largest jump between levels. analysis/scaling.py says what they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from bench.analysis.levels import LEVELS, cache_sizes
from bench.analysis.scaling import BEYOND_OVERHEAD, InLevel, LevelJump, Scaling, scalings
from bench.saved.runs import Run
from bench.views import units
from bench.views.tables import Table, View

BEYOND = "*"
_FEW_SIZES = 5


def view(run: Run, *kernels: str) -> View:
    """Of these kernels, of all without any. Times are in seconds, and JSON has every size."""
    found = scalings(run, kernels)
    content = {"caches": cache_sizes(run), "variants": [_as_object(one) for one in found]}
    return View([_table(run, found)], content)


def _table(run: Run, found: Sequence[Scaling]) -> Table:
    in_levels = [f"ns in {level}" for level in LEVELS]
    header = ["kernel", "variant", "sizes", "overhead", "exponent", "within levels"]
    table = Table(
        [*header, *in_levels, "largest jump"], list(map(_cells, found)), _notes(run, found)
    )
    return table.without_empty(*in_levels)


def _notes(run: Run, found: Sequence[Scaling]) -> list[str]:
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
    if min((len(one.points) for one in found), default=0) < _FEW_SIZES:
        lines.append(
            "Few sizes were measured; pytest --benchmark-only --explain measures those between."
        )
    if any(not point.confirmed for one in found for point in one.points):
        lines.append(
            f"{units.UNCONFIRMED} from a time that was not confirmed; an exponent: from more such "
            "times than others."
        )
    return lines


def _cells(one: Scaling) -> list[str]:
    cells = [one.kernel, one.variant, str(len(one.points)), _overhead(one)]
    cells += [_exponent(one), _within(one)]
    cells += [_nanoseconds(one.levels[v]) if v in one.levels else "" for v in LEVELS]
    return [*cells, _jump(one.largest_jump)]


def _overhead(one: Scaling) -> str:
    if one.overhead is None:
        return ""
    return units.seconds(one.overhead) if one.overhead else "0"


def _exponent(one: Scaling) -> str:
    if one.fit is None or one.fit.error is None:
        return ""
    confirmed = 2 * sum(point.confirmed for point in one.fitted) >= len(one.fitted)
    return units.marked(f"{one.fit.exponent:.3f} +- {one.fit.error:.3f}", confirmed)


def _within(one: Scaling) -> str:
    fitted = {level: inside.fit for level, inside in one.levels.items()}
    return ", ".join(f"{level} {fit.exponent:.2f}" for level, fit in fitted.items() if fit)


def _nanoseconds(inside: InLevel) -> str:
    value = inside.seconds_per_unit * 1e9
    shown = f"{value:.3g}" if value < 0.01 else units.three_digits(value)
    return units.marked(shown, inside.confirmed)


def _jump(jump: LevelJump | None) -> str:
    if jump is None:
        return ""
    factor = units.marked(units.factor(jump.factor), jump.confirmed)
    shown = f"{factor}{BEYOND * jump.beyond_scatter} {jump.before.level} to {jump.after.level}"
    if jump.inside is None:
        return shown
    return f"{shown}, {units.factor(jump.inside)} of it inside {jump.before.level}"


def _as_object(one: Scaling) -> dict[str, object]:
    return {
        **asdict(one),
        "overhead_seconds": one.overhead,
        "fit": one.fit and asdict(one.fit),
        "levels": {name: asdict(inside) for name, inside in one.levels.items()},
        "jumps": [
            {
                "from": jump.before.level,
                "to": jump.after.level,
                "factor": jump.factor,
                "inside": jump.inside,
                "beyond_scatter": jump.beyond_scatter,
            }
            for jump in one.jumps
        ],
    }
