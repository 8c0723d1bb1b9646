"""One operation of Python into pytest-benchmark's fixture: its time, and the bytecodes it is."""

from __future__ import annotations

from typing import Any

from bench.measure.evidence import bytecodes
from bench.measure.timing.minimum import Rounds, record
from bench.saved.schema import MARK
from kernels_py import operations


def measure(benchmark: Any, name: str, cap_seconds: float) -> None:
    """Time the operation of that name. Raises KeyError."""
    function = operations.function(name)
    benchmark.group = "python operations"
    counts = bytecodes.counted(function)
    benchmark.extra_info.update(
        MARK,
        operation=name,
        what=operations.OPERATIONS[name].what,
        steps=operations.STEPS,
        repeats=operations.REPEATS,
        bytecodes=counts["total"] / operations.STEPS,
    )
    record(benchmark, Rounds(function, (), cap_seconds))
