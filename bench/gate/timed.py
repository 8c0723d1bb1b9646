"""The gate on times: base against head, both built here and now, measured in alternation."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timezone
from itertools import pairwise
from pathlib import Path
from time import monotonic

from bench.gate.checkouts.identity import same_code
from bench.gate.checkouts.sides import Side
from bench.gate.prepare.setup import Settings, prepare
from bench.gate.rounds.sampling import Sampler
from bench.gate.verdicts import verdict
from bench.gate.verdicts.pairs import Pair
from bench.gate.verdicts.verdict import FIRST_STAGE, LATER_STAGES, Finding
from bench.measure.machine.metadata import cpu_name, usable_cores
from bench.saved.gates import CONTROL, INCONCLUSIVE, SAME_CODE, TIMING, Gate, Judged

# Pairs of the base with itself, beside those whose code the change has left alone: at least so many
# together watch over the apparatus.
FEWEST_CONTROLS = 3


def gate_on_times(sides: Sequence[Side], settings: Settings, folder: Path) -> Gate:
    """Measure both sides, which are built, and judge every benchmark that they share. One whose
    code is the same on both sides is a control as well."""
    started = monotonic()
    sampler, inventory = prepare(sides, settings, folder)
    pairs = inventory.pairs
    same = {p.name for p in pairs if same_code(p, sides)}
    controls = _controls(pairs, FEWEST_CONTROLS - len(same), sampler.draw)
    findings = measure_in_stages(sampler, [*pairs, *controls], settings)
    judged = [_judged(p, findings[p.name], p.name in same) for p in pairs]
    return Gate(
        kind=TIMING,
        base=sides[0].name,
        head=sides[1].name,
        threshold=settings.threshold,
        judged=tuple(judged),
        unjudged=tuple(inventory.unjudged),
        controls=tuple(
            [_judged(p, findings[p.name], same=True) for p in controls]
            + [j for j in judged if j.name in same]
        ),
        seconds=monotonic() - started,
        seed=settings.seed,
        machine={"cpu": cpu_name(), "usable_cores": usable_cores()},
        when=datetime.now(timezone.utc),
    )


def _controls(pairs: Sequence[Pair], count: int, draw: random.Random) -> list[Pair]:
    """The base against itself, for a few benchmarks."""
    chosen = draw.sample(list(pairs), min(max(count, 0), len(pairs)))
    return [replace(p, name=f"{CONTROL}{p.name}", sides=(0, 0)) for p in chosen]


def measure_in_stages(
    sampler: Sampler, pairs: Sequence[Pair], settings: Settings
) -> Mapping[str, Finding]:
    """All findings: of the first stage, or of the later ones."""
    threshold = settings.threshold
    settings.progress.stage(f"measuring {len(pairs)} benchmarks", FIRST_STAGE * len(pairs))
    findings = {
        name: found
        for name, values in _samples(sampler, pairs, FIRST_STAGE).items()
        if (found := verdict.settled(values, threshold, len(pairs)))
    }
    left = [p for p in pairs if p.name not in findings]
    later: dict[str, list[float]] = {p.name: [] for p in left}
    for taken, stage in pairwise((0, *LATER_STAGES)):
        if not left:
            break
        more = stage - taken
        settings.progress.stage(f"measuring {len(left)} again", more * len(left))
        for name, values in _samples(sampler, left, more).items():
            later[name] += values
        findings |= verdict.judge({p.name: later[p.name] for p in left}, threshold)
        left = [p for p in left if findings[p.name].verdict == INCONCLUSIVE]
    return findings


def _samples(sampler: Sampler, pairs: Sequence[Pair], passes: int) -> dict[str, list[float]]:
    values: dict[str, list[float]] = {p.name: [] for p in pairs}
    for _ in range(passes):
        for name, value in sampler.one_pass(pairs).items():
            values[name].append(value)
    return values


def _judged(pair: Pair, finding: Finding, same: bool) -> Judged:
    notes = []
    if same:
        notes.append(SAME_CODE)
    if pair.judged_size != pair.size:
        notes.append(f"at size {pair.judged_size}")
    note = "; ".join(notes)
    return Judged(pair.name, base=pair.seconds, note=note, **asdict(finding))
