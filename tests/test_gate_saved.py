"""The tripwire on saved runs: what it catches and refuses, and that nothing passes silently."""

from __future__ import annotations

import copy
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.gate.saved_runs import BLIND, compare
from bench.saved import gates
from bench.saved.gates import INCONCLUSIVE, NEW, PASS, REGRESSED, REMOVED, Gate, Judged
from bench.saved.runs import BadRun, NotComparable
from bench.saved.schema import MARK, in_todays_names
from tests.altered import altered
from tests.stats import stats

Json = dict[str, Any]

SLOW = "test_bench_relu.py::test_relu[c-avx2-100]"
OTHER = "test_bench_relu.py::test_relu[py-loop-100]"
THIRD_PARTY = "test_theirs.py::test_sort"


def benchmark(fullname: str, seconds: float, confirmed: bool = True) -> Json:
    """As pytest-benchmark and this suite write it; a third party's has no metadata."""
    found: Json = {
        "group": None,
        "name": fullname.rpartition("::")[2],
        "fullname": fullname,
        "params": None,
        "options": {"timer": "perf_counter", "disable_gc": True, "max_time": 0.5},
        "extra_info": {},
        "stats": stats(seconds),
    }
    if "[" in fullname:
        side, variant = ("native", "c-avx2") if "c-avx2" in fullname else ("python", "py-loop")
        found["group"] = "relu_f32 100"
        found["params"] = {"variant": variant, "size": "100"}
        found["extra_info"] = {
            **MARK,
            "kernel": "relu_f32", "variant": variant, "side": side, "size": "100", "shape": [100],
            "flops": 100, "bytes": 800, "rate": "GB/s", "relaxed": False, "max_error_ulp": 0.0,
            "error_unit": "ULP of the true value", "confirmed": confirmed, "gflops": 1.0,
            "gbps": 8.0,
            "threads": 1 if side == "native" else None,
        }  # fmt: skip
    return found


def run(hour: int, *benchmarks: Json, key: str = "k1") -> Json:
    return {
        "datetime": f"2026-01-02T{hour:02}:00:00+00:00",
        "commit_info": {"id": "0123456789abcdef", "dirty": False},
        "machine_info": {
            **MARK,
            "cpu": {"brand_raw": "A CPU", "flags": ["avx2", "fma"], "count": 2},
            "python_implementation": "CPython",
            "python_version": "3.11.7",
            "tiers": {
                "avx2": {"compiler": "g++ 12", "flags": ["-O3", "-mavx2"], "key": key},
                "avx512": {"unavailable": "tier avx512 needs AVX-512"},
            },
        },
        "benchmarks": list(benchmarks),
    }


def usual(hour: int = 1, factor: float = 1.0, key: str = "k1") -> Json:
    """Three benchmarks, of which one takes `factor` times as long."""
    return run(
        hour, benchmark(SLOW, 1e-6 * factor), benchmark(OTHER, 1e-5), benchmark(THIRD_PARTY, 1.0),
        key=key,
    )  # fmt: skip


def written(folder: Path, *runs: Json) -> list[Path]:
    """0.json, 1.json, ...: the last one is the head."""
    paths = [folder / f"{number}.json" for number in range(len(runs))]
    for path, content in zip(paths, runs, strict=True):
        path.write_text(json.dumps(content), encoding="utf-8")
    return paths


def of(gate: Gate, name: str = SLOW) -> Judged:
    return next(judged for judged in gate.judged if judged.name == name)


# --- Verdicts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("factor", "verdict", "improved"),
    [
        (1.0, PASS, False),
        (1.09, PASS, False),
        (1.11, REGRESSED, False),
        (3.0, REGRESSED, False),
        (0.92, PASS, False),
        (0.5, PASS, True),
    ],
)
def test_a_slowdown_counts_beyond_the_floor(
    factor: float, verdict: str, improved: bool, tmp_path: Path
) -> None:
    gate = compare(written(tmp_path, usual(1), usual(2, factor, key="k2")))
    judged = of(gate)
    assert (judged.verdict, judged.improved) == (verdict, improved)
    assert judged.change == pytest.approx(factor - 1)
    assert (judged.base, judged.samples, judged.minimum_detectable_slowdown) == (1e-6, 1, 0.10)
    assert (judged.low, judged.high) == (None, None)
    assert gate.verdict == verdict
    assert gate.exit_code == (1 if verdict == REGRESSED else 0)
    assert gate.kind == gates.SAVED
    assert (gate.base, gate.head) == ("0.json (0123456)", "1.json (0123456)")
    assert {j.verdict for j in gate.judged if j.name != SLOW} == {PASS}


