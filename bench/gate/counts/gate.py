"""The gate on instructions: every benchmark counted on both sides, each side twice, and twice more
where the first two disagree."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from functools import partial
from itertools import repeat
from pathlib import Path
from time import monotonic

from bench.gate.checkouts.sides import Side
from bench.gate.counts import judge
from bench.gate.counts.judge import Count
from bench.gate.prepare.setup import Settings, prepare
from bench.gate.rounds.pytest_process import command_of
from bench.gate.verdicts.errors import GateError
from bench.gate.verdicts.pairs import Pair
from bench.measure.evidence import callgrind, counting
from bench.measure.machine.metadata import cpu_name, usable_cores
from bench.saved.gates import INCONCLUSIVE, INSTRUCTIONS, Gate, Judged, Unjudged

_JOBS = 2  # processes at once: counts do not depend on what else runs
_PLACES = (0, 0, 1, 1)  # the sides of four counts
_FIRST_TURNS = (0, len(_PLACES))  # of the four counts, and of four more
_TIMEOUT = 1800.0
# pytest's exit codes that leave counts to read: some tests failed after their call was counted.
_ACCEPTED = (0, 1)


def gate_on_instructions(sides: Sequence[Side], settings: Settings, folder: Path) -> Gate:
    """Count both sides, which are built, and judge every benchmark that they share."""
    started = monotonic()
    reason = callgrind.why_unavailable()
    if reason is not None:
        raise GateError(f"--instructions: {reason}")
    _, inventory = prepare(sides, settings, folder)
    threshold = settings.threshold
    settings.progress.stage(f"counting {len(inventory.pairs)} benchmarks")
    try:
        kernels = [judge.at_counted_size(p) for p in inventory.pairs if p.kernel]
        others = [p for p in inventory.pairs if not p.kernel]
        found = [
            *_settled(kernels, partial(judge.count_kernels, sides, folder), threshold),
            *_settled(others, partial(_count_tests, sides, folder), threshold),
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


# Counts the pairs once, on the side at that place: by name what was counted, or why nothing was.
# What should not matter is different for each turn.
CountSide = Callable[[int, Sequence[Pair], int], dict[str, Count]]


def _settled(pairs: Sequence[Pair], count: CountSide, threshold: float) -> list[Judged | Unjudged]:
    """What is said of each pair, in their order. Where memory lies moves the counts of short calls
    by up to a tenth of a percent, and differently in each process; two of four agree."""
    counts: dict[str, tuple[list[Count], list[Count]]] = {p.name: ([], []) for p in pairs}
    found: dict[str, Judged | Unjudged] = {}
    left = pairs
    for first_turn in _FIRST_TURNS:
        if not left:
            break
        with ThreadPoolExecutor(_JOBS) as pool:
            turns = range(first_turn, first_turn + len(_PLACES))
            try:
                results = list(pool.map(count, _PLACES, repeat(left), turns))
            except BaseException:  # the pool would wait for all to finish
                pool.shutdown(wait=False, cancel_futures=True)
                callgrind.stop()
                raise
        for place, result in zip(_PLACES, results, strict=True):
            for name, counted in result.items():
                counts[name][place].append(counted)
        found |= {p.name: judge.judge(p, *counts[p.name], threshold) for p in left}
        unclear = {
            name for name, f in found.items() if isinstance(f, Judged) and f.verdict == INCONCLUSIVE
        }
        left = [p for p in left if p.name in unclear]
    return [found[p.name] for p in pairs]


def _count_tests(
    sides: Sequence[Side], folder: Path, place: int, pairs: Sequence[Pair], turn: int
) -> dict[str, Count]:
    """Each side in its own pytest."""
    tests = {p.name: p.name if place else p.base_name for p in pairs}
    scratch = folder / f"counts-{turn}"
    scratch.mkdir()
    wanted = scratch / "tests.json"
    wanted.write_text(json.dumps(list(tests.values())), encoding="utf-8")
    counted = callgrind.count(
        command_of("count", str(wanted), counting.__file__),
        scratch,
        cwd=sides[place].root,
        environment={"PYTHONDONTWRITEBYTECODE": "1"},
        accepted=_ACCEPTED,
        seconds=_TIMEOUT,
    )
    found = {c.label: c.instructions for c in counted}
    return {name: found.get(test, "it fails when it is counted") for name, test in tests.items()}
