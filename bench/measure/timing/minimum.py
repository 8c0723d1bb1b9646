"""When a minimum can be believed: rounds are taken until it has been met again at quiet moments.

Interruptions only ever add time, so the minimum is the figure; but a shared machine can run up to
twice as slow for half a second at a stretch, and a minimum taken inside one is wrong. So a fixed
piece of interpreter work (the probe) is timed between batches of rounds. A batch counts as quiet
when the probe before and after it is close to its best of the whole session. The probe decides when
to stop, nothing else: no round is dropped and no time is corrected by it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from time import perf_counter
from typing import Any

from bench.measure.timing.rounds import calibrate, garbage_collection_off, rounds_of, tracing_off

# A batch of rounds between two probes: short against the half-second stretches.
_BATCH_SECONDS = 4e-3
# The minimum is confirmed when this many quiet rounds lie this close to it.
_CONFIRMATIONS = 5
_TOLERANCE = 0.015
# Of the probe's best. A busy neighbour on the sibling hardware thread costs 1.6-2x. The clock moves
# by 1.2x, and the probe runs another 1.1-1.2x slower right after a kernel than on its own: at 1.3
# half of all cases were never confirmed.
_QUIET = 1.5
# No case ends before this share of its cap: kernels that live in the second-level cache have
# stretches of a tenth of a second and more in which every round takes 1.25x the minimum, however
# quiet the probe finds the machine.
_LEAST_SHARE = 0.6
_FIRST_PROBES = 0.25  # seconds of probing before the first case


class NoiseProbe:
    """A fixed spin of the interpreter, about 15 us, and the best time it ever took."""

    def __init__(self) -> None:
        self.best = float("inf")

    def is_quiet(self) -> bool:
        if self.best == float("inf"):
            deadline = perf_counter() + _FIRST_PROBES
            while perf_counter() < deadline:
                self._spin()
        # The first spin after other work runs on cold caches; one interruption is not a stretch.
        return min(self._spin() for _ in range(3)) <= self.best * _QUIET

    def _spin(self) -> float:
        start = perf_counter()
        for _ in range(1500):
            pass
        seconds = perf_counter() - start
        self.best = min(self.best, seconds)
        return seconds


_session_probe = NoiseProbe()


@dataclass
class Rounds:
    """Rounds of one case, in seconds a call; iterate to take more until the minimum is confirmed.

    cap_seconds ends the case unconfirmed.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    cap_seconds: float
    probe: NoiseProbe = field(default_factory=lambda: _session_probe)
    iterations: int = 1
    confirmed: bool = False
    uncertainty: float | None = None  # of the minimum; see _uncertainty

    def __post_init__(self) -> None:
        self._take = rounds_of(self.function, self.args)

    def calibrate(self) -> int:
        """Calls that make up one round."""
        self.iterations = calibrate(self._take)
        return self.iterations

    def few(self, most: int, most_seconds: float, taken: Sequence[float]) -> Iterator[float]:
        """Rounds of one call on top of those `taken`: up to `most` in all, none once they have
        lasted `most_seconds`. They never confirm anything."""
        all_rounds = list(taken)  # the caller's own grows by what is yielded
        while len(all_rounds) < most and sum(all_rounds) < most_seconds:
            with garbage_collection_off(), tracing_off():
                all_rounds.append(self._take(1))
            yield all_rounds[-1]
        self.uncertainty = _uncertainty(all_rounds)

    def __iter__(self) -> Iterator[float]:
        """Seconds of each round (all of its iterations together)."""
        minimum = float("inf")
        everything: list[float] = []
        quiet: list[float] = []
        before = self.probe.is_quiet()  # may take its time: the first probe of a session does
        start = perf_counter()
        earliest, deadline = start + self.cap_seconds * _LEAST_SHARE, start + self.cap_seconds
        while (now := perf_counter()) < deadline and not (self.confirmed and now >= earliest):
            batch: list[float] = []
            batch_end = perf_counter() + _BATCH_SECONDS
            while not batch or perf_counter() < batch_end:
                with garbage_collection_off(), tracing_off():
                    batch.append(self._take(self.iterations))
                yield batch[-1]
            minimum = min(minimum, *batch)
            everything += batch
            after = self.probe.is_quiet()
            if before and after:
                quiet += batch
                near = sum(seconds <= minimum * (1 + _TOLERANCE) for seconds in quiet)
                self.confirmed = near >= _CONFIRMATIONS
            before = after
        self.uncertainty = _uncertainty(everything)


def _uncertainty(rounds: Sequence[float]) -> float | None:
    """By how much of itself the minimum of these rounds, in the order in which they were taken, may
    be wrong; None for a single round.

    The rounds are cut into four stretches: had the case lasted a quarter of its time, it would have
    ended with the minimum of one of them. Half of these lie within the result of the least.
    """
    if len(rounds) < 2:
        return None
    parts = min(4, len(rounds))
    cuts = [len(rounds) * part // parts for part in range(parts + 1)]
    minima = sorted(min(rounds[a:b]) for a, b in pairwise(cuts))
    return minima[parts // 2] / minima[0] - 1


def record(benchmark: Any, rounds: Rounds) -> Any:
    """Rounds into pytest-benchmark's fixture until the minimum is confirmed; returns what the call
    returned. Where the fixture keeps no times (disabled, or the gate takes its own), one call."""
    iterations = 1 if benchmark.disabled else rounds.calibrate()
    returned = benchmark.pedantic(rounds.function, rounds.args, iterations=iterations)
    if benchmark.stats is not None:
        for seconds in rounds:
            benchmark.stats.update(seconds)
        benchmark.extra_info.update(confirmed=rounds.confirmed, uncertainty=rounds.uncertainty)
    return returned


def watchers() -> list[str]:
    """The tools that watch the interpreter in the way that they cannot be kept from (PEP 669)."""
    monitoring = getattr(sys, "monitoring", None)  # from Python 3.12 on
    names = [monitoring.get_tool(number) for number in range(6)] if monitoring else []
    return [name for name in names if name]
