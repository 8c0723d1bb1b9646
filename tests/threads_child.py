"""Run by test_native_threads.py: the team of threads of a *_omp tier, with as many threads as the
environment says. Every result is compared with that of the tier without threads."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import random
import resource
import signal
import sys
import threading
import time
from array import array
from collections.abc import Callable
from typing import Any

import kernels_c
from kernels_c import Tier
from tests.fenced import Mark
from tests.float_state import DEFAULT, INEXACT_TRAPS, STATES, TOWARD_ZERO, float_state
from tests.native import ELEMENTWISE

REPEATS = 50
PATIENCE = 60  # seconds until a process that hangs is ended by its alarm

# Elements of a GELU that are worth creating threads for.
FOR_ALL = 1_700_003
# Rows of tiles and columns of tiles for every thread, up to 64 of them; and for none. Then one to
# four columns, one row and few rows, few steps, rows of whole pages: each is summed up in its own
# way.
PRODUCTS = (
    *((171, 513, 70), (2000, 40, 30), (13, 4200, 40), (60, 60, 60), (30, 30, 30)),
    *((1999, 1, 701), (1999, 2, 300), (1999, 3, 300), (1001, 4, 600), (9001, 3, 7), (1, 2000, 700)),
    *((5, 900, 1100), (900, 13, 1100), (700, 700, 9), (300, 300, 1024), (2000, 7, 50)),
)
# Threads share rows, then one row; the last takes a part of a row that is shorter than the others.
SOFTMAX = ((3, 70_001), (1, 1_000_003), (2, 65_536), (700, 33), (40_000, 1), (5_001, 40))
# Signals that a thread's own instructions cause.
FAULTS = {
    signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGSYS, signal.SIGTRAP,
}  # fmt: skip


def noise(count: int, typecode: str = "f") -> array[Any]:
    """A short random piece over and over: fast, and odd in length so that parts differ."""
    draw = random.Random(7)
    if typecode == "f":
        piece = array("f", [draw.uniform(-12.0, 12.0) for _ in range(1009)])
    else:
        piece = array(typecode, draw.choices(range(-4, 5), k=1009))
    return (piece * (count // 1009 + 1))[:count]


def softmax(tier: Tier, rows: int, cols: int) -> bytes:
    out = array("f", bytes(4 * rows * cols))
    tier.softmax(noise(rows * cols), out, rows)
    return out.tobytes()


def product(tier: Tier, shape: tuple[int, int, int], code: str) -> bytes:
    m, n, k = shape
    a, b = noise(m * k, code), noise(k * n, code)
    out = array("f" if code == "f" else "i", bytes(4 * m * n))
    multiply = tier.matmul if code == "f" else tier.matmul_i8
    multiply(a, b, out, m, n, k)
    return out.tobytes()


def gelu(tier: Tier) -> bytes:
    out = array("f", bytes(4 * FOR_ALL))
    tier.gelu(noise(FOR_ALL), out)
    return out.tobytes()


def work(tier: Tier) -> bytes:
    """For every thread, the first of it enough to get them all."""
    return gelu(tier) + product(tier, (171, 129, 33), "f")


# --- Runs ----------------------------------------------------------------------------------------


def results(tier: Tier, alone: Tier, mark: Mark) -> None:
    """Called again and again, as helpers come when there has been enough to do."""
    for kernel in ELEMENTWISE:
        for n in (8_193, 100_003, 2**22 + 77):
            mark(tier.name, kernel.name, n)
            x = noise(n, kernel.in_code)
            assert kernel.run(tier, x) == kernel.run(alone, x), "wrong bits"
    for shape in PRODUCTS:
        for code in "fb":
            mark(tier.name, "product", *shape, code)
            assert product(tier, shape, code) == product(alone, shape, code), "wrong sums"
    for rows, cols in SOFTMAX:
        mark(tier.name, "softmax", rows, cols)
        assert softmax(tier, rows, cols) == softmax(alone, rows, cols), "wrong bits"


def callers(tier: Tier, alone: Tier, mark: Mark) -> None:
    """Several threads of Python call at once: one has the team, the others work alone."""
    mark(tier.name, "callers")
    expected = work(alone)
    wrong: list[int] = []

    def call(number: int) -> None:
        wrong.extend(number for _ in range(REPEATS) if work(tier) != expected)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def fork(tier: Tier, alone: Tier, mark: Mark) -> None:
    """Child and parent both go on, each with a team; also a child that forks."""
    expected = work(alone)
    assert work(tier) == expected
    for repeat in range(REPEATS):
        mark(tier.name, "fork", repeat)
        child = os.fork()
        if child == 0:
            signal.alarm(PATIENCE)
            good = work(tier) == expected and len(os.listdir("/proc/self/task")) > 1
            if repeat % 10 == 0 and os.fork() == 0:
                signal.alarm(PATIENCE)
                os._exit(0 if work(tier) == expected else 1)
            if repeat % 10 == 0:
                good = good and os.wait()[1] == 0
            os._exit(0 if good else 1)
        assert work(tier) == expected
        assert os.waitpid(child, 0)[1] == 0, "in the child"


def fork_while_busy(tier: Tier, alone: Tier, mark: Mark) -> None:
    """Another thread of the parent has the team at every fork: the child must not wait for it."""
    stop = threading.Event()

    def keep_busy() -> None:
        while not stop.is_set():
            gelu(tier)

    busy = threading.Thread(target=keep_busy)
    busy.start()
    try:
        fork(tier, alone, mark)
    finally:
        stop.set()
        busy.join()


def digest_of_work(name: str) -> str:
    signal.alarm(PATIENCE)
    return hashlib.sha256(work(kernels_c.load_tier(name))).hexdigest()


def pool(tier: Tier, alone: Tier, mark: Mark) -> None:
    mark(tier.name, "pool")
    expected = hashlib.sha256(work(alone)).hexdigest()
    assert work(tier)
    with multiprocessing.get_context("fork").Pool(3) as processes:
        assert processes.map(digest_of_work, [tier.name] * 20) == [expected] * 20
    assert digest_of_work(tier.name) == expected


def starved(tier: Tier, alone: Tier, mark: Mark) -> None:
    """No room for the stacks of more than a few threads: those who came do the work."""
    mark(tier.name, "starved")
    expected = gelu(alone)
    x, out = noise(FOR_ALL), array("f", bytes(4 * FOR_ALL))
    with open("/proc/self/statm") as statm:
        used = int(statm.read().split()[0]) * resource.getpagesize()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**26, limits[1]))
    try:
        tier.gelu(x, out)
        tier.gelu(x, out)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    assert out.tobytes() == expected
    assert len(os.listdir("/proc/self/task")) < 50


def in_state(state: int, name: str) -> list[bytes]:
    """Every kernel of the tier, called in that floating-point state; the element-wise ones first.
    Some inputs, results and sums are subnormal."""
    signal.alarm(PATIENCE)
    tier = kernels_c.load_tier(name)
    m, n, k = 171, 129, 33
    x = noise(2**17 + 77)
    x[::7] = array("f", [value * 2.0**-130 for value in x[::7]])
    whole = noise(len(x), "i")
    out = memoryview(array("f", bytes(4 * len(x))))
    with float_state(state):
        found = [kernel.run(tier, x if kernel.in_code == "f" else whole) for kernel in ELEMENTWISE]
        for rows in (1, 77):
            size = len(x) // rows * rows
            tier.softmax(x[:size], out[:size], rows)
            found.append(out.tobytes())
        tier.matmul(x[: m * k], x[-k * n :], out[: m * n], m, n, k)
        return [*found, out.tobytes(), product(tier, (m, n, k), "b")]


def float_states(tier: Tier, alone: Tier, mark: Mark) -> None:
    """The team's threads come with one state, and callers with every other. As a thread starts with
    the state of the one that starts it, a child that was forked for one state only has no other."""
    in_state(DEFAULT | TOWARD_ZERO, tier.name)
    with multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as processes:
        for state in STATES:
            mark(tier.name, f"state {state:#x}")
            got = in_state(state, tier.name)
            assert got == processes.apply(in_state, (state, tier.name)), f"{state:#x}"
            one_thread = in_state(state, alone.name)[: len(ELEMENTWISE)]
            assert got[: len(ELEMENTWISE)] == one_thread, f"{state:#x}"


def traps(tier: Tier, alone: Tier, mark: Mark) -> None:
    """Who lets exceptions trap gets no help: a trap must come in the thread that wants it. And what
    is exact does not trap, the team's own bookkeeping included."""
    mark(tier.name, "traps")
    assert work(tier) == work(alone)
    x, out = noise(2**20), array("f", bytes(2**22))
    source, target = (tier.ffi.from_buffer("float[]", buffer) for buffer in (x, out))
    a, b, sums = noise(171 * 33, "b"), noise(33 * 129, "b"), array("i", bytes(4 * 171 * 129))
    left, right = (tier.ffi.from_buffer("int8_t[]", buffer) for buffer in (a, b))
    whole = tier.ffi.from_buffer("int32_t[]", sums)
    with float_state(INEXACT_TRAPS):
        for _ in range(REPEATS):
            tier.lib.relu_f32(source, target, len(x))
        tier.lib.matmul_i8_i32(left, right, whole, 171, 129, 33)
        threads = tier.lib.team_size()
    assert sums.tobytes() == product(alone, (171, 129, 33), "b")
    assert threads == 1
    assert tier.threads > 1


