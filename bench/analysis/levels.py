"""Which level of memory a benchmark of a saved run worked in."""

from __future__ import annotations

import math
from collections.abc import Mapping

from bench.saved.runs import Metadata, Run

LEVELS = ("L1", "L2", "L3", "DRAM")
PRIVATE = ("L1", "L2")  # to a core; the rest is shared
# How many times the working set that stood for a level in the run's limits goes into that level
# (docs/measuring.md). Of L3 it can be less where L2 is large: nothing better is in old runs.
_STOOD_FOR = {"L1": 2, "L2": 2, "L3": 4}
# What CPython keeps for an element of a list: a pointer, and a float or int of 24 to 28 bytes, in
# steps of 16 with its neighbours. Small integers are shared, and take less.
_LIST_BYTES = 32


def cache_sizes(run: Run) -> dict[str, int]:
    """Bytes of L1, L2 (of one core) and L3; empty where the run does not say. Runs from before
    they were recorded are judged by the working sets that stood for the levels."""
    if run.caches:
        return dict(run.caches)
    sets = {limit.level: limit.working_set for limit in run.limits if limit.cores == 1}
    found = {level: (sets.get(level) or 0) * times for level, times in _STOOD_FOR.items()}
    return found if all(found.values()) else {}


def working_set(metadata: Metadata) -> int:
    """Bytes of operands and result, as buffers; in Python as lists."""
    if metadata.side != "python":
        return metadata.bytes
    if len(metadata.shape) == 3:
        m, n, k = metadata.shape
        return _LIST_BYTES * (m * k + k * n + m * n)
    return _LIST_BYTES * 2 * math.prod(metadata.shape)


def level_of(metadata: Metadata, caches: dict[str, int]) -> str | None:
    """Of what a call touches; None without cache sizes."""
    if not caches:
        return None
    return nearest_level(working_set(metadata), caches, metadata.threads or 1)


def nearest_level(nbytes: int, caches: Mapping[str, int], cores: int) -> str:
    """The nearest level that holds so much, spread evenly over the cores."""
    share = -(-nbytes // max(cores, 1))
    for level, size in caches.items():
        if (share if level in PRIVATE else nbytes) <= size:
            return level
    return "DRAM"
