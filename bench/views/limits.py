"""The machine's ceilings as a table: a row for each; for each width of registers a column for one
core and one for several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from bench.saved.runs import Limit, Run
from bench.views import matrix, units
from bench.views.tables import Table, View

HAND_WRITTEN = ("avx2", "avx2_omp", "avx512", "avx512_omp")
# Name in the run: name in the table, and the unit of what it shows.
_NAMED = {
    "fma": ("FMA peak, float32", "GFLOP/s"),
    "madd_i16": ("int16 pair peak", "GOP/s"),
    "dot_i8": ("int8 quad peak", "GOP/s"),
    "clock": ("core clock", "GHz"),
    "read": ("read", "GB/s"),
    "update": ("update in place", "GB/s"),
    "copy": ("copy", "GB/s"),
    "stream": ("copy, non-temporal", "GB/s"),
    "call": ("empty call", "ns"),
}
_NOTES = (
    "FMA: a multiply-add counts as two operations. int16 pairs: vpmaddwd and vpaddd, sixteen-bit "
    "products summed in 32 bits, two operations each; int8 quads: vpdpbusd, where there is VNNI.",
    "GB/s counts bytes that the program moves: update and copy what is read and what is written, "
    "not what the caches fetch besides.",
    "L3 and DRAM are shared with other programs, in a virtual machine perhaps with other machines.",
)


def view(limits: Sequence[Limit]) -> View:
    """As JSON it is what a saved run has in its machine_info: rates in units a second."""
    return View([_table(limits)], [asdict(limit) for limit in limits])


def _table(limits: Sequence[Limit]) -> Table:
    """Working sets are per core in L1 and L2, of all cores together beyond."""
    # avx2 1 core, avx2 2 cores, avx512 1 core, ...
    columns = sorted({(limit.tier, limit.cores) for limit in limits})
    by_row: dict[tuple[str | None, str], dict[tuple[str, int], Limit]] = {}
    for limit in _in_order(limits):
        by_row.setdefault((limit.level, limit.name), {})[limit.tier, limit.cores] = limit
    cells: list[list[str]] = []
    for (level, name), found in by_row.items():
        one = next(iter(found.values()))
        label, unit = _NAMED.get(name, (name, f"{one.unit}/s"))
        size = units.nbytes(one.working_set) if one.working_set else ""
        values = [_value(found[column]) if column in found else "" for column in columns]
        cells.append([f"{level} {label}" if level else label, size, *values, unit])
    names = [f"{tier} {cores} core{'s' * (cores > 1)}" for tier, cores in columns]
    return Table(["limit", "working set", *names, "unit"], cells, _NOTES, narrow=False)


def shares(run: Run) -> View:
    """How much of its limit each hand-written tier reaches: a row for each kernel and size."""
    native = [metadata for _, metadata in run.ours if metadata.side == "native"]
    tiers = [t for t in HAND_WRITTEN if any(metadata.variant == f"c-{t}" for metadata in native)]
    shown = {(m.kernel, m.size, m.variant): matrix.limit(m) for m in native}
    cases = list(dict.fromkeys((metadata.kernel, metadata.size) for metadata in native))
    cells = [
        [kernel, size, *(shown.get((kernel, size, f"c-{tier}"), "") for tier in tiers)]
        for kernel, size in cases
    ]
    return View([Table(["kernel", "size", *tiers], cells)])


def _in_order(limits: Sequence[Limit]) -> list[Limit]:
    """By level, then by name: what only a later width has stands where it belongs."""
    levels = [limit.level for limit in limits]
    names = [*_NAMED, *(limit.name for limit in limits)]
    return sorted(limits, key=lambda li: (levels.index(li.level), names.index(li.name)))


def _value(limit: Limit) -> str:
    if limit.name == "call":
        return units.three_digits(1e9 / limit.per_second)
    return units.three_digits(limit.per_second * (1e-9 if limit.name in _NAMED else 1.0))
