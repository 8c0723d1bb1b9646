"""Many saved runs, as months of measuring leave them: the reference run's benchmarks with noise.

    python -m tests.many_runs FOLDER RUNS BENCHMARKS [MACHINES]

In some benchmarks a step is planted: from a run on they take longer.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from itertools import chain, count, islice, zip_longest
from pathlib import Path
from random import Random
from typing import Any

from bench.measure.derived import add_derived_figures
from bench.saved.schema import MARK, in_todays_names
from tests.stats import OPTIONS, stats

REFERENCE = Path(__file__).resolve().parent.parent / "results/reference.json"
LAST, APART = datetime(2025, 6, 1, 12, tzinfo=timezone.utc), timedelta(hours=6)
STEP, ONE_IN = 1.25, 10  # what is planted, and in how many
_OF_ALL, _OF_EACH = 0.004, 0.008  # by how much the times of a run, and of a benchmark in it, err
_COUNTS = ("rounds", "iterations", "outliers", "iqr_outliers", "stddev_outliers")


def write_runs(
    folder: Path, runs: int, benchmarks: int, machines: int = 1, seed: int = 1
) -> dict[str, tuple[int, float]]:
    """So many files of so many benchmarks each, oldest first, of that many machines in turn.
    Returns what is planted: by fullname, the first run that takes longer, and how many times."""
    random = Random(seed)
    reference = json.loads(REFERENCE.read_text(encoding="utf-8"))
    base = list(islice(_benchmarks(reference["benchmarks"]), benchmarks))
    names = [benchmark["fullname"] for benchmark in base]
    chosen = sorted(random.sample(range(benchmarks), -(-benchmarks // ONE_IN)))
    planted = {names[n]: (random.randint(runs // 2, runs - 1), STEP) for n in chosen}
    folder.mkdir(parents=True, exist_ok=True)
    for run in range(runs):
        commit = hashlib.sha1(f"{seed} {run}".encode()).hexdigest()
        content = {
            "machine_info": _machine(reference["machine_info"], run % machines),
            "commit_info": {"id": commit, "dirty": run % 7 == 0, "branch": "main"},
            "benchmarks": _measured(base, planted, run, random),
            "datetime": (LAST - (runs - 1 - run) * APART).isoformat(),
            "version": reference["version"],
        }
        path = folder / f"{run + 1:05}_{commit[:7]}.json"
        path.write_text(json.dumps(content), encoding="utf-8")
    return planted


def _benchmarks(reference: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """All variants of each kernel's largest size, then of the next; then ever more third-party
    ones."""
    cases: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for benchmark in reference:
        extra = MARK | in_todays_names(benchmark["extra_info"])
        if "kernel" in extra:
            of_kernel = cases.setdefault(extra["kernel"], {})
            of_kernel.setdefault(extra["size"], []).append({**benchmark, "extra_info": extra})
    sizes = chain(*zip_longest(*(reversed(sizes.values()) for sizes in cases.values())))
    yield from chain(*(case for case in sizes if case))
    for n in count():
        name = f"test_case[{n}]"
        theirs = {"name": name, "fullname": f"tests/test_others.py::{name}", "group": None}
        yield {**theirs, "stats": stats(1e-6 * (n + 1)), "options": OPTIONS, "extra_info": {}}


def _machine(reference: dict[str, Any], number: int) -> dict[str, Any]:
    name = reference["cpu"]["brand_raw"] + (f" {number + 1}" if number else "")
    return MARK | reference | {"cpu": reference["cpu"] | {"brand_raw": name}}


def _measured(
    base: list[dict[str, Any]], planted: dict[str, tuple[int, float]], run: int, random: Random
) -> list[dict[str, Any]]:
    of_all = random.lognormvariate(0.0, _OF_ALL)
    benchmarks = []
    for benchmark in base:
        first, times = planted.get(benchmark["fullname"], (run + 1, 1.0))
        longer = of_all * random.lognormvariate(0.0, _OF_EACH) * (times if run >= first else 1.0)
        scaled = {
            name: value if name in _COUNTS else value / longer if name == "ops" else value * longer
            for name, value in benchmark["stats"].items()
        }
        extra = dict(benchmark["extra_info"])
        if extra.get("percent_of_limit"):
            extra["percent_of_limit"] /= longer
        benchmarks.append({**benchmark, "stats": scaled, "extra_info": extra})
    add_derived_figures(benchmarks)
    return benchmarks


if __name__ == "__main__":
    for name, (first, times) in write_runs(Path(sys.argv[1]), *map(int, sys.argv[2:])).items():
        print(f"{name}: {times}x from run {first + 1} on")
