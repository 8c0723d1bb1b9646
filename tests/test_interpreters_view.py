"""The table of interpreters: groups, factors, the control, and runs that do not belong together."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import __main__ as command_line
from bench.analysis.interpreters import means, of_each, rows, sound
from bench.saved import runs
from bench.saved.runs import Run
from bench.views import interpreters
from bench.views.interpreters import headings
from tests.stats import stats


def run_json(label: str, times: dict[str, float], day: int = 1, **machine: Any) -> dict[str, Any]:
    """A run of ReLU at two sizes, the larger ten times as slow."""
    described = {"label": label, "compiler": "GCC 12", "configured": ["--with-lto"]}
    tiers = {"scalar": {"compiler": "g++ 12", "flags": ["-O2"], "key": label}}
    return {
        "datetime": f"2025-11-{day:02}T10:00:00",
        "commit_info": {"id": "1" * 40, "dirty": False},
        "machine_info": {"interpreter": described, "tiers": tiers, **machine},
        "benchmarks": [
            {
                "fullname": f"test_relu[{variant}-{n}]",
                "stats": stats(seconds * n / 10),
                "extra_info": {
                    "kernel": "relu_f32",
                    "variant": variant,
                    "side": "python" if variant.startswith("py-") else "native",
                    "relaxed": False,
                    "size": str(n),
                    "shape": [n],
                    "flops": n,
                    "bytes": 8 * n,
                    "rate": "GB/s",
                    "max_error_ulp": 0,
                    "error_unit": "ULP",
                    "confirmed": True,
                    "gflops": 1.0,
                    "gbps": 1.0,
                },
            }
            for n in (10, 100)
            for variant, seconds in times.items()
        ],
    }


def run(label: str, loop: float, control: float = 0.001, **more: Any) -> Run:
    times = {"py-loop": loop, "py-idiomatic": loop / 2, "c-scalar": control}
    return runs.from_json(run_json(label, times, **more))


def shown(saved: Sequence[Run]) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Header and cells."""
    (table,) = interpreters.view(saved).tables
    return table.header, table.rows


def notes(saved: Sequence[Run]) -> Sequence[str]:
    return interpreters.view(saved).tables[0].notes


def test_factors_are_against_the_first_and_beside_the_control() -> None:
    header, cells = shown([run("CPython 3.10.1", 0.04), run("CPython 3.11.2", 0.02)])
    assert header == [
        "kernel", "size",
        "3.10.1 loop", "3.10.1 fastest", "3.10.1 control",
        "3.11.2 loop", "3.11.2 fastest", "3.11.2 control",
        "3.11.2 x", "3.11.2 x control",
    ]  # fmt: skip
    assert cells[0] == [
        "relu_f32", "10", "40.0ms", "20.0ms", "1.00ms", "20.0ms", "10.0ms", "1.00ms", "2.00x",
        "1.00x",
    ]  # fmt: skip
    assert cells[-1][0] == "geometric mean"
    assert cells[-1][-2:] == ["2.00x", "1.00x"]


@pytest.mark.parametrize(("control", "marked"), [(0.00092, False), (0.00088, True), (0.0012, True)])
def test_a_factor_beside_another_machine_is_marked(control: float, marked: bool) -> None:
    _, cells = shown([run("A 1", 0.04), run("A 2", 0.02, control)])
    assert cells[0][-2] == ("2.00x!" if marked else "2.00x")


def test_a_factor_without_a_control_is_marked() -> None:
    without = runs.from_json(run_json("A 2", {"py-loop": 0.02}))
    _, cells = shown([run("A 1", 0.04), without])
    assert cells[0][-2:] == ["2.00x!", ""]


def test_the_oldest_version_comes_first_by_number_not_by_letter() -> None:
    labels = ["CPython 3.100.0", "CPython 3.9.1", "CPython 3.10.0t", "CPython 3.10.0"]
    each = of_each([run(label, 1.0) for label in labels])
    assert headings(each) == ["3.9.1", "3.10.0", "3.10.0t", "3.100.0"]


def test_of_several_runs_the_newest_counts_and_the_rest_is_mentioned() -> None:
    saved = [run("A 1", 0.03, day=2), run("A 1", 0.09, day=1), run("A 2", 0.01)]
    assert [r.when.day for r in of_each(saved) if r.when] == [2, 1]
    assert any("1 left out" in line for line in notes(saved))


def test_builds_of_one_version_that_differ_stand_side_by_side() -> None:
    other = {"interpreter": {"label": "A 1", "compiler": "clang 18"}}
    each = of_each([run("A 1", 1.0), run("A 1", 2.0, **other)])
    assert headings(each) == ["A 1 #1", "A 1 #2"]
    assert any(line == "A 1 #2: A 1, clang 18" for line in notes(each))


def test_other_machines_commits_and_builds_of_the_control_are_said() -> None:
    tiers = {"scalar": {"compiler": "g++ 13", "flags": ["-O2"], "key": "x"}}
    second = run_json("A 2", {"py-loop": 1.0}, cpu={"brand_raw": "B"}, tiers=tiers)
    second["commit_info"]["id"] = "2" * 40
    saved = [run("A 1", 1.0, cpu={"brand_raw": "A"}), runs.from_json(second)]
    warned = [line for line in notes(saved) if line.startswith("warning: A 2 and A 1")]
    assert len(warned) == 3
    assert any("cpu.brand_raw: A there, B here" in line for line in warned)
    assert any("built differently: the control" in line for line in warned)
    assert any("different commits" in line for line in warned)


