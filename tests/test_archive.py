"""Any number of saved files: which are read, as what, and which times stand beside which."""

from __future__ import annotations

import json
import math
import os
import time
import tracemalloc
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis import history
from bench.analysis.history import Archive
from bench.saved import archive, gates, runs
from bench.saved.archive import Found, OtherTable, Wanted, find
from bench.saved.checks import BadRun, Refusal
from bench.saved.comparable import benchmark_key, machine_key, other_benchmark, other_machine
from bench.saved.gates import Gate
from bench.saved.peers import PeerRun
from bench.saved.runs import Run
from tests import growing
from tests.altered import altered
from tests.many_runs import STEP, write_runs
from tests.stats import MACHINE, OPTIONS, stats
from tests.test_peer_table import GOOD as COMPARISON

DATA = Path(__file__).resolve().parent / "data"
THEIRS = sorted(DATA.glob("pytest-benchmark-*.json"))
NO_RUN = "no saved run; make one with: pytest --benchmark-only --benchmark-autosave"
OTHER_FLAGS = {"avx2": {**MACHINE["tiers"]["avx2"], "flags": ["-O2"]}}
NEW_SOURCES = {"avx2": {**MACHINE["tiers"]["avx2"], "key": "k2"}}
MORE_TIERS = {**MACHINE["tiers"], "avx512": {"unavailable": "the CPU lacks it"}}


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def case(kernel: str, variant: str, n: int, seconds: float) -> dict[str, Any]:
    """One benchmark of this suite, of n elements."""
    made = growing.case(variant, (n,), seconds)
    made["extra_info"] |= {"kernel": kernel, "gflops": 1.0, "gbps": 1.0, "uncertainty": 0.01}
    return {**made, "fullname": f"t.py::test_{kernel}[{variant}-{n}]"}


def foreign(name: str, seconds: float) -> dict[str, Any]:
    return {"fullname": name, "stats": stats(seconds, iqr=seconds / 100), "options": OPTIONS}


def content(day: int, *benchmarks: dict[str, Any], **machine: Any) -> dict[str, Any]:
    """A run of one day of November 2025, as it is saved."""
    return {
        "machine_info": {**MACHINE, **machine},
        "commit_info": {"id": f"{day:07}", "dirty": False},
        "benchmarks": list(benchmarks) or [foreign("t.py::t", float(day))],
        "datetime": f"2025-11-{day:02}T10:00:00+00:00",
    }


def save(name: str, saved: object) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(saved if isinstance(saved, str) else json.dumps(saved))
    return path


def read(*saved: object, **wanted: Any) -> Archive:
    """Of these files, called 0.json, 1.json, ..."""
    paths = tuple(save(f"{number}.json", one) for number, one in enumerate(saved))
    return history.read(Found(paths), Wanted(**wanted))


def labels(found: Archive) -> list[list[str]]:
    """The days of each history."""
    return [[moment.commit.lstrip("0") for moment in one.moments] for one in found.histories]


def names(*paths: str) -> tuple[Path, ...]:
    return tuple(map(Path, paths))


# --- Which files --------------------------------------------------------------------------------


def some_files() -> None:
    for name in ("a/1.json", "a/b/2.json", "a/.hidden/3.json", "a/.benchmarks/L/4.json", "5.json"):
        save(name, "{}")
    save("a/text.md", "")


