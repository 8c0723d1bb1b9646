"""One run for each interpreter, side by side: what another CPython changes, and what it does not.

The control is native code that is compiled alike for all of them: by how much its time differs
between two runs, the machine differed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import geometric_mean
from typing import Any

from bench.analysis import rows as of_run
from bench.analysis.machine import parts, section
from bench.analysis.rows import Pair
from bench.saved import runs
from bench.saved.comparable import machine_differences
from bench.saved.runs import BadRun, Run, interpreter_label, one_line

LOOP, CONTROL = "py-loop", "c-scalar"
# By how much the control may differ before a factor is called in question. Minima repeat within a
# few percent on a machine that is left alone.
ALIKE = 1.1


@dataclass(frozen=True)
class Row:
    """One kernel at one size: what each interpreter measured, None where it did not; the first is
    what others are held against."""

    kernel: str
    size: str
    loop: list[Pair | None]
    fastest: list[Pair | None]
    control: list[Pair | None]

    def times_as_fast(self, which: str) -> list[float | None]:
        """For each interpreter the first one's minimum over its own; of "loop" or "control"."""
        times: list[Pair | None] = getattr(self, which)
        first = times[0]
        return [first[0].minimum / t[0].minimum if first and t else None for t in times]

    @property
    def confirmed(self) -> list[bool]:
        """For each interpreter whether the loops that its factor is of both are."""
        confirmed = [loop is not None and loop[1].confirmed for loop in self.loop]
        return [confirmed[0] and own for own in confirmed]

    @property
    def alike(self) -> list[bool]:
        """For each interpreter whether its control says that the machine was the first one's."""
        controls = self.times_as_fast("control")
        return [c is not None and 1 / ALIKE <= c <= ALIKE for c in controls]


def load(path: Path) -> list[Run]:
    """The runs of a folder, or of a pattern such as results/interpreters/*.json, or one. Raises
    BadRun."""
    if path.is_dir():
        path = path / "*.json"
    found = [path] if path.is_file() else sorted(path.parent.glob(path.name))
    if not found:
        raise BadRun(f"{one_line(path)}: no saved run; make some with: make interpreters")
    return [runs.load(one) for one in found]


def of_each(saved: Sequence[Run]) -> list[Run]:
    """The newest run of each interpreter, the oldest version first. Builds of one version that
    differ are different interpreters. Raises BadRun for a run that has no place in the table."""
    newest: dict[tuple[str, str], Run] = {}
    for run in saved:
        if not any(metadata.side == "python" for _, metadata in run.ours):
            raise BadRun(f"{run.source}: holds no Python variant, which interpreters differ by")
        key = (interpreter_label(run), build(run))
        known = newest.get(key)
        if known is None or _moment(known) <= _moment(run):
            newest[key] = run
    return sorted(newest.values(), key=lambda run: (_version(run), interpreter_label(run)))


def rows(each: Sequence[Run]) -> list[Row]:
    """In the order in which the runs met them."""
    tables = [{(row.kernel, row.size): row for row in of_run.rows(run)} for run in each]
    cases = dict.fromkeys(case for table in tables for case in table)
    found = []
    for case in cases:
        measured = [table.get(case, of_run.Row(*case, {})) for table in tables]
        loop, control = ([row.results.get(v) for row in measured] for v in (LOOP, CONTROL))
        fastest = [row.fastest("python") for row in measured]
        found.append(Row(*case, loop, fastest, control))
    return found


def sound(all_rows: Sequence[Row]) -> list[Row]:
    """Those in which no factor is called in question: what a mean may be taken of."""
    return [row for row in all_rows if all(row.confirmed) and all(row.alike)]


def means(sound_rows: Sequence[Row], which: str) -> list[float]:
    """For each interpreter the geometric mean of times_as_fast; none without rows."""
    factors = [[f for f in row.times_as_fast(which) if f is not None] for row in sound_rows]
    return [geometric_mean(column) for column in zip(*factors, strict=True)]


def differences(run: Run, first: Run) -> list[str]:
    """What besides the interpreter could make times differ."""
    of_interpreter = ("interpreter: ", "python_compiler: ")
    here, there = ({**r.machine, "tiers": _control(r)} for r in (run, first))
    lines = [
        line.replace(" before, ", " there, ").replace(" now", " here")
        for line in machine_differences(here, there)
        if not line.startswith(of_interpreter)
    ]
    if (run.commit, run.dirty) != (first.commit, first.dirty):
        lines.append("measured at different commits")
    return lines


def _control(run: Run) -> dict[str, Any]:
    """How the control was built. Its key is left out: it holds the Python ABI, which may differ."""
    info = parts(run, "tiers").get(CONTROL.removeprefix("c-"), {})
    return {"the control": [info.get("compiler"), info.get("flags")]}


def build(run: Run) -> str:
    """ "CPython 3.12.1, GCC 12.2.0, --enable-optimizations"."""
    said = section(run, "interpreter")
    options = said.get("configured")
    compiler = said.get("compiler") or run.machine.get("python_compiler")
    by = [compiler, *(options if isinstance(options, list) else ())]
    return ", ".join([interpreter_label(run), *(one_line(part) for part in by if part)])


def _moment(run: Run) -> float:
    return run.when.timestamp() if run.when else math.inf


def _version(run: Run) -> tuple[int, ...]:
    """3.9 comes before 3.10."""
    digits = "".join(c if c.isdecimal() else " " for c in interpreter_label(run))
    return tuple(int(part) for part in digits.split()[:3] if len(part) < 10)
