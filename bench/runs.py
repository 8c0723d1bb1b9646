"""The saved run: its schema, and the only door through which benchmark JSON is read and checked.

A run is what pytest-benchmark writes. Benchmarks of this suite carry their facts in extra_info;
foreign ones have times only, and every view that needs no more takes them too.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

STORAGE = Path(".benchmarks")

# What a believable figure lies between. A time outside is a broken file, and would break what is
# computed from it.
_SHORTEST, _LONGEST = 1e-12, 1e9  # seconds a call
_LARGEST = 1e30
_SMALLEST_RATE = 1e-9  # a second
_SMALLEST_RATIO = 1e-12
_ROUNDING = 1e-9  # by how much a mean of equal times may miss them

# What two runs must share for their times to be comparable. The rest of machine_info (kernel
# release, current clock, ...) changes from one boot or second to the next.
COMPARED = (
    "cpu.brand_raw",
    "cpu.flags",
    "cpu.l2_cache_size",
    "cpu.l3_cache_size",
    "cpu.count",
    "interpreter",
    "python_compiler",
    "tiers",
)


class BadRun(Exception):
    """A run that cannot be used; the message names the file, what is wrong and where."""


@dataclass(frozen=True)
class Evidence:
    """What tools have seen of a benchmark's code; None where they could not look.

    instructions  executed for one element of the result's work (Evidence.per), at `size`
    l1_bytes      that come from beyond a simulated first-level cache, for the same
    per           what an element is: "element", or "multiply-add" for products
    size          at which they were counted; may be smaller than the benchmark's
    vector_bits   the widest registers with packed floating-point or integer arithmetic in the
                  function and what it calls within its module: 0 (none), 128, 256, 512
    fma           whether fused multiply-adds are in there
    math_calls    functions of other libraries that it calls: tanhf, _ZGVdN8v_expf, ...
    """

    instructions: float | None
    l1_bytes: float | None
    per: str
    size: str | None
    vector_bits: int | None
    fma: bool | None
    math_calls: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """How many times as fast a benchmark is as the variant `over`, on the same data: the ratio of
    their minima over `pairs` of alternating rounds, and the least and the largest such ratio of a
    quarter of them."""

    over: str
    ratio: float
    low: float
    high: float
    pairs: int


@dataclass(frozen=True)
class Rung:
    """One rung of a kernel's ladder: what the variant changes over the rung before, and why that
    matters."""

    variant: str
    idea: str
    reason: str


@dataclass(frozen=True)
class Facts:
    """What extra_info says of a benchmark of this suite; see the registry for kernel and units."""

    kernel: str
    variant: str  # py-loop, c-avx2, peer-numpy
    side: str  # python, native, peer
    size: str
    shape: tuple[int, ...]
    flops: int
    bytes: int
    rate: str  # "GB/s", "GFLOP/s" or "GOP/s": the one that states the kernel's limit
    relaxed: bool  # built with relaxed IEEE rules: shown, never the headline
    max_error_ulp: float
    error_unit: str
    stable: bool
    uncertainty: float | None  # of the minimum, as a share of it; None: a single round
    aside: bool  # explains something, and stands in no matrix
    step: Step | None  # None: not measured, or not a rung of the ladder
    gflops: float
    gbps: float
    speedup: float | None  # None: no Python variant of this case in the run
    loss: float | None  # relative Frobenius error, where something was quantised
    bound: str | None  # what it cannot be faster than: "compute", "L1", "L2", "L3" or "DRAM"
    percent_of_limit: float | None  # how much of that it reaches; both None without limits
    threads: int | None  # None: Python, or a run from before this was recorded
    evidence: Evidence | None  # None: nothing was counted or disassembled


@dataclass(frozen=True)
class Result:
    """One benchmark of a run. Times in seconds a call.

    params    what it was parametrised with; None: with nothing
    options   pytest-benchmark's, as they governed its rounds; None: not recorded
    extra     extra_info, as it stands in the file
    """

    fullname: str
    group: str
    minimum: float
    median: float
    iqr: float
    rounds: int
    facts: Facts | None
    params: dict[str, Any] | None = None
    options: dict[str, Any] | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def spread(self) -> float:
        """Interquartile range over the median."""
        return self.iqr / self.median


@dataclass(frozen=True)
class Limit:
    """One of the machine's ceilings, as measured in the run."""

    # fma, madd_i16, dot_i8, clock, call, or read, update, copy, stream (non-temporal stores)
    name: str
    level: str | None  # L1, L2, L3, DRAM; None where no memory is involved
    cores: int
    working_set: int | None  # bytes that stood for the level, of all cores together
    per_second: float
    unit: str  # what is counted: FLOP, OP, cycle, call, B
    tier: str  # whose registers; avx2 in runs from before there were wider ones