def test_floor_and_threshold_are_options(tmp_path: Path) -> None:
    paths = written(tmp_path, usual(1), usual(2, 1.05))
    assert compare(paths).verdict == PASS
    assert compare(paths, floor=0.03).verdict == REGRESSED
    assert compare(paths, floor=0.0, threshold=0.06).verdict == PASS
    for bad in (-0.1, math.nan, math.inf):
        with pytest.raises(ValueError, match="0 or more"):
            compare(paths, floor=bad)
        with pytest.raises(ValueError, match="0 or more"):
            compare(paths, threshold=bad)


def test_baselines_that_differ_widen_the_threshold(tmp_path: Path) -> None:
    baselines = [usual(1), usual(2, 1.2), usual(3, 1.1)]
    judged = of(compare(written(tmp_path, *baselines, usual(4, 1.25))))
    assert (judged.verdict, judged.samples) == (PASS, 3)
    assert judged.base == pytest.approx(1.1e-6)
    assert judged.minimum_detectable_slowdown == pytest.approx(0.2)
    assert of(compare(written(tmp_path, *baselines, usual(4, 1.35)))).verdict == REGRESSED


def test_one_baseline_that_holds_the_slowdown_does_not_make_it_pass(tmp_path: Path) -> None:
    """Not in two runs of three either, whatever their order."""
    for factors in ((1, 1, 3), (1, 3, 3), (3, 1, 1), (1, 3, 1)):
        baselines = [usual(hour, factor) for hour, factor in enumerate(factors)]
        gate = compare(written(tmp_path, *baselines, usual(9, 3)))
        assert gate.verdict == INCONCLUSIVE
        assert "differ by 200 %" in of(gate).note


@pytest.mark.parametrize(
    ("base_stable", "head_stable", "factor", "verdict"),
    [
        ([True], False, 3, INCONCLUSIVE),
        ([False], True, 3, INCONCLUSIVE),
        ([False, False], False, 3, INCONCLUSIVE),
        ([False, True], True, 3, REGRESSED),
        ([True], False, 1, PASS),
        ([False], True, 1, PASS),
    ],
)
def test_what_was_never_confirmed_is_no_regression(
    base_stable: list[bool], head_stable: bool, factor: float, verdict: str, tmp_path: Path
) -> None:
    baselines = [
        run(n, benchmark(SLOW, 1e-6, confirmed)) for n, confirmed in enumerate(base_stable)
    ]
    head = run(9, benchmark(SLOW, 1e-6 * factor, head_stable))
    judged = of(compare(written(tmp_path, *baselines, head)))
    assert judged.verdict == verdict
    assert "confirmed" in judged.note


def test_a_baseline_that_confirmed_counts_alone(tmp_path: Path) -> None:
    """An unconfirmed minimum is too long, and would hide a slowdown."""
    baselines = [run(1, benchmark(SLOW, 1e-6)), run(2, benchmark(SLOW, 9e-6, confirmed=False))]
    judged = of(compare(written(tmp_path, *baselines, run(3, benchmark(SLOW, 2e-6)))))
    assert (judged.verdict, judged.base, judged.samples) == (REGRESSED, 1e-6, 1)
    assert judged.note == "confirmed in 1 of 2 baseline runs"


def test_an_improvement_on_an_unconfirmed_baseline_is_none(tmp_path: Path) -> None:
    base = run(1, benchmark(SLOW, 9e-6, confirmed=False))
    judged = of(compare(written(tmp_path, base, run(2, benchmark(SLOW, 1e-6)))))
    assert (judged.verdict, judged.improved) == (PASS, False)


# --- Benchmarks of one side ----------------------------------------------------------------------


def test_what_only_the_head_has_is_new(tmp_path: Path) -> None:
    base = run(1, benchmark(OTHER, 1e-5))
    gate = compare(written(tmp_path, base, usual(2)))
    assert [(u.name, u.why) for u in gate.unjudged] == [(SLOW, NEW), (THIRD_PARTY, NEW)]
    assert gate.verdict == PASS


