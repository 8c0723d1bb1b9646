"""What a saved run holds, once it has been read and checked (bench/saved/runs.py).

What a run has many of is not frozen: such objects take several times as long to make. Nobody
changes them all the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from string import hexdigits
from typing import Any, TypeGuard

from bench.saved.doctor import Checkup

# What marks a run's machine_info and a benchmark's extra_info as this suite's own: in other
# people's any field may stand for anything.
MARK = {"suite": "baremetal-ml"}
# Runs from before there was a mark: what their kernels, call overheads and operations all had, and
# hardly anybody else's.
_UNMARKED = (
    {"kernel", "variant", "side", "size", "rate", "error_unit"},
    {"crossing", "binding", "elements", "stable"},
    {"operation", "what", "steps", "repeats", "bytecodes"},
)


def is_ours(info: Any) -> TypeGuard[dict[str, Any]]:
    """Whether an extra_info or machine_info is this suite's own."""
    if not isinstance(info, dict):
        return False
    return MARK.items() <= info.items() or any(names <= info.keys() for names in _UNMARKED)


IN_A_LOGIT = "in a logit"  # the unit of errors of whole models alone

# What fields of extra_info were called in runs from before November 2026, and are called now.
_RENAMED = {
    "stable": "confirmed",
    "aside": "auxiliary",
    "step": "paired_ratio",
    "crossing": "overhead",
}


def in_todays_names(extra: dict[str, Any]) -> dict[str, Any]:
    """The same extra_info, of this suite, its fields called as they are today."""
    if _RENAMED.keys().isdisjoint(extra):
        return dict(extra)
    return {_RENAMED.get(name, name): value for name, value in extra.items()}


@dataclass(slots=True)
class Evidence:
    """What tools have seen of a benchmark's code; None where they could not look.

    instructions  executed for one element of the result's work (Evidence.per), at `size`
    l1_bytes      that come from beyond a simulated first-level cache, for the same
    per           what an element is: "element", or "multiply-add" for products
    size          at which they were counted; may be smaller than the benchmark's
    vector_bits   the widest registers with packed floating-point or integer arithmetic in the
                  function and what it calls within its module: 0 (none), 128, 256, 512
    fma           whether fused multiply-adds are in there
    math_calls    functions of other libraries that it calls: tanhf, _ZGVdN8v_expf, ...
    """

    instructions: float | None
    l1_bytes: float | None
    per: str
    size: str | None
    vector_bits: int | None
    fma: bool | None
    math_calls: tuple[str, ...]


@dataclass(slots=True)
class PairedRatio:
    """How many times as fast a benchmark is as the variant `over`, on the same data: the ratio of
    their minima over `pairs` of alternating rounds, and the least and the largest such ratio of a
    quarter of them."""

    over: str
    ratio: float
    low: float
    high: float
    pairs: int


@dataclass(frozen=True)
class Rung:
    """One rung of a kernel's ladder: what the variant changes over the rung before, and why that
    matters."""

    variant: str
    idea: str
    reason: str


@dataclass(slots=True)
class Metadata:
    """What extra_info says of a benchmark of this suite; see the registry for kernel and units."""

    kernel: str
    variant: str  # py-loop, c-avx2, peer-numpy
    side: str  # python, native, peer
    size: str
    shape: tuple[int, ...]
    flops: int
    bytes: int
    rate: str  # "GB/s", "GFLOP/s" or "GOP/s": the one that states the kernel's limit
    relaxed: bool  # built with relaxed IEEE rules: shown, never the headline
    max_error_ulp: float
    error_unit: str
    confirmed: bool
    uncertainty: float | None  # of the minimum, as a share of it; None: a single round
    auxiliary: bool  # explains something, and stands in no matrix
    paired_ratio: PairedRatio | None  # None: not measured, or not a rung of the ladder
    gflops: float
    gbps: float
    speedup: float | None  # None: no Python variant of this case in the run
    loss: float | None  # relative Frobenius error, where something was quantised
    bound: str | None  # what it cannot be faster than: "compute", "L1", "L2", "L3" or "DRAM"
    percent_of_limit: float | None  # how much of that it reaches; both None without limits
    threads: int | None  # None: Python, or a run from before this was recorded
    evidence: Evidence | None  # None: nothing was counted or disassembled

    @property
    def program(self) -> bool:
        """Whether it is a whole model: its sizes are no elements that time grows with."""
        return self.error_unit == IN_A_LOGIT