def blocked_by_helpers() -> list[set[int]]:
    """The signals that each thread but this one blocks."""
    found = []
    for thread in set(os.listdir("/proc/self/task")) - {str(threading.get_native_id())}:
        with open(f"/proc/self/task/{thread}/status") as status:
            (mask,) = (line.split()[1] for line in status if line.startswith("SigBlk:"))
        found.append({number for number in range(1, 65) if int(mask, 16) >> (number - 1) & 1})
    return found


def signals(tier: Tier, alone: Tier, mark: Mark) -> None:
    """The main thread blocks signals once the team is there, and in the end before it is: whatever
    is sent to the process is left for the main thread to fetch."""
    expected = work(alone)
    others = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP} - FAULTS
    for blocked in (set(), {signal.SIGTERM}, signal.valid_signals()):
        child = os.fork()  # which has no team yet
        if child == 0:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
            assert work(tier) == expected
            assert signal.pthread_sigmask(signal.SIG_BLOCK, others) == before
            for number in sorted(others):
                mark(tier.name, "signal", number, "blocked before:", len(before))
                os.kill(os.getpid(), number)
                got = signal.sigtimedwait([number], PATIENCE)
                assert got is not None and got.si_signo == number
            mark(tier.name, "faults are blocked")
            while any(FAULTS & helper for helper in blocked_by_helpers()):
                time.sleep(0.01)  # a thread blocks everything until it has started
            assert blocked_by_helpers() and all(others <= h for h in blocked_by_helpers())
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0, "in the child"


def exit_at_once(tier: Tier, alone: Tier, mark: Mark) -> None:
    mark(tier.name, "exit")
    assert work(tier) == work(alone)


def exit_while_busy(tier: Tier, alone: Tier, mark: Mark) -> None:
    """The interpreter ends with a call under way in a daemon thread."""
    mark(tier.name, "exit while busy")

    def forever() -> None:
        x, out = noise(2**20), array("f", bytes(2**22))
        while True:
            started.set()
            tier.gelu(x, out)

    started = threading.Event()
    threading.Thread(target=forever, daemon=True).start()
    started.wait()


RUNS: dict[str, Callable[[Tier, Tier, Mark], None]] = {
    run.__name__: run
    for run in (
        results, callers, fork, fork_while_busy, pool, starved, float_states, traps, signals,
        exit_at_once, exit_while_busy,
    )
}  # fmt: skip


def main() -> None:
    signal.alarm(PATIENCE)
    mark = Mark(sys.argv[1])
    tier = kernels_c.load_tier(sys.argv[2])
    alone = kernels_c.load_tier(tier.name.removesuffix("_omp"))
    RUNS[sys.argv[3]](tier, alone, mark)


if __name__ == "__main__":
    main()