def test_what_the_head_lacks_is_an_error_unless_allowed(tmp_path: Path) -> None:
    paths = written(tmp_path, usual(1), run(2, benchmark(SLOW, 1e-6)))
    with pytest.raises(BadRun, match="lacks 2 benchmarks") as error:
        compare(paths)
    assert OTHER in str(error.value)
    assert THIRD_PARTY in str(error.value)
    assert "--allow-removed" in str(error.value)
    gate = compare(paths, allow_removed=True)
    assert [(u.name, u.why) for u in gate.unjudged] == [(OTHER, REMOVED), (THIRD_PARTY, REMOVED)]
    assert gate.verdict == PASS


def test_what_one_of_the_baselines_has_must_be_there_too(tmp_path: Path) -> None:
    lacking = run(2, benchmark(SLOW, 1e-6))
    with pytest.raises(BadRun, match="lacks 2 benchmarks"):
        compare(written(tmp_path, usual(1), lacking, run(3, benchmark(SLOW, 1e-6))))
    judged = of(compare(written(tmp_path, usual(1), lacking, usual(3))), OTHER)
    assert (judged.samples, judged.note) == (1, "in 1 of 2 baseline runs")


def test_nothing_in_common_is_not_a_pass(tmp_path: Path) -> None:
    paths = written(tmp_path, run(1, benchmark(SLOW, 1e-6)), run(2, benchmark(THIRD_PARTY, 1.0)))
    assert compare(paths, allow_removed=True).verdict == INCONCLUSIVE


@pytest.mark.parametrize(
    ("old", "new", "hinted"),
    [
        (SLOW, SLOW.replace("test_bench_relu.py", "test_all.py"), True),  # another file
        (SLOW, SLOW.replace("test_relu", "test_rectify"), True),  # another function
        (THIRD_PARTY, "test_theirs.py::test_sorted", False),
    ],
)
def test_a_renamed_benchmark_is_hinted_at(old: str, new: str, hinted: bool, tmp_path: Path) -> None:
    common = benchmark(OTHER, 1e-5)
    common["group"] = "another"
    paths = written(
        tmp_path, run(1, common, benchmark(old, 1e-6)), run(2, common, benchmark(new, 3e-6))
    )
    with pytest.raises(BadRun) as error:
        compare(paths)
    assert (f"renamed to {new}?" in str(error.value)) == hinted
    removed = compare(paths, allow_removed=True).unjudged[-1]
    assert (removed.why, "renamed" in removed.note) == (REMOVED, hinted)


def test_two_that_could_be_it_are_no_hint(tmp_path: Path) -> None:
    new = [benchmark(SLOW.replace("test_relu", name), 1e-6) for name in ("test_a", "test_b")]
    with pytest.raises(BadRun) as error:
        compare(written(tmp_path, run(1, benchmark(SLOW, 1e-6)), run(2, *new)))
    assert "renamed" not in str(error.value)


def test_many_missing_benchmarks_are_still_one_line(tmp_path: Path) -> None:
    many = [benchmark(f"t.py::test_{n}", 1.0) for n in range(100)]
    with pytest.raises(BadRun, match="and 94 more") as error:
        compare(written(tmp_path, run(1, *many), run(2, many[0])))
    assert len(str(error.value)) < 400 + len(str(tmp_path))


# --- Bad input -----------------------------------------------------------------------------------

NAN, INF = math.nan, math.inf
FIRST = "benchmarks.0"

