"""What stays in memory of a run that is read, and what a benchmark took in one after the other."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from sys import intern

from bench.saved.archive import instant
from bench.saved.comparable import benchmark_key, compared_fields, machine_key, other_machine
from bench.saved.runs import Result, Run


@dataclass(frozen=True, slots=True)
class Moment:
    """One run of a history. label: Run.label; source: the file's name."""

    label: str
    when: datetime | None
    commit: str
    dirty: bool
    source: str


@dataclass(frozen=True, slots=True)
class Track:
    """One benchmark through the runs of one history.

    kernel, variant, size, side  None: a third-party benchmark
    seconds      the minimum of each run; NaN: it has none, or of other work or another timer under
                 this name
    uncertainty  of each minimum, as a share of it; of a third-party benchmark the interquartile
                 range over the median; NaN: not known
    """

    fullname: str
    kernel: str | None
    variant: str | None
    size: str | None
    side: str | None
    seconds: Sequence[float]
    uncertainty: Sequence[float]


def _track(result: Result) -> Track:
    """Of no runs yet."""
    known = result.metadata
    if known is None:
        return Track(result.fullname, None, None, None, None, (), ())
    return Track(result.fullname, known.kernel, known.variant, known.size, known.side, (), ())


class Benchmarks:
    """A number for each benchmark: the same wherever its times can be compared."""

    def __init__(self) -> None:
        self.known: list[Track] = []  # by number, of no runs
        self.alone: set[int] = set()  # do not say enough to be compared with any other
        self._numbers: dict[tuple[str, str | None], int] = {}
        # By fullname, what it was last time: hardly ever another, and its key takes long to make.
        self._last: dict[str, tuple[str, int]] = {}

    def number(self, result: Result) -> int:
        work = repr(compared_fields(result))
        last = self._last.get(result.fullname)
        if last is not None and last[0] == work:
            return last[1]
        key = benchmark_key(result)
        if key is not None:
            key = intern(key)
        number = self._numbers.setdefault((result.fullname, key), len(self.known))
        if number == len(self.known):
            self.known.append(_track(result))
            if key is None:
                self.alone.add(number)
        self._last[result.fullname] = intern(work), number
        return number


@dataclass(slots=True, eq=False)  # one is like no other
class Record:
    """What stays of a run.

    place    grows with its date; the lowest if that is still to come, or there is none
    machine  its machine_key()
    numbers  of its benchmarks
    breadth  how many kernels' variants it has, those beside the ladders and whole models aside
    run      the whole, as long as it may be shown
    """

    place: tuple[bool, float, int]
    moment: Moment
    machine: tuple[str, str]
    numbers: array[int]
    seconds: array[float]
    uncertainty: array[float]
    left_out: tuple[str, ...]
    breadth: int
    run: Run | None

    @property
    def measured(self) -> tuple[object, ...]:
        """The same in a copy of the run."""
        times = sorted(zip(self.numbers, self.seconds, strict=True))
        return self.moment.when, self.machine, hash(tuple(times))


def record(run: Run, number: int, benchmarks: Benchmarks, now: float) -> Record:
    """number: of the run; benchmarks: what it has is added to them; now: later dates are wrong."""
    when = -math.inf if run.when is None else instant(run.when)
    facts, tiers = machine_key(run)
    return Record(
        place=(when <= now, when, number),
        moment=Moment(run.label, run.when, run.commit, run.dirty, run.source),
        machine=(intern(facts), intern(tiers)),
        numbers=array("l", [benchmarks.number(result) for result in run.results]),
        seconds=array("d", [result.minimum for result in run.results]),
        uncertainty=array("d", [_uncertainty(result) for result in run.results]),
        left_out=run.left_out,
        breadth=_breadth(run),
        run=run,
    )


def _breadth(run: Run) -> int:
    shown = (m for _, m in run.ours if not (m.auxiliary or m.program or m.side == "peer"))
    return len({(m.kernel, m.variant) for m in shown})


def _uncertainty(result: Result) -> float:
    if result.metadata is None:
        return result.spread if result.rounds > 1 else math.nan
    known = result.metadata.uncertainty
    return math.nan if known is None else known


def together(records: Sequence[Record]) -> list[list[Record]]:
    """The records, newest first, as histories: each in the first whose newest it can be compared
    with, or else in one of its own."""
    found: list[list[Record]] = []
    of_machine: dict[tuple[str, str], list[Record]] = {}
    of_facts: dict[str, list[list[Record]]] = {}
    for one in records:
        history = of_machine.get(one.machine)
        if history is None:
            alike = of_facts.setdefault(one.machine[0], [])
            history = next((h for h in alike if _comparable(one, h[0])), None)
            if history is None:
                history = []
                found.append(history)
                alike.append(history)
            of_machine[one.machine] = history
        history.append(one)
    return found


def _comparable(one: Record, newest: Record) -> bool:
    """Both are the newest of their machine."""
    assert one.run is not None and newest.run is not None
    return other_machine(one.run, newest.run) is None


def tracks(
    records: Sequence[Record], benchmarks: Benchmarks, most: int
) -> tuple[dict[str, Track], int]:
    """By fullname, of the records of one history, oldest first: what the newest run has, then what
    only older ones have. No more than `most` values; how many tracks there is no room for."""
    newest: dict[str, tuple[int, int]] = {}  # its number, and in which run
    for at in reversed(range(len(records))):
        for number in records[at].numbers:
            newest.setdefault(benchmarks.known[number].fullname, (number, at))
    unknown = array("d", [math.nan]) * len(records)
    found: dict[int, tuple[array[float], array[float], int]] = {}
    for number, at in islice(newest.values(), most // len(records)):
        found[number] = unknown[:], unknown[:], at if number in benchmarks.alone else 0
    for at, one in enumerate(records):
        columns = zip(one.numbers, one.seconds, one.uncertainty, strict=True)
        for number, seconds, uncertainty in columns:
            track = found.get(number)
            if track is not None and at >= track[2]:
                track[0][at], track[1][at] = seconds, uncertainty
    known = ((benchmarks.known[number], series) for number, series in found.items())
    made = {one.fullname: replace(one, seconds=s, uncertainty=u) for one, (s, u, _) in known}
    return made, len(newest) - len(made)
