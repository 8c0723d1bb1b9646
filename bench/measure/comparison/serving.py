"""What runs in the process of a participant: cases are made, verified and timed here.

    python -m bench.measure.comparison.serving PARENT PIPE

It is sent the name of a method of Server and its arguments, and answers with what that returns, or
with the exception that says why there is nothing.
"""

from __future__ import annotations

import signal
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection
from statistics import median
from time import perf_counter, sleep

import kernels_c
from bench.measure import peers
from bench.measure.calls import call_of
from bench.measure.cases.case import Call, Case
from bench.measure.cases.errors_in_ulp import WrongResult
from bench.measure.comparison import sizes
from bench.measure.comparison.grade import Grade
from bench.measure.peers.adapter import PeerUnavailable
from bench.measure.timing.child import die_with_parent
from bench.measure.timing.paired import Timed
from bench.measure.timing.rounds import garbage_collection_off, rounds_of, tracing_off
from bench.suite import registry

# Who has slept is woken on the core of the one who wakes it, and moved within some 20 ms.
_WARM_SECONDS = 30e-3
# What a round is a median of ends here: slow calls need no others beside them.
_LONGEST_ROUND = 50e-3
# After which nobody spins: OpenBLAS 0.3.31's workers do for 100 ms, ONNX Runtime's for 46.
_SPUN_SECONDS = 0.15
# Of another library, to leave its idle threads spinning: long enough to be worth all of them.
_BESIDE = "matmul_f32", "256"


@dataclass
class Made:
    """A case and a call of it, which may hold bare pointers into the case."""

    case: Case
    call: Call

    def __call__(self) -> None:
        self.call.function(*self.call.args)


class Server:
    """One case at a time, by one implementation."""

    def __init__(self) -> None:
        self.what = "nothing"  # that it is doing, for a message
        self._threads = 1
        self._limits = ExitStack()
        self._names: list[str] = []  # of the libraries that are here
        self._made: Made
        self._timed: Timed | None = None
        self._others: dict[str, Made] = {}

    def make(self, kernel: str, size: str, variant: str, threads: int) -> Grade:
        """Make the case, verify the variant's result and get ready for rounds of it."""
        made = self._make(kernel, size, variant, threads)
        grade = self._graded(made)
        made.case.prepare(made.call)  # inputs as they were, where a call replaced them
        self._timed = Timed(made.call.function, made.call.args)
        return grade

    def first_call(self, kernel: str, size: str, variant: str, threads: int) -> float:
        """Seconds of one call, its memory touched; the first in this process, if nothing else has
        been asked of it."""
        made = self._make(kernel, size, variant, threads)
        made.case.prepare(made.call)
        with garbage_collection_off(), tracing_off():
            return rounds_of(made.call.function, made.call.args)(1)

    def timeline(self, seconds: float) -> list[tuple[float, float]]:
        """Calls for so long: when each began, by perf_counter(), and how long it took."""
        timed, calls = self._ready(), []
        with garbage_collection_off(), tracing_off():
            deadline = perf_counter() + seconds
            while (start := perf_counter()) < deadline:
                calls.append((start, timed.take(1)))
        return calls

    def _make(self, kernel: str, size: str, variant: str, threads: int) -> Made:
        side, name = registry.side_and_name(variant)
        self.what, self._threads, self._timed = f"{kernel} {size} {name}", threads, None
        self._others.clear()
        if side == "peer":
            self._load(name)
        else:  # loaded before threads are set: its OpenMP has them, too
            kernels_c.load_tier(registry.kernel(kernel).native(variant).tier)
            self._load()
        case = sizes.make(kernel, size)
        self._made = Made(case, call_of(case, variant, threads))
        return self._made

    def _graded(self, made: Made) -> Grade:
        """By NumPy; in plain Python where there is none, or no library has the kernel."""
        unknown = not registry.libraries_of(made.case.kernel.name)
        if unknown or peers.why_not_installed() is not None:
            found = made.case.run_and_verify(self.what, made.call)
            return Grade(found["max_error_ulp"], None)
        from bench.measure.comparison.reference import Reference

        return Reference(made.case).grade(self.what, made.call)

    def _ready(self) -> Timed:
        if self._timed is None:
            raise ValueError("there is no case to take a round of")
        return self._timed

    def round(self, of: int, asleep: float, beside: str | None, lasting: float) -> float:
        """Seconds a call: the median of `of` rounds after 30 ms untimed; of fewer where they last
        longer than 50 ms together.

        asleep: seconds of sleep before each of them, which then is one call
        lasting: seconds that a round goes on at least: who shares a core has it for some
            milliseconds and then not, and a user meets both
        beside: a library, as "peer-torch", that multiplies matrices right before each of them, so
        that its idle threads spin meanwhile
        """
        timed = self._ready()
        other = self._other(beside) if beside is not None else None
        calls = 1 if asleep else timed.iterations
        rounds: list[float] = []
        with garbage_collection_off(), tracing_off():
            warm = perf_counter() + _WARM_SECONDS
            while perf_counter() < warm:
                self._made()
            while len(rounds) < of and len(rounds) * lasting + sum(rounds) * calls < _LONGEST_ROUND:
                if other is not None:
                    other()
                if asleep:
                    sleep(asleep)
                rounds.append(_mean(timed, calls, lasting))
        if other is not None:  # or what it has set spinning would go on in the next round
            sleep(_SPUN_SECONDS)
        return median(rounds)

    def _other(self, variant: str) -> Made:
        """A product by that library, on as many threads."""
        if variant not in self._others:
            self._load(registry.side_and_name(variant)[1])
            case = sizes.make(*_BESIDE)
            self._others[variant] = Made(case, call_of(case, variant, self._threads))
        return self._others[variant]

    def _load(self, *names: str) -> None:
        """Load these libraries and set the threads of everything that is here."""
        for name in names:
            peers.load_peer(name)
        self._names = list(dict.fromkeys((*self._names, *names)))
        self._limits.close()
        if peers.why_not_installed() is not None:  # our own tiers use all cores unless told
            return
        self._limits.enter_context(peers.limited_threads(self._threads, *self._names))


def _mean(timed: Timed, calls: int, lasting: float) -> float:
    """Seconds a call, over rounds that last so long together."""
    rounds = [timed.take(calls)]
    while sum(rounds) < lasting:
        rounds.append(timed.take(calls))
    return sum(rounds) / len(rounds) / calls


def main(parent: str, pipe: str) -> None:
    die_with_parent(int(parent))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which then ends this
    asked = Connection(int(pipe))
    server = Server()
    while True:
        try:
            name, arguments = asked.recv()
        except EOFError:
            return
        try:
            answer = getattr(server, name)(*arguments)
        except (WrongResult, PeerUnavailable, kernels_c.TierUnavailable, MemoryError) as reason:
            answer = reason
        except Exception as error:  # whatever a library's code raises; it may not bear sending
            answer = WrongResult(peers.reason_of(error, server.what))
        asked.send(answer)


if __name__ == "__main__":
    main(*sys.argv[1:])