@dataclass(slots=True)
class Result:
    """One benchmark of a run. Times in seconds a call.

    params      what it was parametrised with; None: with nothing
    options     pytest-benchmark's, as they governed its rounds; None: not recorded
    extra       extra_info, as it stands in the file; empty for a third-party benchmark
    q1, q3      quartiles of its rounds; None where the file has none
    iterations  calls of a round; a round's time is divided by them
    """

    fullname: str
    group: str
    minimum: float
    median: float
    iqr: float
    rounds: int
    metadata: Metadata | None
    params: dict[str, Any] | None = None
    options: dict[str, Any] | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    maximum: float = math.nan
    mean: float = math.nan
    stddev: float = math.nan
    q1: float | None = None
    q3: float | None = None
    iterations: int = 1

    @property
    def spread(self) -> float:
        """Interquartile range over the median."""
        return self.iqr / self.median


@dataclass(slots=True)
class Limit:
    """One of the machine's ceilings, as measured in the run."""

    # fma, madd_i16, dot_i8, clock, call, or read, update, copy, stream (non-temporal stores)
    name: str
    level: str | None  # L1, L2, L3, DRAM; None where no memory is involved
    cores: int
    working_set: int | None  # bytes that stood for the level, of all cores together
    per_second: float
    unit: str  # what is counted: FLOP, OP, cycle, call, B
    tier: str  # whose registers; avx2 in runs from before there were wider ones


@dataclass(frozen=True)
class Run:
    """A saved run, in the order in which it was measured.

    machine     machine_info; what this suite adds to it is not there in a run that is not ours
    left_out    what the file holds and cannot be used: a line each, which says why
    doctor      what was found before it was measured; none in runs from before there was one
    steal, other_programs  shares of the usable cores' time, from the first case to the last, that
                the hypervisor gave to other guests, and that other programs had; None: not known
    """

    source: str
    when: datetime | None
    commit: str
    dirty: bool
    machine: dict[str, Any]
    results: tuple[Result, ...]
    limits: tuple[Limit, ...] = ()  # none in runs from before there were any
    ladders: dict[str, tuple[Rung, ...]] = field(default_factory=dict)  # by kernel; the same
    # Bytes of L1 and L2 (of one core) and L3, in this order; empty in runs that do not say.
    caches: Mapping[str, int] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    doctor: Checkup | None = None
    steal: float | None = None
    other_programs: float | None = None

    @property
    def label(self) -> str:
        """Short name: when, and at which commit."""
        when = self.when.strftime("%Y-%m-%d %H:%M") if self.when else "no date"
        known = not set(self.commit) - set(hexdigits)  # else it says "unversioned"
        commit = self.commit[:7] + ("+" if self.dirty else "") if known else ""
        return f"{when} {commit}".strip()

    @cached_property
    def ours(self) -> list[tuple[Result, Metadata]]:
        """The results that carry this suite's metadata."""
        return [(result, result.metadata) for result in self.results if result.metadata is not None]

    @cached_property
    def by_kernel(self) -> dict[str, list[tuple[Result, Metadata]]]:
        """The same for each kernel, in the order of measurement."""
        found: dict[str, list[tuple[Result, Metadata]]] = {}
        for result, metadata in self.ours:
            found.setdefault(metadata.kernel, []).append((result, metadata))
        return found

    def by_fullname(self) -> dict[str, Result]:
        return {result.fullname: result for result in self.results}
