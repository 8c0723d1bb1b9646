"""Saved tables of `python -m bench contention`: several threads beside others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.saved import kinds
from bench.saved.checks import BadRun, Fields
from bench.saved.kinds import Kind, Table

KIND = Kind("contention")
QUIET = "quiet"  # the condition that the others are compared with


@dataclass(frozen=True)
class Condition:
    """One kernel at one size under one condition.

    seconds     a call on several threads, the median
    speedup     the time on one thread over that on several, the median over turns
    over_quiet  the time on several threads over that without anybody beside
    libraries   by name, their time over that on several threads
    """

    seconds: float
    speedup: float
    over_quiet: float
    turns: int
    libraries: dict[str, float]

    @property
    def best(self) -> tuple[str, float] | None:
        return min(self.libraries.items(), key=lambda item: item[1], default=None)


@dataclass(frozen=True)
class Cell:
    """One kernel at one size.

    tier, single  on several threads, and on one
    recovery      milliseconds from a neighbour's end until a call is nearly as fast as without one
    refused       libraries that were not timed, and why
    others        the share of the cores' time that other programs had; None where it is not known
    """

    kernel: str
    size: str
    threads: int
    tier: str
    single: str
    conditions: dict[str, Condition]
    recovery: float
    slowest_recovery: float
    refused: dict[str, str]
    others: float | None


@dataclass(frozen=True)
class Contention:
    """unavailable: what could not take part at all, a line each."""

    table: Table
    unavailable: list[str]
    cells: tuple[Cell, ...]


def load(path: Path) -> Contention:
    """Read and check one file. Raises BadRun."""
    return _read(KIND.load(path))


def from_json(content: Any, source: str = "this table") -> Contention:
    """From its JSON, already parsed. Raises BadRun."""
    return _read(KIND.table(content, source))


def _read(table: Table) -> Contention:
    unavailable = table.top.each("unavailable", Fields.text)
    return Contention(table, unavailable, tuple(map(_cell, table.cells)))


def _cell(fields: Fields) -> Cell:
    fields = kinds.named(fields)
    conditions, refused = fields.inner("conditions"), fields.inner("refused")
    recoveries = fields.each("recoveries_ms", Fields.number)
    if not recoveries:
        raise BadRun(f"{fields.source}: {fields.path}recoveries_ms is empty, needs at least one")
    return Cell(
        kernel=fields.text("kernel"),
        size=fields.text("size"),
        threads=fields.integer("threads"),
        tier=fields.text("tier"),
        single=fields.text("single"),
        conditions={name: _condition(conditions.inner(name)) for name in conditions.content},
        recovery=median(recoveries),
        slowest_recovery=max(recoveries),
        refused={name: refused.text(name) for name in refused.content},
        others=fields.optional(lambda name: fields.number(name, 0.0, 1.0), "others"),
    )


def _condition(fields: Fields) -> Condition:
    libraries = fields.inner("libraries")
    return Condition(
        seconds=fields.seconds("seconds"),
        speedup=kinds.factor(fields, "speedup"),
        over_quiet=kinds.factor(fields, "over_quiet"),
        turns=fields.integer("turns"),
        libraries={name: kinds.factor(libraries, name) for name in libraries.content},
    )
