"""`python -m bench peers`: native against every library, cell by cell, in alternating rounds."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import kernels_c
from bench.measure import peers
from bench.measure.calls import call_of
from bench.measure.cases.case import Call
from bench.measure.cases.errors_in_ulp import WrongResult
from bench.measure.comparison import sizes as cells
from bench.measure.machine import metadata
from bench.measure.peers.adapter import PeerUnavailable
from bench.measure.timing.paired import Pairing, Timed, alternate
from bench.measure.timing.quiet import wait_until_quiet
from bench.saved.peers import FORMAT, VERSION
from bench.stats.rank import FEWEST, estimate
from bench.suite import registry

# Pairs of rounds that every library gets, whatever they cost; of calls this slow, fewer.
_LEAST_PAIRS = 15
_SLOW_SECONDS = 0.25
# On several threads pairs are dear and of five rounds each.
_SETTLED_PAIRS, _SETTLED_ROUNDS = 7, 5
# Set, each pins a library to what an older or smaller CPU would get.
_HOLDING_BACK = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "MKL_ENABLE_INSTRUCTIONS")


@dataclass(frozen=True)
class Plan:
    """One cell: a kernel at a size, on so many threads, by one tier."""

    kernel: str
    size: str
    threads: int
    tier: str

    @property
    def name(self) -> str:
        return f"{self.kernel} {self.size}"


def plans(
    kernels: Sequence[str],
    sizes: Sequence[str],
    threads: Sequence[int],
    tier: str | None,
    quick: bool,
) -> list[Plan]:
    """Every cell that was asked for, one thread first; empty sequences and None ask for the
    default. Raises ValueError for what does not exist, kernels_c.TierUnavailable."""
    cores = metadata.usable_cores()
    if not threads:
        threads = [n for n in (1, 2) if n <= cores]
        if tier is not None:
            threads = threads[-1:] if tier in registry.ON_SEVERAL_THREADS else threads[:1]
    for n in threads:
        if not 1 <= n <= cores:
            raise ValueError(f"--threads: got {n}, this process may use 1 to {cores}")
    rows = [registry.kernel(name).name for name in kernels] or list(registry.KERNELS)
    wanted = []
    for n, kernel in itertools.product(dict.fromkeys(threads), dict.fromkeys(rows)):
        native = _tier(n, tier)
        listed = cells.sizes(kernel, quick)
        if not listed and kernels:
            raise ValueError(f"--kernel: no library has {kernel}")
        # Of one kernel any size can be asked for. Of several, each takes those that it lists: a
        # million is a length to one and a cube to another.
        if sizes and len(kernels) == 1:
            listed = [cells.checked(kernel, size) for size in sizes]
        elif sizes:
            listed = [size for size in cells.sizes(kernel, False) if size in sizes]
        wanted += [Plan(kernel, size, n, native) for size in listed]
    if not wanted:
        raise ValueError(f"--size: no kernel lists {' or '.join(sizes)}; name one with --kernel")
    return wanted


def _tier(threads: int, asked_for: str | None) -> str:
    """The tier to run on so many threads."""
    if asked_for is not None:
        if threads > 1 and asked_for not in registry.ON_SEVERAL_THREADS:
            raise ValueError(f"--tier: {asked_for} runs on one thread, got --threads {threads}")
        kernels_c.load_tier(asked_for)
        return asked_for
    able = registry.ON_ONE_THREAD if threads == 1 else registry.ON_SEVERAL_THREADS
    for tier in able:
        if kernels_c.why_unavailable(tier) is None:
            return tier
    raise kernels_c.TierUnavailable(kernels_c.why_unavailable(able[-1]))  # it asks for the least


def measure_all(wanted: Sequence[Plan], seconds: float) -> Iterator[dict[str, Any]]:
    """Each cell as it goes into the JSON. Raises WrongResult when a kernel of ours is wrong."""
    for plan in wanted:
        # Anew for each: ONNX Runtime and others may have loaded more in between.
        with peers.limited_threads(plan.threads, *registry.PEERS):
            yield measure(plan, seconds)


def measure(plan: Plan, seconds: float) -> dict[str, Any]:
    """One cell: everyone verified, then each library in alternation with the native tier."""
    from bench.measure.comparison.reference import Reference

    case = cells.make(plan.kernel, plan.size)
    reference = Reference(case)
    native = call_of(case, f"c-{plan.tier}")
    grade = reference.grade(f"{plan.name} {plan.tier}", native)
    if grade.inexact is not None:
        raise WrongResult(grade.inexact)
    libraries: dict[str, dict[str, Any]] = {}
    calls: dict[str, Call] = {}
    for name, has in registry.PEERS.items():
        if plan.kernel not in has or peers.why_unavailable(name) is not None:
            continue
        try:
            call = call_of(case, f"peer-{name}", plan.threads)
            theirs = reference.grade(f"{plan.name} {name}", call)
        except PeerUnavailable as reason:
            libraries[name] = {"unavailable": str(reason)}
        except Exception as error:  # whatever their code raises ends their cell, not ours
            libraries[name] = {"wrong": peers.reason_of(error, f"{plan.name} {name}")}
        else:
            calls[name] = call
            libraries[name] = {"max_error_ulp": theirs.max_error, "inexact": theirs.inexact}
    case.prepare(native)  # inputs as they were, where a call replaced them
    pairings = _alternated(native, calls, seconds, plan.threads)
    for name, pairing in pairings.items():
        libraries[name] |= {
            **asdict(estimate(pairing.ratios)),
            "pairs": len(pairing.ratios),
            "min_seconds": pairing.second_minimum,
        }
    own = min((p.first_minimum for p in pairings.values()), default=None)
    return {
        "kernel": plan.kernel,
        "size": plan.size,
        "shape": list(case.shape),
        "threads": plan.threads,
        "tier": plan.tier,
        "min_seconds": own,
        "max_error_ulp": grade.max_error,
        "error_unit": case.kernel.error_unit.value,
        "peers": libraries,
    }


def _alternated(
    native: Call, calls: dict[str, Call], seconds: float, threads: int
) -> dict[str, Pairing]:
    settle = wait_until_quiet if threads > 1 else None
    of = _SETTLED_ROUNDS if threads > 1 else 1
    own = Timed(native.function, native.args, settle, of=of)
    pairings = {
        name: Pairing(own, Timed(call.function, call.args, settle, of=of))
        for name, call in calls.items()
    }
    # Turn by turn over all of them; those with slow calls are done after fewer pairs.
    fast: list[Pairing] = []
    slow: list[Pairing] = []
    for pairing in pairings.values():
        pairing.take(0.0)
        (slow if pairing.second_minimum > _SLOW_SECONDS else fast).append(pairing)
    fewest = _SETTLED_PAIRS if threads > 1 else _LEAST_PAIRS
    for group, least in ((fast, fewest), (slow, FEWEST)):
        for _ in alternate(group, seconds, least):
            pass
    return pairings


def saved_content(measured: Sequence[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """The JSON of a comparison: what was measured, on what and with what."""
    from threadpoolctl import threadpool_info

    blas = [
        {**info, "filepath": Path(info["filepath"]).name}  # a name says enough, and nothing private
        for info in threadpool_info()
    ]
    return {
        "format": FORMAT,
        "version": VERSION,
        "datetime": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine_info": {
            "cpu": {"brand_raw": metadata.cpu_name()},
            "usable_cores": metadata.usable_cores(),
            "tiers": metadata.tiers(),
        },
        "libraries": peers.metadata(),
        "thread_pools": blas,
        "environment": {name: os.environ[name] for name in _HOLDING_BACK if name in os.environ},
        "warnings": warnings(blas),
        "seconds": seconds,
        "cells": list(measured),
    }


def warnings(thread_pools: Sequence[dict[str, Any]]) -> list[str]:
    """What keeps a library below its best here, one line each."""
    held = [name for name in _HOLDING_BACK if name in os.environ]
    lines = []
    if held:
        lines.append(
            f"libraries are held back by {' and '.join(held)} in the environment; unset it for "
            "their full speed"
        )
    for pool in thread_pools:
        if pool.get("internal_api") == "blis" and pool.get("architecture") == "generic":
            lines.append(
                f"blis {pool.get('version')} does not know this CPU and runs its generic kernels; "
                "BLIS_ARCH_TYPE chooses others (docs/measuring.md)"
            )
            break
    return lines
