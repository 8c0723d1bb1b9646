"""What is measured here and now: how a fixed loop spreads, and what a pause, a busy neighbour and
busy cores do to it."""

from __future__ import annotations

import os
import threading
from array import array
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from time import perf_counter, sleep, thread_time
from typing import Any

import kernels_c
from bench.measure.doctor.spread import Spread, spread_of
from bench.measure.timing.rounds import (
    ROUND_SECONDS,
    Round,
    garbage_collection_off,
    rounds_of,
    tracing_off,
)

_ELEMENTS = 1024  # of the loop's input: 8 KiB with its output, in any first-level cache
# Of a round, some 0.1 ms; always as many, so that its time can be compared with another day's.
_NATIVE_CALLS, _PYTHON_CALLS = 7, 70
# The loop goes round the cores, so that a slow stretch does not count for one of them alone.
_PASSES, _SHORTEST_SLICE = 4, 2e-3
# After such a pause a governor has lowered the clock, and after so much work raised it again.
_PAUSES, PAUSE_SECONDS, _RISE_SECONDS = 6, 0.02, 0.01
# Pieces on several cores, for so long, at least so many: a short one meets a quiet moment more
# easily. Threads start apart, so a piece is longer for each of them.
_BESIDE_SECONDS, _FEWEST = 0.08, 3
_PIECE_SECONDS, _START_SECONDS = 1.5e-3, 1e-4


@dataclass(frozen=True)
class Noise:
    """All but `native` and the clock's (seconds) are over the loop's shortest round, or over one
    core alone. None: not measured here.

    native       whether the loop is native code, not the interpreter's
    slowest_core the number of the core whose shortest round is the longest, and how long that is
    waiting      all the time of the loop over that in which it had a core
    after_pause  the first round after a pause over later ones, the median of several
    pair         two neighbouring cores' arithmetic at once
    all_cores    an addition, a cycle each, on all cores at once: how far the clock falls
    clock_step   the smallest step that perf_counter makes from one call to the next
    clock_call   what a call of it takes, the median
    """

    spread: Spread
    native: bool
    slowest_core: tuple[int, float] | None
    waiting: float
    after_pause: float
    pair: float | None
    all_cores: float | None
    clock_step: float
    clock_call: float


def measure(seconds: float, cores: Sequence[int], neighbours: Sequence[int]) -> Noise:
    """The loop runs for that long, all else for 0.3 s. The thread may run where it could before;
    nothing else is left behind.

    cores       that this thread may use; none where the system does not say
    neighbours  two of them, if any
    """
    with affinity_kept():
        take, calls, native = _loop()
        wall, own = perf_counter(), thread_time()
        by_core = _rounds(take, calls, cores, seconds)
        wall, own = perf_counter() - wall, thread_time() - own
    every = [seconds for rounds in by_core.values() for seconds in rounds]
    found = spread_of(every)
    core, shortest = max(((c, min(rounds)) for c, rounds in by_core.items()), key=lambda x: x[1])
    step, call = _clock()
    return Noise(
        spread=found,
        native=native,
        slowest_core=None if core is None else (core, shortest / found.minimum),
        waiting=max(1.0, wall / own) if own else 1.0,
        after_pause=max(1.0, _after_pause(take, calls)),
        pair=_beside("limit_fma_f32", neighbours),
        all_cores=_beside("limit_clock", cores),
        clock_step=step,
        clock_call=call,
    )


# --- The loop ------------------------------------------------------------------------------------


def _loop() -> tuple[Round, int, bool]:
    """Portable GELU on data in the first-level cache, which keeps a core's units busy and waits for
    no memory; the interpreter's own where that is not built. The calls of a round, and
    whether it is native."""
    try:
        tier = kernels_c.load_tier("scalar")
    except kernels_c.TierUnavailable:
        return rounds_of(_spin, ()), _PYTHON_CALLS, False
    x = array("f", [n / 512 - 1 for n in range(_ELEMENTS)])
    source = tier.ffi.from_buffer("float[]", x)
    target = tier.ffi.new("float[]", _ELEMENTS)
    gelu = rounds_of(tier.lib.gelu_tanh_f32, (source, target, _ELEMENTS))
    return gelu, _NATIVE_CALLS, True


