"""Which benchmark of the head is which of the base, and which have no counterpart."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from bench.gate.checkouts.processes import run_group
from bench.gate.checkouts.sides import Side
from bench.gate.rounds.pytest_process import Listed
from bench.gate.verdicts.errors import GateError
from bench.gate.verdicts.pairs import Pair, native_of
from bench.measure.timing.child import end_of
from bench.saved.gates import NEW, REMOVED, RENAMED, SKIPPED, UNCOMPARABLE, Unjudged
from bench.saved.runs import one_line

_NO_BENCHMARK = "Skipping non-benchmark"  # pytest-benchmark's reason, with --benchmark-only


@dataclass
class Inventory:
    """pairs to be measured, and what there is beside them."""

    pairs: list[Pair] = field(default_factory=list)
    unjudged: list[Unjudged] = field(default_factory=list)


def require_no_failure(side: Side, listed: Listed) -> None:
    """Raises GateError where a benchmark fails."""
    if listed.failed:
        test, reason = next(iter(listed.failed.items()))
        more = len(listed.failed) - 1
        also = f" (and {more} more)" if more else ""
        raise GateError(f"{side}: {one_line(test)} fails: {one_line(reason)}{also}")


def unavailable_tiers(side: Side) -> dict[str, str]:
    """By tier, why it cannot run here."""
    script = (
        "import json, kernels_c\n"
        "print(json.dumps({t: kernels_c.why_unavailable(t) for t in kernels_c.TIERS}))"
    )
    code, output, errors = run_group([sys.executable, "-c", script], side.root)
    if code != 0:
        reason = errors.strip().rpartition("\n")[2] or end_of(code)
        raise GateError(f"{side}: kernels_c does not load: {one_line(reason)}")
    # Its last line: what the package itself prints stands above.
    reasons: dict[str, str | None] = json.loads(output.strip().rpartition("\n")[2])
    return {tier: reason for tier, reason in reasons.items() if reason is not None}


def match(
    sides: Sequence[Side],
    listed: Sequence[Listed],
    unavailable: Sequence[Mapping[str, str]],
    longest_call: float,
) -> Inventory:
    """Kernels are the same by kernel, variant and size, whatever their tests are called; any other
    benchmark by its test id, or, where that is gone, by what the test does."""
    base, head = listed
    counterparts = _counterparts(base.found, head.found)
    inventory = Inventory()
    for name, metadata in head.found.items():
        base_name = counterparts.get(name)
        if base_name is None:
            if name not in base.skipped:  # else it is listed as such below
                inventory.unjudged.append(Unjudged(name, NEW, f"{sides[0].name} does not have it"))
            continue
        if base_name != name:
            inventory.unjudged.append(Unjudged(name, RENAMED, f"was {base_name}"))
        if "kernel" in metadata:
            reason = _why_no_kernel(metadata, sides, unavailable)
        else:
            reason = _why_no_test(metadata, base.found[base_name], longest_call)
        if reason is not None:
            inventory.unjudged.append(Unjudged(name, *reason))
            continue
        kernel = {key: metadata[key] for key in ("kernel", "variant", "size") if key in metadata}
        seconds = base.found[base_name].get("seconds", 0.0)
        inventory.pairs.append(Pair(name, base_name, **kernel, seconds=seconds))
    inventory.unjudged += _skipped(sides, listed)
    matched = set(counterparts.values())
    inventory.unjudged += [
        Unjudged(name, REMOVED, f"{sides[1].name} does not have it")
        for name in base.found
        if name not in matched and name not in head.skipped
    ]
    return inventory


def _why_no_kernel(
    metadata: Mapping[str, Any], sides: Sequence[Side], unavailable: Sequence[Mapping[str, str]]
) -> tuple[str, str] | None:
    """Why a kernel that both sides have is not measured; None if it is."""
    native = native_of(metadata["kernel"], metadata["variant"])
    if native is None:
        return None
    for reasons in unavailable:
        if native.tier in reasons:
            return SKIPPED, reasons[native.tier]
    if native.function == metadata["kernel"]:
        return None
    # A step, whose function a side's module need not hold, though it may have a test of that name:
    # one process calls both sides, by what this registry says.
    for side in sides:
        module = side.module(native.tier)
        if module is not None and native.function.encode() not in module.read_bytes():
            return UNCOMPARABLE, f"{native.function} is not in this checkout: {side.name}"
    return None


def _why_no_test(
    metadata: Mapping[str, Any], base_metadata: Mapping[str, Any], longest_call: float
) -> tuple[str, str] | None:
    """Why any other benchmark that both sides have is not measured; None if it is."""
    if metadata["code"] != base_metadata["code"]:
        return UNCOMPARABLE, "the test itself differs between the sides"
    seconds = base_metadata["seconds"]
    if seconds > longest_call:
        reason = f"a call takes {seconds:.2g} s, more than --longest-call {longest_call:g}"
        return UNCOMPARABLE, reason
    return None


def _skipped(sides: Sequence[Side], listed: Sequence[Listed]) -> list[Unjudged]:
    reasons: dict[str, str] = {}
    for side, of_side in zip(sides, listed, strict=True):
        for name, reason in of_side.skipped.items():
            if not reason.startswith(_NO_BENCHMARK):
                reasons.setdefault(name, f"{side.label}: {reason}")
    return [Unjudged(name, SKIPPED, reason) for name, reason in reasons.items()]


def _identity(name: str, metadata: Mapping[str, Any]) -> tuple[str, ...]:
    if "kernel" in metadata:
        return metadata["kernel"], metadata["variant"], metadata["size"]
    return (name,)


def _counterparts(
    base: Mapping[str, dict[str, Any]], head: Mapping[str, dict[str, Any]]
) -> dict[str, str]:
    """For each benchmark of the head that has one, the base's."""
    by_identity: dict[tuple[str, ...], list[str]] = {}
    for name, metadata in base.items():
        by_identity.setdefault(_identity(name, metadata), []).append(name)
    found: dict[str, str] = {}
    for name, metadata in head.items():
        same = by_identity.get(_identity(name, metadata))
        if same:
            found[name] = name if name in same else same[0]
    # Renamed: of what is left, does exactly one on each side do the same?
    left_in_base = _by_code(base, set(found.values()))
    for code, name in _by_code(head, set(found)).items():
        if code in left_in_base:
            found[name] = left_in_base[code]
    return found


def _by_code(side: Mapping[str, dict[str, Any]], matched: Set[str]) -> dict[str, str]:
    """What is left of a side and is no kernel, by what it does, where only one does that."""
    left = {name: m["code"] for name, m in side.items() if name not in matched and "code" in m}
    count = Counter(left.values())
    return {code: name for name, code in left.items() if count[code] == 1}
