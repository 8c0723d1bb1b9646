"""The self-check's ledger: a line of JSON for each gate that it has run, never rewritten.

What the gate is worth on a machine is read from all of its lines there, so it tightens with use.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.saved.checks import parse_json, read_text
from bench.saved.gates import IMPROVED, REGRESSED, VERDICTS
from bench.saved.runs import Checker, one_line
from bench.stats.rank import Interval, binomial_bounds

FORMAT, VERSION = "baremetal-ml gate ledger", 1

# What the head was: the same commit, the same with code added above each kernel, or extra work.
SAME, SHIFTED, PLANTED = "same commit", "shifted code", "planted"
KINDS = (SAME, SHIFTED, PLANTED)


@dataclass(frozen=True)
class Outcome:
    """One benchmark in one gate. planted: the slowdown that it was given, 0.03 for 3 %."""

    name: str
    planted: float
    verdict: str
    change: float


@dataclass(frozen=True)
class Entry:
    """One gate."""

    kind: str
    cpu: str
    design: str
    seed: int
    seconds: float
    when: str
    outcomes: tuple[Outcome, ...]

    @property
    def alarms(self) -> list[Outcome]:
        """Benchmarks that were called slower and had not been slowed."""
        return [o for o in self.outcomes if o.verdict == REGRESSED and not o.planted]


def append(path: Path, entry: Entry) -> None:
    """One write of one line: two self-checks at once do not mix theirs."""
    content = {"format": FORMAT, "version": VERSION, **asdict(entry)}
    line = json.dumps(content, allow_nan=False).encode() + b"\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as file:
        before = os.fstat(file.fileno()).st_size
        written = file.write(line)
        if written != len(line):  # the disk is full: half a line would spoil the whole ledger
            os.ftruncate(file.fileno(), before)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        os.fsync(file.fileno())


def load(path: Path) -> list[Entry]:
    """Every line; none where there is no file yet. Raises BadRun."""
    if not path.exists():
        return []
    lines = read_text(path, "a ledger of the gate").removesuffix("\n").split("\n")
    if lines == [""]:
        return []
    return [_entry(f"{one_line(path)}, line {n}", line) for n, line in enumerate(lines, 1)]


def _entry(source: str, line: str) -> Entry:
    check = Checker(source)
    content = parse_json(line, source, "a line of a ledger")
    row = check.mapping(content, "the line")
    if (row.get("format"), row.get("version")) != (FORMAT, VERSION):
        raise check.bad("format", row.get("format"), f"{FORMAT!r} of version {VERSION}")
    if row.get("kind") not in KINDS:
        raise check.bad("kind", row.get("kind"), " or ".join(KINDS))
    return Entry(
        kind=row["kind"],
        cpu=check.text(row.get("cpu"), "cpu"),
        design=check.text(row.get("design"), "design"),
        seed=check.integer(row.get("seed"), "seed"),
        seconds=check.number(row.get("seconds"), "seconds"),
        when=check.text(row.get("when"), "when"),
        outcomes=tuple(_outcome(check, o) for o in check.sequence(row.get("outcomes"), "outcomes")),
    )


def _outcome(check: Checker, value: Any) -> Outcome:
    row = check.mapping(value, "an outcome")
    name = check.text(row.get("name"), "an outcome's name")
    if row.get("verdict") not in (*VERDICTS, IMPROVED):
        raise check.bad(f"{name}: verdict", row.get("verdict"), " or ".join((*VERDICTS, IMPROVED)))
    return Outcome(
        name=name,
        planted=check.number(row.get("planted"), f"{name}: planted"),
        verdict=row["verdict"],
        change=check.signed(row.get("change"), f"{name}: change"),
    )


# --- What it says --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rate:
    """So many of so many, and the 95 % interval of the probability behind it."""

    count: int
    total: int

    @property
    def bounds(self) -> Interval:
        return binomial_bounds(self.count, self.total)


def false_alarms(entries: Iterable[Entry], kind: str) -> Rate:
    """Gates of that kind with an alarm."""
    gates = [e for e in entries if e.kind == kind]
    return Rate(sum(bool(e.alarms) for e in gates), len(gates))


def innocent(entries: Iterable[Entry], verdict: str = REGRESSED) -> Rate:
    """Benchmarks that had not been changed, and got that verdict."""
    verdicts = [o.verdict for e in entries for o in e.outcomes if not o.planted]
    return Rate(verdicts.count(verdict), len(verdicts))


def power(entries: Iterable[Entry]) -> dict[float, Rate]:
    """For each planted slowdown, how many of the benchmarks that had it were caught."""
    caught: dict[float, list[bool]] = {}
    for entry in entries:
        for outcome in entry.outcomes:
            if outcome.planted:
                caught.setdefault(outcome.planted, []).append(outcome.verdict == REGRESSED)
    return {planted: Rate(sum(hits), len(hits)) for planted, hits in sorted(caught.items())}


def of_this(entries: Sequence[Entry], cpu: str, design: str) -> list[Entry]:
    """The lines that speak of this machine and this gate."""
    return [e for e in entries if (e.cpu, e.design) == (cpu, design)]
