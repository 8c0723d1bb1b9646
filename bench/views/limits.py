"""The machine's ceilings as a table: a row for each; for each width of registers a column for one
core and one for several."""

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
    "dot_i8": ("int8 quad peak", 1e-9, "GOP/s"),
    "clock": ("core clock", 1e-9, "GHz"),
    "read": ("read", 1e-9, "GB/s"),
    "update": ("update in place", 1e-9, "GB/s"),
    "copy": ("copy", 1e-9, "GB/s"),
    "stream": ("copy, non-temporal", 1e-9, "GB/s"),
}
_NOTES = (
    "FMA: a multiply-add counts as two operations. int16 pairs: vpmaddwd and vpaddd, sixteen-bit "
    "products summed in 32 bits, two operations each; int8 quads: vpdpbusd, where there is VNNI.",
    "GB/s counts bytes that the program moves: update and copy what is read and what is written, "
    "not what the caches fetch besides.",
    "L3 and DRAM are shared with other programs, in a virtual machine perhaps with other machines.",
)


def as_text(limits: Sequence[Limit]) -> str:
    """A terminal table; working sets are per core in L1 and L2, of all cores together beyond."""
    columns = list(dict.fromkeys((limit.tier, limit.cores) for limit in limits))
    columns.sort(key=lambda column: column[0])  # avx2 1 core, avx2 2 cores, avx512 1 core, ...
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1), collapse_padding=True)
    table.add_column("limit")
    table.add_column("working set", justify="right")
    for tier, cores in columns:
        table.add_column(f"{tier} {cores} core{'s' * (cores > 1)}", justify="right")
    table.add_column("unit")
    previous: str | None = None
    by_row: dict[tuple[str | None, str], dict[tuple[str, int], Limit]] = {}
    for limit in _in_order(limits):
        by_row.setdefault((limit.level, limit.name), {})[limit.tier, limit.cores] = limit
    for (level, name), found in by_row.items():
        if level != previous:
            table.add_section()
        previous = level
        one = next(iter(found.values()))
        cells = [_value(found[column]) if column in found else "" for column in columns]
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


def _in_order(limits: Sequence[Limit]) -> list[Limit]:
    """By level, then by name: what only a later width has stands where it belongs."""
    levels, names = list(dict.fromkeys(limit.level for limit in limits)), list(_NAMED)

    def place(limit: Limit) -> tuple[int, int]:
        known = limit.name in names
        return levels.index(limit.level), names.index(limit.name) if known else len(names)

    return sorted(limits, key=place)


def _label(name: str) -> str:
    return "empty call" if name == "call" else _NAMED.get(name, (name,))[0]


def _unit(limit: Limit) -> str:
    return "ns" if limit.name == "call" else _NAMED.get(limit.name, ("", 1, f"{limit.unit}/s"))[2]


def _value(limit: Limit) -> str:
    if limit.name == "call":
        return units.three_digits(1e9 / limit.per_second)
    return units.three_digits(limit.per_second * _NAMED.get(limit.name, ("", 1.0, ""))[1])


FORMATS: dict[str, Callable[[Sequence[Limit]], str]] = {"text": as_text, "json": as_json}