@dataclass(frozen=True)
class Run:
    """A saved run, in the order in which it was measured."""

    source: str
    when: datetime | None
    commit: str
    dirty: bool
    machine: dict[str, Any]
    results: tuple[Result, ...]
    limits: tuple[Limit, ...] = ()  # none in runs from before there were any
    ladders: dict[str, tuple[Rung, ...]] = field(default_factory=dict)  # by kernel; the same
    # Bytes of L1 and L2 (of one core) and L3, in this order; empty in runs that do not say.
    caches: Mapping[str, int] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Short name: when, and at which commit."""
        when = self.when.strftime("%Y-%m-%d %H:%M") if self.when else "now"
        commit = self.commit[:7] + ("+" if self.dirty else "")
        return f"{when} {commit}".strip()

    @property
    def ours(self) -> list[tuple[Result, Facts]]:
        """The results that carry this suite's facts."""
        return [(result, result.facts) for result in self.results if result.facts is not None]

    def by_fullname(self) -> dict[str, Result]:
        return {result.fullname: result for result in self.results}


# --- Reading -------------------------------------------------------------------------------------


def newest(storage: Path = STORAGE) -> Path:
    """The newest saved run below `storage`."""
    saved = sorted(storage.glob("**/*.json"), key=lambda p: (p.stat().st_mtime, p.name))
    if not saved:
        raise BadRun(
            f"{storage}: no saved run; make one with: pytest --benchmark-only --benchmark-autosave"
        )
    return saved[-1]


def load(path: Path) -> Run:
    """Read and check one file. Raises BadRun."""
    return from_json(read_json(path, "pytest-benchmark JSON"), one_line(path))


def one_line(text: object) -> str:
    """Whatever a file holds or is called, fit for a message: control characters and lone surrogates
    are spelled out."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(text)
    )


def read_json(path: Path, needs: str) -> Any:
    """The file, parsed. Raises BadRun; `needs` names what it should have been."""
    name = one_line(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadRun(f"{name}: cannot be read ({error.strerror or error})") from None
    except UnicodeDecodeError:
        raise BadRun(f"{name}: not a text file, needs {needs}") from None
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        what = "is empty" if not text.strip() else f"is not JSON (line {error.lineno}: {error.msg})"
        raise BadRun(f"{name}: {what}, needs {needs}") from None
    except ValueError as error:  # a name twice; an integer of more digits than Python will read
        raise BadRun(f"{name}: is not JSON ({one_line(error)}), needs {needs}") from None
    except RecursionError:
        raise BadRun(f"{name}: is nested too deeply for {needs}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, whose names must differ: json would keep the last one and drop the others."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice[:60]!r} appears twice in one object")
    return found


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        draft.write_text(text, encoding="utf-8")
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def load_all(paths: Iterable[Path]) -> list[Run]:
    """Every run, oldest first; the newest saved one when no path is given."""
    runs = [load(path) for path in paths] or [load(newest())]
    return sorted(runs, key=lambda run: run.when.timestamp() if run.when else math.inf)


def from_json(content: Any, source: str = "this run") -> Run:
    """A run from pytest-benchmark's JSON, already parsed. Raises BadRun."""
    check = Checker(source)
    top = check.mapping(content, "the file")
    results = tuple(_result(check, b) for b in check.sequence(top.get("benchmarks"), "benchmarks"))
    if not results:
        raise BadRun(f"{source}: benchmarks is empty, needs at least one")
    seen: set[str] = set()
    for result in results:
        if result.fullname in seen:
            raise BadRun(f"{source}: {result.fullname} appears twice")
        seen.add(result.fullname)
    commit = check.optional_mapping(top.get("commit_info"), "commit_info")
    machine = check.optional_mapping(top.get("machine_info"), "machine_info")
    return Run(
        source=source,
        when=when(check, top.get("datetime")),
        commit=str(commit.get("id") or ""),
        dirty=bool(commit.get("dirty")),
        machine=machine,
        results=results,
        limits=limits_from_json(machine.get("limits", []), source),
        ladders=_ladders(check, machine.get("ladders")),
        caches=_caches(check, machine.get("caches")),
    )


