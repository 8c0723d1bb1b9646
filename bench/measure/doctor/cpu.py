"""Checks of the processor: its clock, hardware threads and heat, and whether it is a whole one.

Where the same was measured and is said by the system, the measurement decides.
"""

from __future__ import annotations

from bench.measure.doctor.look import CPUS, NOT_READABLE, Files, Look, numbers, siblings
from bench.measure.doctor.noise import PAUSE_SECONDS
from bench.saved.doctor import COSTS, FINE, NOTE, UNKNOWN, Finding

ALTERNATE = "compare only in alternation: python -m bench gate run --base REF"
# A loop that has slept takes up to 1.2x at first on a virtual machine without any scaling.
_AFTER_PAUSE = 1.3
_CLOCK_FALLS = 1.03  # the same clock, measured both ways, agrees within 0.5 %
_SHARED = 1.15
# What a busy neighbour on the sibling hardware thread costs at least: timing/minimum.py.
_SIBLING = 1.6
_HYPERVISORS = (
    "kvm", "qemu", "bochs", "vmware", "virtualbox", "virtual machine", "xen", "hvm domu",
    "amazon ec2", "google compute engine", "openstack", "parallels", "firecracker",
)  # fmt: skip
_BUSY = "others were so busy meanwhile that it may be they"
# Where the system says whether the clock may rise above its nominal one: on, off.
_TURBO = (
    (f"{CPUS}/intel_pstate/no_turbo", "0", "1"),
    (f"{CPUS}/cpufreq/boost", "1", "0"),
)


def frequency_scaling(look: Look) -> Finding:
    """A governor that lowers the clock of an idle core: the first calls after a pause are slow."""
    governors = sorted(set(look.files.texts(f"{CPUS}/cpu[0-9]*/cpufreq/scaling_governor")))
    drivers = sorted(set(look.files.texts(f"{CPUS}/cpu[0-9]*/cpufreq/scaling_driver")))
    factor = look.noise.after_pause
    said = ", ".join(governors + drivers) or NOT_READABLE
    seen = (
        f"governor {said}; after a pause of {1e3 * PAUSE_SECONDS:.0f} ms the loop takes "
        f"{factor:.2f}x at first"
    )
    if not governors and factor > _AFTER_PAUSE:  # a cold cache or a late wake-up looks the same
        return Finding(
            "frequency-scaling", NOTE, f"{seen}, and nothing says why", figures={"factor": factor}
        )
    return _measured(
        look,
        "frequency-scaling",
        seen,
        f"about {factor:.1f}x right after a pause, until the clock has risen again",
        "cpupower frequency-set -g performance, as root",
        (factor, _AFTER_PAUSE),
    )


def turbo(look: Look) -> Finding:
    """A clock that depends on how many cores work: measured, or what the system says of it."""
    path, on, off = next((row for row in _TURBO if look.files.text(row[0])), ("", "", ""))
    state = look.files.text(path) if path else None
    said = {None: f"turbo {NOT_READABLE}", on: "turbo is on"}.get(state, "turbo is off")
    fix = f"echo {off} > /{path}, as root" if path else ALTERNATE
    factor = look.noise.all_cores
    if factor is not None:
        seen = f"{said}; an addition takes {factor:.2f}x when all {len(look.cores)} cores work"
        cost = f"about {factor:.2f}x, as the clock falls while other cores work"
        return _measured(look, "turbo", seen, cost, fix, (factor, _CLOCK_FALLS))
    if state is None or state != on:
        return Finding("turbo", UNKNOWN if state is None else FINE, said)
    base, most = (
        look.files.number(f"{CPUS}/cpu0/cpufreq/{name}")
        for name in ("base_frequency", "cpuinfo_max_freq")
    )
    if not base or not most or most <= base:
        cost = "the clock depends on heat and on other cores; by how much was not measured here"
        return Finding("turbo", COSTS, said, cost, fix)
    cost = f"up to {most / base:.1f}x (the kernel's cpuinfo_max_freq over base_frequency)"
    seen = f"{said}: {base / 1e6:.1f} GHz, and {most / 1e6:.1f} for a while"
    return Finding("turbo", COSTS, seen, cost, fix, most / base)


