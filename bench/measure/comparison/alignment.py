"""`python -m bench alignment`: a kernel off a cache line, where users' buffers lie, against the
same kernel on one.

Both work on the same memory, only so many bytes apart: on the same pages, and in the same sets of
the caches. Buffers of their own would differ in those by more than by the offset.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import kernels_c
from bench.measure.calls import call_of
from bench.measure.cases.case import Call, Case
from bench.measure.cases.errors_in_ulp import WrongResult
from bench.measure.comparison import sizes
from bench.measure.machine.caches import read_caches
from bench.measure.timing.paired import Pairing, Timed, in_turn
from bench.saved.alignment import CONTROL
from bench.stats.rank import estimate
from bench.suite import registry

_LEAST_PAIRS = 15
_CACHE_LINE = 64
_QUICK_LEVELS, _LEVELS = ("L1", "L2"), ("L1", "L2", "L3", "DRAM")
# Whole registers in a row; then a vector on one side, and few columns.
_PRODUCTS = ("64", "256", "1x1024x1024", "1024x1x1024", "1024x16x1024")
# By name: bytes that the operands, and the result, lie off a cache line. One float, one and two
# registers of SSE and AVX, one float before the next line; then each side alone.
OFFSETS = {
    **{f"both {n}": (n, n) for n in (4, 16, 32, 60)},
    **{f"operands {n}": (n, 0) for n in (16, 36)},
    **{f"result {n}": (0, n) for n in (16, 36)},
    CONTROL: (_CACHE_LINE, _CACHE_LINE),
}


@dataclass(frozen=True)
class Plan:
    """One row: a kernel at a size, by one tier."""

    kernel: str
    size: str
    tier: str

    @property
    def level(self) -> str:
        """Of memory, that its data lie in."""
        shape = sizes.shape_of(self.kernel, self.size)
        return read_caches().level(registry.kernel(self.kernel).bytes(shape))


def listed(kernel: str, quick: bool) -> list[str]:
    """The sizes of a kernel: one that stands for each level of memory; of products some shapes;
    none of the parts of models, which are small and begin where their model's memory does."""
    row = registry.kernel(kernel)
    if row.is_layer:
        return []
    if row.signature.rank == 3:
        return list(_PRODUCTS[:2] if quick else _PRODUCTS)
    element = row.bytes((1,) * row.signature.rank)
    levels = _QUICK_LEVELS if quick else _LEVELS
    lengths = [str(read_caches().working_set(level) // element) for level in levels]
    return [*lengths, *sizes.in_place(kernel, lengths)]


def plans(
    kernels: Sequence[str], wanted: Sequence[str], tier: str | None, quick: bool
) -> list[Plan]:
    """Every row that was asked for; empty sequences and None ask for the default. Raises ValueError
    for what does not exist, kernels_c.TierUnavailable."""
    native = tier or registry.first_available(registry.ON_ONE_THREAD)
    kernels_c.load_tier(native)
    for size in wanted:
        if sizes.OFF in size:
            raise ValueError(
                f"--size: got {size!r}, needs one without{sizes.OFF}: all are measured"
            )
    chosen = sizes.chosen(kernels, wanted, listed, quick)
    return [Plan(kernel, size, native) for kernel, size in chosen]


def measure_all(wanted: Sequence[Plan], seconds: float) -> Generator[dict[str, Any], None, None]:
    """Each row as it goes into the JSON. Raises WrongResult where an offset changes the result."""
    for plan in wanted:
        yield measure(plan, seconds)


def measure(plan: Plan, seconds: float) -> dict[str, Any]:
    """One row: every offset verified, then each in alternation with the kernel on a cache line."""
    case = sizes.make(plan.kernel, plan.size)
    in_place = plan.size.endswith(sizes.IN_PLACE)
    aligned = call_of(case, f"c-{plan.tier}")
    expected = _result(f"{plan.kernel} {plan.size} {plan.tier}", case, aligned)
    calls = {
        name: _verified(plan, case, name, expected)
        for name, (operands, result) in OFFSETS.items()
        if operands == result or not in_place
    }
    own = Timed(aligned.function, aligned.args)
    pairings = {name: Pairing(own, Timed(c.function, c.args)) for name, c in calls.items()}
    in_turn(own, pairings, seconds, lambda _: _LEAST_PAIRS)
    return {
        "kernel": plan.kernel,
        "size": plan.size,
        "shape": list(case.shape),
        "level": plan.level,
        "tier": plan.tier,
        "min_seconds": min(pairing.first_minimum for pairing in pairings.values()),
        "offsets": {
            name: {**asdict(estimate(pairing.ratios)), "pairs": len(pairing.ratios)}
            for name, pairing in pairings.items()
        },
    }


def _verified(plan: Plan, case: Case, name: str, expected: bytes) -> Call:
    """The call at that offset. Raises WrongResult where its result has other bits."""
    there = case.shifted(*OFFSETS[name])
    call = call_of(there, f"c-{plan.tier}")
    what = f"{plan.kernel} {plan.size} {plan.tier}, {name} bytes off a cache line"
    if _result(what, there, call) != expected:
        raise WrongResult(f"{what}: its result differs from the one on a cache line")
    return call


def _result(what: str, case: Case, call: Call) -> bytes:
    case.prepare(call)
    call.function(*call.args)
    case.require_memory_intact(what)
    return case.output(call)