def _ladders(check: Checker, value: Any) -> dict[str, tuple[Rung, ...]]:
    where = "machine_info.ladders"

    def rung(value: Any) -> Rung:
        row = check.mapping(value, f"a rung of {where}")
        names = ("variant", "idea", "reason")
        return Rung(*(check.text(row.get(name), f"{where}: {name}") for name in names))

    return {
        kernel: tuple(map(rung, check.sequence(rows, where)))
        for kernel, rows in check.optional_mapping(value, where).items()
    }


def _caches(check: Checker, value: Any) -> dict[str, int]:
    if value is None:
        return {}
    row, where = check.mapping(value, "machine_info.caches"), "machine_info.caches"
    levels = ("L1", "L2", "L3")
    return {level: check.whole(row.get(level), f"{where}.{level}", least=1) for level in levels}


def limits_from_json(content: Any, source: str = "this machine") -> tuple[Limit, ...]:
    """The limits of a machine_info, already parsed. Raises BadRun."""
    check = Checker(source)
    return tuple(_limit(check, row) for row in check.sequence(content, "machine_info.limits"))


def _limit(check: Checker, value: Any) -> Limit:
    row, where = check.mapping(value, "a limit"), "a limit's"
    level, working_set = row.get("level"), row.get("working_set")
    rate = row.get("per_second")
    return Limit(
        name=check.text(row.get("name"), f"{where} name"),
        level=None if level is None else check.text(level, f"{where} level"),
        cores=check.whole(row.get("cores"), f"{where} cores"),
        working_set=None if level is None else check.whole(working_set, f"{where} working_set"),
        per_second=check.number(rate, f"{where} per_second", _SMALLEST_RATE),
        unit=check.text(row.get("unit"), f"{where} unit"),
        tier=check.text(row.get("tier", "avx2"), f"{where} tier"),
    )


def when(check: Checker, value: Any) -> datetime | None:
    """The moment that a file's "datetime" says; None where it says none."""
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(check.text(value, "datetime"))
    except ValueError:
        moment = None
    if moment is None or not 1970 <= moment.year < 9999:
        raise check.bad("datetime", value, "an ISO 8601 date from 1970 on")
    return moment


