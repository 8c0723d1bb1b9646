"""Run by test_native_threads.py: the team of threads by itself, through the library of team.cpp."""

from __future__ import annotations

import _ctypes
import ctypes
import os
import signal
import sys

from tests.fenced import Mark
from tests.float_state import DEFAULT, DIVISION_BY_ZERO, OCCURRED, STATES, float_state, mxcsr

PATIENCE = 30  # seconds until a process that hangs is ended by its alarm
THREADS = 4


def states_of_threads(library: ctypes.CDLL, divisor: float = 1.0) -> list[int]:
    states = (ctypes.c_uint32 * THREADS)()
    library.states_of_threads(ctypes.c_size_t(THREADS), ctypes.c_float(divisor), states)
    return list(states)


def state(library: ctypes.CDLL, mark: Mark) -> None:
    """The threads come with the state of who calls first; each later call has its own."""
    for wanted in [*STATES[::-1], *STATES]:
        mark(f"state {wanted:#x}")
        with float_state(wanted):
            seen, after = states_of_threads(library), mxcsr()
        assert {one & ~OCCURRED for one in seen} == {wanted}, [f"{one:#x}" for one in seen]
        assert after & ~OCCURRED == wanted


def exceptions(library: ctypes.CDLL, mark: Mark) -> None:
    """What occurs to a helper has occurred to the caller, and to no later one."""
    for divisor, before in ((0.0, 0), (1.0, 0), (1.0, DIVISION_BY_ZERO), (1.0, 0)):
        mark("exceptions", divisor, before)
        with float_state(DEFAULT | before):
            states_of_threads(library, divisor)
            after = mxcsr() & OCCURRED
        expected = DIVISION_BY_ZERO if divisor == 0 else before
        assert after == expected, f"{after:#x}"


def many_pieces(library: ctypes.CDLL, mark: Mark) -> None:
    """As many as a ticket has room for, and more."""
    for count in (2, 65_534, 65_535, 65_536, 65_537, 131_072, 200_000):
        mark("pieces", count)
        runs = ctypes.create_string_buffer(count)
        assert library.pieces_run_once(ctypes.c_size_t(count), runs) == count


def fewer(library: ctypes.CDLL, mark: Mark) -> None:
    """Who once had many threads and asks for fewer gets no more than that."""
    for threads in (2, 6, 2, 3):
        mark("threads", threads)
        assert library.threads_of_pieces(threads) <= threads


def one_core(library: ctypes.CDLL, mark: Mark) -> None:
    """Helpers run only while the caller sleeps: each piece that one has begun needs its core."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    runs = (ctypes.c_char * 3000)()
    for repeat in range(300):
        mark("one core", repeat)
        ctypes.memset(runs, 0, 3000)
        assert library.pieces_run_once(ctypes.c_size_t(3000), runs) == 3000


def closed(library: ctypes.CDLL, mark: Mark) -> None:
    """Helpers outlive dlclose(), and with them their code."""
    mark("closed")
    states_of_threads(library)
    _ctypes.dlclose(library._handle)
    with open("/proc/self/maps") as maps:
        assert any(line.endswith("team.so\n") for line in maps)


def main() -> None:
    signal.alarm(PATIENCE)
    library = ctypes.CDLL(sys.argv[2])
    library.pieces_run_once.restype = library.threads_of_pieces.restype = ctypes.c_size_t
    runs = {run.__name__: run for run in (state, exceptions, many_pieces, fewer, one_core, closed)}
    runs[sys.argv[3]](library, Mark(sys.argv[1]))


if __name__ == "__main__":
    main()