FINDS = {
    "a file": (["5.json"], ["5.json"]),
    "any file": (["a/text.md"], ["a/text.md"]),
    "a folder": (["a"], ["a/1.json", "a/.benchmarks/L/4.json", "a/b/2.json"]),
    "a hidden one": (["a/.hidden"], ["a/.hidden/3.json"]),
    "a pattern": (["a/*.json", "a/?/2*"], ["a/1.json", "a/b/2.json"]),
    "one at any depth": (["a/**/*.json"], ["a/.benchmarks/L/4.json", "a/1.json", "a/b/2.json"]),
    "two stars": (["a/**json", "**.json", "a/b/**"], ["a/1.json", "5.json", "a/b/2.json"]),
    "one with a dot": (["a/.hid*/*.json"], ["a/.hidden/3.json"]),
    "one of folders": (["[ab]"], ["a/1.json", "a/.benchmarks/L/4.json", "a/b/2.json"]),
    "twice": (["5.json", "./5.json", "a/../5.json", "5.j*"], ["5.json"]),
    "in the order of names": (["a/b", "5.json", "."], ["a/b/2.json", "5.json", "a/1.json",
                                                      "a/.benchmarks/L/4.json"]),
}  # fmt: skip


@pytest.mark.parametrize("what", FINDS)
def test_what_is_named_is_found(what: str) -> None:
    some_files()
    given, expected = FINDS[what]
    assert find(names(*given)) == Found(names(*expected))


def test_absolute_names_are_found_too(tmp_path: Path) -> None:
    some_files()
    assert find([tmp_path / "a/b"]).files == (tmp_path / "a/b/2.json",)
    assert find([tmp_path / "a/*.json"]).files == (tmp_path / "a/1.json",)


def test_a_name_that_leads_nowhere_is_named_and_the_rest_is_found() -> None:
    some_files()
    Path("empty").mkdir()
    gone = ("gone.json", "gone/", "none*.json", "[z-a]*", "a\nb")
    found = find(names(gone[0], "5.json", *gone[1:], "empty", "gone.json"))
    assert found.files == names("5.json")
    assert found.problems == (
        *(f"{name}: no such file or folder" for name in ("gone.json", "gone", *gone[2:4], r"a\nb")),
        "empty: holds no *.json file",
    )


def test_a_name_with_a_bracket_is_a_name_first() -> None:
    save("run[1].json", "{}")
    save("run1.json", "{}")
    assert find(names("run[1].json")).files == names("run[1].json")


def test_links_are_followed_and_lead_nowhere_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some_files()
    for where in ("a/loop", "a/b/loop", "a/b/again"):
        Path(where).symlink_to(tmp_path / "a")
    scanned, scan = [], os.scandir

    def counted(path: Any) -> Any:
        scanned.append(path)
        assert len(scanned) < 100  # there are more ways than can be walked
        return scan(path)

    monkeypatch.setattr(os, "scandir", counted)
    save("elsewhere/6.json", "{}")
    Path("a/linked").symlink_to(tmp_path / "elsewhere")
    Path("a/b/2-again.json").symlink_to("2.json")
    expected = {"1.json", "4.json", "6.json", "2-again.json"}
    assert {path.name for path in find(names("a")).files} == expected
    assert {path.name for path in find(names("a/**/*.json")).files} == expected - {"6.json"}


def test_a_folder_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    some_files()
    scan = os.scandir

    def refused(path: Any) -> Any:
        if os.fspath(path) == "a/b":
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refused)
    found = find(names("a"))
    assert found.problems == ("a/b: cannot be read (Permission denied)",)
    assert len(found.files) == 2


def test_without_names_every_saved_run_and_the_newest_comparison() -> None:
    with pytest.raises(BadRun, match=NO_RUN):
        find()
    for name in (".benchmarks/L/0002_b.json", ".benchmarks/L/0001_a.json", ".gate/g.json"):
        save(name, content(1))
    save(".peers/b.json", altered(COMPARISON, "datetime", "2026-01-03T00:00:00"))
    save(".peers/a.json", altered(COMPARISON, "datetime", "2026-01-04T00:00:00"))
    expected = ".benchmarks/L/0001_a.json", ".benchmarks/L/0002_b.json", ".peers/a.json"
    assert find() == Found(names(*expected))


# --- What a file is -----------------------------------------------------------------------------

GATE = gates.as_json(Gate("timing", "main", "head", 0.05, ()))


