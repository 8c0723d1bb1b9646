"""Passes: each a fresh process that takes one sample of every pair, in random order.

So the samples of a pair are independent: no two share a process, and they are spread over the whole
gate, in which the machine has good and bad stretches.
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import IO, Any

from bench.gate.checkouts.processes import side_environment
from bench.gate.checkouts.relinking import Module, Placements
from bench.gate.checkouts.sides import Side
from bench.gate.checkouts.unchanged import unchanged
from bench.gate.rounds.samples import Sample
from bench.gate.verdicts.errors import GateError
from bench.gate.verdicts.pairs import Pair
from bench.measure.timing.child import Child
from bench.saved.runs import one_line


@dataclass
class Sampler:
    """Where and how samples are taken.

    harness     the checkout whose bench drives both sides
    core        the one on which everything but the threaded kernels runs; None: no pinning here
    draw        the source of all that is random; its seed is recorded
    apart       sides whose functions lie elsewhere than the others', see relinking.py
    record      where every round goes, as JSON lines; or None
    advance     called after each sample
    """

    sides: Sequence[Side]
    harness: Path
    scratch: Path
    core: int | None
    draw: random.Random
    apart: Collection[int] = ()
    record: IO[str] | None = None
    advance: Callable[[], None] = lambda: None
    _running: set[Child] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        self._placements = Placements(self.sides, self.scratch, self.apart)

    def prepare(self, pairs: Sequence[Pair]) -> list[Pair]:
        """Verify both sides of every kernel, and find the size at which it is judged."""
        kernels = sorted(
            (p for p in pairs if p.kernel), key=lambda p: (p.kernel, p.size, p.variant)
        )
        groups = [list(group) for _, group in groupby(kernels, key=lambda p: p.kernel)]

        def work(group: list[Pair]) -> list[Pair]:
            found = zip(group, self._work(group, cores=[], modules=None), strict=True)
            return [replace(p, judged_size=size, seconds=time) for p, (size, time) in found]

        with ThreadPoolExecutor(os.cpu_count()) as pool:  # nothing is timed against anything yet
            try:
                prepared = {p.name: p for done in pool.map(work, groups) for p in done}
            except BaseException:  # the pool would wait for all to finish
                pool.shutdown(wait=False, cancel_futures=True)
                for child in list(self._running):
                    child.kill()
                raise
        return [prepared.get(p.name, p) for p in pairs]

    def one_pass(self, pairs: Sequence[Pair]) -> dict[str, float]:
        """The value of one sample of each pair, by name."""
        values: dict[str, float] = {}
        turns = [list(group) for _, group in groupby(sorted(pairs, key=_how), key=_how)]
        self.draw.shuffle(turns)
        modules = self._placements.draw(pairs, self.draw)
        with unchanged({path: str(self.sides[side]) for (_, side, _), path in modules.items()}):
            for group in turns:
                self.draw.shuffle(group)
                cores = [] if group[0].threaded or self.core is None else [self.core]
                samples = self._work(group, cores, modules)
                for pair, sample in zip(group, samples, strict=True):
                    values[pair.name] = sample.value
                    self.advance()
                    if self.record is not None:
                        self.record.write(_line(pair, sample))
        return values

    def _work(
        self, pairs: Sequence[Pair], cores: Sequence[int], modules: Mapping[Module, Path] | None
    ) -> Iterator[Any]:
        """What run() of a worker process gives for each of the pairs. Raises GateError for what
        that raises, or for its end."""
        command = [sys.executable, "-m", "bench.gate.rounds.worker", str(os.getpid())]
        child = Child(command, self.harness, self.scratch, side_environment(), silent=True)
        self._running.add(child)
        seed = self.draw.getrandbits(64)
        try:
            child.ask((self.sides, pairs, self.scratch, seed, cores, modules))
            for pair in pairs:
                try:
                    answer = child.answer()
                except EOFError:
                    raise GateError(_why_ended(child, pair)) from None
                if isinstance(answer, GateError):
                    raise answer
                yield answer
        finally:
            child.close()
            self._running.discard(child)


def _how(pair: Pair) -> tuple[object, ...]:
    """What pairs that one process takes samples of have in common."""
    return bool(pair.kernel), pair.threaded, () if pair.kernel else pair.sides


def _why_ended(child: Child, pair: Pair) -> str:
    """What a worker's early end means: a kernel has ended it, or it failed."""
    return f"{one_line(pair.name)}: the process that measures ended with {child.ending()}"


def _line(pair: Pair, sample: Sample) -> str:
    """Of a record."""
    content = {
        "name": pair.name,
        "value": sample.value,
        "base": min(sample.base),
        "calls": sample.calls,
        "base_rounds": sample.base,
        "head_rounds": sample.head,
    }
    return json.dumps(content) + "\n"


def usable_core() -> int | None:
    """The core to measure on: the last that this process may use; interrupts prefer the first."""
    return max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
