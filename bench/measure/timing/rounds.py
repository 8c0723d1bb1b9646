"""Rounds of calls: the loop around what is timed, and how many calls make a round long enough.

The gate's pytest_plugin.py has the loop once more, as it imports nothing of this project.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import repeat
from time import perf_counter
from typing import Any

# One round is at least this long, so that the clock and the loop around the call do not count.
ROUND_SECONDS = 100e-6

Round = Callable[[int], float]  # calls -> seconds of all of them together


def rounds_of(function: Callable[..., Any], args: Sequence[Any]) -> Round:
    """Rounds of function(*args)."""

    def take(calls: int) -> float:
        start = perf_counter()
        for _ in repeat(None, calls):
            function(*args)
        return perf_counter() - start

    return take


def calibrate(*rounds: Round, least_seconds: float = ROUND_SECONDS) -> int:
    """How many calls make the longest of these rounds last that many seconds. Also warms caches,
    page tables and branch predictors. What seems long enough is taken once more: one round that was
    held up, by another program or a stop, would make all that follow too short for the clock."""

    def longest(calls: int, enough: float) -> float:
        seconds = max(take(calls) for take in rounds)
        return seconds if seconds < enough else min(seconds, max(take(calls) for take in rounds))

    calls = 1
    with garbage_collection_off(), tracing_off():
        while (seconds := longest(calls, least_seconds)) < least_seconds:
            # Once the clock can see it, aim; a factor of ten until then.
            grow = 1.1 * least_seconds / seconds if seconds > least_seconds / 20 else 10.0
            calls = max(calls + 1, int(calls * min(grow, 10.0)))
    return calls


@contextmanager
def garbage_collection_off() -> Iterator[None]:
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextmanager
def tracing_off() -> Iterator[None]:
    """Without what traces or profiles this thread: for a Python loop a coverage tool's own work is
    many times the loop's."""
    trace, profile = sys.gettrace(), sys.getprofile()
    sys.settrace(None)
    sys.setprofile(None)
    try:
        yield
    finally:
        sys.settrace(trace)
        sys.setprofile(profile)
