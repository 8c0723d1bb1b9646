"""How surely the gate finds a slowdown, benchmark by benchmark: a quarter of an hour.

    python -m tests.gate_power [SEED]

Slows sixty benchmarks by 2 and by 3 %, takes samples of each, and lets many gates draw from them.
The self-check runs whole gates instead; it would take days to see each benchmark often enough.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.gate import selfcheck
from bench.gate.prepare import setup
from bench.gate.prepare.workspace import workspace
from bench.gate.verdicts import verdict
from bench.saved.gates import INCONCLUSIVE, REGRESSED
from bench.stats.rank import hodges_lehmann

ROOT = Path(__file__).resolve().parent.parent
SLOWDOWNS = (0.02, 0.03)
SAMPLES = 48  # measured of each benchmark and slowdown
GATES = 200  # drawn from them
FAMILY = 20  # benchmarks that a later stage has to judge together


def stage(title: str, steps: int = 0) -> None:
    print(title, file=sys.stderr, flush=True)


def is_caught(samples: Sequence[float], draw: random.Random, threshold: float) -> bool:
    """One gate whose samples are drawn from those measured. The other members of the family are as
    hard to tell from chance as can be: they cost this one the whole of Holm's correction."""
    first = draw.choices(samples, k=verdict.FIRST_STAGE)
    if verdict.settled(first, threshold, FAMILY):
        return False
    later: list[float] = []
    for stage in verdict.LATER_STAGES:
        later += draw.choices(samples, k=stage - len(later))
        others = {str(n): [-1.0] * 6 for n in range(FAMILY - 1)}
        found = verdict.judge({"this": later, **others}, threshold)["this"].verdict
        if found != INCONCLUSIVE:
            return found == REGRESSED
    return False


def main(seed: int) -> int:
    settings = setup.Settings(seed=seed, progress=setup.Progress(stage))
    draw = random.Random(seed)
    with workspace() as folder:
        check = selfcheck.prepare(ROOT, folder, settings)
        kernels = [p for p in check.pairs if p.kernel]
        chosen = draw.sample(kernels, min(selfcheck.BENCHMARKS, len(kernels)))
        for slowdown in SLOWDOWNS:
            pairs = [selfcheck.slowed(p, slowdown) for p in chosen]
            settings.progress.stage(f"measuring {len(pairs)} benchmarks, {100 * slowdown:g} %")
            values: dict[str, list[float]] = {p.name: [] for p in pairs}
            for _ in range(SAMPLES):
                for name, value in check.sampler.one_pass(pairs).items():
                    values[name].append(value)
            report(slowdown, values, draw, settings.threshold)
    return 0


def report(
    slowdown: float, values: dict[str, list[float]], draw: random.Random, threshold: float
) -> None:
    rows = []
    for name, samples in values.items():
        caught = sum(is_caught(samples, draw, threshold) for _ in range(GATES)) / GATES
        rows.append((caught, name, hodges_lehmann(samples)))
    rows.sort()
    surely = sum(caught >= 0.95 for caught, _, _ in rows)
    print(f"{100 * slowdown:g} %: found in at least 95 % of gates on {surely} of {len(rows)}")
    for caught, name, measured in rows:
        if caught < 1:
            print(f"  {100 * caught:5.1f} %  {name} (measured {100 * measured:+.2f} %)")
    print(
        json.dumps({name: [round(v, 5) for v in values[name]] for name in values}), file=sys.stderr
    )


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1))