def _result(check: Checker, value: Any) -> Result:
    benchmark = check.mapping(value, "a benchmark")
    fullname = check.text(benchmark.get("fullname"), "a benchmark's fullname")
    stats = check.mapping(benchmark.get("stats"), f"{fullname}: stats")

    extra = check.optional_mapping(benchmark.get("extra_info"), f"{fullname}: extra_info")
    return Result(
        fullname=fullname,
        group=str(benchmark.get("group") or ""),
        **_times(check, fullname, stats),
        facts=_facts(check, fullname, extra) if "kernel" in extra else None,
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
    rounds = check.whole(stats.get("rounds"), f"{fullname}: rounds", least=1)
    if "iterations" in stats:
        check.whole(stats["iterations"], f"{fullname}: iterations", least=1)
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


def _facts(check: Checker, fullname: str, extra: dict[str, Any]) -> Facts:
    def text(name: str) -> str:
        return check.text(extra.get(name), f"{fullname}: extra_info.{name}")

    def number(name: str) -> float:
        return check.number(extra.get(name), f"{fullname}: extra_info.{name}")

    def optional(name: str) -> float | None:
        return number(name) if extra.get(name) is not None else None

    shape = check.sequence(extra.get("shape"), f"{fullname}: extra_info.shape")
    threads = extra.get("threads")
    if threads is not None:
        threads = check.whole(threads, f"{fullname}: extra_info.threads")
    return Facts(
        kernel=text("kernel"),
        variant=text("variant"),
        side=text("side"),
        size=text("size"),
        shape=tuple(check.whole(n, f"{fullname}: extra_info.shape") for n in shape),
        flops=check.whole(extra.get("flops"), f"{fullname}: extra_info.flops"),
        bytes=check.whole(extra.get("bytes"), f"{fullname}: extra_info.bytes"),
        rate=text("rate"),
        relaxed=extra.get("relaxed") is True,
        max_error_ulp=number("max_error_ulp"),
        error_unit=text("error_unit"),
        stable=extra.get("stable") is True,
        uncertainty=optional("uncertainty"),
        aside=extra.get("aside") is True,
        step=_step(check, fullname, extra.get("step")),
        gflops=number("gflops"),
        gbps=number("gbps"),
        speedup=optional("speedup"),
        loss=optional("relative_frobenius_error"),
        bound=text("bound") if extra.get("bound") is not None else None,
        percent_of_limit=optional("percent_of_limit"),
        threads=threads,
        evidence=_evidence(check, fullname, extra.get("evidence")),
    )


def _step(check: Checker, fullname: str, value: Any) -> Step | None:
    if value is None:
        return None
    where = f"{fullname}: extra_info.step"
    row = check.mapping(value, where)

    def ratio(name: str) -> float:
        return check.number(row.get(name), f"{where}.{name}", _SMALLEST_RATIO)

    return Step(
        over=check.text(row.get("over"), f"{where}.over"),
        ratio=ratio("ratio"),
        low=ratio("low"),
        high=ratio("high"),
        pairs=check.whole(row.get("pairs"), f"{where}.pairs", least=1),
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


@dataclass(frozen=True)
class Checker:
    """Turns a value into the type it must have, or says where it stands and what it should be."""

    source: str

    def bad(self, where: str, value: Any, needs: str) -> BadRun:
        try:
            shown = "nothing" if value is None else json.dumps(value, default=str)[:60]
        except ValueError:  # an integer of more digits than Python will print
            shown = "a huge number"
        return BadRun(f"{self.source}: {where} is {shown}, needs {needs}")

    def mapping(self, value: Any, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.bad(where, value, "an object")
        return value

    def optional_mapping(self, value: Any, where: str) -> dict[str, Any]:
        return {} if value is None else self.mapping(value, where)

    def sequence(self, value: Any, where: str) -> list[Any]:
        if not isinstance(value, list):
            raise self.bad(where, value, "a list")
        return value

    def text(self, value: Any, where: str) -> str:
        if not isinstance(value, str) or not value:
            raise self.bad(where, value, "text")
        if not value.isprintable():  # control characters, lone surrogates
            raise self.bad(where, value, "printable text")
        return value

    def number(self, value: Any, where: str, least: float = 0.0, most: float = _LARGEST) -> float:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not least <= value <= most:  # NaN is not in between either
            raise self.bad(where, value, f"a number from {least:g} to {most:g}")
        return float(value)

    def whole(self, value: Any, where: str, least: int = 0) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= _LARGEST:
            raise self.bad(where, value, f"a whole number from {least} to {_LARGEST:g}")
        return value


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
