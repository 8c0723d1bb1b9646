"""The tripwire: one or more saved runs as the baseline, the last one as the head.

Saved runs are from different moments, and on shared machines the same code then differs by several
percent: this sees large slowdowns only. `python -m bench gate run`, which alternates both sides on
one machine, sees small ones.

A benchmark is judged by its minimum, the figure that a busy neighbour disturbs least. The base is
the median over the baseline runs of their minima: one run that was disturbed as a whole moves it
little. The head is regressed where it takes longer than that by more than a floor, and by more than
the baseline runs differ among themselves.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench.saved.checks import listed
from bench.saved.comparable import other_benchmark, other_machine, unknown_machine
from bench.saved.gates import (
    INCONCLUSIVE,
    NEW,
    PASS,
    REGRESSED,
    REMOVED,
    SAVED,
    Gate,
    Judged,
    Unjudged,
)
from bench.saved.runs import BadRun, NotComparable, Result, Run, load, one_line, undamaged

# Between jobs on hosted runners the same code differs by a few percent as a rule.
FLOOR = 0.10
# Baselines that differ by more than this among themselves cannot show that a benchmark passes:
# one of them may hold the very slowdown that is looked for.
BLIND = 0.50

_NAMED = 5  # in one line of text


def compare(
    paths: Sequence[Path],
    threshold: float = 0.01,
    floor: float = FLOOR,
    allow_removed: bool = False,
) -> Gate:
    """The last of `paths` against all others.

    A slowdown counts from the largest of `threshold`, `floor` and the spread between baseline runs
    on. A benchmark that the head lacks is an error, unless allow_removed: then it is listed.

    Raises BadRun for a file, or an entry of one, that cannot be used, and NotComparable where CPU,
    Python, compiler, flags, parameters or options differ or are not recorded. The kernels' sources
    may differ between baseline and head, that is what is judged; not between baselines, which are
    pooled as one code. ValueError for a threshold or floor that is negative or not a number.
    """
    if not (0 <= threshold < math.inf and 0 <= floor < math.inf):
        raise ValueError(f"threshold and floor: got {threshold} and {floor}, need 0 or more")
    if len(paths) < 2:
        given = one_line(paths[0]) if paths else "no file"
        raise BadRun(f"{given}: is all that was given, needs a baseline or more and, last, a head")
    runs = [undamaged(load(path)) for path in paths]
    _refuse_doubles(paths, runs)
    for run in runs:
        _refuse(unknown_machine(run))
    *baselines, head = runs
    for run in baselines[1:]:
        _refuse(other_machine(run, baselines[0], same_sources=True))
    _refuse(other_machine(head, baselines[0]))
    old: dict[str, list[tuple[Run, Result]]] = {}
    for run in baselines:
        for result in run.results:
            old.setdefault(result.fullname, []).append((run, result))
    new = head.by_fullname()
    lost = [found[0][1] for name, found in old.items() if name not in new]
    young = [result for name, result in new.items() if name not in old]
    renamed = _renamings(lost, young)
    if lost and not allow_removed:
        raise BadRun(_missing(head, lost, renamed))
    for name, found in old.items():
        # Also where the head lacks it: what is pooled must be alike.
        sides = [*found, (head, new[name])] if name in new else found
        for run, result in sides[1:]:
            _refuse(other_benchmark(run, result, *sides[0]))
    least = max(threshold, floor)
    return Gate(
        kind=SAVED,
        base=_called(baselines),
        head=_called([head]),
        threshold=least,
        judged=tuple(
            _judge(result, [r for _, r in old[name]], len(baselines), least)
            for name, result in new.items()
            if name in old
        ),
        unjudged=(
            *(Unjudged(result.fullname, NEW) for result in young),
            *(Unjudged(r.fullname, REMOVED, renamed.get(r.fullname, "")) for r in lost),
        ),
        machine=_machine(head),
        note=_note(baselines, head),
    )


def _refuse(reason: str | None) -> None:
    if reason is not None:
        raise NotComparable(reason)


# --- One benchmark -------------------------------------------------------------------------------


def _judge(head: Result, baselines: Sequence[Result], runs: int, least: float) -> Judged:
    """By the baselines that have confirmed the minimum, where there is one: a minimum that was not
    confirmed can only be too long, and would hide a slowdown."""
    confirmed = [result for result in baselines if _is_confirmed(result)]
    minima = [result.minimum for result in confirmed or baselines]
    base, spread = median(minima), max(minima) / min(minima) - 1
    limit = max(least, spread)
    slower = head.minimum > base * (1 + limit)
    faster = base > head.minimum * (1 + limit)
    notes = []
    if len(baselines) < runs:
        notes.append(f"in {len(baselines)} of {runs} baseline runs")
    if confirmed and len(confirmed) < len(baselines):
        notes.append(f"confirmed in {len(confirmed)} of {len(baselines)} baseline runs")
    unconfirmed = [
        side
        for side, known in (("the head", _is_confirmed(head)), ("the baseline", bool(confirmed)))
        if not known
    ]
    if unconfirmed:
        notes.append(f"its minimum was never confirmed in {' and '.join(unconfirmed)}")
    blind = not slower and not faster and spread > max(least, BLIND)
    if blind:
        notes.append(f"baseline runs differ by {100 * spread:.0f} %: too much to pass by")
    if slower:
        verdict = INCONCLUSIVE if unconfirmed else REGRESSED
    else:
        verdict = INCONCLUSIVE if blind else PASS
    return Judged(
        name=head.fullname,
        verdict=verdict,
        change=head.minimum / base - 1,
        base=base,
        samples=len(minima),
        minimum_detectable_slowdown=limit,
        improved=faster and not unconfirmed,
        note="; ".join(notes),
    )


def _is_confirmed(result: Result) -> bool:
    """Third-party benchmarks do not say, and are taken at their word; Python's operations and
    crossings are no kernels and say it all the same."""
    return result.extra.get("confirmed", result.metadata is None) is True


# --- Files and runs ------------------------------------------------------------------------------


def _refuse_doubles(paths: Sequence[Path], runs: Sequence[Run]) -> None:
    """A file, whatever names and links lead to it, or a copy of it, differs from itself in nothing,
    and would always pass."""
    for number, run in enumerate(runs):
        for path, other in zip(paths[:number], runs[:number], strict=True):
            if os.path.samefile(paths[number], path):
                raise BadRun(f"{run.source}: is the same file as {other.source}, needs another")
            if (run.when, run.results) == (other.when, other.results):
                raise BadRun(
                    f"{run.source}: is a copy of {other.source} (same moment, same times), needs "
                    "a run of its own"
                )


def _missing(head: Run, lost: Sequence[Result], renamed: dict[str, str]) -> str:
    count = f"{len(lost)} benchmarks that the baseline has"
    if len(lost) == 1:
        count = "a benchmark that the baseline has"
    names = [
        f"{r.fullname} ({renamed[r.fullname]})" if r.fullname in renamed else r.fullname
        for r in lost
    ]
    return (
        f"{head.source}: lacks {count}: {listed(names, _NAMED)}; needs all of them, or "
        "--allow-removed where they are meant to be gone"
    )


def _renamings(lost: Sequence[Result], young: Sequence[Result]) -> dict[str, str]:
    """By the lost one's name, a note where exactly one new benchmark could be it: the same test of
    another file, or else the same case of another test."""
    notes: dict[str, str] = {}
    for alike in (_case, _test):  # the last one has the last word
        by_key: dict[str | None, list[str]] = {}
        for result in young:
            by_key.setdefault(alike(result), []).append(result.fullname)
        for result in lost:
            key = alike(result)
            found = by_key.get(key, []) if key else []
            if len(found) == 1:
                notes[result.fullname] = f"renamed to {found[0]}?"
    return notes


def _test(result: Result) -> str:
    return result.fullname.rpartition("::")[2]


def _case(result: Result) -> str | None:
    known = result.group or result.params
    return json.dumps([result.group, result.params], sort_keys=True) if known else None


def _called(runs: Sequence[Run]) -> str:
    """ "0001_main.json (1a2b3c4)", "4 runs (0001_main.json to 0004_main.json, 1a2b3c4)"."""
    names = [Path(run.source).name for run in runs]
    commits = {run.commit[:7] + ("+" if run.dirty else "") for run in runs if run.commit}
    commit = one_line(commits.pop()) if len(commits) == 1 else ""
    if len(runs) == 1:
        return f"{names[0]} ({commit})" if commit else names[0]
    within = ", ".join(part for part in (f"{names[0]} to {names[-1]}", commit) if part)
    return f"{len(runs)} runs ({within})"


def _note(baselines: Sequence[Run], head: Run) -> str:
    notes = [
        f"{Path(run.source).name} was measured on uncommitted changes"
        for run in (*baselines, head)
        if run.dirty
    ]
    if len({run.commit for run in baselines}) > 1:
        notes.append("the baseline runs are of several commits")
    moments = [run.when.timestamp() for run in baselines if run.when]
    if head.when and moments and head.when.timestamp() < max(moments):
        notes.append("the head is older than its baseline; the last file is taken for the head")
    return "; ".join(notes)


def _machine(run: Run) -> dict[str, Any]:
    """Enough to say where it was: a gate's file is no copy of a run's."""
    cpu = run.machine.get("cpu")
    name = cpu.get("brand_raw") if isinstance(cpu, dict) else None
    return {
        "cpu": {"brand_raw": one_line(name or "unknown CPU")},
        "python_version": one_line(run.machine.get("python_version")),
    }
