"""What tools see of the code behind a run's benchmarks: extra_info.evidence of a saved run.

objdump says what the loops of a native kernel are made of (disassembly.py). callgrind counts the
instructions of a call, and the lines that a simulated first-level cache of 32 KiB had to fetch
(callgrind.py). Neither is a time, and neither depends on how busy the machine is.
"""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import bench
import kernels_c
from bench.measure.evidence import callgrind, objdump
from bench.measure.evidence.callgrind import Counted, CountingFailed
from bench.measure.evidence.counted_calls import count_in_child
from bench.measure.evidence.disassembly import Seen, look
from bench.measure.evidence.objdump import DisassemblyFailed
from bench.saved.schema import is_ours
from bench.suite import registry
from bench.suite.registry import Kernel, Signature

Case = tuple[str, str, str]  # kernel, variant, size
Row = dict[str, Any]  # see bench/saved/runs.py, Evidence

# The one size that stands for all of a kernel's: large enough that the data is more than 32 KiB, as
# it mostly is in a run, and small enough for valgrind, which takes 50 times as long. Of a product
# `b` is read again and again: 36 KiB of float32. As much of int8 would take it minutes.
_SIZE = "10000"
_PRODUCTS = {
    Signature.PRODUCT: {"python": "24", "native": "96"},
    Signature.PRODUCT_I8: {"python": "24", "native": "64"},
    Signature.QUANTIZED_PRODUCT: {"python": "24", "native": "64"},
    Signature.LINEAR: {"python": "24", "native": "96"},
    Signature.LINEAR_I8: {"python": "24", "native": "64"},
    Signature.ATTENTION: {"python": "24", "native": "96"},
}
# What a kernel of several functions calls, where that is not one function of its own name.
_CHAINS = {"quantized_matmul_f32": ("quantize_f32_i8", "matmul_i8_i32", "dequantize_i32_f32")}

_LINE = 64  # bytes
_ROOT = Path(bench.__file__).resolve().parent.parent


@dataclass
class Collected:
    """Evidence by case, and a sentence for everything that could not be looked at."""

    rows: dict[Case, Row] = field(default_factory=dict)
    unavailable: list[str] = field(default_factory=list)

    def lacks(self, reason: str) -> None:
        if reason not in self.unavailable:
            self.unavailable.append(reason)


def add_evidence(run: dict[str, Any], counting: bool, say: Callable[[str], None]) -> bool:
    """Put evidence into the extra_info of a run's benchmarks, as pytest-benchmark's JSON, and into
    machine_info.evidence_unavailable what is missing. Never fails: a run is worth more. Returns
    whether it was interrupted.

    counting   count instructions too, which takes a minute
    say        tells the user that it does
    """
    infos = [b["extra_info"] for b in run["benchmarks"] if is_ours(b.get("extra_info"))]
    cases = {(i["kernel"], i["variant"], i["size"]): i for i in infos if "kernel" in i}
    found, interrupted = Collected(), False
    try:
        found = collect(cases, counting, say)
        if counting:
            _count_operations({i["operation"]: i for i in infos if "operation" in i}, found)
    except KeyboardInterrupt:
        found.lacks("collecting evidence was interrupted")
        interrupted = True
    except Exception as error:  # whatever it was, the times stand
        found.lacks(f"collecting evidence failed: {error!r}")
    for case, row in found.rows.items():
        cases[case]["evidence"] = row
    if found.unavailable:
        run["machine_info"]["evidence_unavailable"] = found.unavailable
        if counting:
            for reason in found.unavailable:
                say(f"evidence: {reason}")
    return interrupted


def _count_operations(infos: dict[str, dict[str, Any]], found: Collected) -> None:
    """The instructions of Python's operations into their extra_info."""
    calls = {name: ("kernels_py.operations", "perform", [name]) for name in infos}
    try:
        for name, instructions in instructions_of_calls(calls).items():
            infos[name]["instructions"] = instructions
    except CountingFailed as reason:
        found.lacks(f"Python's operations were not counted: {reason}")


def collect(
    cases: Iterable[Case], counting: bool = True, say: Callable[[str], None] = print
) -> Collected:
    """Evidence of Python's and native cases; peers have none. With `counting` also instructions and
    bytes. What fails is said in Collected.unavailable and is None in the rows."""
    found = Collected()
    ours = [
        case
        for case in cases
        if case[0] in registry.KERNELS and registry.side_and_name(case[1])[0] != "peer"
    ]
    counts = _count({case[:2] for case in ours}, found, say) if counting else {}
    for name, variant, size in ours:
        kernel, native = registry.kernel(name), not variant.startswith("py-")
        seen = _seen(kernel, variant, found) if native else None
        counted = counts.get((name, variant))
        if counted is not None or seen is not None:
            found.rows[name, variant, size] = _row(kernel, variant, seen, counted)
    return found


