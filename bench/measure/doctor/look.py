"""What the checks judge: what the system says in files, what was counted, and what was measured."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.measure.doctor.noise import Noise, measure
from bench.measure.machine.others import CoreTime, core_time, share_of_programs, share_stolen

MOST_OTHERS = 0.05  # of the cores' time, as in the comparisons with libraries
CPUS = "sys/devices/system/cpu"
NOT_READABLE = "not readable here"


@dataclass(frozen=True)
class Files:
    """The system's files below `root`; nothing here raises for one that is missing, not to be read
    or odd."""

    root: Path = Path("/")

    def text(self, path: str) -> str | None:
        try:
            return (self.root / path).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return None

    def number(self, path: str) -> int | None:
        return _whole(self.text(path))

    def paths(self, pattern: str) -> list[str]:
        try:
            return sorted(p.relative_to(self.root).as_posix() for p in self.root.glob(pattern))
        except OSError:
            return []

    def texts(self, pattern: str) -> list[str]:
        """Of every file that can be read and is not empty."""
        return [text for text in map(self.text, self.paths(pattern)) if text]

    def fields(self, path: str) -> dict[str, str]:
        """Of a file with a line for each, "name: value" or "name value"; empty without one."""
        lines = (self.text(path) or "").splitlines()
        parts = (re.split(r"\s*:\s*|\s+", line, maxsplit=1) for line in lines)
        return {part[0]: part[1].strip() for part in parts if len(part) == 2}

    def nbytes(self, path: str, name: str) -> int | None:
        """Of a field such as "MemTotal: 2048 kB"."""
        found = _whole(self.fields(path).get(name, "").removesuffix("kB").strip())
        return None if found is None else found * 1024


def _whole(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"-?\d{1,18}", text) else None


def numbers(text: str | None) -> list[int]:
    """Of a list of cores: "0-2,5" is 0, 1, 2, 5."""
    found: list[int] = []
    for first, last in re.findall(r"(\d{1,6})(?:-(\d{1,6}))?", text or ""):
        found += range(int(first), int(last or first) + 1)
    return found


@dataclass(frozen=True)
class Counters:
    """What the system counts: looked at before and after, it tells what went on in between. None:
    not counted here.

    throttled  how often a core was slowed down because it was hot
    swapped    pages written to disk for want of memory, and read back
    stopped    how often this process's group had used up its share of the cores
    """

    core_time: CoreTime | None = None
    throttled: int | None = None
    swapped: int | None = None
    stopped: int | None = None


def counters(files: Files) -> Counters:
    hot = files.texts(f"{CPUS}/cpu[0-9]*/thermal_throttle/*_throttle_count")
    pages = files.fields("proc/vmstat")
    swapped = [_whole(pages.get(name)) for name in ("pswpin", "pswpout")]
    stopped = [files.fields(f"{folder}/cpu.stat") for folder in groups(files, "cpu")]
    return Counters(
        core_time([], files.root / "proc"),
        sum(_whole(count) or 0 for count in hot) if hot else None,
        None if None in swapped else sum(count or 0 for count in swapped),
        max((n for s in stopped if (n := _whole(s.get("nr_throttled"))) is not None), default=None),
    )


def groups(files: Files, controller: str) -> list[str]:
    """The folders of the control groups that this process is in, as far as they have to do with
    "cpu" or "memory", the innermost first: of both versions, as some systems have both. A container
    sees its own at the root, whatever the group is called outside."""
    found = []
    for line in (files.text("proc/self/cgroup") or "").splitlines():
        number, controllers, path = [*line.split(":", 2), "", ""][:3]
        if number == "0" and not controllers:
            roots = ["sys/fs/cgroup", "sys/fs/cgroup/unified"]
        elif controller in controllers.split(","):
            roots = [f"sys/fs/cgroup/{controller}", f"sys/fs/cgroup/{controllers}"]
        else:
            continue
        parts = [part for part in path.split("/") if part not in ("", "..")]
        inside = ["/".join(parts[:n]) for n in range(len(parts), -1, -1)]
        found += [f"{root}/{inner}".rstrip("/") for root in roots for inner in inside]
    return list(dict.fromkeys(found))


@dataclass(frozen=True)
class Look:
    """All of it. `storage`: the folder in which runs are saved; `cores`: those that this process
    may use, none where the system does not say."""

    files: Files
    cores: Sequence[int]
    noise: Noise
    before: Counters = field(default_factory=Counters)
    after: Counters = field(default_factory=Counters)
    environment: Mapping[str, str] = field(default_factory=dict)
    storage: Path = Path(".benchmarks")

    @property
    def stolen(self) -> float | None:
        return share_stolen(self.before.core_time, self.after.core_time)

    @property
    def demanded(self) -> float | None:
        """The same of the time in which the cores had work."""
        before, after = self.before.core_time, self.after.core_time
        if self.stolen is None or before is None or after is None:
            return None
        return (after.stolen - before.stolen) / max(after.used - before.used, 1.0)

    @property
    def others(self) -> float | None:
        return share_of_programs(self.before.core_time, self.after.core_time)

    @property
    def busy(self) -> bool:
        """Whether others had so much of the cores that what is measured may be of their making."""
        others = (self.others or 0.0) + (self.stolen or 0.0)
        return max(others, self.noise.waiting - 1) > MOST_OTHERS


def look(seconds: float, storage: Path, files: Files | None = None) -> Look:
    """At this machine: measures for so long, and 0.5 s more."""
    files = files or Files()
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    before = counters(files)
    noise = measure(seconds, cores, siblings(files, cores) or cores[:2])
    return Look(files, cores, noise, before, counters(files), dict(os.environ), storage)


def siblings(files: Files, cores: Sequence[int]) -> list[int]:
    """Two of these cores that are hardware threads of one; none where there are no such, or the
    system does not say, as in many virtual machines."""
    for core in cores:
        threads = numbers(files.text(f"{CPUS}/cpu{core}/topology/thread_siblings_list"))
        ours = [thread for thread in threads if thread in cores]
        if len(ours) > 1:
            return ours[:2]
    return []
