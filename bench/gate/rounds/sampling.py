"""Passes: each a fresh process that takes one sample of every pair, in random order.

So the samples of a pair are independent: no two share a process, and they are spread over the whole
gate, in which the machine has good and bad stretches.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from bench.gate.checkouts.processes import end_of, in_short, side_environment
from bench.gate.checkouts.relinking import Module, Placements
from bench.gate.checkouts.sides import Side
from bench.gate.checkouts.unchanged import unchanged
from bench.gate.rounds.samples import SAMPLE_SECONDS
from bench.gate.verdicts.errors import GateError
from bench.gate.verdicts.pairs import Pair
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
    sample_seconds: float = SAMPLE_SECONDS
    apart: Collection[int] = ()
    record: IO[str] | None = None
    advance: Callable[[], None] = lambda: None
    _running: set[subprocess.Popen[str]] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        self._placements = Placements(self.sides, self.scratch, self.apart)

    def prepare(self, pairs: Sequence[Pair]) -> list[Pair]:
        """Verify both sides of every kernel, and find the size at which it is judged."""
        by_kernel: dict[str, list[Pair]] = {}
        for pair in sorted(pairs, key=lambda p: (p.size, p.variant)):
            by_kernel.setdefault(pair.kernel, []).append(pair)
        by_kernel.pop("", None)

        def work(group: list[Pair]) -> list[dict[str, Any]]:
            return list(self._work("prepare", group, cores=None, modules={}))

        with ThreadPoolExecutor(os.cpu_count()) as pool:  # nothing is timed against anything yet
            try:
                lines = [line for lines in pool.map(work, by_kernel.values()) for line in lines]
            except BaseException:  # the pool would wait for all to finish
                pool.shutdown(wait=False, cancel_futures=True)
                for process in list(self._running):
                    process.kill()
                raise
        found = {line.pop("name"): line for line in lines}  # judged_size and seconds
        return [replace(p, **found.get(p.name, {})) for p in pairs]

    def one_pass(self, pairs: Sequence[Pair]) -> dict[str, float]:
        """The value of one sample of each pair, by name."""
        values: dict[str, float] = {}
        groups: dict[Any, list[Pair]] = {}
        for pair in pairs:
            how = (bool(pair.kernel), pair.threaded, None if pair.kernel else pair.sides)
            groups.setdefault(how, []).append(pair)
        turns = sorted(groups.items(), key=str)
        self.draw.shuffle(turns)
        modules = self._placements.draw(pairs, self.draw)
        with unchanged({path: str(self.sides[side]) for (_, side, _), path in modules.items()}):
            for (_, threaded, _), group in turns:
                pinned = None if threaded or self.core is None else [self.core]
                for line in self._work("take", group, pinned, modules):
                    values[line["name"]] = line["value"]
                    self.advance()
                    if self.record is not None:
                        self.record.write(json.dumps(line) + "\n")
        return values

    def _work(
        self,
        do: str,
        pairs: Sequence[Pair],
        cores: list[int] | None,
        modules: Mapping[Module, Path],
    ) -> Iterator[dict[str, Any]]:
        """The lines of one worker process. Raises GateError for what it says, or its end."""
        if not pairs:
            return
        job = {
            "do": do,
            "sides": [{"label": s.label, "name": s.name, "root": str(s.root)} for s in self.sides],
            "pairs": [p.as_json() for p in pairs],
            "scratch": str(self.scratch),
            "modules": [[*key, str(path)] for key, path in modules.items()],
            "seed": self.draw.getrandbits(64),
            "cores": cores,
            "sample_seconds": self.sample_seconds,
            "record": self.record is not None,
        }
        # To a file: a pipe that nobody empties holds up who prints much.
        errors = tempfile.TemporaryFile("w+", dir=self.scratch, errors="replace")  # noqa: SIM115
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.gate.rounds.worker", str(os.getpid())],
            cwd=self.harness,
            env=side_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        self._running.add(process)
        assert process.stdin is not None and process.stdout is not None
        done, current = 0, ""
        try:
            with contextlib.suppress(BrokenPipeError):  # it ended at once: said below
                process.stdin.write(json.dumps(job))
                process.stdin.close()
            for text in process.stdout:
                if not text.endswith("\n"):  # it ended in the middle of a line
                    break
                line = json.loads(text)
                if "error" in line:
                    raise GateError(line["error"])
                if "begins" in line:
                    current = line["begins"]
                    continue
                done += 1
                yield line
            if done < len(pairs):
                raise GateError(_why_ended(process.wait(), current, errors))
        finally:
            process.kill()
            process.wait()
            self._running.discard(process)
            for stream in (process.stdin, process.stdout, errors):
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


def _why_ended(code: int, current: str, errors: IO[str]) -> str:
    """What a worker's early end means: a kernel has ended it, or it failed."""
    errors.seek(0)
    said = errors.read().strip().rpartition("\n")[2]
    where = f"{one_line(current)}: " if current else ""
    reason = f": {in_short(said)}" if said else ""
    return f"{where}the process that measures ended with {end_of(code)}{reason}"


def usable_core() -> int | None:
    """The core to measure on: the last that this process may use; interrupts prefer the first."""
    return max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
