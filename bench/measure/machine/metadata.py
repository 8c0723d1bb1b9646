"""What the figures were measured on and with: what goes into a saved run's machine_info."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

import kernels_c
from bench.measure.machine import interpreter
from bench.measure.machine.caches import read_caches
from bench.saved.schema import MARK
from bench.suite import ladder, registry


def tiers() -> dict[str, dict[str, Any]]:
    """For each tier why it is unavailable, or what it was built from and with."""
    metadata: dict[str, dict[str, Any]] = {}
    for name in kernels_c.TIERS:
        reason = kernels_c.why_unavailable(name)
        if reason is not None:
            metadata[name] = {"unavailable": reason}
            continue
        info = kernels_c.load_tier(name).build_info()
        metadata[name] = {what: info[what] for what in ("compiler", "flags", "key")}
    return metadata


def complete(machine_info: dict[str, Any]) -> None:
    """Add what pytest-benchmark does not know, remove what would differ at every run."""
    machine_info.pop("node", None)  # the host's name is nobody's business
    cpu = machine_info.get("cpu", {})
    for name in [name for name in cpu if name.startswith("hz_")]:  # the clock of the moment
        del cpu[name]
    machine_info.update(MARK)
    machine_info["tiers"] = tiers()
    machine_info["ladders"] = {
        name: [asdict(rung) for rung in ladder.ladder(kernel)]
        for name, kernel in registry.rows().items()
    }
    # After the tiers: loading a module can bring the lock of a free-threaded interpreter back.
    machine_info["interpreter"] = interpreter.describe()
    machine_info["usable_cores"] = usable_cores()
    machine_info["omp_num_threads"] = os.environ.get("OMP_NUM_THREADS")
    machine_info["caches"] = read_caches().sizes
    machine_info["libc"] = " ".join(platform.libc_ver())


def cpu_name() -> str:
    """As Linux has it; "unknown" elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown"


def usable_cores() -> int:
    """Those that this process may run on; all of them where the system sets no limit."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
