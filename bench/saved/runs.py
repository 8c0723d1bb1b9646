"""The saved run: its schema, and the only door through which benchmark JSON is read and checked.

A run is what pytest-benchmark writes. Benchmarks of this suite bear a mark and carry metadata in
extra_info; of third-party ones only the times are used, and every view that needs no more takes
them too. What cannot be used of a file is left out and named, and the rest stands.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

from bench.saved.checks import (
    BadRun,
    Fields,
    NotComparable,
    Refusal,
    fields_of,
    one_line,
    read_json,
    read_text,
)
from bench.saved.doctor import Checkup, read
from bench.saved.schema import (
    Evidence,
    Limit,
    Metadata,
    PairedRatio,
    Result,
    Run,
    Rung,
    in_todays_names,
    is_ours,
)  # fmt: skip

# Who reads a run needs no other door.
__all__ = [
    "BadRun", "Evidence", "Limit", "Metadata", "NotComparable", "Refusal", "Result", "Run", "Rung",
    "extra_info", "from_json", "interpreter_label", "limits_from_json", "load", "load_all",
    "one_line", "read_json", "read_text", "undamaged",
]  # fmt: skip


T = TypeVar("T")

# What a believable figure is not below.
_SMALLEST_RATE = 1e-9  # a second
_SMALLEST_RATIO = 1e-12
_ROUNDING = 1e-9  # by how much a mean of equal times may miss them

# What this suite adds to machine_info; in other people's the names may stand for anything.
OURS_OF_MACHINE = (
    "tiers", "limits", "ladders", "caches", "interpreter", "usable_cores", "omp_num_threads",
    "libc", "peers", "refused_peers", "evidence_unavailable", "doctor", "steal", "other_programs",
)  # fmt: skip


def load(path: Path) -> Run:
    """Read and check one file. Raises BadRun."""
    return from_json(read_json(path, "pytest-benchmark JSON"), one_line(path))


def load_all(paths: Iterable[Path]) -> list[Run]:
    """Every run, oldest first."""
    return sorted(map(load, paths), key=lambda run: run.when.timestamp() if run.when else math.inf)


def from_json(content: Any, source: str = "this run") -> Run:
    """A run from pytest-benchmark's JSON, already parsed. Raises BadRun where nothing of it can be
    used."""
    top = fields_of(content, source)
    rows = top.items("benchmarks")
    if not rows.content:
        raise BadRun(f"{source}: benchmarks is empty, needs at least one")
    left_out: list[str] = []

    def usable(read: Callable[[Fields, str], T], parent: Fields, name: str, otherwise: T) -> T:
        try:
            return read(parent, name)
        except BadRun as reason:
            left_out.append(str(reason))
            return otherwise

    def if_there(read: Callable[[Fields, str], T], parent: Fields, name: str, otherwise: T) -> T:
        there = parent.content.get(name) is not None
        return usable(read, parent, name, otherwise) if there else otherwise

    results = [r for r in (usable(_result, rows, row, None) for row in rows.content) if r]
    names = (row.get("fullname") for row in rows.content.values() if isinstance(row, dict))
    counts = Counter(map(one_line, names))
    # Which of several was meant cannot be known, whatever is left of each.
    twice = dict.fromkeys(r.fullname for r in results if counts[r.fullname] > 1)
    left_out += [f"{source}: {name} appears twice" for name in twice]
    results = [result for result in results if result.fullname not in twice]
    if not results:
        raise _damaged(left_out)
    commit: dict[str, Any] = if_there(Fields.mapping, top, "commit_info", {})
    machine: dict[str, Any] = if_there(Fields.mapping, top, "machine_info", {})
    ours = is_ours(machine) or any(result.extra for result in results)
    machine = {n: value for n, value in machine.items() if ours or n not in OURS_OF_MACHINE}
    info = Fields(machine, source, "machine_info.")
    return Run(
        source=source,
        when=if_there(Fields.moment, top, "datetime", None),
        commit=str(commit.get("id") or ""),
        dirty=bool(commit.get("dirty")),
        machine={**machine, "tiers": if_there(_tiers, info, "tiers", None)},
        results=tuple(results),
        limits=if_there(_limits, info, "limits", ()),
        ladders=if_there(_ladders, info, "ladders", {}),
        caches=if_there(_caches, info, "caches", {}),
        doctor=if_there(_doctor, info, "doctor", None),
        steal=if_there(_share, info, "steal", None),
        other_programs=if_there(_share, info, "other_programs", None),
        left_out=tuple(left_out),
    )


def undamaged(run: Run) -> Run:
    """The run, of which nothing had to be left out. Raises BadRun: where figures are judged or
    published, what is damaged in a part is not to be trusted."""
    if run.left_out:
        raise _damaged(run.left_out)
    return run


def _damaged(left_out: Sequence[str]) -> BadRun:
    more = f" (and {len(left_out) - 1} more)" if len(left_out) > 1 else ""
    return BadRun(f"{left_out[0]}{more}")


def _tiers(machine: Fields, name: str) -> dict[str, Any] | None:
    tiers = machine.inner(name)
    return {one_line(tier): _tier(tiers.inner(tier)) for tier in tiers.content}


def _tier(tier: Fields) -> dict[str, Any]:
    if "unavailable" in tier.content:
        return {"unavailable": tier.text("unavailable")}
    flags = tier.each("flags", Fields.text)
    return {"compiler": tier.text("compiler"), "flags": flags, "key": tier.text("key")}


def _ladders(machine: Fields, name: str) -> dict[str, tuple[Rung, ...]]:
    ladders = machine.inner(name)
    found = {kernel: tuple(map(_rung, ladders.objects(kernel))) for kernel in ladders.content}
    for kernel, rungs in found.items():
        variants = [rung.variant for rung in rungs]
        if len({*variants}) < len(variants):
            raise ladders.bad(kernel, "each rung once", variants)
    return found


def _rung(rung: Fields) -> Rung:
    return Rung(rung.text("variant"), rung.text("idea"), rung.text("reason"))


def _caches(machine: Fields, name: str) -> dict[str, int]:
    caches = machine.inner(name)
    return {level: caches.integer(level, least=1) for level in ("L1", "L2", "L3")}


def _doctor(machine: Fields, name: str) -> Checkup | None:
    return read(machine.inner(name))


def _share(machine: Fields, name: str) -> float | None:
    return machine.number(name, most=1.0)


def limits_from_json(content: Any, source: str = "this machine") -> tuple[Limit, ...]:
    """The limits of a machine_info, already parsed. Raises BadRun."""
    return _limits(Fields({"limits": content}, source, "machine_info."), "limits")


def _limits(machine: Fields, name: str) -> tuple[Limit, ...]:
    return tuple(map(_limit, machine.objects(name)))


def _limit(limit: Fields) -> Limit:
    level = limit.optional(limit.text, "level")
    return Limit(
        name=limit.text("name"),
        level=level,
        cores=limit.integer("cores"),
        working_set=None if level is None else limit.integer("working_set"),
        per_second=limit.number("per_second", _SMALLEST_RATE),
        unit=limit.text("unit"),
        tier=limit.text("tier") if "tier" in limit.content else "avx2",
    )


def _result(rows: Fields, item: str) -> Result:
    row = rows.inner(item)
    fullname = row.text("fullname")
    row = row.at(f"{fullname}: ")
    extra = row.optional(row.mapping, "extra_info")
    extra = in_todays_names(extra) if is_ours(extra) else {}
    ours = "kernel" in extra
    return Result(
        fullname=fullname,
        group=str(row.content.get("group") or ""),
        **_times(Fields(row.mapping("stats"), row.source, row.path)),
        metadata=_metadata(Fields(extra, row.source, f"{row.path}extra_info.")) if ours else None,
        params=row.optional(row.mapping, "params"),
        options=row.optional(
            lambda name: _finite(Fields(row.mapping(name), row.source, row.path)), "options"
        ),
        extra=extra,
    )


def extra_info(run: Run, result: Result) -> Fields:
    """What else a benchmark of this suite has recorded."""
    return Fields(result.extra, run.source, f"{result.fullname}: extra_info.")


def _times(stats: Fields) -> dict[str, Any]:
    """The figures of a benchmark. All of them must agree: else something wrote over the file."""
    minimum, longest, median = map(stats.seconds, ("min", "max", "median"))
    mean = stats.seconds("mean")
    for name, value in (("median", median), ("mean", mean)):
        if not minimum * (1 - _ROUNDING) <= value <= longest * (1 + _ROUNDING):
            raise stats.bad(name, f"a time from min, {minimum:.6g}, to max, {longest:.6g}")
    _finite(stats)
    rounds = stats.integer("rounds", least=1)
    if "data" in stats.content:  # every round; saved on request only
        data = stats.each("data", Fields.seconds)
        if len(data) != rounds or min(data) != minimum:
            what = [len(data), min(data, default=None)]
            raise stats.bad("data's length and minimum", f"{[rounds, minimum]}", what)
    return {
        "minimum": minimum,
        "median": median,
        "maximum": longest,
        "mean": mean,
        "stddev": stats.number("stddev"),
        "iqr": stats.number("iqr"),
        "q1": stats.optional(stats.seconds, "q1"),
        "q3": stats.optional(stats.seconds, "q3"),
        "rounds": rounds,
        "iterations": stats.integer("iterations", least=1) if "iterations" in stats.content else 1,
    }


def _finite(row: Fields) -> dict[str, Any]:
    for name, value in row.content.items():
        if type(value) is float and not isfinite(value):
            raise row.bad(one_line(name), "a finite number", value)
    return row.content


def _metadata(extra: Fields) -> Metadata:
    text, number, optional = extra.text, extra.number, extra.optional
    return Metadata(
        kernel=text("kernel"),
        variant=text("variant"),
        side=text("side"),
        size=text("size"),
        shape=tuple(extra.each("shape", Fields.integer)),
        flops=extra.integer("flops"),
        bytes=extra.integer("bytes"),
        rate=text("rate"),
        relaxed=extra.flag("relaxed"),
        max_error_ulp=number("max_error_ulp"),
        error_unit=text("error_unit"),
        confirmed=extra.flag("confirmed"),
        uncertainty=optional(number, "uncertainty"),
        auxiliary=extra.flag("auxiliary"),
        paired_ratio=optional(lambda name: _paired_ratio(extra.inner(name)), "paired_ratio"),
        gflops=number("gflops"),
        gbps=number("gbps"),
        speedup=optional(number, "speedup"),
        loss=optional(number, "relative_frobenius_error"),
        bound=optional(text, "bound"),
        percent_of_limit=optional(number, "percent_of_limit"),
        threads=optional(extra.integer, "threads"),
        evidence=optional(lambda name: _evidence(extra.inner(name)), "evidence"),
    )


def _paired_ratio(row: Fields) -> PairedRatio:
    return PairedRatio(
        over=row.text("over"),
        ratio=row.number("ratio", _SMALLEST_RATIO),
        low=row.number("low", _SMALLEST_RATIO),
        high=row.number("high", _SMALLEST_RATIO),
        pairs=row.integer("pairs", least=1),
    )


def _evidence(row: Fields) -> Evidence:
    size = row.optional(row.text, "size")
    if size is None and row.content.get("instructions") is not None:
        raise row.bad("size", "the size at which instructions were counted")
    return Evidence(
        instructions=row.optional(row.number, "instructions"),
        l1_bytes=row.optional(row.number, "l1_bytes"),
        per=row.one_of("per", ("element", "multiply-add")),
        size=size,
        vector_bits=row.one_of("vector_bits", (None, 0, 128, 256, 512), "0, 128, 256 or 512"),
        fma=row.one_of("fma", (None, True, False), "true or false"),
        math_calls=tuple(row.each("math_calls", Fields.text))
        if "math_calls" in row.content
        else (),
    )


def interpreter_label(run: Run) -> str:
    """ "CPython 3.12.1", "CPython 3.14.0t", "CPython 3.14.0 JIT"; "unknown Python" where the run
    does not say."""
    return interpreter_of(run.machine) or "unknown Python"


def interpreter_of(machine: dict[str, Any]) -> str | None:
    """The same of a machine_info; None where it does not say. Runs from before there was an
    "interpreter" say which by pytest-benchmark's own fields."""
    interpreter = machine.get("interpreter")
    label = interpreter.get("label") if isinstance(interpreter, dict) else None
    if not isinstance(label, str) or not label:
        parts = (machine.get("python_implementation"), machine.get("python_version"))
        label = " ".join(str(part) for part in parts if part)
    return one_line(label)[:60] or None
