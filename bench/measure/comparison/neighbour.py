"""A busy neighbour: a process that spins on one core.

    python -m bench.measure.comparison.neighbour PARENT PIPE

It is sent for how many seconds to spin, and answers when it has ended, by perf_counter().
"""

from __future__ import annotations

import math
import os
import signal
import sys
from multiprocessing.connection import Connection
from time import perf_counter

from bench.measure.comparison.participants import start
from bench.measure.timing.child import Child, die_with_parent


class Neighbour:
    """Stands still until it is let go; to be closed."""

    def __init__(self) -> None:
        self._child: Child = start("bench.measure.comparison.neighbour")
        self._child.answer()  # it is where it belongs

    def spin(self, seconds: float = math.inf) -> None:
        """Go on until paused, or for so long."""
        self._child.resume()
        self._child.ask(seconds)

    def pause(self) -> None:
        self._child.pause()

    def resume(self) -> None:
        self._child.resume()

    def ended(self) -> float:
        """When its spinning ended, by perf_counter(), which all processes share."""
        return float(self._child.answer())

    @property
    def pid(self) -> int:
        return self._child.pid

    def close(self) -> None:
        self._child.close()


def main(parent: str, pipe: str) -> None:
    die_with_parent(int(parent))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which then ends this
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    asked = Connection(int(pipe))
    asked.send(perf_counter())
    while True:
        try:
            seconds = asked.recv()
        except EOFError:
            return
        deadline = perf_counter() + seconds
        while perf_counter() < deadline:
            pass
        asked.send(perf_counter())


if __name__ == "__main__":
    main(*sys.argv[1:])
