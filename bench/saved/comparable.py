"""Whether the times of two saved runs say anything about the code: the one notion of it, for the
gate, the report, merged runs and --benchmark-compare."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from bench.saved.runs import (
    BadRun,
    NotComparable,
    Result,
    Run,
    from_json,
    interpreter_of,
    one_line,
)

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


def machine_differences(now: dict[str, Any], then: dict[str, Any]) -> list[str]:
    """In what two machine_infos differ so that their times say nothing about the code; one line
    each."""
    lines = []
    for path in COMPARED:
        here, there = (_lookup(info, path) for info in (now, then))
        if here == there:
            continue
        if path == "tiers" and isinstance(here, dict) and isinstance(there, dict):
            changed = [t for t in {**here, **there} if here.get(t) != there.get(t)]
            lines.append(f"built differently: {one_line(', '.join(changed))}")
        elif path == "cpu.flags":
            lines.append("CPU flags differ")
        else:
            lines.append(f"{path}: {_shown(there)} before, {_shown(here)} now")
    return lines


def _lookup(info: dict[str, Any], path: str) -> Any:
    if path == "interpreter":
        return interpreter_of(info)
    value: Any = info
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _shown(value: Any) -> str:
    return "not recorded" if value is None else one_line(value)[:60]


def unknown_machine(run: Run) -> str | None:
    """What the run does not say of what it was measured on, in one line: what neither side records
    is alike on both, and shows nothing."""
    cpu = run.machine.get("cpu")
    known = {
        "CPU": isinstance(cpu, dict) and (cpu.get("brand_raw") or cpu.get("flags")),
        "Python": run.machine.get("python_version"),
        "tiers": run.machine.get("tiers") or not any(f.side == "native" for _, f in run.ours),
    }
    unknown = [name for name, value in known.items() if not value]
    if not unknown:
        return None
    return (
        f"{run.source}: {', '.join(unknown)}: not recorded in machine_info, needs them to be "
        "compared with another run"
    )


def other_machine(run: Run, base: Run, same_sources: bool = False) -> str | None:
    """In what CPU, Python or a tier's compiler or flags differ, or are not recorded, in one line;
    None where they are alike.

    A tier's key is the hash of its compiler, flags and sources. With same_sources it must agree;
    without, the sources may differ, for they are what is judged.
    """
    for side in (run, base):
        unknown = unknown_machine(side)
        if unknown is not None:
            return unknown
    here, there = ({**side.machine, "tiers": None} for side in (run, base))
    differences = machine_differences(here, there)
    differences += _tier_differences(
        run.machine.get("tiers"), base.machine.get("tiers"), same_sources
    )
    if not differences:
        return None
    return f"{run.source}: is not comparable with {base.source}: {'; '.join(differences)}"


def machine_key(run: Run) -> tuple[str, str]:
    """All that other_machine() looks at, but for the sources: of the machine, and of the tiers.
    Runs that have the same cannot be told apart; runs of other machines cannot be compared.

    Of a run that does not say what it was measured on, all that it does say: what py-cpuinfo called
    the CPU before its version 6, or the host's name.
    """
    facts = [_lookup(run.machine, path) for path in COMPARED if path != "tiers"]
    if unknown_machine(run) is not None:
        facts.append(["unknown", _lookup(run.machine, "cpu.brand") or run.machine.get("node")])
    tiers = run.machine.get("tiers")
    if tiers is not None:
        tiers = {
            name: "unavailable" not in tier and [tier["compiler"], tier["flags"]]
            for name, tier in tiers.items()
        }
    return _canonical(facts), _canonical(tiers)


def benchmark_key(result: Result) -> str | None:
    """The same for results of one name exactly if other_benchmark() finds no difference; None where
    it can be compared with no other."""
    return None if result.options is None else _canonical(compared_fields(result))


def compared_fields(result: Result) -> tuple[Any, ...]:
    """All that other_benchmark() looks at."""
    return result.options, result.params, _case(result)


def make_fit(
    compared: Any, machine_info: dict[str, Any], fields: Iterable[str], source: str
) -> tuple[list[str], str | None]:
    """Leaves in a saved run, as pytest-benchmark has read it, only the benchmarks that can be used
    and have all `fields` of its statistics. What was left out, in lines; and why the times say
    nothing beside this machine's, if so. Raises BadRun where nothing is left."""
    then = from_json(compared, source)
    usable = then.by_fullname()
    compared["benchmarks"] = [
        row
        for row in compared["benchmarks"]
        if isinstance(row, dict)
        and one_line(row.get("fullname")) in usable
        and all(_is_statistic(name, row["stats"].get(name)) for name in fields)
    ]
    lines = list(then.left_out)
    for row in compared["benchmarks"]:  # what else stands there would replace a test's own name
        row["stats"] = {name: row["stats"][name] for name in fields}
    bare = len(usable) - len(compared["benchmarks"])
    if bare:
        lines.append(f"{source}: {bare} benchmarks lack statistics, needs {', '.join(fields)}")
    if not compared["benchmarks"]:
        raise BadRun(lines[0])
    now = Run("this run", None, "", False, machine_info, ())
    return lines, other_machine(now, then)


