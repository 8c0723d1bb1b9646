"""Instruction counts of kernels on two sides, and what they say.

They repeat to one in ten thousand whatever else the machine does, so half a percent more is
seen on any shared runner. They do not see what takes time without taking instructions: latency,
caches, the width of vectors. Only alternating rounds see that.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.gate.verdicts.pairs import Pair
from bench.measure.evidence.counted_calls import count_in_child
from bench.saved.gates import (
    INCONCLUSIVE,
    PASS,
    REGRESSED,
    SKIPPED,
    UNCOMPARABLE,
    Judged,
    Unjudged,
)
from bench.suite import registry
from bench.suite.registry import Kernel, Shape, Signature

Case = tuple[str, str, str]  # kernel, variant, size
Counts = dict[Case, "Count | str"]  # or why there is none

THRESHOLD = 0.003
# Two counts of one side may differ by this much, or by the few instructions by which the
# interpreter's own part of a call differs between processes. Over all 208 cases that valgrind can
# run, the largest was 0.083 % (comprehensions over 100 elements), and the smaller counts of two
# builds of the same code were within 0.012 % of each other.
AGREEMENT = 0.001
_TOLERANCE = 5.0
# The same for a whole test's call, which runs through many of the interpreter's functions: its
# caches go by addresses, so one process has so many more instructions in each call, and another has
# not. 59 of 41,000 were seen in two dozen counts of one test, and 123 or more between two sides.
TOLERANCE_OF_TESTS = 200.0

# The largest call that is counted; larger shapes are counted at a smaller one. Python needs as many
# instructions for any element; natively it is the arithmetic that counts. Vectors do eight lanes of
# it at once, but valgrind computes their fused multiply-adds lane by lane, in software: 10 million
# operations take it 0.4 s.
_MOST_PYTHON_ELEMENTS = 16**3
_MOST_FLOPS = {"portable": 1_200_000, "avx2": 10_000_000}
_PORTABLE = ("debug", "scalar", "autovec", "fastmath")
# Far beyond what a run takes: a kernel that hangs must not hang the gate.
_TIMEOUT = 900.0


@dataclass(frozen=True)
class Count:
    """What one call takes.

    instructions  instructions read
    size          of a kernel: the size that was counted, in the place of a larger one
    """

    instructions: float
    size: str = ""


def counted_shape(kernel: Kernel, variant: str, shape: Shape) -> Shape:
    """The shape itself, or the largest of its kind that can be counted in reasonable time."""
    side, _ = registry.side_and_name(variant)
    items = math.prod(shape)
    if side == "python":
        most = _MOST_PYTHON_ELEMENTS
    else:
        tier = kernel.native(variant).tier
        flops = _MOST_FLOPS["portable" if tier in _PORTABLE else "avx2"]
        most = flops * items // max(1, kernel.flops(shape))
    if items <= most:
        return shape
    if len(shape) == 1:
        return (most,)
    if kernel.signature is Signature.ROWS:
        cols = shape[1]
        return max(1, most // cols), min(cols, most)
    # A product keeps its proportions, in whole registers.
    shrink = (most / items) ** (1 / 3)
    whole = (int(d * shrink + 1e-6) for d in shape)
    m, n, k = (d // 8 * 8 if d >= 8 else max(1, d) for d in whole)
    return m, n, k


def count_kernels(
    root: Path, harness: Path, cases: Sequence[Case], *, turn: int, scratch: Path | None = None
) -> Counts:
    """Count every case on the built checkout at `root`, called by the package at `harness`, in one
    process.

    turn   0, 1, ...: everything that should not matter is different in each: the order of cases,
           the size of the environment, the path, and where libraries and modules lie
    scratch  where the folder is made that it works in; None: with other temporary files

    Raises bench.measure.evidence.callgrind.CountingFailed.
    """
    to_count: dict[Case, Case] = {}
    for kernel_name, variant, size in cases:
        kernel = registry.kernel(kernel_name)
        shape = counted_shape(kernel, variant, kernel.shape_named(size))
        to_count[kernel_name, variant, size] = kernel_name, variant, kernel.size_name(shape)
    # Sizes that were cut down to the same one are counted once.
    distinct = list(dict.fromkeys(to_count.values()))
    if turn % 2:
        distinct.reverse()
    found: dict[Case, Count | str] = {}
    prefix = "baremetal-counts-" + "x" * (7 * turn)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=scratch) as folder:
        child = ["bench.gate.counts.child", str(root), folder, str(turn)]
        environment = {
            "PYTHONDONTWRITEBYTECODE": "1",  # the harness is the head's copy
            "TURN": "x" * (24 + 1000 * turn),
        }
        answers = count_in_child(
            child, distinct, Path(folder), harness, environment=environment, seconds=_TIMEOUT
        )
    for case, answer in zip(distinct, answers, strict=True):
        if isinstance(answer, str):
            found[case] = answer
        else:
            found[case] = Count(answer.instructions, case[2])
    return {case: found[counted] for case, counted in to_count.items()}


def judge(
    pair: Pair,
    base: Sequence[Count | str],
    head: Sequence[Count | str],
    threshold: float = THRESHOLD,
) -> Judged | Unjudged:
    """One benchmark from the counts of both sides, two or more of each, or why there are none. No
    call takes no instructions: such a count, where what disturbs a short call is more than the
    call, can be compared with nothing."""
    name = pair.name
    of_base, why_not_base = _apart(base)
    of_head, why_not_head = _apart(head)
    if why_not_base and why_not_head and pair.kernel:
        return Unjudged(name, SKIPPED, why_not_head[0])
    for side, reasons in (("base", why_not_base), ("head", why_not_head)):
        if reasons:
            return Unjudged(name, UNCOMPARABLE, f"{side}: {reasons[0]}")
    sides = (("base", of_base), ("head", of_head))
    for side, counts in sides:
        if not all(c.instructions > 0 for c in counts):
            reason = f"{side}: no instruction was counted, the call is too short"
            return Unjudged(name, UNCOMPARABLE, reason)
    notes = []
    if pair.kernel and of_head[0].size != pair.size:
        notes.append(f"counted at size {of_head[0].size}")
    tolerance = 0.0 if pair.kernel else TOLERANCE_OF_TESTS
    verdict = PASS
    for side, counts in sides:
        apart, first = disagreement(counts), counts[0].instructions
        if apart * first > max(AGREEMENT * first, _TOLERANCE, tolerance):
            verdict = INCONCLUSIVE
            notes.append(f"two counts of the {side} differ by {apart:.2%}")
    # What is added by whatever disturbed a count is never part of the call.
    base_count, head_count = (min(c.instructions for c in counts) for _, counts in sides)
    change = head_count / base_count - 1
    threshold = max(threshold, tolerance / base_count)
    if verdict == PASS and change > threshold:
        verdict = REGRESSED
    return Judged(
        name=name,
        verdict=verdict,
        change=change,
        base=base_count,
        samples=min(len(base), len(head)),
        minimum_detectable_slowdown=threshold,
        improved=verdict == PASS and 1 / (1 + change) - 1 > threshold,
        note="; ".join(notes),
    )


def _apart(counts: Sequence[Count | str]) -> tuple[list[Count], list[str]]:
    """The counts, and the reasons why there are none."""
    return (
        [count for count in counts if isinstance(count, Count)],
        [count for count in counts if isinstance(count, str)],
    )


def disagreement(counts: Sequence[Count]) -> float:
    """Of the two smallest, relative to the smallest: whatever disturbs a count adds to it."""
    smallest, next_one = sorted(c.instructions for c in counts)[:2]
    return next_one / smallest - 1
