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
from operator import sub
from pathlib import Path

from bench.measure.evidence.counting import BEGIN, END, FAILED, LOG, PAIRS

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


class CountingFailed(RuntimeError):
    """No counts: no valgrind, a crash, a profile that is missing or torn. One line says which."""


@dataclass(frozen=True)
class Counted:
    """One label: what one call of it took.

    instructions  instructions read (Ir) a call, the region's own subtracted
    d1_misses, ll_misses    of data, and of the last level, a call; None without the simulation
    """

    label: str
    instructions: float
    d1_misses: float | None = None
    ll_misses: float | None = None


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
    environment  on top of a fixed block; the process gets nothing else of this one's
    cache        simulate caches too, at three times the time
    accepted     exit codes that are no failure
    seconds      after which it is ended

    Raises CountingFailed.
    """
    reason = why_unavailable()
    if reason:
        raise CountingFailed(reason)
    profile, log, messages = (scratch / f"counted.{n}" for n in ("profile", "log", "valgrind"))
    for stale in scratch.glob("counted.*"):
        stale.unlink()
    literal = {path: str(path).replace("%", "%%") for path in (profile, messages)}
    valgrind = [
        "valgrind", "--tool=callgrind", f"--log-file={literal[messages]}.%p",
        "--combine-dumps=yes", f"--callgrind-out-file={literal[profile]}.%p",
        *(f"--zero-before={alias}{BEGIN}" for alias in _ALIASES),
        *(f"--dump-before={alias}{END}" for alias in _ALIASES),
        "--dump-line=no", "--dump-instr=no", "--vgdb=no",
        f"--cache-sim={'yes' if cache else 'no'}", *(_CACHES if cache else ()),
    ]  # fmt: skip
    process = subprocess.Popen(
        [*_unrandomised(), *valgrind, *command],
        cwd=cwd or scratch,
        env={**fixed_environment(), **(environment or {}), LOG: str(log)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    _running.add(process)
    try:
        _, stderr = process.communicate(timeout=seconds)
        said = Path(f"{messages}.{process.pid}")
        if process.returncode not in accepted:
            raise CountingFailed(_why_it_died(process.returncode, stderr, said))
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


def stop() -> None:
    """End what other threads count: an interruption reaches the main thread only."""
    for process in list(_running):
        process.kill()


def fixed_environment() -> dict[str, str]:
    """What a counted process sees of its surroundings. Of this one's: where programs and libraries
    are found, nothing else."""
    kept = {n: os.environ[n] for n in ("PATH", "LD_LIBRARY_PATH", "HOME") if n in os.environ}
    return {
        **kept,
        "LC_ALL": "C.UTF-8",
        "OMP_NUM_THREADS": "1",  # only the calling thread is counted
        "PYTHONHASHSEED": "0",  # the order of sets, and collisions in every dictionary
    }


def _unrandomised() -> list[str]:
    """The prefix that turns address randomisation off; none where that is forbidden, as it is in
    many containers. valgrind places nearly everything itself, so little depends on it."""
    setarch = shutil.which("setarch")
    if setarch is None:
        return []
    works = subprocess.run([setarch, "-R", "true"], capture_output=True, check=False)
    return [setarch, "-R"] if works.returncode == 0 else []


def _why_it_died(returncode: int, stderr: str, said: Path) -> str:
    what = f"exit code {returncode}"
    if returncode < 0:
        what = signal.Signals(-returncode).name
    # An instruction that valgrind does not know is in its log; the rest the process says itself.
    log = said.read_text(encoding="utf-8", errors="replace") if said.is_file() else ""
    unknown = re.search(r"unhandled instruction.*|valgrind: .*(?:fatal|failed|error).*", log)
    lines = stderr.strip().splitlines()
    reason = unknown.group(0) if unknown else lines[-1].strip() if lines else ""
    return f"the counted process ended with {what}" + (f": {reason}" if reason else "")


def _read(profile: Path, log: Path) -> list[Counted]:
    """Counts from a profile's parts and the log's lines, one of each for a region."""
    if not profile.is_file():
        raise CountingFailed("callgrind wrote no profile")
    parts = list(_parts(profile))
    try:
        lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
        regions = [(str(label), int(calls)) for label, calls in map(json.loads, lines)]
    except ValueError:
        raise CountingFailed("the list of counted regions is torn") from None
    if len(parts) != len(regions):
        raise CountingFailed(
            f"{len(regions)} regions were counted and the profile has {len(parts)}: "
            "does counted code itself call os.sched_get_priority_max?"
        )
    found = []
    first, group = 0, 1 + 2 * PAIRS
    while first < len(parts):
        label = regions[first][0]
        calls = [calls for _, calls in regions[first : first + group]]
        if FAILED in calls:  # its last region is the one that raised
            first += calls.index(FAILED) + 1
            continue
        if calls != [1, *[1, calls[-1]] * PAIRS]:
            raise CountingFailed("the list of counted regions is torn")
        # Without the first: see counting.py.
        found.append(_counted(label, calls[-1] - 1, parts[first + 1 : first + group]))
        first += group
    return found


def _counted(label: str, calls: int, parts: Sequence[Mapping[str, int]]) -> Counted:
    """From regions of one call and regions of 1 + calls, alternating."""

    def a_call(*events: str) -> float:
        one, more = (min(sum(p[e] for e in events) for p in parts[i::2]) for i in (0, 1))
        return max(0.0, (more - one) / calls)

    if "D1mr" not in parts[0]:
        return Counted(label, a_call("Ir"))
    d1, ll = a_call("D1mr", "D1mw"), a_call("ILmr", "DLmr", "DLmw")
    return Counted(label, a_call("Ir"), d1, ll)


def _parts(profile: Path) -> Iterator[dict[str, int]]:
    """What every part that the end of a region wrote adds up to, by event."""
    part: list[str] | None = None
    with profile.open(encoding="utf-8", errors="replace") as lines:
        names: dict[str, str] = {}  # valid in all parts
        events: list[str] = []
        for line in map(str.rstrip, lines):
            if line.startswith("desc: Trigger:"):
                part = [] if "--dump-before=" in line else None
            elif line.startswith("events:"):
                events = line.split()[1:]
            elif part is not None and line.startswith("totals:"):
                try:
                    yield _without_allocators(part, line, events, names)
                except ValueError:
                    raise CountingFailed(
                        f"callgrind's profile is malformed near {line!r}"
                    ) from None
                part = None
            elif part is not None:
                part.append(line)
            elif line.startswith(("fn=", "cfn=")):
                _name(line, names)
    if part is not None:
        raise CountingFailed("callgrind's profile ends in the middle of a part")


def _without_allocators(
    part: Sequence[str], totals: str, events: Sequence[str], names: dict[str, str]
) -> dict[str, int]:
    """The part's totals, with every call from elsewhere into an allocator at its flat price.

    The format: "fn=(1) name" begins a function, "cfn=(2) name" and "calls=3 0" a call of another,
    whose cost is in the line that follows; trailing zeros of a line of costs are left out.
    Source: Valgrind User Manual, Callgrind Format Specification.
    """
    sums = _costs(totals.split()[1:], len(events))
    inside = callee_inside = False
    calls: int | None = None
    for line in part:
        if line.startswith("fn="):
            inside = _ALLOCATOR.fullmatch(_name(line, names)) is not None
        elif line.startswith("cfn="):
            callee_inside = _ALLOCATOR.fullmatch(_name(line, names)) is not None
        elif line.startswith("calls="):
            calls = int(line[6:].split()[0])
        elif calls is not None:
            if callee_inside and not inside:
                sums = list(map(sub, sums, _costs(line.split()[1:], len(events))))
                sums[0] += calls * _ALLOCATION
            calls = None
    if sums[0] <= 0:
        raise ValueError
    return dict(zip(events, sums, strict=True))


def _costs(numbers: Sequence[str], length: int) -> list[int]:
    """Raises ValueError."""
    if not 0 < len(numbers) <= length:
        raise ValueError
    return [*map(int, numbers), *[0] * (length - len(numbers))]


def _name(line: str, names: dict[str, str]) -> str:
    """A function's name: after its number where it is met first, by its number from then on."""
    number, _, name = line.partition("=")[2].partition(" ")
    if name:
        names[number] = name
    return names.get(number, number)
