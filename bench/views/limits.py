"""The machine's ceilings as a table: a row for each, a column for one core and one for several."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from io import StringIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from bench.runs import Limit
from bench.views import units

# Name in the run: name in the table, factor from a second to its unit, unit.
_NAMED = {
    "fma": ("FMA peak, float32", 1e-9, "GFLOP/s"),
    "madd_i16": ("int16 pair peak", 1e-9, "GOP/s"),
    "clock": ("core clock", 1e-9, "GHz"),
    "read": ("read", 1e-9, "GB/s"),
    "update": ("update in place", 1e-9, "GB/s"),
    "copy": ("copy", 1e-9, "GB/s"),
    "stream": ("copy, non-temporal", 1e-9, "GB/s"),
}
_NOTES = (
    "FMA: a multiply-add counts as two operations. int16 pairs: vpmaddwd and vpaddd, sixteen-bit "
    "products summed in 32 bits, two operations each.",
    "GB/s counts bytes that the program moves: update and copy what is read and what is written, "
    "not what the caches fetch besides.",
    "L3 and DRAM are shared with other programs, in a virtual machine perhaps with other machines.",
)


def as_text(limits: Sequence[Limit]) -> str:
    """A terminal table; working sets are per core in L1 and L2, of all cores together beyond."""
    columns = sorted({limit.cores for limit in limits})
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1), collapse_padding=True)
    table.add_column("limit")
    table.add_column("working set", justify="right")
    for cores in columns:
        table.add_column(f"{cores} core{'s' * (cores > 1)}", justify="right")
    table.add_column("unit")
    previous: str | None = None
    by_row: dict[tuple[str | None, str], dict[int, Limit]] = {}
    for limit in limits:
        by_row.setdefault((limit.level, limit.name), {})[limit.cores] = limit
    for (level, name), of_cores in by_row.items():
        if level != previous:
            table.add_section()
        previous = level
        one = next(iter(of_cores.values()))
        cells = [_value(of_cores[cores]) if cores in of_cores else "" for cores in columns]
        label = f"{level} {_label(name)}" if level else _label(name)
        size = units.nbytes(one.working_set) if one.working_set else ""
        table.add_row(label, size, *cells, _unit(one))
    out = StringIO()
    Console(file=out, width=200, color_system=None, legacy_windows=False).print(table)
    lines = [line.rstrip().replace("\u2500", "-") for line in out.getvalue().splitlines()]
    return "\n".join(line for line in [*lines, *_NOTES] if line)


def as_json(limits: Sequence[Limit]) -> str:
    """As in a saved run's machine_info: a list of rows, rates in units a second."""
    return json.dumps([asdict(limit) for limit in limits], indent=2)


def _label(name: str) -> str:
    return "empty call" if name == "call" else _NAMED.get(name, (name,))[0]


def _unit(limit: Limit) -> str:
    return "ns" if limit.name == "call" else _NAMED.get(limit.name, ("", 1, f"{limit.unit}/s"))[2]


def _value(limit: Limit) -> str:
    if limit.name == "call":
        return units.three_digits(1e9 / limit.per_second)
    return units.three_digits(limit.per_second * _NAMED.get(limit.name, ("", 1.0, ""))[1])


FORMATS: dict[str, Callable[[Sequence[Limit]], str]] = {"text": as_text, "json": as_json}