def _spin() -> None:
    for _ in range(100):
        pass


def _rounds(
    take: Round, calls: int, cores: Sequence[int], seconds: float
) -> dict[int | None, list[float]]:
    """By core; None where no core can be chosen."""
    places: Sequence[int | None] = cores or (None,)
    each = max(seconds / len(places) / _PASSES, _SHORTEST_SLICE)
    passes = max(1, min(_PASSES, int(seconds / len(places) / each)))
    found: dict[int | None, list[float]] = {}
    with garbage_collection_off(), tracing_off():
        for core in [*places] * passes:
            if not _pinned(core):
                continue
            for _ in range(2):  # this core's caches are cold
                take(calls)
            rounds = found.setdefault(core, [])
            end = perf_counter() + each
            while not rounds or perf_counter() < end:
                rounds.append(take(calls))
    return found or {None: [take(calls)]}


def _after_pause(take: Round, calls: int) -> float:
    """Each first round is compared with later ones that meet the same stretch of the machine."""
    ratios: list[float] = []
    with garbage_collection_off(), tracing_off():
        for _ in range(_PAUSES):
            sleep(PAUSE_SECONDS)
            first, later = take(calls), [take(calls)]
            end = perf_counter() + _RISE_SECONDS
            while perf_counter() < end:
                later.append(take(calls))
            ratios.append(first / median(later[len(later) // 2 :]))
    return median(ratios)


def _clock() -> tuple[float, float]:
    """The smallest step of perf_counter, and what a call takes."""
    moments = [perf_counter() for _ in range(2000)]
    steps = [b - a for a, b in pairwise(moments)]
    step = min((s for s in steps if s > 0), default=ROUND_SECONDS)
    return step, (moments[-1] - moments[0]) / len(steps) if min(steps) == 0 else median(steps)


# --- On several cores ----------------------------------------------------------------------------


def _beside(name: str, cores: Sequence[int]) -> float | None:
    """How many times as long the same work takes each core when all of these do it at once: the
    shortest of several tries each way, in alternation. None for a single core, and where the
    microbenchmarks cannot run."""
    if len(cores) < 2 or kernels_c.why_unavailable("avx2") is not None:
        return None
    function = getattr(kernels_c.load_tier("avx2").lib, name)
    wanted, repeats = _PIECE_SECONDS + _START_SECONDS * len(cores), 1024
    with garbage_collection_off(), tracing_off():
        while (seconds := min(_longest(function, repeats, cores[:1]) for _ in range(3))) < wanted:
            repeats = max(2 * repeats, int(repeats * min(wanted / seconds, 32)))
        alone: list[float] = []
        together: list[float] = []
        end = perf_counter() + _BESIDE_SECONDS
        while len(alone) < _FEWEST or perf_counter() < end:
            alone.append(_longest(function, repeats, cores[:1]))
            together.append(_longest(function, repeats, cores))
    return max(1.0, min(together) / min(alone))


def _longest(function: Callable[[int], Any], repeats: int, cores: Sequence[int]) -> float:
    """Seconds of the slowest of these cores, which begin together. Native code runs without the
    interpreter's lock; the threads are gone afterwards, and this one stays where it is."""
    barrier = threading.Barrier(len(cores))

    def work(core: int) -> float:
        _pinned(core)
        barrier.wait()
        start = perf_counter()
        function(repeats)
        return perf_counter() - start

    with ThreadPoolExecutor(len(cores)) as pool:
        try:
            return max(pool.map(work, cores))
        except BaseException:  # Ctrl-C: whoever waits for others would wait for ever
            barrier.abort()
            raise


def _pinned(core: int | None) -> bool:
    """Whether this thread runs there from now on; anywhere, if there is no core to choose."""
    if core is None:
        return True
    with suppress(OSError):  # taken offline since
        os.sched_setaffinity(0, {core})
        return True
    return False


@contextmanager
def affinity_kept() -> Iterator[None]:
    """Wherever this thread is sent inside, it may run where it could before."""
    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    try:
        yield
    finally:
        if before is not None:
            with suppress(OSError):
                os.sched_setaffinity(0, before)