def test_the_control_may_have_another_abi_and_the_interpreter_another_compiler() -> None:
    saved = [run("A 1", 1.0, python_compiler="x"), run("A 2", 1.0, python_compiler="y")]
    assert not any("warning" in line for line in notes(saved))


seconds = st.floats(min_value=1e-9, max_value=1e3)


@given(st.lists(st.tuples(seconds, seconds), min_size=1, max_size=5))
def test_means_and_cells_hold_for_any_times(times: list[tuple[float, float]]) -> None:
    saved = [run(f"A {n}", loop, control) for n, (loop, control) in enumerate(times)]
    header, cells = shown(saved)
    assert {len(line) for line in cells} == {len(header)}
    all_rows = rows(of_each(saved))
    for mean, (loop, _) in zip(means(all_rows, "loop"), times, strict=True):
        assert math.isclose(mean, times[0][0] / loop, rel_tol=1e-9)
    marked = any("!" in cell for line in cells for cell in line)
    assert len(sound(all_rows)) == (0 if marked else len(all_rows))


def test_a_loop_that_is_not_confirmed_is_marked_and_out_of_the_mean() -> None:
    second = run_json("A 2", {"py-loop": 0.02, "c-scalar": 0.001})
    second["benchmarks"][0]["extra_info"]["confirmed"] = False
    _, cells = shown([run("A 1", 0.04), runs.from_json(second)])
    assert [line[-2] for line in cells] == ["~2.00x", "2.00x", "2.00x"]
    assert cells[-1][1] == "of 1"
    second["benchmarks"][2]["extra_info"]["confirmed"] = False
    _, cells = shown([run("A 1", 0.04), runs.from_json(second)])
    assert cells[-1] == ["geometric mean", "of 0", *[""] * 8]


def test_a_case_that_one_lacks_is_left_empty_and_out_of_the_mean() -> None:
    short = run_json("A 2", {"py-loop": 0.02, "c-scalar": 0.001})
    short["benchmarks"] = [b for b in short["benchmarks"] if b["extra_info"]["size"] == "100"]
    _, cells = shown([run("A 1", 0.04), runs.from_json(short)])
    assert cells[0][-5:] == ["", "", "", "", ""]
    assert cells[-1][-2] == "2.00x"
    short["benchmarks"][0]["extra_info"]["size"] = "7"
    _, cells = shown([run("A 1", 0.04), runs.from_json(short)])
    assert cells[-1][-2] == ""


# --- On the command line and in documents --------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, label in enumerate(("CPython 3.10.1", "CPython 3.11.2"), 1):
        content = run_json(label, {"py-loop": 0.04 / number, "c-scalar": 0.001})
        (tmp_path / f"{number}.json").write_text(json.dumps(content))
    return tmp_path


@pytest.mark.parametrize("form", ["text", "md", "json"])
def test_a_folder_and_its_files_give_the_same(
    form: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    by = ["matrix", "--by", "interpreter", "--format", form]
    assert command_line.main([*by, str(folder)]) == 0
    whole = capsys.readouterr().out
    assert command_line.main([*by, *map(str, sorted(folder.iterdir()))]) == 0
    assert capsys.readouterr().out == whole
    if form == "json":
        content = json.loads(whole)
        assert content["rows"][0]["loop_times_as_fast"] == {"3.10.1": 1.0, "3.11.2": 2.0}
    else:
        assert "2.00x" in whole


def test_a_single_run_is_said_to_be_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["matrix", "--by", "interpreter", str(folder / "1.json")]) == 0
    assert "Only 3.10.1 was measured" in capsys.readouterr().out
    assert command_line.main(["matrix", str(folder / "1.json")]) == 0
    assert "speedup: the fastest native tier" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["1.json", "2.json"], "got 2 runs, needs one, or --by interpreter"),
        (["--by", "interpreter", "nowhere"], "nowhere: no saved run"),
        (["--by", "interpreter", "native.json"], "holds no Python variant"),
        (["--by", "interpreter", "1.json", "bad.json"], "bad.json: is not JSON"),
    ],
)
def test_bad_requests(
    arguments: list[str],
    complaint: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folder)
    Path("native.json").write_text(json.dumps(run_json("A 1", {"c-scalar": 1.0})))
    Path("bad.json").write_text("no")
    assert command_line.main(["matrix", *arguments]) == 2
    told = capsys.readouterr()
    assert complaint in told.err
    assert len(told.err.splitlines()) == 1
    assert not told.out


def test_a_document_takes_a_folder_or_a_pattern(folder: Path) -> None:
    texts = []
    for what in (".", "*.json"):
        document = folder / "document.md"
        document.write_text(f"<!-- render: interpreters {what} -->\n<!-- end -->\n")
        assert command_line.main(["render", str(document)]) == 0
        texts.append(document.read_text().partition("\n")[2])
    assert texts[0] == texts[1]
    assert "| 2.00x |" in texts[0]
