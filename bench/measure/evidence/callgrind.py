"""Runs a process under callgrind and reads what its calls of counting.counted() took.

    counts = count(["python", "script.py"], scratch)

Source: Valgrind User Manual, section 6, Callgrind.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import sub
from pathlib import Path

from bench.measure.evidence.counting import BEGIN, END, FAILED, LOG, PARENT, starts_late
from bench.measure.timing.child import communicate

_ALIASES = ("", "__")  # valgrind may know a function by the C library's own name for it
# What an allocator does depends on everything allocated before: whether a growing list is extended
# where it lies or copied made 5 % of a list comprehension, full and empty pools 1 % of a loop. So
# each call of one, and all that it calls, is charged what it takes at its best.
_ALLOCATOR = re.compile(
    r"(_?Py(Object|Mem)_(Raw)?(Malloc|Calloc|Realloc|Free)|(__libc_)?(malloc|calloc|realloc|c?free)"
    r"|_int_(malloc|realloc|free)\w*|sysmalloc\w*|malloc_consolidate|unlink_chunk\S*)"
    r"('\d+)?"  # callgrind's mark of recursion
)
_ALLOCATION = 20  # instructions

# The caches of --cache-sim, fixed so that misses do not depend on the machine: size, ways, line.
_CACHES = ("--I1=32768,8,64", "--D1=32768,8,64", "--LL=33554432,16,64")
# What a counted process sees of its surroundings.
_KEPT = ("PATH", "LD_LIBRARY_PATH", "HOME")
_ENVIRONMENT = {
    "LC_ALL": "C.UTF-8",
    "OMP_NUM_THREADS": "1",  # only the calling thread is counted
    "PYTHONHASHSEED": "0",  # the order of sets, and collisions in every dictionary
}


class CountingFailed(RuntimeError):
    """No counts: no valgrind, a crash, a profile that is missing or torn. One line says which."""


@dataclass(frozen=True)
class Counted:
    """One label: what one call of it took.

    instructions  instructions read (Ir) a call, the region's own subtracted
    d1_misses     of the first data cache, a call; None without the simulation
    """

    label: str
    instructions: float
    d1_misses: float | None = None


_running: set[subprocess.Popen[str]] = set()


def why_unavailable() -> str | None:
    """None where counting works, else the reason, with the command that helps."""
    if not sys.platform.startswith("linux"):
        return f"instructions are counted by valgrind on Linux, not on {sys.platform}"
    if shutil.which("valgrind") is None:
        return (
            "valgrind was not found; install it (Debian, Ubuntu: apt-get install valgrind; "
            "Fedora: dnf install valgrind)"
        )
    return None


def count(
    command: Sequence[str],
    scratch: Path,
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    cache: bool = False,
    accepted: Sequence[int] = (0,),
    seconds: float | None = None,
) -> list[Counted]:
    """Run the command under callgrind; what its calls of counted() took, in their order.

    scratch      a folder for the profile and the log, existing; both are removed
    cwd          where it runs; `scratch` unless given
    environment  on top of a fixed block; of this one's the process gets nothing else than where
                 programs and libraries are found
    cache        simulate caches too, at three times the time
    accepted     exit codes that are no failure
    seconds      after which it is ended

    Raises CountingFailed.
    """
    reason = why_unavailable()
    if reason:
        raise CountingFailed(reason)
    profile, log = scratch / "counted.profile", scratch / "counted.log"
    valgrind = [
        "valgrind", "--tool=callgrind", "--combine-dumps=yes", "--compress-strings=no",
        f"--callgrind-out-file={str(profile).replace('%', '%%')}.%p",
        *(f"--zero-before={alias}{BEGIN}" for alias in _ALIASES),
        *(f"--dump-before={alias}{END}" for alias in _ALIASES),
        f"--instr-atstart={'no' if starts_late() else 'yes'}",
        "--dump-line=no", "--dump-instr=no", "--vgdb=no",
        f"--cache-sim={'yes' if cache else 'no'}", *(_CACHES if cache else ()),
    ]  # fmt: skip
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    process = subprocess.Popen(
        [*_unrandomised(), *valgrind, *command],
        cwd=cwd or scratch,
        env={**kept, **_ENVIRONMENT, **(environment or {}), **_told(log)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    _running.add(process)
    try:
        _, stderr = communicate(process, seconds)
        if process.returncode not in accepted:
            raise CountingFailed(_why_it_died(process.returncode, stderr))
        # setarch and valgrind's launcher become the process, whose number is therefore known. What
        # it forks writes files of its own, which are not read.
        return _read(Path(f"{profile}.{process.pid}"), log)
    except subprocess.TimeoutExpired:
        what = " ".join(map(str, command[:3]))
        raise CountingFailed(f"{what}: not done after {seconds:g} s") from None
    finally:
        _running.discard(process)
        if process.poll() is None:
            process.kill()
            process.wait()
        for left in scratch.glob("counted.*"):
            left.unlink()


def _told(log: Path) -> dict[str, str]:
    return {LOG: str(log), PARENT: str(os.getpid())}


def stop() -> None:
    """End what other threads count: an interruption reaches the main thread only."""
    for process in list(_running):
        process.kill()


def _unrandomised() -> list[str]:
    """The prefix that turns address randomisation off; none where that is forbidden, as it is in
    many containers. valgrind places nearly everything itself, so little depends on it."""
    setarch = shutil.which("setarch")
    if setarch is None:
        return []
    works = subprocess.run([setarch, "-R", "true"], capture_output=True, check=False)
    return [setarch, "-R"] if works.returncode == 0 else []


def _why_it_died(returncode: int, stderr: str) -> str:
    what = f"exit code {returncode}"
    if returncode < 0:
        what = signal.Signals(-returncode).name
    # What valgrind cannot do, or else the last that the process says itself: "==123== ..." are
    # valgrind's remarks.
    failed = re.search(r"unhandled instruction.*|valgrind: .*(?:fatal|failed|error).*", stderr)
    own = [line.strip() for line in stderr.splitlines() if not line.startswith("==")]
    reason = failed.group(0) if failed else next(filter(None, reversed(own)), "")
    return f"the counted process ended with {what}" + (f": {reason}" if reason else "")


def _read(profile: Path, log: Path) -> list[Counted]:
    """Counts from a profile's parts, one for a region, and the log, a line for each counted()."""
    if not profile.is_file():
        raise CountingFailed("callgrind wrote no profile")
    lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
    try:
        parts = [_without_allocators(part) for part in _parts(profile)]
        entries = list(map(json.loads, lines))
    except ValueError as error:
        raise CountingFailed(f"what was counted is malformed: {error}") from None
    counted = sum(regions for _, _, regions in entries)
    if len(parts) != counted:
        raise CountingFailed(
            f"{counted} regions were counted and the profile has {len(parts)}: "
            "does counted code itself call os.sched_get_priority_max?"
        )
    found, rest = [], iter(parts)
    for label, calls, regions in entries:
        own = list(islice(rest, regions))
        if calls != FAILED:
            found.append(_counted(label, calls, own[1:]))  # without the first: see counting.py
    return found


