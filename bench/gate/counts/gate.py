"""The gate on instructions: every benchmark counted on both sides, each side twice, and twice more
where the first two disagree."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from random import Random
from time import monotonic

from bench.gate.checkouts.sides import Side
from bench.gate.counts import judge
from bench.gate.counts.judge import Count, Counts
from bench.gate.prepare.setup import Settings, inventory_of, sampler_for
from bench.gate.rounds.pytest_process import command_of
from bench.gate.verdicts.errors import GateError
from bench.gate.verdicts.pairs import Pair
from bench.measure.evidence import callgrind, counting
from bench.measure.machine.metadata import cpu_name, usable_cores
from bench.saved.gates import INCONCLUSIVE, INSTRUCTIONS, UNCOMPARABLE, Gate, Judged, Unjudged

_JOBS = 2  # processes at once: counts do not depend on what else runs
_TURNS = (0, 2)  # the first of each two counts
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
            *_settled(
                [p for p in inventory.pairs if p.kernel], _of_kernels(sides, threshold, folder)
            ),
            *_settled(
                [p for p in inventory.pairs if not p.kernel], _of_others(sides, threshold, folder)
            ),
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


# Counts pairs twice more, from that turn on, and judges them by all their counts so far.
Recount = Callable[[Sequence[Pair], int], dict[str, Judged | Unjudged]]


def _settled(pairs: Sequence[Pair], recount: Recount) -> list[Judged | Unjudged]:
    """What is said of each pair, in their order. Where memory lies moves the counts of short calls
    by up to a tenth of a percent, and differently in each process; two of four agree."""
    found: dict[str, Judged | Unjudged] = {}
    left = pairs
    for turn in _TURNS:
        if not left:
            break
        latest = recount(left, turn)
        found |= latest
        left = [p for p in left if _is_unsettled(latest[p.name])]
    return [found[p.name] for p in pairs]


def _is_unsettled(result: Judged | Unjudged) -> bool:
    return isinstance(result, Judged) and result.verdict == INCONCLUSIVE


def _of_kernels(sides: Sequence[Side], threshold: float, folder: Path) -> Recount:
    """Driven by the head's harness, on both sides."""
    base, head = (side.root for side in sides)
    of_base: list[Counts] = []
    of_head: list[Counts] = []

    def recount(pairs: Sequence[Pair], turn: int) -> dict[str, Judged | Unjudged]:
        cases = {(p.kernel, p.variant, p.size): p.name for p in pairs}
        more = judge.count_twice(
            base, head, head, list(cases), jobs=_JOBS, first_turn=2 * turn, scratch=folder
        )
        of_base.extend(more[0])
        of_head.extend(more[1])
        judged = judge.judge(of_base, of_head, threshold, cases)
        return {cases[case]: result for case, result in judged.items()}

    return recount


def _of_others(sides: Sequence[Side], threshold: float, folder: Path) -> Recount:
    """Each side in its own pytest."""
    of_base: list[dict[str, Count]] = []
    of_head: list[dict[str, Count]] = []

    def recount(pairs: Sequence[Pair], turn: int) -> dict[str, Judged | Unjudged]:
        names = [[p.base_name for p in pairs], [p.name for p in pairs]]

        def count(place: int, turn: int) -> dict[str, Count]:
            return _count_tests(sides[place], names[place], folder / f"counts-{place}-{turn}")

        with ThreadPoolExecutor(_JOBS) as pool:
            tasks = [[pool.submit(count, place, turn + n) for n in (0, 1)] for place in (0, 1)]
            of_base.extend(task.result() for task in tasks[0])
            of_head.extend(task.result() for task in tasks[1])
        return {p.name: _judged_test(p, of_base, of_head, threshold) for p in pairs}

    return recount


def _judged_test(
    pair: Pair,
    of_base: Sequence[dict[str, Count]],
    of_head: Sequence[dict[str, Count]],
    threshold: float,
) -> Judged | Unjudged:
    base = [counts[pair.base_name] for counts in of_base if pair.base_name in counts]
    head = [counts[pair.name] for counts in of_head if pair.name in counts]
    if len(base) + len(head) < len(of_base) + len(of_head):
        return Unjudged(pair.name, UNCOMPARABLE, "it fails when it is counted")
    tolerance = judge.TOLERANCE_OF_TESTS
    return judge.judge_counts(pair.name, base, head, threshold, tolerance=tolerance)


def _count_tests(side: Side, tests: Sequence[str], scratch: Path) -> dict[str, Count]:
    """By test id."""
    scratch.mkdir()
    wanted = scratch / "tests.json"
    wanted.write_text(json.dumps(list(tests)), encoding="utf-8")
    counted = callgrind.count(
        command_of("count", str(wanted), counting.__file__),
        scratch,
        cwd=side.root,
        environment={"PYTHONDONTWRITEBYTECODE": "1"},
        accepted=_ACCEPTED,
        seconds=_TIMEOUT,
    )
    return {c.label: Count(c.instructions, "") for c in counted}