def test_each_file_is_read_as_what_it_says_that_it_is() -> None:
    for saved, kind in ((content(1), Run), (COMPARISON, PeerRun), (GATE, Gate)):
        assert isinstance(archive.read(save("x.json", saved)), kind)
    for command in ("alignment", "contention", "doctor", "of tomorrow"):
        other = archive.read(save("x.json", {"format": f"baremetal-ml {command}"}))
        line = f"x.json: is a table of {command}; the report has no place for it"
        assert other == OtherTable(line)


def test_a_file_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = 0
    loads = json.loads

    def counted(*arguments: Any, **more: Any) -> Any:
        nonlocal parsed
        parsed += 1
        return loads(*arguments, **more)

    monkeypatch.setattr(json, "loads", counted)
    read(content(1), content(2), COMPARISON, GATE, {"format": "baremetal-ml alignment"})
    assert parsed == 5


def test_what_cannot_be_used_is_named_and_the_rest_is_used() -> None:
    damaged = content(2, foreign("t.py::t", 1.0), *(foreign(f"t{n}", 0.0) for n in range(7)))
    broken = "{", "[1]", {"benchmarks": []}, altered(COMPARISON, "version", 9)
    found = read(content(1), *broken, damaged, GATE, COMPARISON)
    assert found.runs == 2 and len(found.peers) == len(found.gates) == 1
    assert found.gates[0][0] == "6.json"
    *whole, first, _, _, _, fifth, more = found.problems
    assert [line.partition(":")[0] for line in whole] == [f"{n}.json" for n in (1, 2, 3, 4)]
    assert first == "5.json: t0: min is 0.0, needs a number from 1e-12 to 1e+09; left out"
    assert fifth.startswith("5.json: t4: ") and more == "5.json: 2 more left out"
    assert found.remarks == ()


def test_what_is_nested_too_deeply_is_a_problem_of_its_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def deep(path: Path) -> Run:
        if path.name == "0.json":
            raise RecursionError
        return runs.load(path)

    monkeypatch.setattr(archive, "read", deep)
    found = read(content(1), content(2))
    assert found.problems == ("0.json: is nested too deeply for a saved run",) and found.runs == 1


ODD = (
    None,
    True,
    -1,
    1.5,
    math.nan,
    math.inf,
    10**400,
    "",
    "x\n\ud800",
    [],
    [[]],
    {},
    {"a": {}},
    ...,
)
PLACES = (
    "datetime", "commit_info", "commit_info.id", "machine_info", "machine_info.cpu",
    "machine_info.cpu.brand_raw", "machine_info.tiers", "machine_info.tiers.avx2",
    "machine_info.python_version", "benchmarks", "benchmarks.0", "benchmarks.0.fullname",
    "benchmarks.0.options", "benchmarks.0.params", "benchmarks.0.stats", "benchmarks.0.stats.iqr",
    "benchmarks.0.extra_info", "benchmarks.0.extra_info.shape", "benchmarks.0.extra_info.suite",
    "benchmarks.0.extra_info.uncertainty", "format",
)  # fmt: skip


@pytest.mark.parametrize("path", PLACES)
def test_whatever_one_file_holds_the_others_are_read(path: str) -> None:
    odd = content(2, case("relu_f32", "c-avx2", 8, 1.0), foreign("t.py::t", 1.0))
    odd["benchmarks"][0]["params"] = odd["format"] = None
    found = read(content(1), *(altered(odd, path, value) for value in ODD))
    assert found.runs >= 1 and all(line.isprintable() for line in found.problems + found.remarks)
    for one in found.histories:
        assert one.machine.isprintable() and one.interpreter.isprintable()
        assert {len(track.seconds) for track in one.tracks.values()} == {len(one.moments)}


