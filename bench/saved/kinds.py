"""What saved tables of several kinds have in common: a format, a moment, a machine, and cells."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.saved.checks import BadRun, Fields, fields_of, one_line, read_json
from bench.saved.writing import write_measured

# What a believable ratio lies between.
_SMALLEST, _LARGEST = 1e-6, 1e6


@dataclass(frozen=True)
class Ratio:
    """The median over pairs of rounds; low and high are its 95 % interval."""

    ratio: float
    low: float
    high: float
    pairs: int


@dataclass(frozen=True)
class Table:
    """A saved table: its cells in the order in which they were measured, still to be read."""

    source: str
    when: datetime | None
    cpu: str
    warnings: list[str]
    top: Fields
    cells: list[Fields]
    content: dict[str, Any]  # the JSON itself

    @property
    def origin(self) -> str:
        """On what and when it was measured, to be shown below."""
        return f"{self.cpu}{self.when.strftime(', %Y-%m-%d') if self.when else ''}"


@dataclass(frozen=True)
class Kind:
    """What `python -m bench COMMAND` saves."""

    command: str
    version: int = 1

    @property
    def format(self) -> str:
        return f"baremetal-ml {self.command}"

    @property
    def storage(self) -> Path:
        return Path(f".{self.command}")

    def save(self, content: Mapping[str, Any], path: Path | None = None) -> Path:
        """Write a table; by default into the storage, named by its moment. Returns where."""
        if path is None:
            moment = str(content["datetime"]).partition("+")[0].replace(":", "-")
            path = self.storage / f"{moment}.json"
        write_measured(path, json.dumps(content, indent=1) + "\n")
        return path

    def load(self, path: Path) -> Table:
        """Read one file. Raises BadRun."""
        needs = f"the JSON of python -m bench {self.command}"
        return self.table(read_json(path, needs), one_line(path))

    def table(self, content: Any, source: str = "this table") -> Table:
        """From JSON that is already parsed. Raises BadRun."""
        top = fields_of(content, source)
        top.require_format(self.format, self.version)
        machine = top.optional(top.inner, "machine_info") or Fields({}, source)
        cpu = machine.optional(machine.mapping, "cpu") or {}
        cells = top.objects("cells")
        if not cells:
            raise BadRun(f"{source}: cells is empty, needs at least one")
        return Table(
            source=source,
            when=top.moment("datetime"),
            cpu=one_line(cpu.get("brand_raw") or "unknown CPU"),
            warnings=top.each("warnings", Fields.text),
            top=top,
            cells=cells,
            content=Fields({"the file": content}, source).finite_mapping("the file"),
        )


def named(cell: Fields) -> Fields:
    """The same, called by its kernel and size in messages."""
    return cell.at(f"{cell.text('kernel')} {cell.text('size')}: ")


def factor(fields: Fields, name: str) -> float:
    return fields.number(name, _SMALLEST, _LARGEST)


def ratio(fields: Fields) -> Ratio:
    low, middle, high = (factor(fields, name) for name in ("low", "ratio", "high"))
    return Ratio(middle, low, high, fields.integer("pairs"))