# What is wrong with one of the two files; the message must hold the text.
BAD_VALUES: list[tuple[str, Any, type[Exception], str]] = [
    (f"{FIRST}.stats.min", NAN, BadRun, "min is NaN"),
    (f"{FIRST}.stats.min", INF, BadRun, "min is Infinity"),
    (f"{FIRST}.stats.min", -1e-6, BadRun, "min is -1e-06"),
    (f"{FIRST}.stats.min", 0, BadRun, "min is 0"),
    (f"{FIRST}.stats.min", None, BadRun, "min is nothing"),
    (f"{FIRST}.stats.min", "1e-6", BadRun, "min is "),
    (f"{FIRST}.stats.min", ..., BadRun, "min is nothing"),
    (f"{FIRST}.stats.min", True, BadRun, "min is true"),
    (f"{FIRST}.stats.min", 5.0, BadRun, "needs a time from min"),  # over its own maximum
    (f"{FIRST}.stats.max", NAN, BadRun, "max is NaN"),
    (f"{FIRST}.stats.mean", ..., BadRun, "mean is nothing"),
    (f"{FIRST}.stats.mean", 1e-9, BadRun, "mean is 1e-09"),
    (f"{FIRST}.stats.median", -1, BadRun, "median is -1"),
    (f"{FIRST}.stats.stddev", ..., BadRun, "stddev is nothing"),
    (f"{FIRST}.stats.iqr", ..., BadRun, "iqr is nothing"),
    (f"{FIRST}.stats.q1", NAN, BadRun, "q1 is NaN"),
    (f"{FIRST}.stats.rounds", 0, BadRun, "rounds is 0"),
    (f"{FIRST}.stats.rounds", ..., BadRun, "rounds is nothing"),
    (f"{FIRST}.stats.data", [1e-6] * 8 + [NAN], BadRun, "data[8] is NaN"),
    (f"{FIRST}.stats.data", [1e-6] * 8 + [-1.0], BadRun, "data[8] is -1"),
    (f"{FIRST}.stats.data", [], BadRun, "data's length"),
    (f"{FIRST}.stats.data", [1e-7] * 9, BadRun, "data's length and minimum"),
    (f"{FIRST}.stats", ..., BadRun, "stats is nothing"),
    (f"{FIRST}.stats", {}, BadRun, "min is nothing"),
    (f"{FIRST}.fullname", ..., BadRun, "fullname is nothing"),
    (f"{FIRST}.fullname", "", BadRun, "fullname"),
    (f"{FIRST}.options", "fast", BadRun, "options is "),
    (f"{FIRST}.options.max_time", NAN, BadRun, "max_time is NaN"),
    (f"{FIRST}.extra_info.shape", ..., BadRun, "shape is nothing"),
    (f"{FIRST}", None, BadRun, "benchmarks[0] is nothing"),
    ("benchmarks", [], BadRun, "benchmarks is empty"),
    ("benchmarks", ..., BadRun, "benchmarks is nothing"),
    ("benchmarks", [benchmark(SLOW, 1e-6)] * 2, BadRun, "appears twice"),
    ("machine_info", [], BadRun, "machine_info is []"),
    ("machine_info.tiers", 5, BadRun, "tiers is 5"),
    ("machine_info.tiers.avx2", "fast", BadRun, "tiers.avx2 is"),
    ("machine_info.tiers.avx2.compiler", ..., BadRun, "avx2.compiler is nothing"),
    ("machine_info.tiers.avx2.key", None, BadRun, "avx2.key is nothing"),
    ("machine_info.tiers.avx2.flags", "-O3", BadRun, "avx2.flags is"),
    ("datetime", "yesterday", BadRun, "datetime"),
    ("machine_info", ..., NotComparable, "CPU, Python, tiers: not recorded"),
    ("machine_info.cpu", {}, NotComparable, "CPU: not recorded"),
    ("machine_info.cpu.brand_raw", "B CPU", NotComparable, "B CPU"),
    ("machine_info.cpu.flags", ["avx2"], NotComparable, "CPU flags differ"),
    ("machine_info.cpu.count", 64, NotComparable, "cpu.count"),
    ("machine_info.machine", "aarch64", NotComparable, "machine: "),
    ("machine_info.system", "Darwin", NotComparable, "system: "),
    ("machine_info.python_version", "3.12.1", NotComparable, "3.12.1"),
    ("machine_info.python_version", ..., NotComparable, "Python: not recorded"),
    ("machine_info.python_implementation", "PyPy", NotComparable, "PyPy"),
    ("machine_info.tiers", ..., NotComparable, "tiers: not recorded"),
    ("machine_info.tiers.avx2.compiler", "clang 16", NotComparable, "clang 16"),
    ("machine_info.tiers.avx2.flags", ["-O0"], NotComparable, "-O0"),
    ("machine_info.tiers.avx2", {"unavailable": "gone"}, NotComparable, "avx2 was unavailable"),
    (f"{FIRST}.options.timer", "process_time", NotComparable, "process_time"),
    (f"{FIRST}.options.disable_gc", False, NotComparable, "disable_gc"),
    (f"{FIRST}.options.disable_gc", ..., NotComparable, "disable_gc"),
    (f"{FIRST}.options", ..., NotComparable, "options are not recorded"),
    (f"{FIRST}.params", {"variant": "c-avx2", "size": "200"}, NotComparable, '"200"'),
    (f"{FIRST}.params", None, NotComparable, "params"),
    (f"{FIRST}.extra_info.shape", [200], NotComparable, "[200]"),
    (f"{FIRST}.extra_info.threads", 2, NotComparable, '"threads": 2'),
    (f"{FIRST}.extra_info", {}, NotComparable, "extra_info"),
]


