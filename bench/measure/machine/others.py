"""How much of the cores' time other programs had, and other guests of the same host: a comparison
beside them says little."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
# In a shorter time a few ticks of the kernel, by which it counts, would be a large share.
_FEWEST_TICKS = 100
# /proc/stat: user nice system idle iowait irq softirq steal, and guests, which are in user.
_COUNTED, _IDLE, _STOLEN = slice(8), slice(3, 5), slice(7, 8)


@dataclass(frozen=True)
class CoreTime:
    """Ticks so far of the cores that this process may use: all, those in which they worked or the
    hypervisor had them, those in which they worked for these processes, and those that the
    hypervisor gave to other guests."""

    everything: float
    used: float
    ours: float
    stolen: float = 0.0


def core_time(pids: Iterable[int], proc: Path | None = None) -> CoreTime | None:
    """Now; `pids` are children of this process that live and count as it does. None where the
    system does not say."""
    try:
        per_second = os.sysconf("SC_CLK_TCK")
        lines = ((proc or _PROC) / "stat").read_text(encoding="ascii").splitlines()
        cores = {f"cpu{n}" for n in os.sched_getaffinity(0)}
        counted = [list(map(int, rest)) for name, *rest in map(str.split, lines) if name in cores]
        own = os.times()  # of the children, those that have ended
        ours = per_second * (own.user + own.system + own.children_user + own.children_system)
        ours += sum(map(_ticks_of, pids))
    except (AttributeError, OSError, ValueError):
        return None
    everything = sum(sum(ticks[_COUNTED]) for ticks in counted)
    idle = sum(sum(ticks[_IDLE]) for ticks in counted)
    stolen = sum(sum(ticks[_STOLEN]) for ticks in counted)
    return CoreTime(everything, everything - idle, ours, stolen)


def _ticks_of(pid: int) -> int:
    """Its own, in the kernel and out of it."""
    stat = (_PROC / str(pid) / "stat").read_text(encoding="ascii", errors="replace")
    after_name = stat.rpartition(")")[2].split()
    return int(after_name[11]) + int(after_name[12])


def share_of_others(before: CoreTime | None, after: CoreTime | None) -> float | None:
    """Of other programs and other guests, of all the time of the cores in between, from 0 to 1;
    None where that is not known, or the time was too short to say."""
    return _share(before, after, lambda time: time.used - time.ours)


def share_of_programs(before: CoreTime | None, after: CoreTime | None) -> float | None:
    """The same of other programs alone."""
    return _share(before, after, lambda time: time.used - time.ours - time.stolen)


def share_stolen(before: CoreTime | None, after: CoreTime | None) -> float | None:
    """The same of other guests alone, as far as the hypervisor tells."""
    return _share(before, after, lambda time: time.stolen)


def _share(
    before: CoreTime | None, after: CoreTime | None, ticks: Callable[[CoreTime], float]
) -> float | None:
    if before is None or after is None:
        return None
    everything = after.everything - before.everything
    if everything < _FEWEST_TICKS:
        return None
    return min(1.0, max(0.0, (ticks(after) - ticks(before)) / everything))
