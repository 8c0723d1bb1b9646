"""The process that measures: one pass over the pairs it is given, one sample each.

    python -m bench.gate.rounds.worker PARENT < JOB > LINES

Started by sampling.py for each pass, in the head's copy, so that no two passes share a process:
where the loader, the allocator and the system put things is drawn anew each time. Prints a line of
JSON for each pair before it begins, and one as soon as it is done; an error is a line too. What the
kernels print is not among them: it goes nowhere.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from bench.gate.checkouts.processes import die_with_parent, stop_randomising_addresses
from bench.gate.checkouts.sides import Side
from bench.gate.rounds.one_process import BothSides
from bench.gate.rounds.pytest_process import Serving
from bench.gate.rounds.samples import Sample, take_sample
from bench.gate.verdicts.errors import GateError
from bench.gate.verdicts.pairs import Pair

# Two processes in turns: the one that comes back finds its caches cold, and a longer round
# outweighs that.
LOCKSTEP_ROUND_SECONDS = 250e-6


def take_in_lockstep(
    sides: Sequence[Side], pairs: Sequence[Pair], job: dict[str, Any], draw: random.Random
) -> Iterator[Sample]:
    """Each side in a pytest of its own, both inside the same test's call at once, on one core."""
    names = [[p.name if p.sides[place] else p.base_name for p in pairs] for place in (0, 1)]
    placement = draw.getrandbits(32)
    stop_randomising_addresses()
    with contextlib.ExitStack() as stack:
        servers: dict[int, Serving] = {}
        order = [0, 1]
        draw.shuffle(order)
        for place in order:
            side = sides[pairs[0].sides[place]]
            servers[place] = Serving(side, names[place], Path(job["scratch"]), placement)
            stack.callback(servers[place].close)
        for number in range(len(pairs)):
            for place in order:
                servers[place].wait_for(names[place][number])
            yield take_sample(
                servers[0].take,
                servers[1].take,
                draw,
                job["sample_seconds"],
                LOCKSTEP_ROUND_SECONDS,
            )
            for place in order:
                servers[place].done()


def run(job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What the job asks for: {"do": "prepare" or "take", "sides", "pairs", "seed", ...}."""
    draw = random.Random(job["seed"])
    sides = [Side(s["label"], s["name"], Path(s["root"])) for s in job["sides"]]
    pairs = [Pair.from_json(p) for p in job["pairs"]]
    if job["cores"]:
        os.sched_setaffinity(0, job["cores"])
    modules = {(place, side, tier): Path(path) for place, side, tier, path in job["modules"]}
    both = BothSides(sides, Path(job["scratch"]), draw, modules)
    if job["do"] == "prepare":
        prepared = both.prepare(pairs)
        for pair in pairs:
            yield {"begins": pair.name}
            size, seconds = next(prepared)
            yield {"name": pair.name, "judged_size": size, "seconds": seconds}
        return
    draw.shuffle(pairs)
    samples = (
        (both.take(pair, job["sample_seconds"]) for pair in pairs)
        if pairs[0].kernel
        else take_in_lockstep(sides, pairs, job, draw)
    )
    for pair in pairs:
        yield {"begins": pair.name}
        sample = next(samples)
        line = {"name": pair.name, "value": sample.value, "base": min(sample.base)}
        if job["record"]:
            line |= {"calls": sample.calls, "base_rounds": sample.base, "head_rounds": sample.head}
        yield line


def lines_apart_from_prints() -> IO[str]:
    """Where lines go; what was standard output leads nowhere from now on, for C++ as well."""
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return lines


def main(arguments: Sequence[str]) -> int:
    die_with_parent(int(arguments[0]))
    gc.disable()
    lines = lines_apart_from_prints()
    try:
        for line in run(json.load(sys.stdin)):
            print(json.dumps(line), file=lines, flush=True)
    except GateError as error:
        print(json.dumps({"error": str(error)}), file=lines, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