@pytest.mark.parametrize("side", [0, 1], ids=["base", "head"])
@pytest.mark.parametrize(
    ("path", "value", "error", "text"),
    BAD_VALUES,
    ids=[f"{p}={v!r:.20}" for p, v, *_ in BAD_VALUES],
)
def test_a_bad_value_is_refused_on_either_side(
    path: str, value: Any, error: type[Exception], text: str, side: int, tmp_path: Path
) -> None:
    runs = [usual(1), usual(2)]
    runs[side] = altered(runs[side], path, value)
    paths = written(tmp_path, *runs)
    with pytest.raises(error) as refused:
        compare(paths)
    message = str(refused.value)
    assert message.isprintable()  # one line
    assert text in message
    # Where sides differ the message is about the head, and names both.
    names = [str(p) for p in paths]
    assert any(message.startswith(f"{name}: ") for name in names)
    assert error is NotComparable or message.startswith(f"{names[side]}: ")


def _copied(paths: list[Path]) -> list[Path]:
    paths[-1].write_text(json.dumps(json.loads(paths[0].read_text()), indent=4))
    return paths


def _linked(how: Callable[[Path, Path], Any]) -> Callable[[list[Path]], list[Path]]:
    def linked(paths: list[Path]) -> list[Path]:
        link = paths[0].with_name("link.json")
        how(paths[0], link)
        return [paths[0], link]

    return linked


def _bytes(content: bytes) -> Callable[[list[Path]], list[Path]]:
    def replaced(paths: list[Path]) -> list[Path]:
        paths[-1].write_bytes(content)
        return paths

    return replaced


def _looped(paths: list[Path]) -> list[Path]:
    paths[-1].unlink()
    paths[-1].symlink_to(paths[-1].name)
    return paths


WHOLE = json.dumps(usual(2)).encode()