def test_where_nothing_can_be_used_the_first_reason_is_given() -> None:
    for saved, reason in (
        (["{", "["], r"0.json: is not JSON .* \(and 1 more\)"),
        (["{"], r"0.json: is not JSON [^(]*\([^(]*\), needs [^(]*$"),
        ([COMPARISON, GATE], NO_RUN),
    ):
        with pytest.raises(BadRun, match=reason):
            read(*saved)
    with pytest.raises(BadRun, match=r"gone: no such file or folder"):
        history.read(find(names("gone")))


def test_other_tables_and_copies_are_remarks_summed_up_where_there_are_many() -> None:
    copy = {**content(1), "commit_info": {}}
    found = read(content(1), *[copy] * 7, {"format": "baremetal-ml alignment"}, content(2))
    assert found.problems == () and found.runs == 2
    assert found.remarks[0].startswith("8.json: is a table of alignment; ")
    assert found.remarks[1] == "1.json: is the same run as 0.json"
    assert found.remarks[6:] == ("more copies of runs: 2",)


NO_COPIES: dict[str, dict[str, Any]] = {
    "at another time": content(1) | {"datetime": "2025-11-01T10:00:00.5+00:00"},
    "on another machine": content(1, cpu={"brand_raw": "Another CPU"}),
    "with another minimum": content(1, foreign("t.py::t", 1.0000001)),
    "of another benchmark": content(1, foreign("t.py::u", 1.0)),
}


@pytest.mark.parametrize("what", NO_COPIES)
def test_a_run_that_differs_is_no_copy(what: str) -> None:
    assert read(content(1), NO_COPIES[what]).runs == 2


@pytest.mark.parametrize("path", THEIRS, ids=lambda path: path.stem)
def test_files_of_old_versions_of_pytest_benchmark_are_read(path: Path) -> None:
    found = history.read(find([path]))
    assert found.problems == found.remarks == ()
    assert [r.metadata for r in found.latest[0].results] == [None] * 3
    (one,) = found.histories
    assert (one.machine, one.interpreter) == ("AMD EPYC", "CPython 3.11.7")
    assert list(one.tracks)[2] == "test_sort.py::test_join"
    for track in one.tracks.values():
        assert 1e-8 < track.seconds[0] < 1e-3 and 0 < track.uncertainty[0] < 1
    assert f'"version": "{path.stem[-1]}.' in path.read_text()


def test_moments_without_a_zone_are_utc_as_those_versions_wrote_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "XYZ-9")
    time.tzset()
    try:
        naive, aware = datetime(2026, 1, 2, 12), datetime(2026, 1, 2, 12, tzinfo=timezone.utc)
        assert archive.instant(naive) == archive.instant(aware) == aware.timestamp()
        assert naive.timestamp() != aware.timestamp()
    finally:
        monkeypatch.undo()
        time.tzset()


# --- Histories ----------------------------------------------------------------------------------


def test_minima_and_uncertainties_stand_by_moment_whatever_the_order_of_files() -> None:
    times = {3: 3e-3, 1: 1e-3, 2: 2e-3}
    found = read(
        *(
            content(day, case("relu_f32", "c-avx2", 8, t), foreign("t.py::t", t))
            for day, t in times.items()
        )
    )
    (one,) = found.histories
    assert labels(found) == [["1", "2", "3"]]
    assert [m.when and m.when.day for m in one.moments] == [1, 2, 3]
    assert one.moments[0].label == "2025-11-01 10:00 0000001" and one.moments[0].source == "1.json"
    ours, theirs = one.tracks.values()
    assert list(ours.seconds) == list(theirs.seconds) == [1e-3, 2e-3, 3e-3]
    assert list(ours.uncertainty) == [0.01] * 3
    assert list(theirs.uncertainty) == pytest.approx([0.01] * 3)  # the interquartile range
    assert (ours.kernel, ours.variant, ours.size, ours.side) == (
        "relu_f32",
        "c-avx2",
        "8",
        "native",
    )
    assert (theirs.kernel, theirs.variant, theirs.size, theirs.side) == (None,) * 4
    assert found.latest == (runs.load(Path("0.json")),)
    assert found.before == runs.load(Path("2.json"))