def _row(kernel: Kernel, variant: str, seen: Seen | None, counted: Counted | None) -> Row:
    row: Row = {
        "instructions": None,
        "l1_bytes": None,
        "per": "multiply-add" if kernel.signature in _PRODUCTS else "element",
        "size": None,
        "vector_bits": seen.vector_bits if seen else None,
        "fma": seen.fma if seen else None,
        "math_calls": list(seen.math_calls) if seen else [],
    }
    if counted is not None:
        size = counted_size(kernel, variant)
        elements = math.prod(kernel.shape_named(size))  # or multiply-adds
        row["size"] = size
        row["instructions"] = counted.instructions / elements
        if counted.d1_misses is not None:
            row["l1_bytes"] = counted.d1_misses * _LINE / elements
    return row


def _seen(kernel: Kernel, variant: str, found: Collected) -> Seen | None:
    native = kernel.native(variant)
    try:
        reason = objdump.why_unavailable()
        if reason:
            raise DisassemblyFailed(reason)
        kernels_c.load_tier(native.tier)
        path = Path(str(sys.modules[f"kernels_c._{native.tier}"].__file__))
        return look(path, _CHAINS.get(native.function, (native.function,)))
    except (DisassemblyFailed, kernels_c.TierUnavailable, OSError) as failed:
        found.lacks(str(failed))
        return None


# --- Counting ------------------------------------------------------------------------------------


def counted_size(kernel: Kernel, variant: str) -> str:
    """The size at which a variant of the kernel is counted, whatever its own is."""
    side, _ = registry.side_and_name(variant)
    return _PRODUCTS[kernel.signature][side] if kernel.signature in _PRODUCTS else _SIZE


def _count(
    wanted: set[tuple[str, str]], found: Collected, say: Callable[[str], None]
) -> dict[tuple[str, str], Counted]:
    """By kernel and variant, whatever can be counted."""
    reason = callgrind.why_unavailable()
    if reason:
        found.lacks(reason)
        return {}
    sides: dict[str, list[list[str]]] = {"python": [], "native": []}
    for name, variant in sorted(wanted):
        kernel, (side, _) = registry.kernel(name), registry.side_and_name(variant)
        if side == "native":
            native = kernel.native(variant)
            if native.call_path is not None:
                continue  # the same kernel; what is different is Python's
            if native.tier in registry.ON_SEVERAL_THREADS:
                found.lacks(f"c-{native.tier} is not counted: it runs on several threads")
                continue
        sides[side].append(["case", name, variant, counted_size(kernel, variant)])
    say(f"counting instructions of {sum(map(len, sides.values()))} kernels; takes a minute or two")
    counts: dict[tuple[str, str], Counted] = {}
    with ThreadPoolExecutor(len(sides)) as pool:  # a process each: counts do not feel one another
        try:
            for counted in pool.map(partial(_count_cases, found), sides.values()):
                counts |= counted
        except BaseException:
            callgrind.stop()
            raise
    return counts


def _count_cases(found: Collected, items: Sequence[Any]) -> dict[tuple[str, str], Counted]:
    """In one process."""
    try:
        answers = _in_child(items, cache=True) if items else []
    except CountingFailed as failed:
        found.lacks(f"instructions could not be counted: {failed}")
        return {}
    counts = {}
    for (_, name, variant, _), answer in zip(items, answers, strict=True):
        if isinstance(answer, Counted):
            counts[name, variant] = answer
        else:
            found.lacks(f"{variant} is not counted under valgrind: {answer}")
    return counts


def instructions_of_calls(
    calls: Mapping[str, tuple[str, str, Sequence[Any]]],
) -> dict[str, float]:
    """The instructions that one call of each function takes once it is warm.

    calls   by any label: a module that can be imported from the project's folder, the name of a
            function in it, and its arguments, which JSON can hold

    Raises CountingFailed, also where there is no valgrind.
    """
    items = [["call", *call] for call in calls.values()]
    answers = _in_child(items, cache=False) if items else []
    found = {}
    for label, answer in zip(calls, answers, strict=True):
        if isinstance(answer, str):
            raise CountingFailed(f"{label}: {answer}")
        found[label] = answer.instructions
    return found


def _in_child(items: Sequence[Any], cache: bool) -> list[Counted | str]:
    with tempfile.TemporaryDirectory(prefix="baremetal-evidence-") as folder:
        return count_in_child(
            ["bench.measure.evidence.counted_calls"], items, Path(folder), _ROOT, cache=cache
        )
