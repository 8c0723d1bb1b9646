"""What an element costs in Python: the parts of each kernel's loop, and what they do not explain.

Every operation is measured by itself (kernels_py/operations.py); how often a loop does it is
counted. The sum is a prediction; the residual is what the loop takes beyond it: operations that
overlap more or less than by themselves, mispredicted branches, data beyond the first-level cache.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from bench.analysis.scaling import counted_in
from bench.saved.operations import Operation, executed, operations
from bench.saved.runs import BadRun, Metadata, Result, Run

# What is measured by itself and needed for a breakdown.
_NEEDED = (
    "step", "step_known", "name", "read", "write", "compare", "multiply", "negate", "keep",
    "multiply_int", "add_int", "global", "attribute", "call", "fabs",
)  # fmt: skip
_FUNCTIONS = ("exp", "tanh", "erf", "round")
_ENOUGH = 4096  # elements; of products, of the first matrix
_SMALL_INTS = 257  # from 0 on, which CPython keeps; the innermost loop goes over the last dimension


@dataclass(frozen=True)
class Cost:
    """In nanoseconds, and in instructions where they were counted."""

    ns: float
    instructions: float | None

    def times(self, count: float) -> Cost:
        return Cost(
            self.ns * count, None if self.instructions is None else self.instructions * count
        )


@dataclass(frozen=True)
class Part:
    """So many of one thing for each element, and what they cost together."""

    what: str
    unit: str
    count: float
    cost: Cost


@dataclass(frozen=True)
class CostBreakdown:
    """One loop: what its elements cost, in parts and as a whole."""

    kernel: str
    size: str
    per: str  # element or multiply-add
    parts: tuple[Part, ...]
    whole: Cost
    uncertainty: float | None  # of the whole's time

    @property
    def explained(self) -> Cost:
        return _sum([part.cost for part in self.parts])

    @property
    def residual(self) -> Cost:
        """What the whole takes beyond its parts; below zero where they overlap."""
        return _sum([self.whole, self.explained.times(-1)])

    @property
    def unexplained(self) -> float:
        """The residual as a share of the whole's time."""
        return self.residual.ns / self.whole.ns

    @property
    def unexplained_instructions(self) -> float | None:
        """The same of instructions; None where they were not counted."""
        rest, whole = self.residual.instructions, self.whole.instructions
        return None if rest is None or not whole else rest / whole


def _sum(costs: list[Cost]) -> Cost:
    counted = [cost.instructions for cost in costs if cost.instructions is not None]
    return Cost(
        sum(cost.ns for cost in costs), sum(counted) if len(counted) == len(costs) else None
    )


# --- Unit costs ----------------------------------------------------------------------------------


def measured(run: Run) -> dict[str, Operation]:
    """The run's operations, all that a breakdown needs among them. Raises BadRun."""
    found = operations(run)
    missing = [name for name in _NEEDED if name not in found]
    if missing:
        raise BadRun(
            f"{run.source}: has not measured Python's operations ({', '.join(missing[:3])}, ...), "
            "needs a run with test_bench_python.py: pytest --benchmark-only --benchmark-autosave"
        )
    for name, operation in found.items():
        if not name.startswith("step") and operation.bytecodes <= found["step"].bytecodes:
            raise BadRun(f"{run.source}: operation {name} has no bytecodes beyond the empty loop's")
    return found


def seconds_of_one(found: Mapping[str, Operation], name: str) -> float | None:
    """An operation beside the empty loop, its bytecodes included; None if it was not measured."""
    if name not in found:
        return None
    return (found[name].seconds - found["step"].seconds) / found[name].repeats


def unit_costs(found: Mapping[str, Operation]) -> dict[str, Cost]:
    """What one of each thing costs beyond its bytecodes' dispatch, and "dispatch" itself.

    dispatch     a bytecode, where bytecodes do least: the least per bytecode of any operation
    float        multiplying two floats, which makes an object
    object       how much of that is making it and dropping it: -v less +v, which returns v itself,
                 at most all of it
    call         of a function of math that does nearly nothing, with the object that it returns
    exp, ...     that function's own time: on an element, less that of fabs on an element
    round        the same for round, with an int where fabs makes a float
    """
    ns = _units(found, {name: 1e9 * operation.seconds for name, operation in found.items()})
    counts = {n: o.instructions for n, o in found.items() if o.instructions is not None}
    counted = _units(found, counts) if len(counts) == len(found) else {}
    return {name: Cost(value, counted.get(name)) for name, value in ns.items()}


