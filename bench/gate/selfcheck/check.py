"""The gate against itself, on this machine: does it alarm when nothing changed, and what does it
catch?

Four trees are built from the working tree: twice as it is, in two folders; once with code added
above every kernel; once with kernels that can be told to do a share of their work twice. Gates on
the first three pairs must be silent. In gates on planted trees some benchmarks are slowed by a
known part, and the others are not.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from time import monotonic

from bench.gate.checkouts.sides import Side, build, prepare_head
from bench.gate.prepare.setup import Progress, Settings, inventory_of, sampler_for
from bench.gate.rounds.blocks import BLOCK_SECONDS
from bench.gate.rounds.sampling import Sampler
from bench.gate.selfcheck import plant
from bench.gate.timed import measure_in_stages
from bench.gate.verdicts import verdict
from bench.gate.verdicts.pairs import Pair
from bench.measure.machine.metadata import cpu_name
from bench.measure.timing.rounds import ROUND_SECONDS
from bench.saved.gates import IMPROVED
from bench.saved.ledger import PLANTED, SAME, SHIFTED, Entry, Outcome
from bench.stats.rank import hodges_lehmann

SLOWDOWNS = (0.01, 0.02, 0.03, 0.05, 0.10)
BENCHMARKS = 60  # of a gate; all there are, if fewer
_VICTIMS = 1 / 3  # of the benchmarks of a planted gate
# Passes that find how much work makes how much time.
_CALIBRATION = 8
_CALIBRATION_SHARE = 0.1
# A planted tree's own cost must be below this part of the slowdown that it is to make.
_MOST_OVERHEAD = 0.5
# This slowdown is made once to see whether it comes out as meant, within this part of it.
_CONFIRMED = 0.03
_MOST_ASTRAY = 1 / 4
# Trees, by their place among the sides.
_BASE, _AGAIN, _SHIFTED, PLANTED_TREE = range(4)


def design(threshold: float) -> str:
    """What the ledger's lines must share to be counted together: everything that decides."""
    return (
        f"threshold {threshold:g}, looks {verdict.FIRST_STAGE} {verdict.LATER_STAGES}, "
        f"alpha {verdict.ALPHA:g}, margin {verdict.MARGIN:g}, "
        f"blocks {BLOCK_SECONDS:g} s of {ROUND_SECONDS:g} s, warmed by turns, "
        "places of functions drawn"
    )


def build_trees(root: Path, folder: Path, progress: Progress) -> list[Side]:
    """Base, the same again, shifted, planted; each built in its own folder."""
    trees = []
    alter = {"shifted": plant.shift, "planted": plant.plant}
    for label in ("base", "again", "shifted", "planted"):
        progress.stage(f"building the tree {label!r}")
        side = replace(prepare_head(root, folder / label), label=label)
        alter.get(label, lambda _: None)(side.root)
        build(side)
        trees.append(side)
    return trees


@dataclass
class SelfCheck:
    """Gates to be run, each on a fresh choice of benchmarks."""

    sampler: Sampler
    pairs: Sequence[Pair]
    settings: Settings
    draw: random.Random
    shares: Mapping[str, Mapping[float, float]]  # by benchmark: slowdown -> planted share

    def gate(self, kind: str) -> Entry:
        """One gate of that kind."""
        started = monotonic()
        seed = self.draw.getrandbits(32)
        choice = random.Random(seed)
        able = [p for p in self.pairs if p.name in self.shares or kind != PLANTED]
        chosen = choice.sample(able, min(BENCHMARKS, len(able)))
        planted: dict[str, float] = {}
        place = {SAME: _AGAIN, SHIFTED: _SHIFTED, PLANTED: _AGAIN}[kind]
        pairs = [replace(p, sides=(_BASE, place)) for p in chosen]
        if kind == PLANTED:
            pairs = [self._maybe_planted(p, planted, choice) for p in pairs]
        self.sampler.draw = random.Random(seed)
        if self.sampler.record is not None:
            self.sampler.record.write(json.dumps({"gate": kind, "planted": planted}) + "\n")
        findings = measure_in_stages(self.sampler, pairs, self.settings)
        outcomes = tuple(
            Outcome(
                name=p.name,
                planted=planted.get(p.name, 0.0),
                verdict=IMPROVED if findings[p.name].improved else findings[p.name].verdict,
                change=round(findings[p.name].change, 5),
            )
            for p in pairs
        )
        return Entry(
            kind=kind,
            cpu=cpu_name(),
            design=design(self.settings.threshold),
            seed=seed,
            seconds=monotonic() - started,
            when=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            outcomes=outcomes,
        )

    def _maybe_planted(self, pair: Pair, planted: dict[str, float], choice: random.Random) -> Pair:
        """Slowed by one of what this benchmark can be slowed by; most are not."""
        shares = self.shares.get(pair.name, {})
        if choice.random() >= _VICTIMS or not shares:
            return pair
        slowdown = choice.choice(list(shares))
        planted[pair.name] = slowdown
        return replace(pair, sides=(_BASE, PLANTED_TREE), planted=shares[slowdown])