def smt(look: Look) -> Finding:
    """Hardware threads that share a core; in a virtual machine two of its cores may, unsaid."""
    pair, threads = look.noise.pair, siblings(look.files, look.cores)
    off = look.files.text(f"{CPUS}/smt/active") == "0"
    said = "the kernel knows of no hardware threads" if off else f"hardware threads {NOT_READABLE}"
    fix = f"keep the others idle: taskset -c {look.cores[0] if look.cores else 0} ..."
    if threads:
        said = f"cpu{threads[0]} and cpu{threads[1]} are hardware threads of one core"
        one_each = ",".join(map(str, _one_thread_a_core(look)))
        fix = f"take one thread of each core: taskset -c {one_each} ..."
    if pair is not None:
        seen = f"{said}; arithmetic on two neighbouring cores at once takes {pair:.2f}x"
        cost = f"about {pair:.1f}x while the neighbour works"
        return _measured(look, "smt", seen, cost, fix, (pair, _SHARED))
    if threads:
        cost = f"{_SIBLING}x and more while the other works (bench/measure/timing/minimum.py)"
        return Finding("smt", COSTS, said, cost, fix, _SIBLING)
    return Finding("smt", FINE if off or _one_thread_a_core(look) else UNKNOWN, said)


def _measured(
    look: Look, name: str, seen: str, cost: str, fix: str, factor_and_most: tuple[float, float]
) -> Finding:
    """Fine up to `most`; beyond it costs something, unless others may have been the reason."""
    factor, most = factor_and_most
    figures = {"factor": factor}
    if factor <= most:
        return Finding(name, FINE, seen, figures=figures)
    if look.busy:
        return Finding(name, UNKNOWN, f"{seen}; {_BUSY}", figures=figures)
    return Finding(name, COSTS, seen, cost, fix, factor, figures)


def _one_thread_a_core(look: Look) -> list[int]:
    """The first of each core's threads that may be used; empty where the system does not say."""
    found: dict[str, int] = {}
    for core in look.cores:
        threads = look.files.text(f"{CPUS}/cpu{core}/topology/thread_siblings_list")
        if threads and numbers(threads):
            found.setdefault(threads, core)
    return list(found.values())


def thermal_throttling(look: Look) -> Finding:
    before, after = look.before.throttled, look.after.throttled
    if before is None or after is None:
        return Finding("thermal-throttling", UNKNOWN, f"counters {NOT_READABLE}")
    fix = "let it cool, clear its fans, or limit the clock: cpupower frequency-set -u 2GHz, as root"
    if after > before:
        seen = f"{after - before} times in the moment that we looked, as a core was too hot"
        cost = "the clock falls while it is hot; spread has how much that was"
        return Finding("thermal-throttling", COSTS, seen, cost, fix)
    if after:
        seen = f"{after} times since the system started, none of them while we looked"
        return Finding("thermal-throttling", NOTE, seen, fix=fix)
    return Finding("thermal-throttling", FINE, "never since the system started")


def virtualisation(look: Look) -> Finding:
    """Itself it costs nothing that other checks do not measure."""
    machine = _virtual_machine(look.files)
    if machine is None:
        return Finding("virtualisation", UNKNOWN, NOT_READABLE)
    if not machine:
        return Finding("virtualisation", FINE, "no virtual machine")
    seen = f"{machine}: clock, caches and hardware threads may be shared with strangers, unsaid"
    return Finding("virtualisation", NOTE, seen, fix=ALTERNATE)


def _virtual_machine(files: Files) -> str | None:
    """What kind it is; empty for a whole machine, None where nothing tells. x86 CPUs have a flag
    for it; the names in the firmware's tables help where they can be read."""
    names = [files.text(f"sys/class/dmi/id/{name}") for name in ("sys_vendor", "product_name")]
    name = " ".join(filter(None, [*names, files.text("sys/hypervisor/type")]))
    flags = files.fields("proc/cpuinfo").get("flags")
    if flags is not None:
        virtual = "hypervisor" in flags.split()
    elif name:
        virtual = any(known in name.lower() for known in _HYPERVISORS)
    else:
        return None
    return f"a virtual machine{f' ({name})' if name else ''}" if virtual else ""
