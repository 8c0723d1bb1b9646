"""One operation of Python into pytest-benchmark's fixture: its time, and the bytecodes it is."""

from __future__ import annotations

from typing import Any

from bench.measure import bytecodes
from bench.measure.timing import Rounds
from kernels_py import operations

GROUP = "python operations"


def measure(benchmark: Any, name: str, cap_seconds: float) -> None:
    """Time the operation of that name. Raises KeyError."""
    function = operations.function(name)
    benchmark.group = GROUP
    counts = bytecodes.counted(function)
    benchmark.extra_info.update(
        operation=name,
        what=operations.OPERATIONS[name].what,
        steps=operations.STEPS,
        repeats=operations.REPEATS,
        bytecodes=counts["total"] / operations.STEPS,
    )
    rounds = Rounds(function, (), cap_seconds)
    benchmark.pedantic(function, iterations=1 if benchmark.disabled else rounds.calibrate())
    if benchmark.stats is None:  # disabled, or the gate takes its own rounds
        return
    for seconds in rounds:
        benchmark.stats.update(seconds)
    benchmark.extra_info.update(stable=rounds.confirmed, uncertainty=rounds.uncertainty)
