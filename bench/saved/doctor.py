"""What `python -m bench doctor` found, in a file of its own or in a run: its schema, read and
checked here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.saved.checks import NOT_COMPARABLE, OK, BadRun, Fields, fields_of, one_line, read_json
from bench.saved.writing import write_atomic

FORMAT, VERSION = "baremetal-ml doctor", 1

# It makes times longer, or differ; it costs no time, but something else, such as evidence; it could
# not be seen here; nothing is the matter.
COSTS, NOTE, UNKNOWN, FINE = "costs", "note", "unknown", "fine"
VERDICTS = (COSTS, NOTE, UNKNOWN, FINE)  # the worst first


@dataclass(frozen=True)
class Finding:
    """What one check found.

    name     "frequency-scaling": the same in every checkup
    seen     in a sentence, with its figures
    cost     what it costs, in a sentence; empty where nothing is known to
    fix      the command or the setting that helps, in a line
    factor   how many times as long what it hits takes, measured or as `cost` says; None: not known
    figures  what was measured, by name; times in seconds
    """

    name: str
    verdict: str
    seen: str
    cost: str = ""
    fix: str = ""
    factor: float | None = None
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Checkup:
    """All findings of one moment, in the order of the checks, which took so many seconds."""

    findings: tuple[Finding, ...]
    seconds: float
    cpu: str
    when: datetime | None = None

    @property
    def worst_first(self) -> list[Finding]:
        """By verdict, and of those that cost something the largest factor first."""
        return sorted(self.findings, key=lambda f: (VERDICTS.index(f.verdict), -(f.factor or 1.0)))

    @property
    def costly(self) -> list[Finding]:
        return [finding for finding in self.worst_first if finding.verdict == COSTS]

    @property
    def exit_code(self) -> int:
        """3 where times that are measured here are inconclusive without care."""
        return NOT_COMPARABLE if self.costly else OK


def as_json(checkup: Checkup) -> dict[str, Any]:
    """What save() writes and from_json() reads; what is empty is left out."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "datetime": checkup.when and checkup.when.isoformat(timespec="seconds"),
        "cpu": checkup.cpu,
        "seconds": round(checkup.seconds, 3),
        "findings": [
            {name: value for name, value in asdict(finding).items() if value not in (None, "", {})}
            for finding in checkup.findings
        ],
    }


def save(checkup: Checkup, path: Path) -> None:
    """Write it whole or not at all. Raises OSError."""
    write_atomic(path, json.dumps(as_json(checkup), indent=1, allow_nan=False) + "\n")


def load(path: Path) -> Checkup:
    """Read and check one file. Raises BadRun."""
    return from_json(read_json(path, "the JSON of python -m bench doctor"), one_line(path))


def from_json(content: Any, source: str = "this checkup") -> Checkup:
    """From its JSON, already parsed. Raises BadRun."""
    return read(fields_of(content, source))


def read(top: Fields) -> Checkup:
    """From its fields, of a file or within a run. Raises BadRun."""
    top.require_format(FORMAT, VERSION)
    findings = tuple(map(_finding, top.objects("findings")))
    if not findings:
        raise BadRun(f"{top.source}: {top.path}findings is empty, needs at least one")
    return Checkup(findings, top.number("seconds"), top.text("cpu"), top.moment("datetime"))


def _finding(row: Fields) -> Finding:
    figures = row.optional(row.inner, "figures") or Fields({}, row.source)
    return Finding(
        name=row.text("name"),
        verdict=row.one_of("verdict", VERDICTS),
        seen=row.text("seen"),
        cost=row.optional(row.text, "cost") or "",
        fix=row.optional(row.text, "fix") or "",
        factor=row.optional(lambda field: row.number(field, least=1.0), "factor"),
        figures={one_line(figure): figures.number(figure) for figure in figures.content},
    )