def test_a_single_round_has_no_uncertainty() -> None:
    single = foreign("t.py::t", 1.0)
    single["stats"]["rounds"] = 1
    (one,) = read(content(1, single)).histories
    assert math.isnan(one.tracks["t.py::t"].uncertainty[0])


APART: dict[str, dict[str, Any]] = {
    "CPU": {"cpu": {"brand_raw": "Another CPU"}},
    "Python": {"python_version": "3.12.1"},
    "flags": {"tiers": OTHER_FLAGS},
    "nothing recorded": {"cpu": {}},
}


@pytest.mark.parametrize("what", APART)
def test_runs_that_cannot_be_compared_have_histories_of_their_own(what: str) -> None:
    other = APART[what]
    found = read(content(1), content(2, **other), content(3), content(4, **other), content(5))
    assert labels(found) == [["1", "3", "5"], ["2", "4"]] and found.runs == 5
    assert [run.commit[-1] for run in found.latest] == ["5", "4"]
    assert found.before is not None and found.before.commit[-1] == "3"
    if what == "CPU":
        assert [one.machine for one in found.histories] == ["A CPU", "Another CPU"]
    if what == "Python":
        assert [one.interpreter for one in found.histories] == ["3.11.7", "3.12.1"]


@pytest.mark.parametrize("tiers", [NEW_SOURCES, MORE_TIERS], ids=["sources", "a tier more"])
def test_other_sources_and_a_tier_more_are_the_same_history(tiers: dict[str, Any]) -> None:
    found = read(content(1), content(2, tiers=tiers), content(3))
    assert labels(found) == [["1", "2", "3"]]
    assert found.before is not None and found.before.commit[-1] == "2"
    one, other = found.latest[0], found.before
    assert (machine_key(one) == machine_key(other)) == (tiers is NEW_SOURCES)


def test_a_run_joins_the_history_whose_newest_it_can_be_compared_with() -> None:
    """A run of another tier alone could be either's."""
    other = {"avx512": MACHINE["tiers"]["avx2"]}
    found = read(content(1, tiers=OTHER_FLAGS), content(2, tiers=other), content(3))
    assert labels(found) == [["2", "3"], ["1"]]


RECORDED = {
    "nothing": ({}, {}),
    "an old name of the CPU": ({"cpu": {"brand": "A"}}, {"cpu": {"brand": "B"}}),
    "the host": ({"node": "a"}, {"node": "b"}),
    "the Python": ({"python_version": "3.7.1"}, {"python_version": "3.8.1"}),
}


@pytest.mark.parametrize("what", RECORDED)
def test_runs_that_record_little_are_alike_if_all_that_they_record_is(what: str) -> None:
    one, other = RECORDED[what]
    saved = [{**content(day), "machine_info": machine} for day, machine in
             ((1, one), (2, one), (3, other))]  # fmt: skip
    assert labels(read(*saved)) == ([["1", "2", "3"]] if what == "nothing" else [["3"], ["1", "2"]])


OTHER_WORK: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "options": lambda b: {**b, "options": {"timer": "time"}},
    "no options": lambda b: {n: v for n, v in b.items() if n != "options"},
    "params": lambda b: {**b, "params": {"n": 1}},
    "case": lambda b: altered(b, "extra_info.shape", [9]),
}


