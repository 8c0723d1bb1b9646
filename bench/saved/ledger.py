"""The self-check's ledger: a line of JSON for each gate that it has run, never rewritten."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.saved.checks import Fields, fields_of, one_line, parse_json, read_text
from bench.saved.gates import IMPROVED, REGRESSED, VERDICTS
from bench.saved.writing import naming

FORMAT, VERSION = "baremetal-ml gate ledger", 1

# What the head was: the same commit, the same with code added above each kernel, or with slowdowns.
SAME, SHIFTED, SLOWED = "same commit", "shifted code", "injected slowdowns"
KINDS = (SAME, SHIFTED, SLOWED)
_OLD_NAMES = {"planted": SLOWED}  # of a kind; an outcome's slowdown was called the same


@dataclass(frozen=True)
class Outcome:
    """One benchmark in one gate. injected: the slowdown that it was given, 0.03 for 3 %."""

    name: str
    injected: float
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
        return [o for o in self.outcomes if o.verdict == REGRESSED and not o.injected]


def append(path: Path, entry: Entry) -> None:
    """One write of one line: two self-checks at once do not mix theirs. Half a line of one that was
    killed goes before."""
    content = {"format": FORMAT, "version": VERSION, **asdict(entry)}
    line = json.dumps(content, allow_nan=False).encode() + b"\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming(path), path.open("a+b", buffering=0) as file:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        known = file.read()
        before = len(known) - len(_torn(known))
        if before < len(known):
            os.ftruncate(file.fileno(), before)
        elif known and not known.endswith(b"\n"):
            line = b"\n" + line
        written = file.write(line)
        if written != len(line):  # the disk is full: half a line would spoil the whole ledger
            os.ftruncate(file.fileno(), before)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        os.fsync(file.fileno())


def load(path: Path) -> list[Entry]:
    """Every line; none where there is no file yet. Raises BadRun."""
    if not path.exists():
        return []
    text = read_text(path, "a ledger of the gate")
    text = text.removesuffix(_torn(text.encode()).decode(errors="replace"))
    lines = text.removesuffix("\n").split("\n")
    if lines == [""]:
        return []
    return [_entry(f"{one_line(path)}, line {n}", line) for n, line in enumerate(lines, 1)]


def _torn(content: bytes) -> bytes:
    """What stands behind the last whole line, where that is not JSON: nobody came to its end."""
    last = content[content.rfind(b"\n") + 1 :]
    try:
        json.loads(last or b"0")
    except ValueError:
        return last
    return b""


def _entry(source: str, line: str) -> Entry:
    row = fields_of(parse_json(line, source, "a line of a ledger"), source, "the line")
    row.require_format(FORMAT, VERSION)
    kind = row.one_of("kind", (*KINDS, *_OLD_NAMES), " or ".join(KINDS))
    return Entry(
        kind=_OLD_NAMES.get(kind, kind),
        cpu=row.text("cpu"),
        design=row.text("design"),
        seed=row.integer("seed"),
        seconds=row.number("seconds"),
        when=row.text("when"),
        outcomes=tuple(map(_outcome, row.objects("outcomes"))),
    )


def _outcome(row: Fields) -> Outcome:
    name = row.text("name")
    row = row.at(f"{name}: ")
    return Outcome(
        name=name,
        injected=row.number("planted" if "planted" in row.content else "injected"),
        verdict=row.one_of("verdict", (*VERDICTS, IMPROVED)),
        change=row.signed("change"),
    )


def of_this(entries: Sequence[Entry], cpu: str, design: str) -> list[Entry]:
    """The lines that speak of this machine and this gate."""
    return [e for e in entries if (e.cpu, e.design) == (cpu, design)]
