"""Checks of what lies around the cores: the clock that times, memory, disk, power."""

from __future__ import annotations

import re
import shutil
from time import get_clock_info

from bench.measure.doctor.look import NOT_READABLE, Look, groups
from bench.measure.machine.caches import read_caches
from bench.measure.timing.rounds import ROUND_SECONDS
from bench.saved.doctor import COSTS, FINE, NOTE, UNKNOWN, Finding
from bench.suite import registry

# A round may be off by a step of the clock and a call of it; beyond this share of one it is a cost.
_OF_A_ROUND = 0.01
# Python's lists have 32 bytes for each float32 element of a call, a pointer and an object
# (docs/measuring.md), beside the four of the native buffers.
_LIST_OVER_BUFFER = 8
# The reference run took 1.1 million rounds, which --benchmark-json writes in some 45 bytes each.
_RUN_BYTES = 50e6


def timer(look: Look) -> Finding:
    step, call = look.noise.clock_step, look.noise.clock_call
    source = look.files.text("sys/devices/system/clocksource/clocksource0/current_clocksource")
    seen = (
        f"time.perf_counter ({source or get_clock_info('perf_counter').implementation}) steps by "
        f"{step * 1e9:.0f} ns at least, a call takes {call * 1e9:.0f} ns"
    )
    figures = {"step": step, "call": call}
    share = (step + call) / ROUND_SECONDS
    if share <= _OF_A_ROUND:
        return Finding("timer", FINE, seen, figures=figures)
    cost = f"a round of {ROUND_SECONDS * 1e3:g} ms is off by up to {share:.1%}"
    fix = (
        "boot with clocksource=tsc where the CPU's counter is steady; a virtual machine's host too"
    )
    return Finding("timer", COSTS, seen, cost, fix, 1 + share, figures)


def huge_pages(look: Look) -> Finding:
    """Large buffers ask for them, so that a walk through memory is no walk through its tables."""
    text = look.files.text("sys/kernel/mm/transparent_hugepage/enabled") or ""
    chosen = re.search(r"\[(\w+)\]", text)
    if chosen is None:
        return Finding("huge-pages", UNKNOWN, NOT_READABLE)
    if chosen[1] != "never":
        return Finding("huge-pages", FINE, f"transparent huge pages: {chosen[1]}")
    cost = "sizes beyond the caches also wait for page tables; by how much was not measured here"
    fix = "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled, as root"
    return Finding("huge-pages", COSTS, "transparent huge pages: never", cost, fix)


def memory(look: Look) -> Finding:
    """Free memory against what the largest case of a default run takes."""
    free = [look.files.nbytes("proc/meminfo", "MemAvailable")]
    for folder in groups(look.files, "memory"):
        files = ("memory.max", "memory.limit_in_bytes")
        free += [look.files.number(f"{folder}/{file}") for file in files]
    known = [nbytes for nbytes in free if nbytes is not None]
    if not known:
        return Finding("memory", UNKNOWN, NOT_READABLE)
    needs, name = largest_case()
    seen = f"{min(known) / 2**30:.1f} GiB free; the largest case, {name}, takes {needs / 2**30:.1f}"
    if min(known) >= needs:
        return Finding("memory", FINE, seen)
    cost = "that case fails for want of memory, or waits for the disk"
    return Finding("memory", COSTS, seen, cost, "end other programs, or leave it out: --quick")


def largest_case() -> tuple[int, str]:
    """Bytes that it takes, of Python's lists, native buffers and the array that stands for main
    memory; and which it is."""
    cases = [
        (kernel.bytes(shape), f"{name} {kernel.size_name(shape)}")
        for name, kernel in registry.rows().items()
        for shape in kernel.shapes()
    ]
    nbytes, name = max(cases)
    return nbytes * (1 + _LIST_OVER_BUFFER) + read_caches().working_set("DRAM"), name


def swap(look: Look) -> Finding:
    before, after = look.before.swapped, look.after.swapped
    total, free = (look.files.nbytes("proc/meminfo", f"Swap{what}") for what in ("Total", "Free"))
    if before is None or after is None or total is None or free is None:
        return Finding("swap", UNKNOWN, NOT_READABLE)
    fix = "end what needs the memory; swapoff -a, as root, brings everything back"
    if after > before:
        seen = f"{after - before} pages went to disk or came back while we looked"
        return Finding("swap", COSTS, seen, "what touches such a page waits for the disk", fix)
    if total > free:
        seen = f"{(total - free) / 2**30:.1f} GiB lie on disk; nothing moved while we looked"
        return Finding("swap", NOTE, seen, fix=fix)
    return Finding("swap", FINE, "nothing lies on disk")


def disk(look: Look) -> Finding:
    """Where runs are saved; a folder that is not there yet will be made in the nearest one."""
    storage = look.storage.absolute()
    folder = next((path for path in (storage, *storage.parents) if path.is_dir()), storage)
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return Finding("disk", UNKNOWN, NOT_READABLE)
    seen = f"{free / 2**30:.1f} GiB free where runs are saved, in {look.storage}"
    if free >= _RUN_BYTES:
        return Finding("disk", FINE, seen)
    cost = f"a run with all of its rounds takes some {_RUN_BYTES / 1e6:.0f} MB, and cannot be saved"
    return Finding("disk", COSTS, seen, cost, "make room, or choose another: --benchmark-storage")


def power(look: Look) -> Finding:
    """A battery that is used up slows the clock down, as a profile that saves power does."""
    folder = "sys/class/power_supply"
    kinds = look.files.paths(f"{folder}/*/type")
    batteries = [kind for kind in kinds if look.files.text(kind) == "Battery"]
    states = [look.files.text(f"{battery.removesuffix('type')}status") for battery in batteries]
    reasons = ["it runs on its battery"] if "Discharging" in states else []
    profile = look.files.text("sys/firmware/acpi/platform_profile")
    if profile in ("low-power", "quiet", "cool"):
        reasons.append(f"the platform's profile is {profile}")
    if reasons:
        cost = "the clock is kept low, and falls with the charge; by how much was not measured here"
        fix = "plug it in; powerprofilesctl set performance"
        return Finding("power", COSTS, "; ".join(reasons), cost, fix)
    if not look.files.paths(folder) or (kinds and not look.files.texts(f"{folder}/*/type")):
        return Finding("power", UNKNOWN, NOT_READABLE)
    return Finding("power", FINE, "no battery is used up" if batteries else "no battery")