@pytest.mark.parametrize("what", OTHER_WORK)
def test_a_name_that_stood_for_other_work_has_no_time_then(what: str) -> None:
    def of(day: int, other: bool) -> dict[str, Any]:
        ours, theirs = case("relu_f32", "c-avx2", 8, float(day)), foreign("t.py::t", float(day))
        return content(day, OTHER_WORK[what](ours) if other else ours, theirs)

    (one,) = read(of(1, False), of(2, True), of(3, False)).histories
    ours, theirs = ([math.isnan(t) for t in track.seconds] for track in one.tracks.values())
    assert ours == [False, True, False] and theirs == [False] * 3
    (one,) = read(of(1, True), of(2, True), of(3, True)).histories
    ours = [math.isnan(t) for t in next(iter(one.tracks.values())).seconds]
    assert ours == ([True, True, False] if what == "no options" else [False] * 3)


def test_tracks_come_in_the_order_of_the_newest_run_and_gone_ones_after() -> None:
    found = read(
        content(1, foreign("gone", 1.0), foreign("b", 1.0), foreign("first", 1.0)),
        content(2, foreign("b", 2.0), foreign("went", 2.0)),
        content(3, foreign("new", 3.0), foreign("b", 3.0)),
    )
    (one,) = found.histories
    assert list(one.tracks) == ["new", "b", "went", "gone", "first"]
    assert str(list(one.tracks["went"].seconds)) == "[nan, 2.0, nan]"


def test_a_date_to_come_is_not_the_newest_and_no_date_neither() -> None:
    future = content(3) | {"datetime": "2999-01-01T00:00:00"}
    undated = content(4) | {"datetime": None}
    found = read(future, undated, content(2), content(1))
    assert labels(found) == [["3", "4", "1", "2"]]
    line = "0.json: its date, 2999-01-01, lies in the future; not taken for the newest"
    assert found.remarks == (line,)
    assert read(future).remarks == ()  # there is no other


def test_of_more_than_can_be_kept_those_gone_longest_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(history, "MOST_VALUES", 7)
    found = read(*(content(day, foreign("t", 1.0), foreign(f"u{day}", 1.0)) for day in (1, 2, 3)))
    assert list(found.histories[0].tracks) == ["t", "u3"]
    assert found.remarks == ("benchmarks that have no history, for there are too many: 2",)


