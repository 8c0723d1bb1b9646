"""Has single calls of this process counted by callgrind: what begins and ends them for it.

    counted(function, args, label="what it is called")

Imports nothing of this project, so that a process of somebody else's can load the file by its path.
callgrind.py starts such a process, and reads what was counted.

How a call is picked out: counted() calls two functions of the C library that nothing else calls,
through `os`, right before and right after. callgrind zeroes its counters on entering the first and
writes them down on entering the second. No debug information is needed. (--toggle-collect on a
function of the C library that calls back, say bsearch through ctypes, counts nothing: libffi moves
the stack pointer before it calls, and callgrind takes that call for a return.)

Until the first counted() the process runs uninstrumented, in a fourth of the time.

Sources: Valgrind User Manual, section 6, Callgrind; client requests: valgrind.h, callgrind.h.
"""

from __future__ import annotations

import ctypes
import gc
import json
import math
import mmap
import os
import platform
from collections import deque
from collections.abc import Callable, Sequence
from functools import cache
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

_START_INSTRUMENTATION = ord("C") << 24 | ord("T") << 16 | 4
# request(rdi = six numbers): for valgrind they are asked by four rotations of rdi, which together
# turn it around, and an exchange of rbx with itself. A processor does nothing of note.
_REQUEST = bytes.fromhex("4889f8 31d2 48c1c703 48c1c70d 48c1c73d 48c1c733 4887db 4889d0 c3")


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
    log = os.environ.get(LOG)
    if log and starts_late():
        _start()
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
        if log:
            with open(log, "a", encoding="utf-8") as file:
                file.write(json.dumps([label, more, regions]) + "\n")


def starts_late() -> bool:
    """Whether a process can tell callgrind when to start: on x86-64, where memory that is written
    may be run."""
    try:
        return platform.machine() == "x86_64" and bool(_code())
    except OSError:
        return False


def _code() -> mmap.mmap:
    code = mmap.mmap(-1, len(_REQUEST), prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(_REQUEST)
    return code


@cache
def _start() -> None:
    code = _code()
    function = ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_void_p)
    request = function(ctypes.addressof(ctypes.c_char.from_buffer(code)))
    request((ctypes.c_uint64 * 6)(_START_INSTRUMENTATION))


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
