"""Saved tables of `python -m bench alignment`: what kernels lose off a cache line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.saved import kinds
from bench.saved.checks import Fields
from bench.saved.kinds import Kind, Ratio, Table

KIND = Kind("alignment")
# A whole cache line further: must lose nothing, and shows how well the others can be believed.
CONTROL = "both 64"


@dataclass(frozen=True)
class Cell:
    """One kernel at one size.

    level    of memory, that it works in
    seconds  the shortest round on a cache line, a call
    ratios   by the name of the offset: how many times as long as on a cache line
    """

    kernel: str
    size: str
    level: str
    tier: str
    seconds: float
    ratios: dict[str, Ratio]


@dataclass(frozen=True)
class Alignment:
    table: Table
    cells: tuple[Cell, ...]


def load(path: Path) -> Alignment:
    """Read and check one file. Raises BadRun."""
    return _read(KIND.load(path))


def from_json(content: Any, source: str = "this table") -> Alignment:
    """From its JSON, already parsed. Raises BadRun."""
    return _read(KIND.table(content, source))


def _read(table: Table) -> Alignment:
    return Alignment(table, tuple(map(_cell, table.cells)))


def _cell(fields: Fields) -> Cell:
    fields = kinds.named(fields)
    offsets = fields.inner("offsets")
    return Cell(
        kernel=fields.text("kernel"),
        size=fields.text("size"),
        level=fields.text("level"),
        tier=fields.text("tier"),
        seconds=fields.seconds("min_seconds"),
        ratios={name: kinds.ratio(offsets.inner(name)) for name in offsets.content},
    )
