"""The gate against itself, on this machine: does it alarm when nothing changed, and what does it
catch?

Three trees are built from the working tree: twice as it is, in two folders; once with code added
above every kernel. Gates on these must be silent. In a third kind of gate some benchmarks are
slowed by a known part, and the others are not.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from time import monotonic

from bench.gate.checkouts.sides import Side, build, prepare_head
from bench.gate.prepare import setup
from bench.gate.prepare.setup import Progress, Settings
from bench.gate.rounds.samples import SAMPLE_SECONDS
from bench.gate.rounds.sampling import Sampler
from bench.gate.timed import measure_in_stages
from bench.gate.verdicts import verdict
from bench.gate.verdicts.pairs import Pair
from bench.measure.machine.metadata import cpu_name
from bench.measure.timing.rounds import ROUND_SECONDS
from bench.saved.gates import IMPROVED
from bench.saved.ledger import SHIFTED, SLOWED, Entry, Outcome

SLOWDOWNS = (0.01, 0.02, 0.03, 0.05, 0.10)
BENCHMARKS = 60  # of a gate; all there are, if fewer
_VICTIMS = 1 / 3  # of the benchmarks of a gate with slowdowns
# Trees, by their place among the sides. The last is the second once more, with its functions drawn
# elsewhere than the base's: code that became slower is other code, and lies elsewhere.
_BASE, _AGAIN, _SHIFTED, SLOWED_TREE = range(4)


def design(threshold: float) -> str:
    """What the ledger's lines must share to be counted together: everything that decides. In the
    words of the lines that there are."""
    return (
        f"threshold {threshold:g}, looks {verdict.FIRST_STAGE} {verdict.LATER_STAGES}, "
        f"alpha {verdict.ALPHA:g}, margin {verdict.MARGIN:g}, "
        f"blocks {SAMPLE_SECONDS:g} s of {ROUND_SECONDS:g} s, warmed by turns, "
        "places of functions drawn"
    )


def build_trees(root: Path, folder: Path, progress: Progress) -> list[Side]:
    """Base, the same again, shifted, to be slowed; each of the first three in its own folder."""
    trees = []
    for label in ("base", "again", "shifted"):
        progress.stage(f"building the tree {label!r}")
        side = replace(prepare_head(root, folder / label), label=label)
        if label == "shifted":
            shift(side.root)
        build(side)
        trees.append(side)
    return [*trees, trees[_AGAIN]]


def shift(root: Path) -> None:
    """In a copy of the project, add two empty functions above the code of every native source: each
    kernel moves, none changes."""
    for file in (root / "kernels_c").rglob("*.cpp"):
        if file.name == "cpu.cpp":  # no kernels
            continue
        text = file.read_text(encoding="utf-8")
        name = file.stem
        added = f"void before_{name}(void) {{}}\nvoid above_{name}(void) {{}}\n"
        after = text.index("\n", text.rindex("#include")) + 1
        text = f'{text[:after]}\nextern "C" {{\n{added}}}\n{text[after:]}'
        file.write_text(text, encoding="utf-8")


@dataclass
class SelfCheck:
    """Gates to be run, each on a fresh choice of benchmarks."""

    sampler: Sampler
    pairs: Sequence[Pair]
    settings: Settings
    draw: random.Random

    def gate(self, kind: str) -> Entry:
        """One gate of that kind."""
        started = monotonic()
        seed = self.draw.getrandbits(32)
        choice = random.Random(seed)
        chosen = choice.sample(list(self.pairs), min(BENCHMARKS, len(self.pairs)))
        place = _SHIFTED if kind == SHIFTED else _AGAIN
        pairs = [replace(p, sides=(_BASE, place)) for p in chosen]
        if kind == SLOWED:
            pairs = [
                slowed(p, choice.choice(SLOWDOWNS))
                if p.kernel and choice.random() < _VICTIMS
                else p
                for p in pairs
            ]
        self.sampler.draw = random.Random(seed)
        if self.sampler.record is not None:
            injected = {p.name: p.injected for p in pairs if p.injected}
            self.sampler.record.write(json.dumps({"gate": kind, "injected": injected}) + "\n")
        findings = measure_in_stages(self.sampler, pairs, self.settings)
        outcomes = []
        for pair in pairs:
            found = findings[pair.name]
            said = IMPROVED if found.improved else found.verdict
            outcomes.append(Outcome(pair.name, pair.injected, said, round(found.change, 5)))
        return Entry(
            kind=kind,
            cpu=cpu_name(),
            design=design(self.settings.threshold),
            seed=seed,
            seconds=monotonic() - started,
            when=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            outcomes=tuple(outcomes),
        )


def slowed(pair: Pair, slowdown: float) -> Pair:
    """A kernel's pair, its head slowed by so much; only kernels can be slowed."""
    return replace(pair, sides=(_BASE, SLOWED_TREE), injected=slowdown)


def prepare(root: Path, folder: Path, settings: Settings) -> SelfCheck:
    """Build the trees and verify."""
    trees = build_trees(root, folder, settings.progress)
    sampler, inventory = setup.prepare(trees, settings, folder, apart={SLOWED_TREE})
    return SelfCheck(sampler, inventory.pairs, settings, sampler.draw)