def _is_statistic(name: str, value: Any) -> bool:
    """Whether pytest-benchmark can print it; it computes with all but one."""
    if name == "outliers":
        return re.fullmatch(r"\d+;\d+", str(value)) is not None
    return isinstance(value, (int, float)) and abs(value) < 1e30


def merged(runs: Iterable[Run]) -> Run:
    """The newest of several runs, oldest first, with the benchmarks of the others as well; of what
    several have, the shortest minimum. Raises NotComparable where they were not measured alike."""
    *others, newest = runs
    best: dict[Any, Result] = {}
    origin: dict[Any, Run] = {}
    for run in (newest, *reversed(others)):
        reason = None if run is newest else other_machine(run, newest, same_sources=True)
        for result in run.results if reason is None else ():
            metadata = result.metadata
            case = (
                (metadata.kernel, metadata.variant, metadata.size) if metadata else result.fullname
            )
            if case in best:
                reason = reason or other_benchmark(run, result, origin[case], best[case])
            if case not in best or result.minimum < best[case].minimum:
                best[case], origin[case] = result, run
        if reason is not None:
            raise NotComparable(reason)
    left_out = tuple(line for run in (newest, *others) for line in run.left_out)
    return replace(newest, results=tuple(best.values()), left_out=left_out)


def _tier_differences(
    here: dict[str, Any] | None, there: dict[str, Any] | None, same_sources: bool
) -> list[str]:
    """A tier of one side only is none: its benchmarks are new, or missing."""
    if here is None or there is None:
        return [] if here is there else ["tiers: recorded on one side only"]
    lines = []
    for name in (name for name in there if name in here):
        now, then = here[name], there[name]
        if "unavailable" in now or "unavailable" in then:
            if ("unavailable" in now) != ("unavailable" in then):
                side = "now" if "unavailable" in now else "before"
                lines.append(f"tier {one_line(name)} was unavailable {side}")
            continue
        for field in ("compiler", "flags", *(["key"] if same_sources else [])):
            if now[field] != then[field]:
                before, after = (_flags(side[field]) for side in (then, now))
                lines.append(f"tier {one_line(name)}: {field} {before} before, {after} now")
    return lines


def _flags(value: str | list[str]) -> str:
    return value[:60] if isinstance(value, str) else " ".join(value)


def other_benchmark(run: Run, here: Result, base: Run, there: Result) -> str | None:
    """How one name stands for different work, or was timed otherwise, in one line; else None."""
    for what, now, then in (
        ("options", here.options, there.options),
        ("params", here.params, there.params),
        ("extra_info", _case(here), _case(there)),
    ):
        if what == "options" and (now is None or then is None):
            which = run if now is None else base
            return (
                f"{which.source}: {here.fullname}: options are not recorded, needs them to be "
                "compared with another run"
            )
        if _canonical(now) != _canonical(then):
            return (
                f"{run.source}: {here.fullname}: {what} {_different(then, now)} in {base.source}, "
                f"{_different(now, then)} here"
            )
    return None


def _case(result: Result) -> dict[str, Any] | None:
    """What of the metadata says which work was done, and by how many threads."""
    metadata = result.metadata
    if metadata is None:
        return None
    names = ("kernel", "variant", "shape", "threads", "relaxed")
    return {name: getattr(metadata, name) for name in names}


def _canonical(value: Any) -> str:
    """NaN is like NaN, and an object that was recorded by its address like one at another."""
    return re.sub(r"\b0x[0-9a-f]{6,}", "0x", json.dumps(value, sort_keys=True))


def _different(one: dict[str, Any] | None, other: dict[str, Any] | None) -> str:
    """The entries of `one` that `other` does not have."""
    if one is None or other is None:
        return "not recorded" if one is None else "recorded"
    own = {name: v for name, v in one.items() if _canonical(v) != _canonical(other.get(name))}
    return json.dumps(own)[:80] if own else "nothing more"
