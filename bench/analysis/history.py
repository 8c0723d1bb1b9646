"""Any number of saved files: the newest runs whole, and of all runs what each benchmark took.

Files are read one after the other, and little of each stays: its minima, of each machine the
two newest runs, and those that a page may be about.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf

from bench.analysis.machine import cpu
from bench.analysis.sieve import Sieve
from bench.analysis.tracks import Benchmarks, Moment, Record, Track, record, together, tracks
from bench.saved import archive
from bench.saved.archive import Found, OtherTable, Wanted, instant
from bench.saved.checks import BadRun, Refusal, one_line
from bench.saved.gates import Gate
from bench.saved.peers import PeerRun
from bench.saved.runs import Run, interpreter_label

__all__ = ["Archive", "History", "Moment", "Track", "archive_of", "read"]

# In all tracks together, 16 bytes each: a run a day for ten years, of 4,000 benchmarks.
MOST_VALUES = 2**24
_MOST_SAID = 5  # of what is left out of one run, and of what there may be many
_A_DAY = 86_400.0  # by which clocks may differ


@dataclass(frozen=True)
class History:
    """Runs whose times can be compared with the newest one's, oldest first.

    machine      the CPU's name
    interpreter  interpreter_label()
    tracks       by fullname: what the newest run has, in its order, then what only older ones have
    """

    machine: str
    interpreter: str
    moments: tuple[Moment, ...]
    tracks: dict[str, Track]


@dataclass(frozen=True)
class Archive:
    """What the files hold.

    subject    the newest run that has at least half as many kernels' variants as the one with most
               of them: not a run of a single file, nor one of another machine's few
    latest     the newest run of each history, whole: at least one, and the newest first
    before     the run before the first of these, in its history; whole as well
    histories  in the order of `latest`
    peers      the newest first
    gates      the same, each with its file's name
    problems   what could not be used, a line each
    remarks    what was left out for a good reason
    runs       how many there are in the histories
    compared   the two runs to be shown side by side; None: the newest and the one before
    """

    subject: Run
    latest: tuple[Run, ...]
    before: Run | None
    histories: tuple[History, ...]
    peers: tuple[PeerRun, ...]
    gates: tuple[tuple[str, Gate], ...]
    problems: tuple[str, ...]
    remarks: tuple[str, ...]
    runs: int
    compared: tuple[Run, Run] | None = None


def read(
    found: Found,
    wanted: Wanted = Wanted(),  # noqa: B008
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Archive:
    """Read each file once. Raises BadRun where no run is left, Refusal for a `last` below 1."""
    if wanted.last is not None and wanted.last < 1:
        raise Refusal(f"the last {wanted.last} runs: needs a whole number from 1")
    reader = _Reader(wanted, list(found.problems))
    for number, path in enumerate(found.files):
        try:
            reader.add(archive.read(path), one_line(path))
        except BadRun as error:
            reader.problems.append(str(error))
        except RecursionError:
            reader.problems.append(f"{one_line(path)}: is nested too deeply for a saved run")
        progress(number + 1, len(found.files))
    return reader.archive()


def archive_of(*contents: Run | PeerRun | Gate) -> Archive:
    """Of what is read already. Raises BadRun where no run is among it."""
    reader = _Reader(Wanted(), [])
    for content in contents:
        reader.add(content, content.source if isinstance(content, Run) else "")
    return reader.archive()


class _Reader:
    def __init__(self, wanted: Wanted, problems: list[str]) -> None:
        self.problems = problems
        self._last = wanted.last
        self._sieve = Sieve(wanted)
        self._benchmarks = Benchmarks()
        self._records: list[Record] = []
        self._newest: dict[tuple[str, str], list[Record]] = {}  # by machine, at most two
        self._broadest: list[Record] = []  # than which no newer one is as broad
        self._measured: dict[tuple[object, ...], str] = {}  # where that was read
        self._copies: list[str] = []
        self._others: list[str] = []
        self._peers: list[PeerRun] = []
        self._gates: list[tuple[str, Gate]] = []
        self._now = time.time() + _A_DAY

    def add(self, content: Run | PeerRun | Gate | OtherTable, source: str) -> None:
        if isinstance(content, PeerRun):
            self._peers.append(content)
        elif isinstance(content, Gate):
            self._gates.append((source, content))
        elif isinstance(content, OtherTable):
            self._others.append(content.line)
        elif run := self._sieve.wanted_of(content):
            self._add(record(run, len(self._records), self._benchmarks, self._now))

    def _add(self, one: Record) -> None:
        source, measured = one.moment.source, one.measured
        if measured in self._measured:
            self._copies.append(f"{source}: is the same run as {self._measured[measured]}")
            return
        self._measured[measured] = source
        self._records.append(one)
        newest = self._newest.setdefault(one.machine, [])
        newest.append(one)
        newest.sort(key=_place, reverse=True)
        dropped = [*newest[2:], *self._broadest, one]
        del newest[2:]
        front = [*self._broadest, one]
        self._broadest = [
            r for r in front if not any(o.place > r.place and o.breadth >= r.breadth for o in front)
        ]
        for old in dropped:
            if old not in self._broadest and old not in self._newest[old.machine]:
                old.run = None

    def archive(self) -> Archive:
        if not self._records:
            raise BadRun(self._why_none())
        newest_first = sorted(self._records, key=_place, reverse=True)
        kept = newest_first[: self._last]
        records = together(kept)
        histories, short = self._histories(records)
        older = len(newest_first) - len(kept)
        remarks = [
            *self._sieve.remarks(),
            *([f"runs from before the last {self._last}, left out: {older}"] if older else []),
            *_few(self._others, "more tables of other kinds: {}"),
            *_few(self._copies, "more copies of runs: {}"),
            *_few(_misdated(kept), "more runs with a date in the future: {}"),
            *short,
        ]
        half = max(one.breadth for one in kept) / 2
        subject = next(one for one in newest_first if one.breadth >= half)
        return Archive(
            subject=_whole(subject),
            latest=tuple(_whole(history[0]) for history in records),
            before=_whole(records[0][1]) if len(records[0]) > 1 else None,
            histories=histories,
            peers=tuple(sorted(self._peers, key=lambda p: _newest_first(p.table.when))),
            gates=tuple(sorted(self._gates, key=lambda named: _newest_first(named[1].when))),
            problems=(*self.problems, *self._sieve.unmatched(), *_damaged(self._records, kept)),
            remarks=tuple(remarks),
            runs=len(kept),
        )

    def _histories(self, records: list[list[Record]]) -> tuple[tuple[History, ...], list[str]]:
        found, room, short = [], MOST_VALUES, 0
        for newest_first in records:
            run, oldest_first = _whole(newest_first[0]), newest_first[::-1]
            of_each, left_out = tracks(oldest_first, self._benchmarks, room)
            room, short = room - len(of_each) * len(oldest_first), short + left_out
            moments = tuple(one.moment for one in oldest_first)
            found.append(History(cpu(run), interpreter_label(run), moments, of_each))
        line = f"benchmarks that have no history, for there are too many: {short}"
        return tuple(found), [line] if short else []

    def _why_none(self) -> str:
        unwanted = self._sieve.remarks()
        if unwanted:
            return next(iter(self._sieve.unmatched()), f"no run is left ({'; '.join(unwanted)})")
        if self.problems:
            more = len(self.problems) - 1
            return f"{self.problems[0]}{f' (and {more} more)' if more else ''}"
        return "no saved run; make one with: pytest --benchmark-only --benchmark-autosave"


def _place(one: Record) -> tuple[bool, float, int]:
    return one.place


def _whole(one: Record) -> Run:
    """Of the newest of its machine, the one before, or one of the broadest."""
    assert one.run is not None
    return one.run


def _newest_first(when: datetime | None) -> float:
    return -instant(when) if when else inf


def _misdated(records: list[Record]) -> list[str]:
    """Where there are others: a date that is still to come would be the newest for ever."""
    early = [one.moment for one in records if not one.place[0]]
    return [
        f"{moment.source}: its date, {moment.when:%Y-%m-%d}, lies in the future; "
        "not taken for the newest"
        for moment in (early if len(early) < len(records) else [])
    ]


def _damaged(records: list[Record], kept: list[Record]) -> Iterator[str]:
    """What had to be left out of the runs that are kept, in the order of the files."""
    places = {one.place for one in kept}
    for one in records:
        if one.place in places:
            lines = [f"{line}; left out" for line in one.left_out]
            yield from _few(lines, f"{one.moment.source}: {{}} more left out")


def _few(lines: Sequence[str], rest: str) -> list[str]:
    """Of many lines the first, and `rest`, which says how many more there are."""
    more = len(lines) - _MOST_SAID
    return [*lines[:_MOST_SAID], *([rest.format(more)] if more > 0 else [])]
