"""What a gate found: its schema. Written whole or not at all, read and checked here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from bench.saved.checks import NOT_COMPARABLE, OK, SLOWER
from bench.saved.runs import BadRun, Checker, one_line, read_json, when
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
    moment = gate.when or datetime.now(timezone.utc)
    return {
        "format": FORMAT,
        "version": VERSION,
        "datetime": moment.isoformat(timespec="seconds"),
        "verdict": gate.verdict,
        "exit_code": gate.exit_code,
        **{name: content[name] for name in content if name != "when"},
    }


def save(content: dict[str, Any], path: Path) -> None:
    """Write JSON whole or not at all."""
    write_atomic(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def load(path: Path) -> Gate:
    """Read and check one file. Raises BadRun."""
    return from_json(read_json(path, "the JSON of python -m bench gate"), one_line(path))


def from_json(content: Any, source: str = "this gate") -> Gate:
    """A gate from its JSON, already parsed. Raises BadRun."""
    check = Checker(source)
    top = check.mapping(content, "the file")
    if (top.get("format"), top.get("version")) != (FORMAT, VERSION):
        raise check.bad("format", top.get("format"), f"{FORMAT!r} of version {VERSION}")
    seed = top.get("seed")
    return Gate(
        kind=_one_of(check, top.get("kind"), "kind", KINDS),
        base=check.text(top.get("base"), "base"),
        head=check.text(top.get("head"), "head"),
        threshold=check.number(top.get("threshold"), "threshold"),
        judged=tuple(_judged(check, j) for j in check.sequence(top.get("judged"), "judged")),
        unjudged=tuple(
            _unjudged(check, u) for u in check.sequence(top.get("unjudged"), "unjudged")
        ),
        controls=tuple(_judged(check, j) for j in check.sequence(top.get("controls"), "controls")),
        seconds=check.number(top.get("seconds"), "seconds"),
        seed=None if seed is None else check.integer(seed, "seed"),
        machine=check.finite_mapping(top.get("machine"), "machine"),
        note=str(top.get("note") or ""),
        when=when(check, top.get("datetime")),
    )


def _judged(check: Checker, value: Any) -> Judged:
    row = check.mapping(value, "a judged benchmark")
    name = check.text(row.get("name"), "a judged benchmark's name")

    def signed(key: str) -> float | None:
        number = row.get(key)
        return None if number is None else check.signed(number, f"{name}: {key}")

    detectable = "detectable" if "detectable" in row else "minimum_detectable_slowdown"  # old, new
    return Judged(
        name=name,
        verdict=_one_of(check, row.get("verdict"), f"{name}: verdict", VERDICTS),
        change=check.signed(row.get("change"), f"{name}: change"),
        base=check.number(row.get("base"), f"{name}: base"),
        samples=check.integer(row.get("samples"), f"{name}: samples"),
        low=signed("low"),
        high=signed("high"),
        minimum_detectable_slowdown=signed(detectable),
        improved=row.get("improved") is True,
        note=str(row.get("note") or ""),
    )


def _unjudged(check: Checker, value: Any) -> Unjudged:
    row = check.mapping(value, "an unjudged benchmark")
    name = check.text(row.get("name"), "an unjudged benchmark's name")
    return Unjudged(
        name=name,
        why=_one_of(check, row.get("why"), f"{name}: why", WHYS),
        note=str(row.get("note") or ""),
    )


def _one_of(check: Checker, value: Any, where: str, known: Sequence[str]) -> str:
    if value not in known:
        raise check.bad(where, value, " or ".join(known))
    return str(value)


__all__ = [
    "BadRun", "Gate", "Judged", "Unjudged", "as_json", "from_json", "load", "save",
]  # fmt: skip
