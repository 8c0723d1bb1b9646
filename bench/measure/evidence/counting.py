"""Has single calls of this process counted by callgrind: what begins and ends them for it.

    counted(function, args, label="what it is called")

Imports nothing of this project, so that a process of somebody else's can load the file by its path.
callgrind.py starts such a process, and reads what was counted.

How a call is picked out: counted() calls two functions of the C library that nothing else calls,
through `os`, right before and right after. callgrind zeroes its counters on entering the first and
writes them down on entering the second. Neither client requests, and so a compiled helper, nor
debug information is needed. (--toggle-collect on a function of the C library that calls back, say
bsearch through ctypes, counts nothing: libffi moves the stack pointer before it calls, and
callgrind takes that call for a return.)

Source: Valgrind User Manual, section 6, Callgrind.
"""

from __future__ import annotations

import gc
import json
import math
import os
from collections import deque
from collections.abc import Callable, Sequence
from itertools import repeat, starmap
from time import perf_counter

# In the counted process this names the file that every counted() is entered in, as a line of JSON:
# its label, by how many calls the second region of a pair has more, and how many regions there are.
LOG = "COUNTED_REGIONS"
PARENT = "COUNTED_FOR"  # the process whose end is the end of the counting
BEGIN, END = "sched_get_priority_min", "sched_get_priority_max"
# Pairs of regions, of one call and of some more: what a region adds by itself is in both. A
# dictionary that grows, an instruction of the interpreter that specialises only ever add, so the
# smaller of two is taken. Before them comes a region that is not read: in the first one after other
# work callgrind's totals hold some of that work, too.
PAIRS = 2
# Calls before the first region. CPython from 3.11 on rewrites a function's bytecode in its first
# few calls; the counts of Python kernels stood still from the sixth.
WARM_CALLS = 6
# A short call is repeated within a region until that lasts this long, under valgrind: a million
# instructions or more, of which the interpreter's whims (up to 100) are 0.01 %. Only a call that
# takes much longer is counted alone: a short one that a busy machine held up must not be.
_REGION_SECONDS = 0.02
_LONG_CALL_SECONDS = 0.1
_MOST_CALLS = 10_000
FAILED = 0  # in the log, where a call raised


def counted(
    function: Callable[..., object],
    args: Sequence[object] = (),
    label: str = "",
    warm_calls: int = WARM_CALLS,
) -> None:
    """Call function(*args), warm, in counted regions. Without callgrind around this
    process it is called all the same, and nothing is counted.

    Of several threads only the one that calls is counted. Whatever the function raises passes, and
    nothing is said of it then.
    """
    args = tuple(args)
    was_on = gc.isenabled()
    gc.disable()
    more, regions = FAILED, 0
    try:
        calls = _warm(function, args, warm_calls)
        for calls_of_region in (1, *[1, 1 + calls] * PAIRS):
            regions += 1
            _region(function, args, calls_of_region)
        more = calls
    finally:
        if was_on:
            gc.enable()
        log = os.environ.get(LOG)
        if log:
            with open(log, "a", encoding="utf-8") as file:
                file.write(json.dumps([label, more, regions]) + "\n")


def _warm(function: Callable[..., object], args: tuple[object, ...], warm_calls: int) -> int:
    """Warms the function, and the region's own code; returns how many calls to count."""
    seconds = math.inf  # that a call takes undisturbed
    for _ in range(warm_calls):
        start = perf_counter()
        function(*args)
        seconds = min(seconds, perf_counter() - start)
    if seconds > _LONG_CALL_SECONDS:
        return 1
    # In powers of ten: a slower moment should not give other calls.
    calls = 10
    while calls < _MOST_CALLS and calls * seconds < _REGION_SECONDS:
        calls *= 10
        start = perf_counter()
        deque(starmap(function, repeat(args, 10)), 0)
        seconds = min(seconds, (perf_counter() - start) / 10)
    return calls


def _region(function: Callable[..., object], args: tuple[object, ...], calls: int) -> None:
    """The calls, in a loop that runs in C: none of it can be specialised meanwhile."""
    all_calls, consume = starmap(function, repeat(args, calls)), deque
    begin, end = os.sched_get_priority_min, os.sched_get_priority_max
    begin(0)
    try:
        consume(all_calls, 0)
    finally:
        end(0)
