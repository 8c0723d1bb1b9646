"""Twice as many benchmarks are twice as much work for every view, and no more files or columns than
a person can look at.

Work is counted in calls, which are the same on any machine. Names count their comparisons, so that
a search through a list is seen, too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import __main__ as command_line
from bench.analysis import history
from bench.analysis.history import archive_of
from bench.gate import saved_runs
from bench.saved import archive as archive_files
from bench.saved import runs
from bench.saved.comparable import merged
from bench.saved.runs import Run
from bench.views import gate as gate_view
from bench.views import interpreters, limits, matrix
from bench.views.explain import ladder, overhead, scaling
from bench.views.report import page, parts, write_report
from bench.views.report.sections import trends
from bench.views.tables import render
from tests.many_runs import write_runs
from tests.test_report import case, foreign

FEW, MOST_TIMES = 160, 2.5
Benchmarks = list[dict[str, Any]]


class Name(str):
    """A text whose comparisons are calls."""

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def of(kernel: str, variant: str, size: int) -> dict[str, Any]:
    """As a run has it, derived figures and all."""
    benchmark = case(kernel, variant, size, 1e-6 * size)
    metadata = {"gflops": 1.0, "gbps": 1.0, "speedup": 2.0, "uncertainty": 0.01, "threads": 1}
    metadata |= {
        name: Name(benchmark["extra_info"][name]) for name in ("kernel", "variant", "size")
    }
    return {
        **benchmark,
        "extra_info": benchmark["extra_info"] | metadata,
        "options": {},
        "params": {},
    }


SIDES = ("py-loop", "c-scalar")
# n benchmarks in all: what there are many of.
MANY: dict[str, Callable[[int], Benchmarks]] = {
    "kernels": lambda n: [of(f"k{i}", v, s) for i in range(n // 4) for v in SIDES for s in (9, 99)],
    "sizes": lambda n: [of("k", v, i + 1) for i in range(n // 2) for v in SIDES],
    "variants": lambda n: [
        of("k", f"{side}-{i}", s) for i in range(n // 4) for side in ("py", "c") for s in (9, 99)
    ],
    "variants of a size each": lambda n: [of("k", f"py-{i}", i + 1) for i in range(n)],
    "kernels of a variant each": lambda n: [of(f"k{i}", f"c-{i}", 9) for i in range(n)],
    "others": lambda n: [{**foreign(Name(f"t.py::t{i}"), 1.0), "options": {}} for i in range(n)],
}


def run_of(benchmarks: Benchmarks, day: int = 1) -> Run:
    ladders: dict[str, dict[str, Any]] = {}  # a rung for each variant
    for metadata in (b["extra_info"] for b in benchmarks if "extra_info" in b):
        rung = {"variant": metadata["variant"], "idea": "an idea", "reason": "a reason"}
        ladders.setdefault(metadata["kernel"], {})[metadata["variant"]] = rung
    tier = {"compiler": "g++ 12", "flags": [], "key": "k"}
    machine = {
        "cpu": {"brand_raw": "A CPU"},
        "python_version": "3.11.7",
        "tiers": {"scalar": tier},
        "ladders": {kernel: list(rungs.values()) for kernel, rungs in ladders.items()},
        "limits": [
            {"name": "read", "level": f"L{i}", "cores": 1, "working_set": 1, "per_second": 1.0,
             "unit": "B", "tier": "avx2"}
            for i in range(len(benchmarks))
        ],
    }  # fmt: skip
    moment = f"2026-01-{day:02}T10:00:00"
    return runs.from_json({"datetime": moment, "machine_info": machine, "benchmarks": benchmarks})


def views(make: Callable[[int], Benchmarks], n: int, folder: Path) -> Iterator[tuple[str, Any]]:
    benchmarks = make(n)
    run, other = run_of(benchmarks), run_of(benchmarks, 2)
    for form in ("text", "json"):
        yield f"matrix {form}", lambda form=form: render(matrix.view(run), form)
        yield f"scaling {form}", lambda form=form: render(scaling.view(run), form)
        yield (
            f"ladder {form}",
            lambda form=form: render(ladder.view([run, other]), form),
        )
        yield f"overhead {form}", lambda form=form: render(overhead.view(run), form)
        yield (
            f"ladder by {form}",
            lambda form=form: render(ladder.by_interpreter([run, other]), form),
        )
        yield f"matrix by {form}", lambda form=form: render(interpreters.view([run, other]), form)
    yield "limits", lambda: render(limits.view(run.limits), "md")
    yield "merged", lambda: merged([run, other])
    yield "report", lambda: write_report(archive_of(run, other), folder)
    renamed = [{**b, "fullname": Name(f"t.py::new{i}")} for i, b in enumerate(benchmarks)]
    moved = [{**b, "fullname": Name(f"new/{b['fullname']}")} for b in benchmarks]
    for what, head in (("same", benchmarks), ("renamed", renamed), ("moved", moved)):
        yield f"gate, {what}", lambda head=head: gated(run, run_of(head, 2))


def gated(base: Run, head: Run) -> str:
    made = {Path(runs.__file__): base, Path(saved_runs.__file__): head}  # any two files
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(saved_runs, "load", made.__getitem__)
        gate = gate_view.with_short_names(saved_runs.compare(list(made), allow_removed=True))
        return render(gate_view.view(gate, True), "text")


def calls(work: Callable[[], Any]) -> int:
    count = 0

    def seen(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(seen)
    try:
        work()
    except runs.BadRun:  # not every view has something to show of every run
        pass
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("what", MANY)
def test_twice_as_many_are_twice_the_work(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (parts, *page.SECTIONS, trends):  # so that drawing them hides nothing
        for limit in ("MOST_CHARTS", "MOST_ROWS", "MOST_VARIANTS", "MOST_OTHERS"):
            if hasattr(module, limit):
                monkeypatch.setattr(module, limit, 2)
    few, many = (views(MANY[what], n, tmp_path) for n in (FEW, 2 * FEW))
    for (view, small), (_, large) in zip(few, many, strict=True):
        before, after = calls(small), calls(large)
        assert after < MOST_TIMES * before, f"{view}: {before} calls, then {after}"


def test_a_report_of_many_has_few_files_and_says_so(tmp_path: Path) -> None:
    limit = parts.MOST_CHARTS
    many = MANY["kernels"](8 * limit) + MANY["others"](300)
    many += [of("k0", f"c-{i}", s) for i in range(2 * limit) for s in (9, 99)]
    paths = write_report(archive_of(run_of(many), run_of(many, 2)), tmp_path)
    assert len(paths) <= 10 + 7 * limit
    text = paths[0].read_text(encoding="utf-8")
    shown = f"Charts show {limit} of {2 * limit} kernels and {limit} of {2 * limit + 2} variants;"
    assert shown in text
    assert text.count("t.py::t299<") >= 2  # the tables have all


def test_a_long_history_of_much_stays_a_page(tmp_path: Path) -> None:
    write_runs(tmp_path / "runs", 120, 100)
    archive = history.read(archive_files.find([tmp_path / "runs"]))
    assert archive.runs == 120
    page_file, *_ = write_report(archive, tmp_path / "report")
    assert page_file.stat().st_size < 5_000_000


def test_one_long_name_does_not_widen_a_table() -> None:
    run = run_of([*MANY["kernels"](400), of("k" * 100_000, "py-loop", 9)])
    assert len(render(matrix.view(run), "text")) < 400_000


@pytest.mark.parametrize("command", [["ladder", "--kernel"], ["scaling", "--kernel"]])
def test_of_many_names_a_message_lists_a_few(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_of(MANY["kernels"](400))
    monkeypatch.setattr(runs, "load_all", lambda paths: [run])
    assert command_line.main([*command, "none", "--", "run.json"]) == 2
    error = capsys.readouterr().err
    assert "k0, k1, " in error and "k19 and 80 more" in error


def test_a_table_has_no_more_columns_than_it_can_show() -> None:
    run = run_of(MANY["kernels of a variant each"](100))
    table = matrix.table(run)
    header, cells = table.header, table.rows
    assert len(header) < matrix.MOST_VARIANTS + 10 and len(cells) == 100
    assert "left out: 60 more variants; --format json has them." in render(matrix.view(run), "text")
    assert all(f'"c-{i}"' in render(matrix.view(run), "json") for i in range(100))