def _counted(label: str, calls: int, parts: Sequence[Mapping[str, int]]) -> Counted:
    """From regions of one call and regions of 1 + calls, alternating."""

    def a_call(*events: str) -> float:
        one, more = (min(sum(p[e] for e in events) for p in parts[i::2]) for i in (0, 1))
        return max(0.0, (more - one) / calls)

    misses = a_call("D1mr", "D1mw") if "D1mr" in parts[0] else None
    return Counted(label, a_call("Ir"), misses)


def _parts(profile: Path) -> Iterator[list[str]]:
    """The lines of every part that the end of a region wrote."""
    part: list[str] | None = None
    with profile.open(encoding="utf-8", errors="replace") as lines:
        for line in map(str.rstrip, lines):
            if line.startswith("desc: Trigger:"):
                part = [] if "--dump-before=" in line else None
            elif part is not None:
                part.append(line)
                if line.startswith("totals:"):
                    yield part
                    part = None
    if part is not None:
        raise CountingFailed("callgrind's profile ends in the middle of a part")


def _without_allocators(part: Sequence[str]) -> dict[str, int]:
    """The part's totals by event, with every call from elsewhere into an allocator at its flat
    price. Raises ValueError.

    The format: "fn=name" begins a function, "cfn=name" and "calls=3 0" a call of another, whose
    cost is in the line that follows. Source: Valgrind User Manual, Callgrind Format Specification.
    """
    events = [name for line in part if line.startswith("events:") for name in line.split()[1:]]
    sums = _costs(part[-1], len(events))
    inside = callee_inside = False
    calls: int | None = None
    for line in part:
        if line.startswith("fn="):
            inside = _ALLOCATOR.fullmatch(line[3:]) is not None
        elif line.startswith("cfn="):
            callee_inside = _ALLOCATOR.fullmatch(line[4:]) is not None
        elif line.startswith("calls="):
            calls = int(line[6:].split()[0])
        elif calls is not None:
            if callee_inside and not inside:
                sums = list(map(sub, sums, _costs(line, len(events))))
                sums[0] += calls * _ALLOCATION
            calls = None
    if sums[0] <= 0:
        raise ValueError(f"{part[-1]!r} is less than allocators take")
    return dict(zip(events, sums, strict=True))


def _costs(line: str, length: int) -> list[int]:
    """Those after its first word; zeros at the end are left out in the profile. Raises
    ValueError."""
    numbers = line.split()[1:]
    if not 0 < len(numbers) <= length:
        raise ValueError(f"{line!r} has {len(numbers)} costs, needs 1 to {length}")
    return [*map(int, numbers), *[0] * (length - len(numbers))]
