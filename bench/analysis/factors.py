"""A run in few figures: for each kernel how much faster native code is, what holds it back, and how
sure that is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from operator import attrgetter

from bench.analysis.rows import Row, rows
from bench.saved.runs import Run


@dataclass(frozen=True)
class Factor:
    """One kernel at the largest size that has both sides: the fastest native tier against the
    fastest Python.

    uncertainty  by what share of itself it may be wrong, as the two minima repeat; None where one
                 of them is of a single round
    """

    row: Row
    value: float
    bound: str | None
    percent_of_limit: float | None
    uncertainty: float | None
    confirmed: bool

    @property
    def kernel(self) -> str:
        return self.row.kernel


def factors(run: Run) -> list[Factor]:
    """In the order of measurement; of kernels that have both sides."""
    largest = (largest_compared(rows(run, kernel)) for kernel in run.by_kernel)
    return [_factor(row) for row in largest if row is not None]


def largest_compared(of_kernel: list[Row]) -> Row | None:
    """The largest size that has both sides; of those of one size the one with most variants."""
    compared = [row for row in of_kernel if row.fastest("python") and row.fastest("native")]
    return max(compared, key=lambda row: (row.work, len(row.results)), default=None)


def largest(of_kernel: list[Row]) -> Row:
    """That, or else the largest size there is."""
    return largest_compared(of_kernel) or max(of_kernel, key=attrgetter("work"))


def _factor(row: Row) -> Factor:
    python, native = row.fastest("python"), row.fastest("native")
    assert python is not None and native is not None
    sides = [python[1], native[1]]
    known = [metadata.uncertainty for metadata in sides if metadata.uncertainty is not None]
    return Factor(
        row,
        python[0].minimum / native[0].minimum,
        native[1].bound,
        native[1].percent_of_limit,
        math.hypot(*known) if len(known) == len(sides) else None,
        all(metadata.confirmed for metadata in sides),
    )
