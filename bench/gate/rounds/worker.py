"""The process that measures: one pass over the pairs it is given, one sample each.

    python -m bench.gate.rounds.worker PARENT PIPE

Started by sampling.py for each pass, in the head's copy, so that no two passes share a process:
where the loader, the allocator and the system put things is drawn anew each time. It is sent what
run() takes, and answers for each pair as soon as it is done; an error is an answer too.
"""

from __future__ import annotations

import contextlib
import gc
import os
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from bench.gate.checkouts.processes import stop_randomising_addresses
from bench.gate.checkouts.relinking import Module
from bench.gate.checkouts.sides import Side
from bench.gate.rounds.one_process import BothSides
from bench.gate.rounds.pytest_process import Serving
from bench.gate.rounds.samples import Sample, take_sample
from bench.gate.verdicts.errors import GateError
from bench.gate.verdicts.pairs import Pair
from bench.measure.timing.child import die_with_parent

# Two processes in turns: the one that comes back finds its caches cold, and a longer round
# outweighs that.
LOCKSTEP_ROUND_SECONDS = 250e-6


def take_in_lockstep(
    sides: Sequence[Side],
    pairs: Sequence[Pair],
    scratch: Path,
    draw: random.Random,
) -> Iterator[Sample]:
    """Each side in a pytest of its own, both inside the same test's call at once, on one core."""
    names = [[p.name if p.sides[place] else p.base_name for p in pairs] for place in (0, 1)]
    placement = draw.getrandbits(32)
    stop_randomising_addresses()
    with contextlib.ExitStack() as stack:
        servers: dict[int, Serving] = {}
        order = draw.sample((0, 1), 2)
        for place in order:
            side = sides[pairs[0].sides[place]]
            servers[place] = Serving(side, names[place], scratch, placement)
            stack.callback(servers[place].close)
        for number in range(len(pairs)):
            for place in order:
                servers[place].wait_for(names[place][number])
            base, head = servers[0].take, servers[1].take
            yield take_sample(base, head, draw, round_seconds=LOCKSTEP_ROUND_SECONDS)
            for place in order:
                servers[place].done()


def run(
    sides: Sequence[Side],
    pairs: Sequence[Pair],
    scratch: Path,
    seed: int,
    cores: Sequence[int],
    modules: Mapping[Module, Path] | None,
) -> Iterator[Sample] | Iterator[tuple[str, float]]:
    """A sample of each pair, which are all kernels or all none. Where no `modules` were linked for
    a pass, not even none, what BothSides.prepare() says of each kernel."""
    draw = random.Random(seed)
    if cores:
        os.sched_setaffinity(0, cores)
    if modules is None:
        return BothSides(sides, scratch, draw, {}).prepare(pairs)
    if not pairs[0].kernel:
        return take_in_lockstep(sides, pairs, scratch, draw)
    return map(BothSides(sides, scratch, draw, modules).take, pairs)


def main(parent: str, pipe: str) -> None:
    die_with_parent(int(parent))
    gc.disable()
    answers = Connection(int(pipe))
    try:
        for answer in run(*answers.recv()):
            answers.send(answer)
    except GateError as error:
        answers.send(error)


if __name__ == "__main__":
    main(*sys.argv[1:])