BAD_FILES: dict[str, tuple[Callable[[list[Path]], list[Path]], str]] = {
    "none": (lambda paths: [], "no file"),
    "one": (lambda paths: paths[:1], "0.json: is all that was given"),
    "missing": (lambda paths: [*paths, paths[0].with_name("no.json")], "no.json: cannot be read"),
    "missing-base": (lambda paths: [paths[0].with_name("no.json"), *paths], "no.json: cannot"),
    "folder": (lambda paths: [*paths, paths[0].parent], "Is a directory"),
    "looped-link": (_looped, "cannot be read"),
    "twice": (lambda paths: [paths[0], paths[0]], "is the same file as"),
    "twice-in-base": (lambda paths: [paths[0], *paths], "is the same file as"),
    "dotted": (lambda p: [p[0], p[0].parent / ".." / p[0].parent.name / "0.json"], "same file"),
    "symlink": (_linked(lambda path, link: link.symlink_to(path)), "link.json: is the same file"),
    "hard-link": (_linked(os.link), "link.json: is the same file"),
    "copy": (_copied, "1.json: is a copy of"),
    "empty": (_bytes(b""), "1.json: is empty"),
    "blank": (_bytes(b" \n"), "1.json: is empty"),
    "truncated": (_bytes(WHOLE[:-1]), "1.json: is not JSON"),
    "two-runs-in-one": (_bytes(WHOLE + WHOLE), "1.json: is not JSON"),
    "not-utf-8": (_bytes(b"\xff\xfe" + WHOLE), "1.json: not a text file"),
    "latin-1": (_bytes(WHOLE.replace(b"A CPU", b"\xb5 CPU")), "1.json: not a text file"),
    "null-bytes": (_bytes(b"\0" * 100), "1.json: is not JSON"),
    "a-list": (_bytes(b"[]"), "1.json: the file is []"),
    "null": (_bytes(b"null"), "1.json: the file is nothing"),
    "no-benchmarks": (_bytes(b"{}"), "1.json: benchmarks is nothing"),
    "deep": (_bytes(b"[" * 100_000), "1.json: is nested too deeply"),
    "digits": (_bytes(b"9" * 5000), "1.json: the file is Infinity"),
    "a-name-twice": (
        _bytes(WHOLE.replace(b'"min": 1e-06', b'"min": 3e-06, "min": 1e-06')),
        "1.json: is not JSON ('min' appears twice",
    ),
    "a-gate": (_bytes(json.dumps({"format": gates.FORMAT}).encode()), "benchmarks is nothing"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_file_is_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    change, text = BAD_FILES[kind]
    paths = change(written(tmp_path, usual(1), usual(2)))
    with pytest.raises(BadRun) as error:
        compare(paths)
    message = str(error.value)
    assert text in message
    assert message.isprintable()
    assert not paths or str(tmp_path) in message


def test_baselines_are_of_one_code_and_the_head_need_not_be(tmp_path: Path) -> None:
    assert compare(written(tmp_path, usual(1), usual(2), usual(3, key="k2"))).verdict == PASS
    with pytest.raises(NotComparable, match="tier avx2: key k1 before, k2 now"):
        compare(written(tmp_path, usual(1), usual(2, key="k2"), usual(3, key="k2")))


def test_baselines_must_be_alike_where_the_head_has_nothing(tmp_path: Path) -> None:
    other = altered(usual(2), f"{FIRST}.options.timer", "time")
    with pytest.raises(NotComparable, match="time"):
        compare(
            written(tmp_path, usual(1), other, run(3, benchmark(OTHER, 1e-5))), allow_removed=True
        )


def test_a_tier_of_one_side_only_is_part_of_the_change(tmp_path: Path) -> None:
    head = usual(2)
    head["machine_info"]["tiers"]["avx10"] = {"compiler": "g++ 12", "flags": [], "key": "k9"}
    assert compare(written(tmp_path, usual(1), head)).verdict == PASS


def test_third_party_runs_have_no_tiers(tmp_path: Path) -> None:
    runs = [run(hour, benchmark(THIRD_PARTY, seconds)) for hour, seconds in ((1, 1.0), (2, 3.0))]
    runs = [altered(content, "machine_info.tiers", ...) for content in runs]
    assert compare(written(tmp_path, *runs)).verdict == REGRESSED
    runs[1]["machine_info"]["tiers"] = {}
    with pytest.raises(NotComparable, match="one side only"):
        compare(written(tmp_path, *runs))


def test_an_object_recorded_by_its_address_is_the_same_elsewhere(tmp_path: Path) -> None:
    runs = [
        altered(usual(hour), f"{FIRST}.params", {"x": f"UNSERIALIZABLE[<C object at {at}>]"})
        for hour, at in ((1, "0x7f0000001000"), (2, "0x7f0000002000"))
    ]
    assert compare(written(tmp_path, *runs)).verdict == PASS


def test_what_does_not_decide_is_noted(tmp_path: Path) -> None:
    assert compare(written(tmp_path, usual(1), usual(2))).note == ""
    dirty = altered(usual(0), "commit_info.dirty", True)
    gate = compare(written(tmp_path, usual(1), dirty))
    assert "1.json was measured on uncommitted changes" in gate.note
    assert "the head is older than its baseline" in gate.note
    assert gate.head == "1.json (0123456+)"
    other = altered(usual(2), "commit_info.id", "fedcba9")
    gate = compare(written(tmp_path, usual(1), other, usual(3)))
    assert "several commits" in gate.note
    assert gate.base == "2 runs (0.json to 1.json)"


def test_a_file_of_any_name_can_be_saved_in_the_result(tmp_path: Path) -> None:
    paths = written(tmp_path, usual(1), usual(2))
    renamed = paths[1].rename(tmp_path / "a\nb\udcff|<b>.json")
    gate = compare([paths[0], renamed])
    assert gate.head == r"a\nb\udcff|<b>.json (0123456)"
    gates.save(gates.as_json(gate), tmp_path / "gate.json")
    assert gates.load(tmp_path / "gate.json").head == gate.head


def test_the_result_is_read_back_as_it_was(tmp_path: Path) -> None:
    content = run(
        3, benchmark(SLOW, 3e-6), benchmark(THIRD_PARTY, 1.0), benchmark("t.py::young", 1.0)
    )
    gate = compare(written(tmp_path, usual(1), usual(2), content), allow_removed=True)
    path = tmp_path / "gate.json"
    saved = gates.as_json(gate)
    gates.save(saved, path)
    again = gates.load(path)
    assert gates.as_json(again) == saved
    assert (again.judged, again.unjudged, again.verdict) == (gate.judged, gate.unjudged, REGRESSED)


def confirmed(benchmark: dict[str, Any]) -> bool:
    return in_todays_names(benchmark["extra_info"])["confirmed"] is True


def test_the_reference_run_is_compared_whole(tmp_path: Path) -> None:
    """A real file; every benchmark of it three times as long in the head."""
    base = json.loads(Path("results/reference.json").read_text(encoding="utf-8"))
    head = copy.deepcopy(base)
    for entry in head["benchmarks"]:
        for name in ("min", "max", "mean", "median", "iqr", "stddev"):
            entry["stats"][name] *= 3
    gate = compare(written(tmp_path, base, head))
    assert len(gate.judged) == len(base["benchmarks"])
    assert gate.verdict == REGRESSED
    unstable = {b["fullname"] for b in base["benchmarks"] if not confirmed(b)}
    assert {j.name for j in gate.judged if j.verdict == INCONCLUSIVE} == unstable


# --- No silent pass ------------------------------------------------------------------------------

PATHS = sorted({path for path, *_ in BAD_VALUES} | {"commit_info", "benchmarks.1", "benchmarks.2"})
GARBAGE = st.one_of(
    st.sampled_from([..., None, True, False, 0, -0.0, -1, -1e-6, NAN, INF, -INF, 1e300, 10**400]),
    st.sampled_from(["", "x", "1e-6", "\ud800", "\n", [], [None], {}, {"min": 1e-6}, [[]]]),
    st.recursive(
        st.none() | st.booleans() | st.text(max_size=3) | st.just(NAN) | st.just(-1),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=4,
    ),
)


def _spoiled(content: Json, path: str, value: Any) -> Json:
    try:
        return altered(content, path, value)
    except (KeyError, IndexError, TypeError, ValueError):  # garbage has replaced its parent
        return content


@settings(max_examples=300, deadline=None, database=None, derandomize=True)
@given(
    which=st.integers(0, 2),
    spoils=st.lists(st.tuples(st.sampled_from(PATHS), GARBAGE), min_size=1, max_size=3),
)
def test_garbage_in_one_file_never_makes_a_threefold_slowdown_pass(
    which: int, spoils: list[tuple[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Two baselines and a head; whatever one of them has lost, the other baseline still has."""
    runs = [usual(1), usual(2, 1.02), usual(3, 3.0)]
    for path, value in spoils:
        runs[which] = _spoiled(runs[which], path, value)
    paths = written(tmp_path_factory.mktemp("spoiled"), *runs)
    try:
        gate = compare(paths)
    except (BadRun, NotComparable) as error:
        assert str(error).isprintable()
        assert any(str(path) in str(error) for path in paths)
    else:
        assert gate.verdict != PASS
        assert of(gate).verdict in (REGRESSED, INCONCLUSIVE)
        gates.from_json(json.loads(json.dumps(gates.as_json(gate), allow_nan=False)))


@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(which=st.integers(0, 1), share=st.floats(0, 1, exclude_max=True))
def test_a_truncated_file_is_always_refused(
    which: int, share: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    paths = written(tmp_path_factory.mktemp("truncated"), usual(1), usual(2))
    whole = paths[which].read_bytes()
    paths[which].write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(BadRun):
        compare(paths)


@settings(max_examples=200, deadline=None, database=None, derandomize=True)
@given(
    baselines=st.lists(st.tuples(st.floats(1.0, 100.0), st.booleans()), min_size=1, max_size=5),
    head=st.floats(1.0, 1000.0),
    floor=st.floats(0.0, BLIND),
)
def test_no_pass_is_more_than_half_slower_than_its_baseline(
    baselines: list[tuple[float, bool]],
    head: float,
    floor: float,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Whatever the baselines are: a floor of at most BLIND bounds what a pass can hide."""
    runs = [run(n, benchmark(SLOW, 1e-6 * t, ok)) for n, (t, ok) in enumerate(baselines)]
    paths = written(tmp_path_factory.mktemp("pooled"), *runs, run(9, benchmark(SLOW, 1e-6 * head)))
    judged = of(compare(paths, floor=floor))
    assert judged.minimum_detectable_slowdown is not None
    if judged.verdict == PASS:
        assert judged.change <= BLIND + 1e-9
    if judged.verdict == REGRESSED:
        assert judged.change > judged.minimum_detectable_slowdown - 1e-9
        assert 1e-6 * head > min(t for t, _ in baselines) * 1e-6
    assert not (judged.improved and judged.verdict != PASS)
