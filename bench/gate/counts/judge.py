"""Instruction counts of kernels on two sides, and what they say.

Whatever else the machine does, they repeat: native ones to the last digits, Python's to one in a
thousand. So half a percent more is seen on any shared runner. They do not see what takes time
without taking instructions: latency, caches, the width of vectors. Only alternating rounds see
that.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.gate.checkouts.sides import Side
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
from bench.suite.registry import Kernel, Shape

Count = float | str  # instructions of a call, or why they were not counted

THRESHOLD = 0.003
# Two counts of one side may differ by this much, or by the few instructions by which the
# interpreter's own part of a call differs between processes. Natively they are the same. Python's
# calls take a few hundredths of a percent more in one process than in another, by where its objects
# lie; the largest was 0.104 % (comprehensions over 100 elements, in 33 processes).
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


def at_counted_size(pair: Pair) -> Pair:
    """A kernel's pair, to be judged at the size at which it can be counted in reasonable time."""
    kernel = registry.kernel(pair.kernel)
    shape = counted_shape(kernel, pair.variant, kernel.shape_named(pair.size))
    return replace(pair, judged_size=kernel.size_name(shape))


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
    if len(shape) == 2:
        cols = shape[1]
        return max(1, most // cols), min(cols, most)
    # A product keeps its proportions, in whole registers.
    shrink = (most / items) ** (1 / 3)
    whole = (int(d * shrink + 1e-6) for d in shape)
    m, n, k = (d // 8 * 8 if d >= 8 else max(1, d) for d in whole)
    return m, n, k


def count_kernels(
    sides: Sequence[Side], scratch: Path, place: int, pairs: Sequence[Pair], turn: int
) -> dict[str, Count]:
    """Every pair's count, by its name, on the built side at that place: all of them in one process,
    called by the head's harness.

    scratch  where the folder is made that it works in
    turn     0, 1, ...: everything that should not matter is different in each: the order of cases,
             the size of the environment, the path, and where libraries and modules lie

    Raises bench.measure.evidence.callgrind.CountingFailed.
    """
    case_of = {p.name: (p.kernel, p.variant, p.judged_size) for p in pairs}
    distinct = list(dict.fromkeys(case_of.values()))
    if turn % 2:
        distinct.reverse()
    prefix = "baremetal-counts-" + "x" * (7 * turn)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=scratch) as folder:
        child = ["bench.gate.counts.child", str(sides[place].root), folder, str(turn)]
        environment = {
            "PYTHONDONTWRITEBYTECODE": "1",  # the harness is the head's copy
            "TURN": "x" * (24 + 1000 * turn),
        }
        harness = sides[1].root
        answers = count_in_child(child, distinct, Path(folder), harness, environment=environment)
    counts = [a if isinstance(a, str) else a.instructions for a in answers]
    found = dict(zip(distinct, counts, strict=True))
    return {name: found[case] for name, case in case_of.items()}


def judge(
    pair: Pair,
    base: Sequence[Count],
    head: Sequence[Count],
    threshold: float = THRESHOLD,
) -> Judged | Unjudged:
    """One benchmark from the counts of both sides, two or more of each. No call takes no
    instructions: such a count, where what disturbs a short call is more than the call, can be
    compared with nothing."""
    if pair.kernel and all(isinstance(count, str) for count in (*base, *head)):
        return Unjudged(pair.name, SKIPPED, str(head[0]))
    sides: dict[str, list[float]] = {"base": [], "head": []}
    for (side, numbers), counts in zip(sides.items(), (base, head), strict=True):
        for count in counts:
            if isinstance(count, str):
                return Unjudged(pair.name, UNCOMPARABLE, f"{side}: {count}")
            if count <= 0:
                reason = f"{side}: no instruction was counted, the call is too short"
                return Unjudged(pair.name, UNCOMPARABLE, reason)
            numbers.append(count)
    notes = []
    if pair.judged_size != pair.size:
        notes.append(f"counted at size {pair.judged_size}")
    tolerance = 0.0 if pair.kernel else TOLERANCE_OF_TESTS
    verdict = PASS
    for side, numbers in sides.items():
        smallest, next_one = sorted(numbers)[:2]
        if next_one - smallest > max(AGREEMENT * smallest, _TOLERANCE, tolerance):
            verdict = INCONCLUSIVE
            notes.append(f"two counts of the {side} differ by {next_one / smallest - 1:.2%}")
    # What is added by whatever disturbed a count is never part of the call.
    base_count, head_count = map(min, sides.values())
    change = head_count / base_count - 1
    threshold = max(threshold, tolerance / base_count)
    if verdict == PASS and change > threshold:
        verdict = REGRESSED
    return Judged(
        name=pair.name,
        verdict=verdict,
        change=change,
        base=base_count,
        samples=min(len(base), len(head)),
        minimum_detectable_slowdown=threshold,
        improved=verdict == PASS and 1 / (1 + change) - 1 > threshold,
        note="; ".join(notes),
    )
