"""The saved run: its schema, and the only door through which benchmark JSON is read and checked.

A run is what pytest-benchmark writes. Benchmarks of this suite bear a mark and carry their facts in
extra_info; of third-party ones only the times are used, and every view that needs no more takes
them too. What cannot be used of a file is left out and named, and the rest stands.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from bench.saved.checks import (
    BadRun,
    Checker,
    NotComparable,
    Refusal,
    one_line,
    read_json,
    read_text,
    when,
)
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
)

# Who reads a run needs no other door.
__all__ = [
    "BadRun",
    "Checker",
    "Evidence",
    "Limit",
    "Metadata",
    "NotComparable",
    "Refusal",
    "Result",
    "Run",
    "Rung",
    "from_json",
    "interpreter_label",
    "limits_from_json",
    "load",
    "load_all",
    "machine_differences",
    "one_line",
    "read_json",
    "read_text",
    "undamaged",
    "when",
]  # fmt: skip


T = TypeVar("T")

# What a believable figure lies between. A time outside is a broken file, and would break what is
# computed from it.
_SHORTEST, _LONGEST = 1e-12, 1e9  # seconds a call
_SMALLEST_RATE = 1e-9  # a second
_SMALLEST_RATIO = 1e-12
_ROUNDING = 1e-9  # by how much a mean of equal times may miss them

# What two runs must share for their times to be comparable. The rest of machine_info (kernel
# release, current clock, ...) changes from one boot or second to the next.
COMPARED = (
    "system",
    "machine",  # the architecture
    "cpu.brand_raw",
    "cpu.flags",
    "cpu.l2_cache_size",
    "cpu.l3_cache_size",
    "cpu.count",
    "interpreter",
    "python_compiler",
    "tiers",
)


# What this suite adds to machine_info; in other people's the names may stand for anything.
OURS_OF_MACHINE = (
    "tiers", "limits", "ladders", "caches", "interpreter", "usable_cores", "omp_num_threads",
    "libc", "peers", "refused_peers", "evidence_unavailable",
)  # fmt: skip


# --- Reading -------------------------------------------------------------------------------------


def load(path: Path) -> Run:
    """Read and check one file. Raises BadRun."""
    return from_json(read_json(path, "pytest-benchmark JSON"), one_line(path))


def load_all(paths: Iterable[Path]) -> list[Run]:
    """Every run, oldest first."""
    return sorted(map(load, paths), key=lambda run: run.when.timestamp() if run.when else math.inf)


def from_json(content: Any, source: str = "this run") -> Run:
    """A run from pytest-benchmark's JSON, already parsed. Raises BadRun where nothing of it can be
    used."""
    check = Checker(source)
    top = check.mapping(content, "the file")
    rows = check.sequence(top.get("benchmarks"), "benchmarks")
    if not rows:
        raise BadRun(f"{source}: benchmarks is empty, needs at least one")
    left_out: list[str] = []

    def usable(read: Callable[..., T], value: Any, otherwise: T) -> T:
        try:
            return read(check, value)
        except BadRun as reason:
            left_out.append(str(reason))
            return otherwise

    results = [r for r in (usable(_result, row, None) for row in rows) if r is not None]
    counts = Counter(one_line(row.get("fullname")) for row in rows if isinstance(row, dict))
    # Which of several was meant cannot be known, whatever is left of each.
    twice = dict.fromkeys(r.fullname for r in results if counts[r.fullname] > 1)
    left_out += [f"{source}: {name} appears twice" for name in twice]
    results = [result for result in results if result.fullname not in twice]
    if not results:
        more = f" (and {len(left_out) - 1} more)" if len(left_out) > 1 else ""
        raise BadRun(f"{left_out[0]}{more}")
    commit: dict[str, Any] = usable(_commit, top.get("commit_info"), {})
    machine: dict[str, Any] = usable(_machine, top.get("machine_info"), {})
    ours = is_ours(machine) or any(result.extra for result in results)
    machine = {n: value for n, value in machine.items() if ours or n not in OURS_OF_MACHINE}
    machine["tiers"] = usable(_tiers, machine.get("tiers"), None)
    return Run(
        source=source,
        when=usable(when, top.get("datetime"), None),
        commit=str(commit.get("id") or ""),
        dirty=bool(commit.get("dirty")),
        machine=machine,
        results=tuple(results),
        limits=usable(_limits, machine.get("limits", []), ()),
        ladders=usable(_ladders, machine.get("ladders"), {}),
        caches=usable(_caches, machine.get("caches"), {}),
        left_out=tuple(left_out),
    )


def undamaged(run: Run) -> Run:
    """The run, of which nothing had to be left out. Raises BadRun: where figures are judged or
    published, what is damaged in a part is not to be trusted."""
    if run.left_out:
        more = f" (and {len(run.left_out) - 1} more)" if len(run.left_out) > 1 else ""
        raise BadRun(f"{run.left_out[0]}{more}")
    return run


def _commit(check: Checker, value: Any) -> dict[str, Any]:
    return check.optional_mapping(value, "commit_info")


def _machine(check: Checker, value: Any) -> dict[str, Any]:
    return check.optional_mapping(value, "machine_info")


def _tiers(check: Checker, value: Any) -> dict[str, Any] | None:
    if value is None:
        return None
    tiers: dict[str, dict[str, Any]] = {}
    for name, fact in check.mapping(value, "machine_info.tiers").items():
        where = f"machine_info.tiers.{one_line(name)}"
        info = check.mapping(fact, where)
        if "unavailable" in info:
            tiers[one_line(name)] = {
                "unavailable": check.text(info["unavailable"], f"{where}.unavailable")
            }
            continue
        flags = check.sequence(info.get("flags"), f"{where}.flags")
        tiers[one_line(name)] = {
            "compiler": check.text(info.get("compiler"), f"{where}.compiler"),
            "flags": [check.text(flag, f"{where}.flags") for flag in flags],
            "key": check.text(info.get("key"), f"{where}.key"),
        }
    return tiers


def _ladders(check: Checker, value: Any) -> dict[str, tuple[Rung, ...]]:
    where = "machine_info.ladders"

    def rung(value: Any) -> Rung:
        row = check.mapping(value, f"a rung of {where}")
        names = ("variant", "idea", "reason")
        return Rung(*(check.text(row.get(name), f"{where}: {name}") for name in names))

    found = {
        kernel: tuple(map(rung, check.sequence(rows, where)))
        for kernel, rows in check.optional_mapping(value, where).items()
    }
    for kernel, rungs in found.items():
        if len({one.variant for one in rungs}) < len(rungs):
            raise check.bad(f"{where}.{kernel}", [one.variant for one in rungs], "each rung once")
    return found


def _caches(check: Checker, value: Any) -> dict[str, int]:
    if value is None:
        return {}
    row, where = check.mapping(value, "machine_info.caches"), "machine_info.caches"
    levels = ("L1", "L2", "L3")
    return {level: check.integer(row.get(level), f"{where}.{level}", least=1) for level in levels}


def limits_from_json(content: Any, source: str = "this machine") -> tuple[Limit, ...]:
    """The limits of a machine_info, already parsed. Raises BadRun."""
    return _limits(Checker(source), content)


def _limits(check: Checker, content: Any) -> tuple[Limit, ...]:
    return tuple(_limit(check, row) for row in check.sequence(content, "machine_info.limits"))


def _limit(check: Checker, value: Any) -> Limit:
    row, where = check.mapping(value, "a limit"), "a limit's"
    level, working_set = row.get("level"), row.get("working_set")
    rate = row.get("per_second")
    return Limit(
        name=check.text(row.get("name"), f"{where} name"),
        level=None if level is None else check.text(level, f"{where} level"),
        cores=check.integer(row.get("cores"), f"{where} cores"),
        working_set=None if level is None else check.integer(working_set, f"{where} working_set"),
        per_second=check.number(rate, f"{where} per_second", _SMALLEST_RATE),
        unit=check.text(row.get("unit"), f"{where} unit"),
        tier=check.text(row.get("tier", "avx2"), f"{where} tier"),
    )


def _result(check: Checker, value: Any) -> Result:
    benchmark = check.mapping(value, "a benchmark")
    fullname = check.text(benchmark.get("fullname"), "a benchmark's fullname")
    stats = check.mapping(benchmark.get("stats"), f"{fullname}: stats")

    extra = check.optional_mapping(benchmark.get("extra_info"), f"{fullname}: extra_info")
    extra = in_todays_names(extra) if is_ours(extra) else {}
    return Result(
        fullname=fullname,
        group=str(benchmark.get("group") or ""),
        **_times(check, fullname, stats),
        metadata=_metadata(check, fullname, extra) if "kernel" in extra else None,
        params=_recorded(check, benchmark, "params"),
        options=_finite(check, fullname, _recorded(check, benchmark, "options")),
        extra=extra,
    )


def _times(check: Checker, fullname: str, stats: dict[str, Any]) -> dict[str, Any]:
    """The figures of a benchmark that we use. Those that only pytest-benchmark's own tables use
    must be there too, and all of them must agree: else something wrote over the file."""

    def time(name: str) -> float:
        return check.number(stats.get(name), f"{fullname}: {name}", _SHORTEST, _LONGEST)

    minimum, longest, median = time("min"), time("max"), time("median")
    for name, value in (("median", median), ("mean", time("mean"))):
        if not minimum * (1 - _ROUNDING) <= value <= longest * (1 + _ROUNDING):
            needs = f"a time from min, {minimum:.6g}, to max, {longest:.6g}"
            raise check.bad(f"{fullname}: {name}", value, needs)
    check.number(stats.get("stddev"), f"{fullname}: stddev")
    _finite(check, fullname, stats)
    rounds = check.integer(stats.get("rounds"), f"{fullname}: rounds", least=1)
    if "iterations" in stats:
        check.integer(stats["iterations"], f"{fullname}: iterations", least=1)
    if "data" in stats:  # every round; saved on request only
        where = f"{fullname}: data"
        data = [
            check.number(seconds, where, _SHORTEST, _LONGEST)
            for seconds in check.sequence(stats["data"], where)
        ]
        if len(data) != rounds or min(data) != minimum:
            what = [len(data), min(data, default=None)]
            raise check.bad(f"{where}'s length and minimum", what, f"{[rounds, minimum]}")
    iqr = check.number(stats.get("iqr"), f"{fullname}: iqr")
    return {"minimum": minimum, "median": median, "iqr": iqr, "rounds": rounds}


def _finite(check: Checker, where: str, row: dict[str, Any] | None) -> dict[str, Any] | None:
    for name, value in (row or {}).items():
        if isinstance(value, float) and not math.isfinite(value):
            raise check.bad(f"{where}: {one_line(name)}", value, "a finite number")
    return row


def _recorded(check: Checker, benchmark: dict[str, Any], name: str) -> dict[str, Any] | None:
    value = benchmark.get(name)
    return None if value is None else check.mapping(value, f"{benchmark['fullname']}: {name}")


def _metadata(check: Checker, fullname: str, extra: dict[str, Any]) -> Metadata:
    def text(name: str) -> str:
        return check.text(extra.get(name), f"{fullname}: extra_info.{name}")

    def number(name: str) -> float:
        return check.number(extra.get(name), f"{fullname}: extra_info.{name}")

    def optional(name: str) -> float | None:
        return number(name) if extra.get(name) is not None else None

    shape = check.sequence(extra.get("shape"), f"{fullname}: extra_info.shape")
    threads = extra.get("threads")
    if threads is not None:
        threads = check.integer(threads, f"{fullname}: extra_info.threads")
    return Metadata(
        kernel=text("kernel"),
        variant=text("variant"),
        side=text("side"),
        size=text("size"),
        shape=tuple(check.integer(n, f"{fullname}: extra_info.shape") for n in shape),
        flops=check.integer(extra.get("flops"), f"{fullname}: extra_info.flops"),
        bytes=check.integer(extra.get("bytes"), f"{fullname}: extra_info.bytes"),
        rate=text("rate"),
        relaxed=extra.get("relaxed") is True,
        max_error_ulp=number("max_error_ulp"),
        error_unit=text("error_unit"),
        confirmed=extra.get("confirmed") is True,
        uncertainty=optional("uncertainty"),
        auxiliary=extra.get("auxiliary") is True,
        paired_ratio=_paired_ratio(check, fullname, extra.get("paired_ratio")),
        gflops=number("gflops"),
        gbps=number("gbps"),
        speedup=optional("speedup"),
        loss=optional("relative_frobenius_error"),
        bound=text("bound") if extra.get("bound") is not None else None,
        percent_of_limit=optional("percent_of_limit"),
        threads=threads,
        evidence=_evidence(check, fullname, extra.get("evidence")),
    )


def _paired_ratio(check: Checker, fullname: str, value: Any) -> PairedRatio | None:
    if value is None:
        return None
    where = f"{fullname}: extra_info.paired_ratio"
    row = check.mapping(value, where)

    def ratio(name: str) -> float:
        return check.number(row.get(name), f"{where}.{name}", _SMALLEST_RATIO)

    return PairedRatio(
        over=check.text(row.get("over"), f"{where}.over"),
        ratio=ratio("ratio"),
        low=ratio("low"),
        high=ratio("high"),
        pairs=check.integer(row.get("pairs"), f"{where}.pairs", least=1),
    )


def _evidence(check: Checker, fullname: str, value: Any) -> Evidence | None:
    if value is None:
        return None
    where = f"{fullname}: extra_info.evidence"
    row = check.mapping(value, where)

    def optional(read: Callable[..., Any], name: str) -> Any:
        return None if row.get(name) is None else read(row[name], f"{where}.{name}")

    per, bits, fma = (row.get(name) for name in ("per", "vector_bits", "fma"))
    if per not in ("element", "multiply-add"):
        raise check.bad(f"{where}.per", per, '"element" or "multiply-add"')
    if isinstance(bits, (bool, float)) or bits not in (None, 0, 128, 256, 512):
        raise check.bad(f"{where}.vector_bits", bits, "0, 128, 256 or 512")
    if not (fma is None or isinstance(fma, bool)):
        raise check.bad(f"{where}.fma", fma, "true or false")
    size = optional(check.text, "size")
    if size is None and row.get("instructions") is not None:
        raise check.bad(f"{where}.size", size, "the size at which instructions were counted")
    calls = check.sequence(row.get("math_calls", []), f"{where}.math_calls")
    return Evidence(
        instructions=optional(check.number, "instructions"),
        l1_bytes=optional(check.number, "l1_bytes"),
        per=per,
        size=size,
        vector_bits=bits,
        fma=fma,
        math_calls=tuple(check.text(name, f"{where}.math_calls") for name in calls),
    )


def interpreter_label(run: Run) -> str:
    """ "CPython 3.12.1", "CPython 3.14.0t", "CPython 3.14.0 JIT"; "unknown Python" where the run
    does not say."""
    return _interpreter(run.machine) or "unknown Python"


def _interpreter(machine: dict[str, Any]) -> str | None:
    """Runs from before there was an "interpreter" say which by pytest-benchmark's own facts."""
    label = _lookup(machine, "interpreter.label")
    if not isinstance(label, str) or not label:
        said = (machine.get("python_implementation"), machine.get("python_version"))
        label = " ".join(str(part) for part in said if part)
    return one_line(label)[:60] or None


# --- Comparing -----------------------------------------------------------------------------------


def machine_differences(now: dict[str, Any], then: dict[str, Any]) -> list[str]:
    """In what two machine_infos differ so that their times say nothing about the code; one line
    each."""
    lines = []
    for path in COMPARED:
        find = _interpreter if path == "interpreter" else partial(_lookup, path=path)
        here, there = find(now), find(then)
        if here == there:
            continue
        if path == "tiers" and isinstance(here, dict) and isinstance(there, dict):
            changed = [t for t in {**here, **there} if here.get(t) != there.get(t)]
            lines.append(f"built differently: {one_line(', '.join(changed))}")
        elif path == "cpu.flags":
            lines.append("CPU flags differ")
        else:
            lines.append(f"{path}: {_said(there)} before, {_said(here)} now")
    return lines


def _lookup(info: dict[str, Any], path: str) -> Any:
    value: Any = info
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _said(value: Any) -> str:
    return "not recorded" if value is None else one_line(value)[:60]
