"""What a gate found: its schema. Written whole or not at all, read and checked here."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from bench.saved.checks import (
    NOT_COMPARABLE,
    OK,
    SLOWER,
    Fields,
    fields_of,
    one_line,
    read_json,
)
from bench.saved.writing import write_atomic

FORMAT, VERSION = "baremetal-ml gate", 1

PASS, REGRESSED, INCONCLUSIVE = "pass", "regressed", "inconclusive"
IMPROVED = "improved"  # a pass, in ledgers
VERDICTS = (PASS, REGRESSED, INCONCLUSIVE)
EXIT_CODES = {PASS: OK, REGRESSED: SLOWER, INCONCLUSIVE: NOT_COMPARABLE}

# What was compared: seconds of alternating rounds, minima of saved runs, or instructions.
TIMING, SAVED, INSTRUCTIONS = "timing", "saved", "instructions"
KINDS = (TIMING, SAVED, INSTRUCTIONS)

# The note of a benchmark whose code is the same on both sides.
SAME_CODE = "same code"
CONTROL = "control: "  # before the name of a benchmark that compares the base with itself

# Why a benchmark has no verdict. Only the last kind keeps the whole gate from passing.
NEW, REMOVED, RENAMED, SKIPPED, UNCOMPARABLE = (
    "new", "removed", "renamed", "skipped", "not comparable",
)  # fmt: skip
WHYS = (NEW, REMOVED, RENAMED, SKIPPED, UNCOMPARABLE)


@dataclass(frozen=True)
class Judged:
    """One benchmark on both sides.

    name        its test id, in the head
    change      head / base - 1: 0.03 where the head takes 3 % more
    low, high   the interval of `change`; None where the kind has none
    minimum_detectable_slowdown  what this gate would have called one, on this benchmark, in 95 of
                100 cases; None where that is not known
    improved    it takes less than before, by as much as would have counted as a regression
    base        seconds or instructions a call
    samples     of times, or baseline runs, or counts of each side
    note        what else there is to say, in one line
    """

    name: str
    verdict: str
    change: float
    base: float
    samples: int
    low: float | None = None
    high: float | None = None
    minimum_detectable_slowdown: float | None = None
    improved: bool = False
    note: str = ""


@dataclass(frozen=True)
class Unjudged:
    """A benchmark that one side lacks, that cannot run here, or whose sides are not comparable."""

    name: str
    why: str
    note: str = ""


@dataclass(frozen=True)
class Gate:
    """One gate.

    base, head  how the sides are called: "main (1a2b3c4)", "working tree (1a2b3c4+)", a file's name
    threshold   the least change that counts; each benchmark's own may be larger
    controls    what cannot have changed, judged like the rest; when one moved, nothing is certain
    note        what else there is to say of the whole
    """

    kind: str
    base: str
    head: str
    threshold: float
    judged: tuple[Judged, ...]
    unjudged: tuple[Unjudged, ...] = ()
    controls: tuple[Judged, ...] = ()
    seconds: float = 0.0
    seed: int | None = None
    machine: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    when: datetime | None = None

    @property
    def moved_controls(self) -> list[Judged]:
        return [c for c in self.controls if c.verdict == REGRESSED or c.improved]

    @property
    def verdict(self) -> str:
        """Of the whole: regressed if a benchmark is, and inconclusive if one is, if a control
        moved, or if sides were not comparable."""
        if self.moved_controls:
            return INCONCLUSIVE
        verdicts = {j.verdict for j in self.judged}
        if REGRESSED in verdicts:
            return REGRESSED
        uncertain = INCONCLUSIVE in verdicts or any(u.why == UNCOMPARABLE for u in self.unjudged)
        return INCONCLUSIVE if uncertain or not self.judged else PASS

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.verdict]


def as_json(gate: Gate) -> dict[str, Any]:
    """What save() writes and from_json() reads."""
    content = asdict(gate)
    moment = content.pop("when") or datetime.now(timezone.utc)
    return {
        "format": FORMAT,
        "version": VERSION,
        "datetime": moment.isoformat(timespec="seconds"),
        "verdict": gate.verdict,
        "exit_code": gate.exit_code,
        **content,
    }


def save(content: dict[str, Any], path: Path) -> None:
    """Write JSON whole or not at all."""
    write_atomic(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def load(path: Path) -> Gate:
    """Read and check one file. Raises BadRun."""
    return from_json(read_json(path, "the JSON of python -m bench gate"), one_line(path))


def from_json(content: Any, source: str = "this gate") -> Gate:
    """A gate from its JSON, already parsed. Raises BadRun."""
    top = fields_of(content, source)
    top.require_format(FORMAT, VERSION)
    return Gate(
        kind=top.one_of("kind", KINDS),
        base=top.text("base"),
        head=top.text("head"),
        threshold=top.number("threshold"),
        judged=tuple(map(_judged, top.objects("judged"))),
        unjudged=tuple(map(_unjudged, top.objects("unjudged"))),
        controls=tuple(map(_judged, top.objects("controls"))),
        seconds=top.number("seconds"),
        seed=top.optional(top.integer, "seed"),
        machine=top.finite_mapping("machine"),
        note=_note(top),
        when=top.moment("datetime"),
    )


def _judged(row: Fields) -> Judged:
    name = row.text("name")
    row = row.at(f"{name}: ")
    old, new = "detectable", "minimum_detectable_slowdown"
    return Judged(
        name=name,
        verdict=row.one_of("verdict", VERDICTS),
        change=row.signed("change"),
        base=row.number("base"),
        samples=row.integer("samples"),
        low=row.optional(row.signed, "low"),
        high=row.optional(row.signed, "high"),
        minimum_detectable_slowdown=row.optional(row.signed, old if old in row.content else new),
        improved=row.flag("improved"),
        note=_note(row),
    )


def _unjudged(row: Fields) -> Unjudged:
    name = row.text("name")
    return Unjudged(name, row.at(f"{name}: ").one_of("why", WHYS), _note(row))


def _note(row: Fields) -> str:
    return str(row.content.get("note") or "")
