"""The one door through which benchmark JSON comes: every bad input is named, none passes."""

from __future__ import annotations

import io
import json
import os
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from bench import __main__ as command_line
from bench.saved import checks, gates, ledger, peers, runs
from bench.saved.comparable import machine_differences
from bench.saved.schema import MARK
from bench.views import documents, matrix, tables
from tests.altered import altered
from tests.stats import MACHINE, OPTIONS, stats

GOOD: dict[str, Any] = {
    "datetime": "2026-01-02T03:04:05+00:00",
    "commit_info": {"id": "0123456789abcdef", "dirty": True},
    "machine_info": {
        **MACHINE,
        "limits": [
            {
                "name": "copy",
                "level": "L1",
                "cores": 1,
                "working_set": 24576,
                "per_second": 2e11,
                "unit": "B",
                "tier": "avx512",
            }
        ],
    },
    "benchmarks": [
        {
            "fullname": "test_bench_relu.py::test_relu[c-avx2-100]",
            "group": "relu_f32 100",
            "options": OPTIONS,
            "stats": stats(1e-7, median=2e-7, mean=2e-7, max=3e-7, iqr=1e-8, rounds=7),
            "extra_info": {
                **MARK,
                "kernel": "relu_f32",
                "variant": "c-avx2",
                "side": "native",
                "size": "100",
                "shape": [100],
                "flops": 100,
                "bytes": 800,
                "rate": "GB/s",
                "relaxed": False,
                "error_unit": "ULP of the true value",
                "max_error_ulp": 0.0,
                "stable": True,
                "gflops": 1.0,
                "gbps": 8.0,
                "bound": "L1",
                "percent_of_limit": 4.0,
            },
        }
    ],
}


def changed(path: str, value: Any) -> dict[str, Any]:
    return altered(GOOD, path, value)


def test_a_good_run_is_read_whole() -> None:
    run = runs.from_json(GOOD)
    (result,) = run.results
    assert run.label == "2026-01-02 03:04 0123456+"
    assert (result.minimum, result.median, result.rounds) == (1e-7, 2e-7, 7)
    assert result.spread == pytest.approx(0.05)
    assert result.metadata is not None
    assert result.metadata.shape == (100,)
    assert result.metadata.speedup is None
    assert (result.metadata.bound, result.metadata.percent_of_limit) == ("L1", 4.0)
    assert run.limits == (runs.Limit("copy", "L1", 1, 24576, 2e11, "B", "avx512"),)


def test_limits_from_before_there_were_wider_registers_are_of_avx2() -> None:
    (limit,) = runs.from_json(changed("machine_info.limits.0.tier", ...)).limits
    assert limit.tier == "avx2"


def test_a_run_from_before_there_were_limits_is_read_and_shown_without_them() -> None:
    old = changed("machine_info.limits", ...)
    for name in ("bound", "percent_of_limit"):
        del old["benchmarks"][0]["extra_info"][name]
    run = runs.from_json(old)
    assert run.limits == ()
    assert run.results[0].metadata
    assert run.results[0].metadata.percent_of_limit is None
    assert "limit" not in matrix.table(run).header
    assert "limit" not in tables.render(matrix.view(run), "text")


def test_the_matrix_shows_the_limit_where_the_run_has_one() -> None:
    run = runs.from_json(GOOD)
    table = matrix.table(run)
    header, ((*_, limit, _),) = table.header, table.rows
    assert header[-2:] == ["limit", "worst error"]
    assert limit == "4.0% L1"
    assert any(note.startswith("limit: ") for note in table.notes)
    variant = json.loads(tables.render(matrix.view(run), "json"))[0]["variants"]["c-avx2"]
    assert (variant["bound"], variant["percent_of_limit"]) == ("L1", 4.0)


def test_a_third_party_benchmark_has_times_only() -> None:
    run = runs.from_json(changed("benchmarks.0.extra_info", ...))
    assert run.results[0].metadata is None
    assert run.ours == []