def _units(found: Mapping[str, Operation], of_step: Mapping[str, float]) -> dict[str, float]:
    """`of_step`: what a step of each operation's loop costs, the empty one's in it."""
    empty = found["step"]

    def alone(name: str) -> tuple[float, float]:
        """What one repetition costs, and how many bytecodes it is."""
        cost = (of_step[name] - of_step["step"]) / found[name].repeats
        return cost, (found[name].bytecodes - empty.bytecodes) / found[name].repeats

    steps = ("step", "step_known")
    single = {name: alone(name) for name in found if name not in steps}
    dispatch = min(cost / bytecodes for cost, bytecodes in single.values())
    work = {name: cost - bytecodes * dispatch for name, (cost, bytecodes) in single.items()}
    return {
        "dispatch": dispatch,
        **{name: max(0.0, of_step[name] - found[name].bytecodes * dispatch) for name in steps},
        **{name: work[name] for name in ("read", "write", "compare", "global", "attribute")},
        "float": work["multiply"],
        "object": min(max(0.0, work["negate"] - work["keep"]), work["multiply"]),
        "int": (work["multiply_int"] + work["add_int"]) / 2,
        "call": work["call"],
        **{
            name: max(0.0, work[name] - work["fabs"])
            for name in ("exp", "tanh", "erf")
            if name in work
        },
        **({"round": max(0.0, work["round"] - work["call"])} if "round" in work else {}),
    }


# --- Breakdowns ----------------------------------------------------------------------------------


def cost_breakdowns(run: Run, kernel: str | None = None) -> list[CostBreakdown]:
    """Of every kernel whose loop the run has counted, or of one. Raises BadRun."""
    units_of = unit_costs(measured(run))
    loops: dict[str, tuple[Result, Metadata, dict[str, float]]] = {}
    for result, metadata in run.ours:
        counts = executed(run, result)
        if not counts or not metadata.shape or (kernel is not None and metadata.kernel != kernel):
            continue
        # The smallest size beyond the overhead of a call.
        best = loops.get(metadata.kernel)
        if best is None or _preferred(metadata) < _preferred(best[1]):
            loops[metadata.kernel] = result, metadata, counts
    if not loops:
        wanted = f"of {kernel!r}" if kernel else "of any kernel"
        raise BadRun(f"{run.source}: has no Python loop {wanted} whose bytecodes were counted")
    return [_breakdown(run.source, *found, units_of) for found in loops.values()]


def _preferred(metadata: Metadata) -> tuple[bool, int]:
    """The least comes first: enough elements, but no more."""
    shape = metadata.shape
    elements = shape[0] * shape[2] if len(shape) == 3 else math.prod(shape)
    return elements < _ENOUGH, elements if elements >= _ENOUGH else -elements


def _breakdown(
    source: str,
    result: Result,
    metadata: Metadata,
    counts: Mapping[str, float],
    cost_of: Mapping[str, Cost],
) -> CostBreakdown:
    calls = {name: n for name, n in counts.items() if name.partition(".")[2] in _FUNCTIONS}
    unknown = [name for name in calls if name.partition(".")[2] not in cost_of]
    if unknown:
        raise BadRun(
            f"{source}: {metadata.kernel} calls {unknown[0]}, which was not measured by itself"
        )
    known = min(1.0, _SMALL_INTS / max(1, metadata.shape[-1]))
    ints = counts.get("ints", 0.0)
    floats = max(0.0, counts.get("arithmetic", 0.0) - ints)
    rows = [
        ("bytecodes dispatched", counts.get("total", 0.0), "dispatch"),
        ("steps of the loop, a new int each", counts.get("step", 0.0) * (1 - known), "step"),
        ("steps over ints that exist", counts.get("step", 0.0) * known, "step_known"),
        ("elements read from a list", counts.get("read", 0.0), "read"),
        ("elements written to a list", counts.get("write", 0.0), "write"),
        ("comparisons and jumps", counts.get("compare", 0.0), "compare"),
        ("float arithmetic, each with a new object", floats, "float"),
        ("int arithmetic, each with a new object", ints, "int"),
        ("global names found", counts.get("global", 0.0), "global"),
        ("attributes found", counts.get("attribute", 0.0), "attribute"),
        ("calls", counts.get("call", 0.0), "call"),
        *((f"{name} itself", n, name.partition(".")[2]) for name, n in calls.items()),
    ]
    seen = metadata.evidence.instructions if metadata.evidence else None
    return CostBreakdown(
        kernel=metadata.kernel,
        size=metadata.size,
        per=counted_in(metadata),
        parts=tuple(
            Part(what, unit, count, cost_of[unit].times(count))
            for what, count, unit in rows
            if count
        ),
        whole=Cost(1e9 * (result.minimum / max(1, math.prod(metadata.shape))), seen),
        uncertainty=metadata.uncertainty,
    )
