"""Saved comparisons with other libraries: written whole or not at all, read and checked here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.saved import kinds
from bench.saved.checks import Fields, one_line
from bench.saved.kinds import Kind, Ratio, Table

KIND = Kind("peers")

# A cell is spoiled where others used more of the cores than this share of their time, or the median
# of the native tier's rounds took more than so many times the shortest.
_OTHERS, _SWINGS = 0.05, 1.3


@dataclass(frozen=True)
class PeerTime(Ratio):
    """One library in one cell: how many times as long as the native tier it takes.

    seconds      the shortest round, a call
    inexact      None, or how its result misses the bound that portable loops meet
    """

    seconds: float
    inexact: str | None


@dataclass(frozen=True)
class Cell:
    """One kernel at one size on so many threads."""

    kernel: str
    size: str
    threads: int
    tier: str
    seconds: float | None  # of the native tier; None where there was nobody to compare it with
    peers: dict[str, PeerTime]
    wrong: dict[str, str]  # libraries that were not timed for their result, and what it was
    unavailable: dict[str, str]
    others: float | None = None  # the share of the cores' time that other programs had
    median_over_min: float | None = None  # of the native tier's rounds

    @property
    def spoiled(self) -> bool | None:
        """Whether the machine was busy, or changed its speed, meanwhile; None where neither is
        known."""
        if self.others is None and self.median_over_min is None:
            return None
        return (self.others or 0.0) > _OTHERS or (self.median_over_min or 1.0) > _SWINGS

    @property
    def best(self) -> tuple[str, PeerTime] | None:
        """The fastest library, inexact or not: we want to be ahead of it either way."""
        return min(self.peers.items(), key=lambda item: item[1].ratio, default=None)


@dataclass(frozen=True)
class PeerRun:
    """A comparison, in the order in which it was measured."""

    table: Table
    versions: dict[str, str]
    missing: dict[str, str]  # libraries that were not there, and how to get them
    cells: tuple[Cell, ...]


def load(path: Path) -> PeerRun:
    """Read and check one file. Raises BadRun."""
    return _read(KIND.load(path))


def from_json(content: Any, source: str = "this comparison") -> PeerRun:
    """A comparison from its JSON, already parsed. Raises BadRun."""
    return _read(KIND.table(content, source))


def _read(table: Table) -> PeerRun:
    libraries = table.top.inner("libraries")
    infos = {name: libraries.mapping(name) for name in libraries.content}
    return PeerRun(
        table=table,
        versions={name: str(i["version"]) for name, i in infos.items() if "version" in i},
        missing={n: str(i["unavailable"]) for n, i in infos.items() if "unavailable" in i},
        cells=tuple(map(_cell, table.cells)),
    )


def _cell(cell: Fields) -> Cell:
    cell = kinds.named(cell)
    libraries = cell.inner("peers").at(cell.path)
    peers: dict[str, PeerTime] = {}
    wrong: dict[str, str] = {}
    unavailable: dict[str, str] = {}
    for library in libraries.content:
        peer = libraries.inner(library).at(f"{cell.path}{one_line(library)}: ")
        if "wrong" in peer.content:
            wrong[library] = peer.text("wrong")
        elif "unavailable" in peer.content:
            unavailable[library] = peer.text("unavailable")
        else:
            peers[library] = _peer_time(peer)
    untimed = not peers and cell.content.get("min_seconds") is None
    return Cell(
        kernel=cell.text("kernel"),
        size=cell.text("size"),
        threads=cell.integer("threads"),
        tier=cell.text("tier"),
        seconds=None if untimed else cell.seconds("min_seconds"),
        peers=peers,
        wrong=wrong,
        unavailable=unavailable,
        others=cell.optional(lambda name: cell.number(name, 0.0, 1.0), "others"),
        median_over_min=cell.optional(lambda name: cell.number(name, 1.0), "median_over_min"),
    )


def _peer_time(peer: Fields) -> PeerTime:
    return PeerTime(
        **vars(kinds.ratio(peer)),
        seconds=peer.seconds("min_seconds"),
        inexact=peer.optional(peer.text, "inexact"),
    )
