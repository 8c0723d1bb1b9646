"""What a run of benchmarks is refused for before anything is measured: options that would make a
figure something else than it is said to be, and what is missing.

conftest.py asks. Every function raises Refusal, or ValueError for an option that has a bad value.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any

import kernels_c
from bench.measure import peers
from bench.measure.timing.minimum import watchers
from bench.saved.checks import Refusal


def require_true_options(options: Mapping[str, Any], peer_threads: int) -> None:
    """Of pytest-benchmark's session, and ours. Raises ValueError."""
    if float(options["max_time"]) <= 0:
        raise ValueError("--benchmark-max-time: needs more than 0 seconds")
    if options["timer"].target is not time.perf_counter:
        raise ValueError("--benchmark-timer: kernels are timed by time.perf_counter only")
    if peer_threads < 1:
        raise ValueError("--peer-threads: needs at least 1")


def require_peers() -> None:
    reason = peers.why_not_installed()
    if reason is not None:
        raise Refusal(reason)


def require_unwatched() -> None:
    if watchers():
        raise Refusal(
            f"{', '.join(watchers())} watches the interpreter, so times would not be those of the "
            "code; leave it out, or the benchmarks (--benchmark-skip, --benchmark-disable)"
        )


def require_built(tiers: Collection[str]) -> None:
    """On native modules that are older than their sources, or not there at all, everything that
    was asked for would be measured on the wrong code, or skipped."""
    for tier in kernels_c.TIERS:
        reason = kernels_c.why_unusable_build(tier) if tier in tiers else None
        if reason is not None:
            raise Refusal(reason)