def prepare(root: Path, folder: Path, settings: Settings) -> SelfCheck:
    """Build the trees, verify, and find for each benchmark the shares that slow it as wanted."""
    draw = random.Random(settings.seed)
    trees = build_trees(root, folder, settings.progress)
    inventory = inventory_of(trees[:2], settings, folder)
    sampler = sampler_for(trees, settings, folder, draw)
    settings.progress.stage("verifying")
    pairs = sampler.prepare(inventory.pairs)
    kernels = [p for p in pairs if p.kernel]
    chosen = draw.sample(kernels, min(BENCHMARKS, len(kernels)))
    shares = _calibrate(sampler, chosen, settings.progress)
    return SelfCheck(sampler, pairs, settings, draw, shares)


def _calibrate(
    sampler: Sampler, pairs: Sequence[Pair], progress: Progress
) -> dict[str, dict[float, float]]:
    """By benchmark: for each slowdown the share that makes it. Time grows evenly with the share, so
    two points are enough: no share, which is what the planting itself costs, and a larger one.
    Where it does not, as a part of the work is dearer or cheaper than the whole, or where two
    points are too uncertain, the benchmark is left out."""
    alone = _slowdowns(sampler, pairs, dict.fromkeys((p.name for p in pairs), 0.0), progress)
    share = dict.fromkeys(alone, _CALIBRATION_SHARE)
    with_share = _slowdowns(sampler, pairs, share, progress)
    shares: dict[str, dict[float, float]] = {}
    for name, cost in alone.items():
        per_share = (with_share[name] - cost) / _CALIBRATION_SHARE
        if per_share > 0:
            shares[name] = {
                slowdown: (slowdown - cost) / per_share
                for slowdown in SLOWDOWNS
                if abs(cost) <= _MOST_OVERHEAD * slowdown
            }
    tried = {name: of[_CONFIRMED] for name, of in shares.items() if _CONFIRMED in of}
    made = _slowdowns(sampler, [p for p in pairs if p.name in tried], tried, progress)
    return {
        name: shares[name]
        for name, slowdown in made.items()
        if abs(slowdown - _CONFIRMED) <= _MOST_ASTRAY * _CONFIRMED
    }


def _slowdowns(
    sampler: Sampler, pairs: Sequence[Pair], shares: Mapping[str, float], progress: Progress
) -> dict[str, float]:
    """What planted shares cost, by benchmark: 0.03 is 3 %."""
    planted = [replace(p, sides=(_BASE, PLANTED_TREE), planted=shares[p.name]) for p in pairs]
    progress.stage(f"measuring what is planted in {len(pairs)}", _CALIBRATION * len(pairs))
    values: dict[str, list[float]] = {p.name: [] for p in pairs}
    for _ in range(_CALIBRATION if pairs else 0):
        for name, value in sampler.one_pass(planted).items():
            values[name].append(value)
    return {name: math.expm1(hodges_lehmann(of_name)) for name, of_name in values.items()}
