"""Checks of who has the cores: how a fixed loop spreads, other guests, other programs, limits."""

from __future__ import annotations

from bench.measure.doctor.cpu import ALTERNATE
from bench.measure.doctor.look import CPUS, MOST_OTHERS, NOT_READABLE, Look, groups, numbers
from bench.measure.doctor.spread import SLOW
from bench.saved.doctor import COSTS, FINE, NOTE, UNKNOWN, Finding

_MOST_STOLEN = 0.01
_SLOWER_CORE = 1.05
_REST = "let other programs rest (top says which), and "


def spread(look: Look) -> Finding:
    """The most important one: what a round of 0.1 ms takes here, and how often it takes more."""
    found, slowest = look.noise.spread, look.noise.slowest_core
    code = "native code" if look.noise.native else "Python"
    seen = (
        f"{found.rounds} rounds of {code}, the shortest {found.minimum * 1e6:.0f} us: the median "
        f"takes {found.median:.2f}x, 90% at most {found.p90:.2f}x, {found.slow:.0%} over {SLOW}x, "
        f"the longest {found.longest * found.minimum * 1e3:.1f} ms"
    )
    if found.two_speeds:
        seen += "; there are two speeds"
    if slowest is not None and slowest[1] > _SLOWER_CORE:
        seen += f"; cpu{slowest[0]} takes {slowest[1]:.2f}x at best"
    figures = {
        "rounds": found.rounds, "minimum": found.minimum, "median": found.median,
        "p90": found.p90, "longest": found.longest, "mean": found.mean, "slow": found.slow,
        "slow_median": found.slow_median, "two_speeds": float(found.two_speeds),
    }  # fmt: skip
    if max(found.p90, found.mean) <= SLOW:
        return Finding("spread", FINE, seen, figures=figures)
    cost = (
        f"about {found.slow_median:.2f}x for {found.slow:.0%} of the rounds, {found.mean:.2f}x on "
        "average; minima feel it least"
    )
    fix = (_REST if look.busy else "") + ALTERNATE
    return Finding("spread", COSTS, seen, cost, fix, found.mean, figures)


def steal(look: Look) -> Finding:
    """Time in which this machine wanted to run, and the hypervisor let another one."""
    share, demanded = look.stolen, look.demanded
    if share is None or demanded is None:
        return Finding("steal", UNKNOWN, NOT_READABLE)
    seen = f"other guests of the host had {share:.1%} of the cores' time"
    figures = {"share": share}
    if share <= _MOST_STOLEN:
        return Finding("steal", FINE, seen, figures=figures)
    factor = 1 / max(1 - demanded, 0.01)
    cost = f"about {factor:.2f}x on average, for whoever had work"
    fix = f"take another hour, or a host of your own; {ALTERNATE}"
    return Finding("steal", COSTS, seen, cost, fix, factor, figures)


def other_programs(look: Look) -> Finding:
    """Where their share is known it decides: the loop waits for a quota, too."""
    share, waiting = look.others, look.noise.waiting
    average = (look.files.text("proc/loadavg") or "").partition(" ")[0]
    known = "a share that is not readable" if share is None else f"{share:.1%}"
    seen = f"they had {known} of the cores' time; the loop took {waiting:.2f}x the time it ran for"
    seen += f"; load average {average}" if average else ""
    figures = {"waiting": waiting, **({} if share is None else {"share": share})}
    if (waiting - 1 if share is None else share) <= MOST_OTHERS:
        return Finding("other-programs", FINE, seen, figures=figures)
    cost = f"about {waiting:.2f}x on one core; more for what uses all of them"
    fix = "let them rest: ps -eo pcpu,pid,args --sort=-pcpu | head"
    return Finding("other-programs", COSTS, seen, cost, fix, waiting, figures)


def affinity(look: Look) -> Finding:
    """Fewer cores than there are is no noise; but what uses all of them uses these."""
    there = numbers(look.files.text(f"{CPUS}/online"))
    if not look.cores or not there:
        return Finding("affinity", UNKNOWN, NOT_READABLE)
    if len(look.cores) >= len(there):
        return Finding("affinity", FINE, f"this process may use all {len(there)} cores")
    names = ", ".join(f"cpu{core}" for core in look.cores[:8])
    more = ", ..." if len(look.cores) > 8 else ""
    seen = f"this process may use {len(look.cores)} of {len(there)} cores: {names}{more}"
    fix = f"for all of them: taskset -c {min(there)}-{max(there)} ..., where cpuset lets you"
    return Finding("affinity", NOTE, seen, fix=fix)


def cgroup_quota(look: Look) -> Finding:
    """A container's share of the cores: once it is used up, everything in it stands still until the
    next period, of a tenth of a second or so."""
    quotas = [q for folder in groups(look.files, "cpu") if (q := _quota(look, folder)) is not None]
    cores, stops = len(look.cores) or 1, (look.before.stopped, look.after.stopped)
    if not quotas:
        return Finding("cgroup-quota", UNKNOWN, NOT_READABLE)
    quota = min(quotas)
    if quota >= cores:
        return Finding("cgroup-quota", FINE, "all of the cores' time")
    seen = f"{quota:g} cores' time, on {cores}"
    if None not in stops and (stopped := (stops[1] or 0) - (stops[0] or 0)):
        seen += f"; stopped {stopped} times while we looked"
    cost = f"about {cores / quota:.2f}x on all cores"
    if quota < 1:
        cost += f", {1 / quota:.2f}x on one"
    fix = f"a larger quota (docker run --cpus {cores}), or no more cores than it: taskset"
    return Finding("cgroup-quota", COSTS, seen, cost, fix, cores / quota, {"quota": quota})


def _quota(look: Look, folder: str) -> float | None:
    """In cores; infinite without a limit, None where the group does not say."""
    limit = (look.files.text(f"{folder}/cpu.max") or "").split()  # version 2: "150000 100000"
    if not limit:
        files = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        limit = [str(n) for f in files if (n := look.files.number(f"{folder}/{f}")) is not None]
    if len(limit) != 2:
        return None
    quota, period = limit
    if not (quota.isdecimal() and period.isdecimal() and int(quota) and int(period)):
        return float("inf")  # "max", and -1
    return int(quota) / int(period)
