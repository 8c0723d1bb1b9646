"""What this machine can do at most: the ceilings that kernels are judged by, measured beside them.

A ceiling is the best rate that its microbenchmark (kernels_c/<folder>/limits.h) has reached in the
session, as a kernel's figure is its minimum: interruptions only ever slow one down. Each slice is a
few milliseconds, and slices are taken before and after the kernels that they are compared with, so
that a machine that slows down or speeds up does so for both.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from time import perf_counter
from typing import Any, NamedTuple

import kernels_c
from bench.analysis.levels import LEVELS, PRIVATE
from bench.measure.cases.buffers import Buffer
from bench.measure.machine.caches import Caches, read_caches
from bench.measure.machine.metadata import usable_cores
from bench.measure.timing.rounds import rounds_of, tracing_off
from bench.suite import registry

# A tier's microbenchmarks measure its registers, and no others use them: narrowest first.
WIDTHS = ("avx2", "avx512")
# The instructions that reach a kernel's peak; the fastest that a width has is what counts.
PEAKS = {"fma": ("fma",), "int8": ("madd_i16", "dot_i8")}
_PEAK_NAMES = [name for names in PEAKS.values() for name in names]
# The loops over memory: how many arrays they walk, and what they move of an element, in bytes.
# "stream" is a copy with non-temporal stores.
PATTERNS = {"read": (1, 4.0), "update": (1, 8.0), "copy": (2, 8.0), "stream": (2, 8.0)}
# The loops without memory: their function, and what they count.
_LOOPS = {
    "fma": ("limit_fma_f32", "FLOP"),
    "madd_i16": ("limit_madd_i16", "OP"),
    "dot_i8": ("limit_dot_i8", "OP"),
    "clock": ("limit_clock", "cycle"),
    "call": ("limit_empty", "call"),
}

# A slice is a warm-up and the best of several short pieces: a short one meets a quiet moment more
# easily. With several cores the pieces are longer, as threads start some 20 us apart.
_PIECES = 4
_TRIES = 3  # of each length that a piece may have
_ONE_CORE_SECONDS, _MORE_CORES_SECONDS = 0.3e-3, 1.5e-3
_SWEEPS = 10
_DRAM_STEP = 2**16  # floats: main memory is walked in a ring of such steps


class Ceiling(NamedTuple):
    """What is measured: a peak, "clock" or "call", or a pattern at a level; on how many cores."""

    name: str
    level: str | None = None
    cores: int = 1


@dataclass(frozen=True)
class Job:
    """One core's part of a microbenchmark: run(repeats) does repeats * work; at most `most` at a
    time."""

    run: Callable[[int], Any]
    work: float
    most: int = 2**40


class Memory:
    """The buffers that stand for the levels, made when first needed. Some are hundreds of
    megabytes, so every width works in the same ones."""

    def __init__(self, caches: Caches) -> None:
        self.caches = caches
        self._buffers: dict[tuple[str, int], Buffer] = {}

    def buffer(self, level: str, number: int) -> Buffer:
        """The core's own in a private level; number 0 in one that is shared."""
        key = (level, number)
        if key not in self._buffers:
            self._buffers[key] = Buffer("f", self.caches.working_set(level) // 4)
        return self._buffers[key]


class Limits:
    """The ceilings of one tier's registers, on one core and on `cores`, as far as measured."""

    def __init__(self, tier: kernels_c.Tier, cores: int, memory: Memory) -> None:
        self.cores = cores
        self.caches = memory.caches
        self.best: dict[Ceiling, float] = {}  # a second
        self._tier = tier
        self._memory = memory
        self._jobs: dict[Ceiling, tuple[list[Job], int]] = {}  # and the repeats of a piece

    @cached_property
    def peaks(self) -> list[str]:
        """The instructions of a peak that these registers have; another's loop does nothing."""
        return [name for name in _PEAK_NAMES if self._loop(name)(1)]

    @property
    def all(self) -> list[Ceiling]:
        """Every ceiling there is, whether measured or not."""
        counts = sorted({1, self.cores})
        return [
            *(Ceiling(name, None, n) for n in counts for name in (*self.peaks, "clock")),
            Ceiling("call"),
            *(Ceiling(p, level, n) for n in counts for level in LEVELS for p in PATTERNS),
        ]

    def measure(self, ceilings: Sequence[Ceiling]) -> None:
        """One slice of each that these registers have."""
        for ceiling in ceilings:
            if ceiling.name in _PEAK_NAMES and ceiling.name not in self.peaks:
                continue
            jobs, repeats = self._jobs_of(ceiling)
            work = sum(job.work for job in jobs) * repeats
            with tracing_off():
                best = work / min(run_together(jobs, repeats) for _ in range(_PIECES))
            if ceiling.name == "clock":
                best /= ceiling.cores
            self.best[ceiling] = max(best, self.best.get(ceiling, 0.0))

    @contextmanager
    def beside(self, ceilings: Sequence[Ceiling]) -> Iterator[None]:
        """A slice of each before and after what happens inside."""
        self.measure(ceilings)
        yield
        self.measure(ceilings)

    @property
    def missing(self) -> list[Ceiling]:
        return [ceiling for ceiling in self.all if ceiling not in self.best]

    def complete(self) -> None:
        """Several slices, spread in time, of whatever has none yet: one may meet a slow moment,
        and no case has had it measured beside it. All of them or, interrupted, none."""
        before, missing = dict(self.best), self.missing
        try:
            for _ in range(_SWEEPS // 2):
                self.measure(missing)
        except BaseException:
            self.best = before
            raise

    def as_rows(self) -> list[dict[str, Any]]:
        """For machine_info: runs.Limit says what the fields mean."""
        return [
            {
                "name": c.name,
                "level": c.level,
                "cores": c.cores,
                "working_set": self._working_set(c),
                "per_second": self.best[c],
                "unit": "B" if c.level else _LOOPS[c.name][1],
                "tier": self._tier.name,
            }
            for c in self.all
            if c in self.best
        ]

    def _working_set(self, ceiling: Ceiling) -> int | None:
        """Bytes, of all cores together; None for a loop without memory."""
        if ceiling.level is None:
            return None
        size = self.caches.working_set(ceiling.level)
        return size * ceiling.cores if ceiling.level in PRIVATE else size

    def _jobs_of(self, ceiling: Ceiling) -> tuple[list[Job], int]:
        if ceiling not in self._jobs:
            jobs = [self._job(ceiling, core) for core in range(ceiling.cores)]
            self._jobs[ceiling] = jobs, repeats_of_a_piece(jobs)
        jobs, repeats = self._jobs[ceiling]
        run_together(jobs, repeats)  # warm: caches, and registers that were asleep
        return jobs, repeats

    def _loop(self, name: str) -> Callable[..., Any]:
        function: Callable[..., Any] = getattr(self._tier.lib, _LOOPS[name][0])
        return function

    def _job(self, ceiling: Ceiling, core: int) -> Job:
        if ceiling.level is not None:
            return self._memory_job(ceiling, core)
        function, null = self._loop(ceiling.name), self._tier.ffi.NULL
        if ceiling.name == "call":  # as a kernel is called
            return Job(rounds_of(function, (null, null, 0)), 1.0)
        return Job(function, float(function(1)))

    def _memory_job(self, ceiling: Ceiling, core: int) -> Job:
        """On its own buffer in a private level, on its own part of the one buffer of a shared."""
        name, level, cores = ceiling
        assert level is not None
        private = level in PRIVATE
        buffer = self._memory.buffer(level, core if private else 0)
        # Whole pages, in each of two arrays too.
        n = len(buffer.view) // (1 if private else cores) // 2048 * 2048
        x = self._tier.ffi.cast("float *", buffer.address) + (0 if private else core * n)
        function = getattr(self._tier.lib, f"limit_{name}_f32")
        arrays, traffic = PATTERNS[name]
        n //= arrays
        pointers = [x + n * number for number in range(arrays)]
        if level == "DRAM":
            return ring_job(function, pointers, n, traffic)
        return Job(lambda passes: function(*pointers, n, passes), traffic * n)


def ring_job(function: Callable[..., Any], pointers: Sequence[Any], n: int, traffic: float) -> Job:
    """Each run goes on where the last one ended: what it meets has left the caches long ago."""
    steps, place = n // _DRAM_STEP, 0

    def run(repeats: int) -> None:
        nonlocal place
        if place + repeats > steps:
            place = 0
        offset, place = place * _DRAM_STEP, place + repeats
        function(*(p + offset for p in pointers), repeats * _DRAM_STEP, 1)

    return Job(run, traffic * _DRAM_STEP, most=max(steps // 4, 1))


def run_together(jobs: Sequence[Job], repeats: int) -> float:
    """Seconds from the common start to the end of the last; one thread for each job (native code
    runs without the interpreter's lock)."""
    barrier = threading.Barrier(len(jobs))

    def work(job: Job) -> tuple[float, float]:
        barrier.wait()
        start = perf_counter()
        job.run(repeats)
        return start, perf_counter()

    if len(jobs) == 1:
        start, end = work(jobs[0])
        return end - start
    with ThreadPoolExecutor(len(jobs)) as pool:
        try:
            times = list(pool.map(work, jobs))
        except BaseException:  # Ctrl-C: whoever waits for others would wait for ever
            barrier.abort()
            raise
    return max(end for _, end in times) - min(start for start, _ in times)


def repeats_of_a_piece(jobs: Sequence[Job]) -> int:
    """How many repeats of each job last a piece. The shortest of several runs says how long they
    take: one that is held up would make every later piece too short to measure anything."""
    wanted = _ONE_CORE_SECONDS if len(jobs) == 1 else _MORE_CORES_SECONDS
    most = min(job.most for job in jobs)
    repeats = 1
    while repeats < most:
        seconds = min(run_together(jobs, repeats) for _ in range(_TRIES))
        if seconds >= wanted:
            break
        repeats = min(repeats * 2 if seconds > wanted / 8 else repeats * 8, most)
    return repeats


# --- Who is judged by what -----------------------------------------------------------------------


def limits_tier(variant: str) -> str | None:
    """Whose limits judge a variant: those of its own registers, avx2 for the portable tiers. A
    library uses what it finds, so the widest that this machine has. None where checking and copying
    are timed too: a ceiling is of kernels."""
    side, name = registry.side_and_name(variant)
    if side == "peer":
        return _able_widths()[-1]
    if name.rpartition("_")[2] in registry.CALL_PATHS:
        return None
    # What follows a width (_omp, _tiled) does not change its registers.
    return next((width for width in WIDTHS if name.startswith(width)), WIDTHS[0])


def _able_widths() -> Sequence[str]:
    """Those that this machine can run; the narrowest where it can run none."""
    able = [tier for tier in WIDTHS if kernels_c.why_unavailable(tier) is None]
    return able or WIDTHS[:1]


class Machine:
    """The limits of each width, made when first needed, all in the same memory."""

    def __init__(self) -> None:
        self.by_tier: dict[str, Limits] = {}
        self._memory = Memory(read_caches())

    def limits(self, variant: str) -> Limits | None:
        """Those that judge the variant, perhaps with nothing measured yet; None where this machine
        cannot run their microbenchmarks."""
        tier = limits_tier(variant)
        if tier is None or kernels_c.why_unavailable(tier) is not None:
            return None
        return self.of_tier(tier)

    def of_tier(self, tier: str) -> Limits:
        """Raises kernels_c.TierUnavailable."""
        if tier not in self.by_tier:
            probing, several = kernels_c.load_tier(tier), f"{tier}_omp"
            able = kernels_c.why_unavailable(several) is None
            cores = kernels_c.load_tier(several).threads if able else usable_cores()
            self.by_tier[tier] = Limits(probing, cores, self._memory)
        return self.by_tier[tier]


def measured_limits() -> list[Limits]:
    """Of every width that this machine has, several slices each, spread over a second or two.
    Raises TierUnavailable where it has none."""
    machine = Machine()
    widths = [machine.of_tier(tier) for tier in _able_widths()]
    for _ in range(_SWEEPS):
        for limits in widths:
            limits.measure(limits.all)
    return widths
