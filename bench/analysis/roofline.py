"""A run under its roofs: operations a second of every variant against how many it has for a byte.

Williams, Waterman and Patterson, Roofline: An Insightful Visual Performance Model for Multicore
Architectures, CACM 52(4), 2009.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bench.analysis.factors import largest
from bench.analysis.rows import Row, rows
from bench.saved.runs import Limit, Metadata, Result, Run

COUNTED = {"FLOP": "float operations", "OP": "int8 operations"}


@dataclass(frozen=True)
class Case:
    """A kernel at its largest size, and its operations for a byte."""

    row: Row
    intensity: float


@dataclass(frozen=True)
class Roofline:
    """unit: FLOP, or OP of integers. slopes: bytes a second of one core, by level of memory. flats:
    operations a second, by whose registers and how many cores; at least one."""

    unit: str
    slopes: dict[str, float]
    flats: dict[str, float]
    cases: tuple[Case, ...]


def operations_a_second(result: Result, metadata: Metadata) -> float:
    return metadata.flops / result.minimum


def rooflines(run: Run) -> list[Roofline]:
    """One for each unit that the run has both a ceiling and kernels for."""
    # Of a level the most of reading, copying and the like.
    slopes = _best((li.level, li) for li in run.limits if li.unit == "B" and li.cores == 1)
    cases = [(kernel, rows(run, kernel)) for kernel in run.by_kernel]
    largest_of = [largest(of_kernel) for _, of_kernel in cases if of_kernel]
    found = []
    for unit in COUNTED:
        of_unit = [limit for limit in run.limits if limit.unit == unit]
        several = len({limit.tier for limit in of_unit}) > 1
        flats = _best((_cores(limit, several), limit) for limit in of_unit)
        measured = [case for row in largest_of if (case := _case(row, unit))]
        if measured and flats:
            found.append(Roofline(unit, slopes, flats, tuple(measured)))
    return found


def _case(row: Row, unit: str) -> Case | None:
    metadata = next(iter(row.results.values()))[1]
    own = "OP" if metadata.rate == "GOP/s" else "FLOP"
    if own != unit or not metadata.flops or not metadata.bytes:
        return None
    return Case(row, metadata.flops / metadata.bytes)


def _best(named: Iterable[tuple[str | None, Limit]]) -> dict[str, float]:
    """The highest limit of each name."""
    best: dict[str, float] = {}
    for name, limit in named:
        if name is not None:
            best[name] = max(best.get(name, 0.0), limit.per_second)
    return best


def _cores(limit: Limit, several: bool) -> str:
    """several: whether there are registers of more than one width."""
    cores = f"{limit.cores} core{'s' * (limit.cores > 1)}"
    return f"{limit.tier}, {cores}" if several else cores