BAD_VALUES = [
    ("benchmarks", ...),
    ("benchmarks", []),
    ("benchmarks", {}),
    ("benchmarks", [7]),
    ("benchmarks", GOOD["benchmarks"] * 2),
    ("benchmarks.0.fullname", ...),
    ("benchmarks.0.fullname", ""),
    ("benchmarks.0.fullname", 3),
    ("benchmarks.0.stats", ...),
    ("benchmarks.0.stats", []),
    ("benchmarks.0.stats.min", ...),
    ("benchmarks.0.stats.min", 0),
    ("benchmarks.0.stats.min", -1e-9),
    ("benchmarks.0.stats.min", float("nan")),
    ("benchmarks.0.stats.min", float("inf")),
    ("benchmarks.0.stats.min", "fast"),
    ("benchmarks.0.stats.min", True),
    ("benchmarks.0.stats.median", None),
    ("benchmarks.0.stats.iqr", -1.0),
    ("benchmarks.0.stats.median", 9e-8),  # below the minimum
    ("benchmarks.0.stats.mean", 4e-7),  # above the maximum
    ("benchmarks.0.stats.mean", ...),
    ("benchmarks.0.stats.max", float("nan")),
    ("benchmarks.0.stats.stddev", ...),
    ("benchmarks.0.stats.q1", float("nan")),
    ("benchmarks.0.stats.rounds", 1.5),
    ("benchmarks.0.stats.rounds", 0),
    ("benchmarks.0.stats.iterations", 0),
    ("benchmarks.0.stats.data", 5),
    ("benchmarks.0.stats.data", []),
    ("benchmarks.0.stats.data", [1e-7] * 6),  # seven rounds
    ("benchmarks.0.stats.data", [2e-7] * 7),  # another minimum
    ("benchmarks.0.stats.data", [1e-7] * 6 + [float("nan")]),
    ("benchmarks.0.params", 5),
    ("benchmarks.0.options", []),
    ("benchmarks.0.options", {"max_time": float("nan")}),
    ("benchmarks.0.extra_info", 5),
    ("benchmarks.0.extra_info.variant", ...),
    ("benchmarks.0.extra_info.shape", "100"),
    ("benchmarks.0.extra_info.flops", -1),
    ("benchmarks.0.extra_info.gbps", ...),
    ("benchmarks.0.extra_info.threads", "two"),
    ("benchmarks.0.extra_info.max_error_ulp", float("nan")),
    ("benchmarks.0.stats.min", 10**400),
    ("benchmarks.0.stats.min", 10**5000),
    ("benchmarks.0.stats.median", 5e-324),
    ("benchmarks.0.stats.min", 1e300),
    ("benchmarks.0.extra_info.kernel", ""),
    ("benchmarks.0.extra_info.flops", 10**4000),
    ("datetime", "0001-01-01T00:00:00"),
    ("datetime", "yesterday"),
    ("datetime", 5),
    ("machine_info", []),
    ("machine_info.limits", "fast"),
    ("machine_info.limits", [7]),
    ("machine_info.limits.0.name", ...),
    ("machine_info.limits.0.level", 2),
    ("machine_info.limits.0.cores", 1.5),
    ("machine_info.limits.0.working_set", -1),
    ("machine_info.limits.0.per_second", 0),
    ("machine_info.limits.0.per_second", float("inf")),
    ("machine_info.limits.0.unit", None),
    ("machine_info.limits.0.tier", 512),
    ("benchmarks.0.extra_info.bound", 3),
    ("benchmarks.0.extra_info.percent_of_limit", float("nan")),
    ("commit_info", "abc"),
]
PATHS = [path for path, _ in BAD_VALUES]


@pytest.mark.parametrize(("path", "value"), BAD_VALUES, ids=lambda v: v if v in PATHS else "")
def test_a_bad_value_is_named_with_its_place(path: str, value: Any) -> None:
    """Where a part is bad the rest is used, but for what is judged or published."""
    with pytest.raises(runs.BadRun) as error:
        runs.undamaged(runs.from_json(changed(path, value), "some.json"))
    message = str(error.value)
    assert message.startswith("some.json: ")
    assert "\n" not in message
    place = path.rpartition(".")[2]
    assert (
        place.rstrip("s") in message
        or "max_time" in message
        or "appears twice" in message
        or "benchmark" in message
    )


BAD_FILES = {
    "missing": None,
    "empty": b"",
    "truncated": json.dumps(GOOD).encode()[:-40],
    "binary": b"\xff\xfe\x00\x01",
    "not-an-object": b"[1, 2]",
    "deep": b"[" * 100_000,
    "no-benchmarks": b"{}",
    "a-name-twice": json.dumps(GOOD).replace('"dirty"', '"id"').encode(),
    "too-many-digits": b"[" + b"9" * 5000 + b"]",
    "utf-16": json.dumps(GOOD).encode("utf-16"),
}


