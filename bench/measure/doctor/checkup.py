"""All checks, one after the other, and what they found as one checkup."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from time import perf_counter

from bench.measure.doctor import cpu, load, software, system
from bench.measure.doctor.look import Look, look
from bench.measure.doctor.noise import affinity_kept
from bench.measure.machine import metadata
from bench.saved.doctor import Checkup, Finding

CHECKS: tuple[Callable[[Look], Finding], ...] = (
    load.spread,
    load.other_programs,
    load.steal,
    load.cgroup_quota,
    load.affinity,
    cpu.frequency_scaling,
    cpu.turbo,
    cpu.smt,
    cpu.thermal_throttling,
    cpu.virtualisation,
    system.timer,
    system.huge_pages,
    system.memory,
    system.swap,
    system.disk,
    system.power,
    software.environment,
    software.interpreter,
    software.tiers,
    software.evidence_tools,
)
# How long the loop runs: before a run, which nobody wants to wait for, and by itself.
BEFORE_A_RUN, ALONE = 0.3, 1.0
STORAGE = Path(".benchmarks")


def take(seconds: float = ALONE, storage: Path = STORAGE) -> Checkup:
    """Look at this machine: so long for the loop, and some 0.6 s. Leaves nothing behind; not even
    a thread that is bound to a core, which loading a tier may bring about."""
    start = perf_counter()
    with affinity_kept():
        seen = look(seconds, storage)
        findings = tuple(_rounded(check(seen)) for check in CHECKS)
    when = datetime.now(timezone.utc).replace(microsecond=0)
    return Checkup(findings, perf_counter() - start, metadata.cpu_name(), when)


def _rounded(finding: Finding) -> Finding:
    """To four digits: more of them a repetition would not have."""
    figures = {name: float(f"{value:.4g}") for name, value in finding.figures.items()}
    factor = None if finding.factor is None else float(f"{finding.factor:.4g}")
    return replace(finding, figures=figures, factor=factor)
