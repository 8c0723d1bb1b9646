"""When nobody else in this process is running: libraries' idle workers spin before they sleep."""

from __future__ import annotations

import threading
from pathlib import Path
from time import perf_counter, sleep

_TASKS = Path("/proc/self/task")
# Seconds over which a thread must not have run: three ticks of a kernel that counts every 4 ms.
_WINDOW = 12e-3
_LONGEST = 0.25  # a worker that spins for ever is waited for this long


def wait_until_quiet() -> None:
    """Returns when no other thread of this process has run for a few milliseconds.

    Measured here for products on two threads: OpenBLAS 0.3.31's workers spin for 100 ms, ONNX
    Runtime's for 46, libgomp's for 10. Where the system does not say what threads run (it is asked
    through /proc), the longest of these is waited for.
    """
    if not _TASKS.is_dir():
        sleep(_LONGEST / 2)
        return
    deadline = perf_counter() + _LONGEST
    before = _running_times()
    while perf_counter() < deadline:
        sleep(_WINDOW)
        now = _running_times()
        if now == before:
            return
        before = now


def _running_times() -> dict[str, str]:
    """Nanoseconds on a core so far, by thread, without this one."""
    own = str(threading.get_native_id())
    times = {}
    for task in _TASKS.iterdir():
        if task.name == own:
            continue
        try:
            times[task.name] = (task / "schedstat").read_text(encoding="ascii").partition(" ")[0]
        except OSError:  # ended meanwhile
            continue
    return times