def deeply(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def test_a_value_too_long_or_too_deep_to_print_is_left_out() -> None:
    """The rest of the file is used: it is JSON all the same."""
    text = json.dumps(GOOD).replace('"benchmarks": [', '"benchmarks": [{"fullname": NUMBER}, ')
    read = checks.parse_json(text.replace("NUMBER", "9" * 5000), "some.json", "a run")
    read["benchmarks"].append({"fullname": "deep", "stats": deeply(sys.getrecursionlimit())})
    run = runs.from_json(read, "some.json")
    assert len(run.results) == len(GOOD["benchmarks"]) and len(run.left_out) == 2


@pytest.mark.parametrize("command", ["matrix", "report"])
@pytest.mark.parametrize("kind", BAD_FILES)
def test_the_command_line_answers_with_one_line_and_2(
    kind: str, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, output = tmp_path / "run.json", tmp_path / "out"
    content = BAD_FILES[kind]
    if content is not None:
        path.write_bytes(content)
    more = ["-o", str(output)] if command == "report" else []
    assert command_line.main([command, str(path), *more]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert str(path) in error
    assert not output.exists()


def test_the_matrix_prints_on_any_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.json"
    path.write_text(json.dumps(changed("benchmarks.0.extra_info.kernel", "re\u00b5lu")))
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding="ascii"))
    for form in ("text", "md"):
        assert command_line.main(["matrix", str(path), "--format", form]) == 0
    sys.stdout.flush()
    assert out.getvalue().count(b"re\\xb5lu") == 2


# --- What is odd is left out or spelled out, and the rest is used ---------------------------------


def third_party(name: str, extra: Any = None, **times: Any) -> dict[str, Any]:
    return {"fullname": name, "stats": stats(1e-3, **times), "extra_info": extra or {}}


ODD_PARTS = [
    ("datetime", "yesterday"),
    ("machine_info.limits.0.per_second", -1),
    ("machine_info.ladders", 3),
    ("machine_info.caches", {"L1": 0}),
    ("machine_info", [7]),
    ("commit_info", "0123456"),
    ("machine_info.tiers", {"avx2": "fast"}),
    ("benchmarks.1.stats.min", 0.0),  # a coarse clock
    ("benchmarks.1.stats.min", 0),
    ("benchmarks.1.stats.median", float("nan")),
    ("benchmarks.1.stats", None),
    ("benchmarks.1.fullname", 7),
    ("benchmarks.1.extra_info", [7]),
    ("benchmarks.1", None),
    ("benchmarks.2.fullname", "b.py::b"),  # twice: which was meant cannot be known
]


@pytest.mark.parametrize(("path", "value"), ODD_PARTS)
def test_what_is_odd_is_left_out_and_named_and_the_rest_is_used(path: str, value: Any) -> None:
    content = altered(GOOD, "machine_info.ladders", {})
    content["machine_info"].update(caches={"L1": 1, "L2": 2, "L3": 3}, tiers={})
    content["benchmarks"] += [third_party("b.py::b"), third_party("c.py::c")]
    run = runs.from_json(altered(content, path, value), "some.json")
    (line,) = run.left_out
    assert line.startswith("some.json: ")
    assert line.isprintable()
    assert run.results[0].metadata
    used = {"benchmarks.1": 2, "benchmarks.2": 1}.get(path[:12], 3)
    assert len(run.results) == used
    with pytest.raises(runs.BadRun):
        runs.undamaged(run)


@pytest.mark.parametrize("command", ["matrix", "scaling", "report"])
def test_a_view_says_what_it_leaves_out(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, more = tmp_path / "run.json", []
    content = altered(GOOD, "machine_info.limits.0.cores", -1)
    content["benchmarks"] += [third_party(f"t{n}", min=0.0) for n in range(9)]
    path.write_text(json.dumps(content))
    if command == "report":
        more = ["-o", str(tmp_path / "out")]
    assert command_line.main([command, str(path), *more]) == 2 * (command == "report")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == (
        f"bench: {path}: t0: min is 0.0, needs a number from 1e-12 to 1e+09; left out"
    )
    assert len(lines) == 6 and lines[-1] == f"bench: {path}: 5 more left out"


@pytest.mark.parametrize(
    "name",
    ["t.py::t[\xa0]", "t.py::t[\U0001f469\u200d\U0001f4bb]", "t.py::t[\ud800]", "t\n\x1b[2J"],
)
def test_what_is_odd_in_a_name_is_spelled_out(name: str) -> None:
    run = runs.from_json({"benchmarks": [third_party(name), third_party("other")]})
    assert run.left_out == ()
    assert run.results[0].fullname == runs.one_line(name) != name


# Any field of theirs may be called as one of ours is.
THEIRS = [
    {"kernel": "rbf"},
    {"kernel": "gemm", "variant": "blocked", "size": 12},
    {"operation": "insert"},
    {"operation": {"of": "theirs"}, "steps": "many"},
    {"crossing": True, "evidence": "none"},
    {"kernel": "gemm", "variant": "blocked", "side": "left", "size": 12},
    {"crossing": "the road", "binding": [], "elements": "many"},
    {"operation": 1, "what": 2, "steps": 3, "repeats": None},
    {"aside": 1, "stable": "yes", "step": [], "bytecodes": 7, "suite": "theirs"},
]


@pytest.mark.parametrize("extra", THEIRS)
def test_of_third_party_benchmarks_the_times_are_used(extra: Any, tmp_path: Path) -> None:
    machine = dict.fromkeys(runs.OURS_OF_MACHINE, "theirs")
    content = {"machine_info": machine, "benchmarks": [third_party("a", extra), third_party("b")]}
    run = runs.from_json(content)
    assert run.left_out == ()
    assert [(r.minimum, r.metadata, r.extra) for r in run.results] == [(1e-3, None, {})] * 2
    path = tmp_path / "theirs.json"
    path.write_text(json.dumps(content))
    assert command_line.main(["report", str(path), "-o", str(tmp_path / "out")]) == 0
    for command in ("matrix", "cost", "overhead", "scaling", "ladder"):
        assert command_line.main([command, str(path)]) in (0, 2)


MOMENTS = {
    "2026-01-02T03:04:05Z": "2026-01-02T03:04:05+00:00",
    "2026-01-02T03:04:05.123456789z": "2026-01-02T03:04:05.123456+00:00",
    "2026-01-02 03:04:05,5 +0130": "2026-01-02T03:04:05.500000+01:30",
    "20260102T030405-05": "2026-01-02T03:04:05-05:00",
    "2026-01-02T03:04:05": "2026-01-02T03:04:05",
}


@pytest.mark.parametrize("text", MOMENTS)
def test_dates_are_read_as_other_tools_write_them(text: str) -> None:
    run = runs.from_json(changed("datetime", text))
    assert run.when is not None
    assert run.when.isoformat() == MOMENTS[text]


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(json.dumps(GOOD), encoding="utf-8-sig")
    assert runs.load(path).results == runs.from_json(GOOD).results


READERS = {
    "run": runs.load,
    "gate": gates.load,
    "peers": peers.load,
    "ledger": ledger.load,
    "document": documents.render,
}


@pytest.mark.parametrize("reader", READERS)
def test_only_regular_files_of_a_believable_size_are_read(
    reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe would wait for its writer for ever; a device has no end."""
    pipe, large = tmp_path / "pipe", tmp_path / "large"
    os.mkfifo(pipe)
    large.write_text("{}" + " " * 100)
    monkeypatch.setattr("bench.saved.checks.LARGEST_FILE", 50)
    for path, reason in ((pipe, "no regular file"), (Path("/dev/zero"), "no regular file"),
                         (tmp_path, "Is a directory"), (large, "larger than")):  # fmt: skip
        with pytest.raises(runs.BadRun, match=reason):
            READERS[reader](path)


def test_a_small_file_takes_little_memory(tmp_path: Path) -> None:
    """Not as much as the largest that may be read."""
    (tmp_path / "small").write_text("{}")
    tracemalloc.start()
    try:
        assert checks.read_text(tmp_path / "small", "text") == "{}"
        assert tracemalloc.get_traced_memory()[1] < 2**25
    finally:
        tracemalloc.stop()


def test_a_name_twice_is_found_at_once() -> None:
    """Names are looked at once each, however many there are."""
    looked_at = 0

    class Name(str):
        def __eq__(self, other: object) -> bool:
            nonlocal looked_at
            looked_at += 1
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    pairs = [(Name(n), 0) for n in range(3000)]
    with pytest.raises(ValueError, match="'7' appears twice"):
        checks._object([*pairs, (Name(7), 1)])
    assert looked_at < 10


def test_every_round_may_be_saved_too() -> None:
    data = [2e-7, 1e-7, *[3e-7] * 5]
    assert runs.from_json(changed("benchmarks.0.stats.data", data)).results[0].rounds == 7


def test_a_file_of_any_name_is_named_in_one_line(tmp_path: Path) -> None:
    for content in ("", "{}"):
        path = tmp_path / "a\nb\udcff.json"
        path.write_text(content)
        with pytest.raises(runs.BadRun) as error:
            runs.load(path)
        assert r"a\nb\udcff.json: " in str(error.value)
        assert str(error.value).isprintable()


def test_a_folder_is_not_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["matrix", str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err


def test_without_a_saved_run_the_command_to_make_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command_line.main(["matrix"]) == 2
    assert "pytest --benchmark-only --benchmark-autosave" in capsys.readouterr().err


def test_the_newest_saved_run_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / ".benchmarks" / "Linux-CPython-3.11-64bit"
    folder.mkdir(parents=True)
    (folder / "0001_old.json").write_text(json.dumps(changed("benchmarks.0.extra_info.size", "1")))
    (folder / "0002_new.json").write_text(json.dumps(changed("benchmarks.0.extra_info.size", "2")))
    monkeypatch.chdir(tmp_path)
    assert command_line.main(["matrix", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["size"] == "2"


def test_a_run_of_third_party_benchmarks_has_no_matrix(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "theirs.json"
    path.write_text(json.dumps(changed("benchmarks.0.extra_info", {})))
    assert command_line.main(["matrix", str(path)]) == 2
    assert "no benchmark of this suite" in capsys.readouterr().err


def test_a_report_into_a_file_leaves_the_file_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, taken = tmp_path / "run.json", tmp_path / "taken"
    path.write_text(json.dumps(GOOD))
    taken.write_text("mine")
    assert command_line.main(["report", str(path), "-o", str(taken)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert taken.read_text() == "mine"


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["matrix", "--format", "yaml"]])
def test_bad_arguments_exit_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        command_line.main(arguments)
    assert stopped.value.code == 2


def test_machine_differences_name_what_matters_only() -> None:
    now = {"cpu": {"brand_raw": "B", "flags": ["avx2"]}, "release": "6.1", "tiers": {"avx2": 1}}
    now["limits"] = []
    then = {"cpu": {"brand_raw": "A", "flags": []}, "release": "6.2", "tiers": {"avx2": 2}}
    assert machine_differences(now, now) == []
    lines = machine_differences(now, then)
    assert "cpu.brand_raw: A before, B now" in lines
    assert "CPU flags differ" in lines
    assert "built differently: avx2" in lines
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("machine", "label"),
    [
        ({"interpreter": {"label": "CPython 3.14.0t GIL"}}, "CPython 3.14.0t GIL"),
        ({"interpreter": {"label": 3}, "python_version": "3.11.7"}, "3.11.7"),
        ({"interpreter": "x"}, "unknown Python"),
        ({"python_implementation": "CPython", "python_version": "3.11.7"}, "CPython 3.11.7"),
        ({"interpreter": {"label": "a\nb" + "c" * 100}}, "a\\nb" + "c" * 56),
        ({}, "unknown Python"),
    ],
)
def test_a_run_says_which_interpreter_it_is_of(machine: dict[str, Any], label: str) -> None:
    assert runs.interpreter_label(runs.from_json({**GOOD, "machine_info": machine})) == label


def test_runs_with_and_without_the_lock_are_not_alike() -> None:
    """A run from before interpreters were described is like one of the same version after."""
    old = {"python_implementation": "CPython", "python_version": "3.14.0"}
    new = {**old, "interpreter": {"label": "CPython 3.14.0"}}
    free = {**old, "interpreter": {"label": "CPython 3.14.0t"}}
    assert machine_differences(new, old) == []
    assert machine_differences(free, old) == [
        "interpreter: CPython 3.14.0 before, CPython 3.14.0t now"
    ]