def test_progress_is_told_after_each_file() -> None:
    told: list[tuple[int, int]] = []
    paths = save("a.json", content(1)), save("b.json", "{"), save("c.json", content(2))
    history.read(find(paths), progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


PARTS = st.sampled_from(["A", "B", None])
MACHINES = st.fixed_dictionaries(
    {
        "cpu": st.fixed_dictionaries({"brand_raw": PARTS, "count": st.sampled_from([1, 2])}),
        "python_version": PARTS,
        "tiers": st.none() | st.dictionaries(
            st.sampled_from(["avx2", "sse"]),
            st.just({"unavailable": "x"}) | st.fixed_dictionaries(
                {"compiler": st.just("g++"), "flags": st.sampled_from([["-O2"], ["-O3"]]),
                 "key": st.sampled_from(["k", "l"])}
            ),
        ),
    }
)  # fmt: skip


@given(MACHINES, MACHINES)
def test_a_machines_key_tells_apart_what_the_comparison_does(one: Any, other: Any) -> None:
    made = [Run("r", None, "", False, machine, ()) for machine in (one, other)]
    alike = other_machine(*made) is None
    (facts, tiers), (other_facts, other_tiers) = map(machine_key, made)
    if alike:
        assert facts == other_facts
    if (facts, tiers) == (other_facts, other_tiers):
        assert alike or other_machine(made[0], made[0]) is not None  # does not say what it is


VALUES = st.none() | st.booleans() | st.sampled_from([1, 1.0, 0, "1", math.nan, "<f at 0x7f12ab34>",
                                                      "<f at 0x7f12ab35>"])  # fmt: skip
OBJECTS = st.none() | st.dictionaries(st.sampled_from("ab"), VALUES, max_size=2)


@given(st.tuples(OBJECTS, OBJECTS), st.tuples(OBJECTS, OBJECTS))
def test_a_benchmarks_key_is_the_same_if_and_only_if_it_is_comparable(
    here: Any, there: Any
) -> None:
    one, other = (
        runs.Result("t", "", 1.0, 1.0, 0.0, 9, None, params=params, options=options)
        for params, options in (here, there)
    )
    of = Run("r", None, "", False, {}, ())
    keys = benchmark_key(one), benchmark_key(other)
    assert (other_benchmark(of, one, of, other) is None) == (keys[0] == keys[1] is not None)


# --- What is wanted -----------------------------------------------------------------------------


def kernels(day: int) -> dict[str, Any]:
    of_ours = [
        case(kernel, variant, n, 1.0)
        for kernel in ("relu_f32", "softmax_f32")
        for variant in ("py-loop", "c-avx2")
        for n in (8, 64)
    ]
    return content(day, *of_ours, foreign("t.py::t", 1.0))


WANTED: dict[str, tuple[dict[str, tuple[str, ...]], int]] = {
    "everything": ({}, 9),
    "a kernel": ({"kernels": ("relu_f32",)}, 4),
    "two": ({"kernels": ("relu_f32", "softmax_f32")}, 8),
    "a variant": ({"variants": ("py-loop",)}, 4),
    "a size of one": ({"kernels": ("relu_f32",), "sizes": ("8",)}, 2),
    "one": ({"kernels": ("relu_f32",), "sizes": ("8",), "variants": ("c-avx2",)}, 1),
}


@pytest.mark.parametrize("what", WANTED)
def test_what_is_wanted_of_the_benchmarks(what: str) -> None:
    wanted, count = WANTED[what]
    found = read(kernels(1), kernels(2), **wanted)
    assert len(found.histories[0].tracks) == count
    assert [len(run.results) for run in (*found.latest, found.before) if run] == [count] * 2
    assert found.problems == found.remarks == ()


def test_what_is_wanted_of_the_runs() -> None:
    saved = [
        content(1),
        content(2) | {"datetime": None},
        content(3, cpu={"brand_raw": "Fast CPU 9"}),
        content(4, python_version="3.14.0"),
        kernels(5),
    ]
    assert labels(read(*saved, machines=("fast cpu",))) == [["3"]]
    assert labels(read(*saved, machines=("3.14", "FAST"))) == [["4"], ["3"]]
    assert labels(read(*saved, kernels=("relu_f32",))) == [["5"]]
    found = read(*saved, since=datetime(2025, 11, 3, 10))
    assert labels(found) == [["5"], ["4"], ["3"]]
    assert found.remarks == (
        "runs from before 2025-11-03 10:00, left out: 1", "runs without a date, left out: 1",
    )  # fmt: skip
    found = read(*saved, machines=("A CPU",), last=2)
    assert labels(found) == [["5"], ["4"]] and found.before is None
    assert found.remarks == (
        "runs of other machines, left out: 1", "runs from before the last 2, left out: 2",
    )  # fmt: skip
    found = read(*saved, last=1)
    assert found.runs == 1 and found.before is None and labels(found) == [["5"]]


def test_the_last_are_counted_by_date_of_those_that_are_wanted() -> None:
    found = read(kernels(3), content(5), kernels(1), kernels(2), kernels=("relu_f32",), last=2)
    assert labels(found) == [["2", "3"]]
    assert "runs with nothing of what is wanted, left out: 1" in found.remarks
    with pytest.raises(Refusal, match="needs a whole number from 1"):
        read(content(1), last=0)


def test_problems_are_those_of_runs_that_are_used() -> None:
    damaged = [content(day, foreign("a", 1.0), foreign("b", 0.0)) for day in (1, 2, 3)]
    found = read(*damaged, last=2)
    assert [line.partition(":")[0] for line in found.problems] == ["1.json", "2.json"]


NOTHING = {
    "no saved run has kernel 'x', has relu_f32, softmax_f32": {"kernels": ("x",)},
    "no saved run has variant 'c-x', has py-loop, c-avx2": {"variants": ("c-x",)},
    "no saved run has size '9', has 8, 64": {"sizes": ("9",)},
    "no saved run is of machine 'x', but of A CPU, 3.11.7": {"machines": ("x",)},
    "no run is left (runs from before 2025-12-01 00:00, left out: 1)": {
        "since": datetime(2025, 12, 1)
    },
}


@pytest.mark.parametrize("reason", NOTHING)
def test_where_nothing_is_left_it_is_said_what_there_is(reason: str) -> None:
    with pytest.raises(BadRun) as error:
        read(kernels(1), **NOTHING[reason])
    assert str(error.value) == reason


def test_a_name_that_nothing_has_is_a_problem_beside_one_that_something_has() -> None:
    found = read(kernels(1), kernels=("relu_f32", "rleu_f32"), machines=("a cpu", "none"))
    assert found.problems == (
        "no saved run is of machine 'none', but of A CPU, 3.11.7",
        "no saved run has kernel 'rleu_f32', has relu_f32, softmax_f32",
    )


def test_kernels_are_not_said_to_be_missing_from_runs_that_are_not_wanted() -> None:
    with pytest.raises(BadRun, match=r"no run is left \(runs from before 2025-12-01 00:00"):
        read(kernels(1), kernels=("relu_f32",), since=datetime(2025, 12, 1))
    with pytest.raises(BadRun, match="no saved run is of machine 'x'"):
        read(kernels(1), kernels=("relu_f32",), machines=("x",))
    with pytest.raises(BadRun, match="no saved run has kernel 'relu_f32', has none"):
        read(content(1), kernels=("relu_f32",))


# --- How much -----------------------------------------------------------------------------------


def most_memory(paths: tuple[Path, ...]) -> int:
    """Bytes, at any time while the files are read."""
    tracemalloc.start()
    try:
        found = history.read(Found(paths))
        assert found.runs == len(paths)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_of_many_runs_little_stays_in_memory() -> None:
    paths = []
    for number in range(300):
        benchmarks = [foreign(f"t.py::t{n}", 1.0 + number) for n in range(20)]
        paths.append(save(f"{number:03}.json", content(number // 20 + 1, *benchmarks)))
    most_memory(tuple(paths[:2]))  # what is imported and compiled on the way stays, too
    few, many = most_memory(tuple(paths[:50])), most_memory(tuple(paths))
    print((many - few) / 250)
    whole = 20 * 500  # of a run, at the least
    assert many - few < 250 * 4000 < 250 * whole


def test_a_planted_step_is_where_it_was_planted() -> None:
    planted = write_runs(Path("many"), 40, 10)
    found = find(names("many"))
    read_all = history.read(found)
    assert read_all.runs == len(found.files) == 40 and read_all.problems == ()
    (one,) = read_all.histories
    assert [moment.source for moment in one.moments] == [str(path) for path in found.files]
    for number in (0, 20, 39):
        for result in runs.load(found.files[number]).results:
            assert one.tracks[result.fullname].seconds[number] == result.minimum
    ((name, (first, times)),) = planted.items()
    seconds = one.tracks[name].seconds
    before, after = min(seconds[:first]), min(seconds[first:])
    assert times == STEP and after / before == pytest.approx(STEP, rel=0.05)


def test_many_machines_are_told_apart_and_runs_are_drawn_from_a_seed() -> None:
    write_runs(Path("a"), 6, 3, machines=2)
    write_runs(Path("b"), 6, 3, machines=2)
    found = history.read(find(names("a")))
    assert [len(one.moments) for one in found.histories] == [3, 3]
    read_both = history.read(find(names("a", "b")))
    assert read_both.runs == 6 and read_both.remarks[-1] == "more copies of runs: 1"
    assert len({*Path("a").iterdir()}) == 6
    write_runs(Path("c"), 1, 3, seed=2)
    assert history.read(find(names("a", "c"))).runs == 7
