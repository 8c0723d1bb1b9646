"""The gate on instructions: every benchmark counted on both sides, each side twice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from random import Random
from time import monotonic

from bench.gate import callgrind, counting, instructions
from bench.gate.errors import GateError
from bench.gate.instructions import Count
from bench.gate.pairs import Pair
from bench.gate.side_pytest import command_of
from bench.gate.sides import Side
from bench.gate.timing import Settings, inventory_of, sampler_for
from bench.gate_runs import INSTRUCTIONS, UNCOMPARABLE, Gate, Judged, Unjudged
from bench.measure.facts import cpu_name, usable_cores

_JOBS = 2  # processes at once: counts do not depend on what else runs
_TIMEOUT = 1800.0
# pytest's exit codes that leave counts to read: some tests failed after their call was counted.
_ACCEPTED = (0, 1)


def gate_on_instructions(sides: Sequence[Side], settings: Settings, folder: Path) -> Gate:
    """Count both sides, which are built, and judge every benchmark that they share."""
    started = monotonic()
    reason = callgrind.why_unavailable()
    if reason is not None:
        raise GateError(f"--instructions: {reason}")
    inventory = inventory_of(sides, settings, folder)
    settings.progress.stage(f"verifying {len(inventory.pairs)} benchmarks on both sides")
    sampler_for(sides, settings, folder, Random(settings.seed)).prepare(inventory.pairs)
    threshold = settings.threshold
    settings.progress.stage(f"counting {len(inventory.pairs)} benchmarks")
    try:
        found = [
            *_kernels(sides, [p for p in inventory.pairs if p.kernel], threshold),
            *_others(sides, [p for p in inventory.pairs if not p.kernel], threshold, folder),
        ]
    except callgrind.CountingFailed as error:
        raise GateError(f"--instructions: {error}") from None
    return Gate(
        kind=INSTRUCTIONS,
        base=sides[0].name,
        head=sides[1].name,
        threshold=threshold,
        judged=tuple(f for f in found if isinstance(f, Judged)),
        unjudged=(*inventory.unjudged, *(f for f in found if isinstance(f, Unjudged))),
        seconds=monotonic() - started,
        machine={"cpu": cpu_name(), "usable_cores": usable_cores()},
        when=datetime.now(timezone.utc),
    )


def _kernels(
    sides: Sequence[Side], pairs: Sequence[Pair], threshold: float
) -> list[Judged | Unjudged]:
    """Driven by the head's harness, on both sides."""
    if not pairs:
        return []
    cases = {(p.kernel, p.variant, p.size): p.name for p in pairs}
    base, head = sides
    counts = instructions.count_twice(base.root, head.root, head.root, list(cases), jobs=_JOBS)
    return list(instructions.judge(*counts, threshold, cases).values())


def _others(
    sides: Sequence[Side], pairs: Sequence[Pair], threshold: float, folder: Path
) -> list[Judged | Unjudged]:
    """Each side in its own pytest."""
    if not pairs:
        return []
    names = [[p.base_name for p in pairs], [p.name for p in pairs]]

    def count(place: int, turn: int) -> dict[str, Count]:
        return _count_tests(sides[place], names[place], folder / f"counts-{place}-{turn}")

    with ThreadPoolExecutor(_JOBS) as pool:
        tasks = [pool.submit(count, place, turn) for place in (0, 1) for turn in (0, 1)]
        counts = [task.result() for task in tasks]
    found: list[Judged | Unjudged] = []
    for pair in pairs:
        base = [c[pair.base_name] for c in counts[:2] if pair.base_name in c]
        head = [c[pair.name] for c in counts[2:] if pair.name in c]
        if len(base) + len(head) < len(counts):
            found.append(Unjudged(pair.name, UNCOMPARABLE, "it fails when it is counted"))
        else:
            found.append(instructions.judge_counts(pair.name, base, head, threshold))
    return found


def _count_tests(side: Side, tests: Sequence[str], scratch: Path) -> dict[str, Count]:
    """By test id."""
    scratch.mkdir()
    wanted = scratch / "tests.json"
    wanted.write_text(json.dumps(list(tests)), encoding="utf-8")
    command = command_of(side, "count", str(wanted), counting.__file__)
    counted = callgrind.count(
        command["args"],
        scratch,
        cwd=side.root,
        environment={"PYTHONDONTWRITEBYTECODE": "1"},
        accepted=_ACCEPTED,
        seconds=_TIMEOUT,
    )
    return {c.label: Count(c.instructions, "") for c in counted}
