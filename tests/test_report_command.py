"""python -m bench report: which files, what is wrong with them, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from bench import __main__ as command_line
from bench.measure.derived import add_derived_figures
from tests.checkout import ROOT
from tests.test_hostile_text import GATE, small_peers
from tests.test_report import HOSTILE, case, foreign

DATA = ROOT / "tests/data"


def content(*benchmarks: dict[str, Any], day: int = 1, cpu: str = "A CPU") -> dict[str, Any]:
    found = list(benchmarks) or [
        case("relu_f32", "py-loop", 9, 1.0),
        case("relu_f32", "c-avx2", 9, 0.1),
    ]
    add_derived_figures(found)
    return {
        "datetime": f"2025-11-{day:02}T10:00:00",
        "commit_info": {"id": f"{day:07}", "dirty": False},
        "machine_info": {
            "cpu": {"brand_raw": cpu},
            "python_version": "3.11.7",
            "python_implementation": "CPython",
            "tiers": {},
        },
        "benchmarks": found,
    }


def save(path: Path, what: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(what if isinstance(what, str) else json.dumps(what), encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def report(*arguments: str | Path) -> int:
    return command_line.main(["report", *map(str, arguments)])


def page() -> str:
    return Path("report/index.html").read_text(encoding="utf-8")


def sections() -> dict[str, Any]:
    return dict(json.loads(Path("report/report.json").read_text(encoding="utf-8"))["sections"])


# --- What is wrong -------------------------------------------------------------------------------

NAN = content(case("relu_f32", "py-loop", 9, 1.0), case("relu_f32", "c-avx2", 9, 0.1))
NAN["benchmarks"][1]["stats"]["median"] = float("nan")
INFINITE = content(foreign("t.py::good", 1.0), foreign("t.py::bad", 1.0))
INFINITE["benchmarks"][1]["stats"]["max"] = float("inf")
BAD = {
    "truncated": (json.dumps(content())[:-40], "is not JSON"),
    "empty": ("", "is empty"),
    "no run": ({"hello": "world"}, "benchmarks is nothing, needs a list"),
    "a list": ([1, 2], "needs an object"),
    "no benchmark": ({**content(), "benchmarks": []}, "benchmarks is empty"),
    "a picture": ("\x89PNG\r\n\x1a\n", "is not JSON"),
    "nan": (NAN, "median is NaN, needs a number"),
    "infinity": (INFINITE, "max is Infinity, needs a number"),
    "deep": ("[" * 100_000, "nested too deeply"),
    "twice": (
        content(*[foreign("t.py::t", 1.0)] * 2, foreign("t.py::u", 1.0)),
        "t.py::t appears twice",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_what_cannot_be_used_is_named_and_the_rest_is_drawn(
    what: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, reason = BAD[what]
    bad, good = save(here / "bad.json", text), save(here / "good.json", content())
    for named in ([bad, good], [here], ["*.json"]):
        assert report(*named) == 2
        out, error = capsys.readouterr()
        assert out.startswith("report/index.html: open it")
        assert error.count("\n") == 1 and "bad.json" in error and reason in error
        assert "relu_f32" in page() and "Not used" in page() and reason in page()


def test_what_is_fine_ends_with_0(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(here / "runs/a.json", content())
    assert report("runs") == 0
    assert capsys.readouterr().err == "" and "Not used" not in page()


@pytest.mark.parametrize("names", [["none.json"], ["nowhere"], ["*.none"], [""]])
def test_names_that_lead_nowhere(
    names: list[str], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(here / "good.json", content())
    assert report(*names) == 2
    assert capsys.readouterr().err.count("\n") == 1 and not Path("report").exists()
    if names != [""]:
        assert report("good.json", *names) == 2 and Path("report/index.html").exists()


def test_nothing_is_written_where_no_run_is_left(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(here / "old/index.html", "mine")
    save(here / "bad.json", "{")
    assert report("bad.json", "-o", "old") == 2
    assert Path("old/index.html").read_text() == "mine" and len(list(Path("old").iterdir())) == 1
    assert report() == 2
    assert "no saved run; make one with" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--last", "0"], "needs a whole number above 0"),
        (["--last", "x"], "needs a whole number above 0"),
        (["--since", "yesterday"], "needs a date as 2026-01-31"),
        (["-o", ""], "needs the name of a folder"),
        (["--compare", "run.json"], "expected 2 arguments"),
        (["--compare", "run.json", "none.json"], "none.json: cannot be read"),
        (["--kernel", "none"], "no saved run has kernel 'none', has relu_f32"),
        (["--machine", "none"], "no saved run is of machine 'none', but of A CPU"),
        (["--since", "2030-01-01"], "no run is left"),
        (["-o", "run.json"], "run.json: is no folder"),
    ],
)
def test_bad_arguments(
    arguments: list[str], reason: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(here / "run.json", content())
    try:
        code = report("run.json", *arguments)
    except SystemExit as end:  # argparse
        code = int(end.code or 0)
    assert code == 2
    error = capsys.readouterr().err
    assert reason in error and "Traceback" not in error


def test_hostile_names_of_everything(here: Path) -> None:
    name = f"{HOSTILE}\u202e\u2066\x1b[31m\n"
    benchmarks = [case(name, f"{side}-{name}", 9, 1.0) for side in ("c", "py")]
    for day in (1, 2):
        run = content(*benchmarks, foreign(name, 1.0), day=day, cpu=name)
        save(here / f"{day}<script>.json", run)
    assert report(here) == 0
    text = page()
    assert text.count("<script>") == 1 and "\u202e" not in text and "\x1b" not in text
    assert "alert(&#39;" in text


# --- Other people's runs -------------------------------------------------------------------------


@pytest.mark.parametrize("version", [3, 4, 5])
def test_runs_of_every_version_of_the_plugin(
    version: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(DATA / f"pytest-benchmark-{version}.json") == 0
    assert capsys.readouterr().err == ""
    found = sections()
    rows = found["matrix"]["content"]
    assert rows and all(row["min_seconds"] > 0 for row in rows)
    assert rows[0]["benchmark"] in page() and {"noise", "provenance"} <= found.keys()


def test_all_of_them_at_once_beside_ours(here: Path) -> None:
    save(here / "ours.json", content())
    assert report(DATA, "ours.json") == 0
    assert {"factors", "provenance"} <= sections().keys()


# --- Which files ---------------------------------------------------------------------------------


def test_the_default_is_everything_in_the_storage(here: Path) -> None:
    for day in range(1, 15):
        save(here / f".benchmarks/Linux/{day:04}_a.json", content(day=day))
    assert report() == 0
    assert "14 runs in all" in page() and "14 runs from 2025-11-01 to 2025-11-14" in page()


def test_filters(here: Path) -> None:
    cases = product(("relu_f32", "gelu_f32"), ("py-loop", "c-avx2"), (9, 99))
    kernels = [case(kernel, variant, n, 1.0 / n) for kernel, variant, n in cases]
    for day in (1, 2, 3):
        save(here / f"runs/{day}.json", content(*kernels, day=day))
    save(here / "runs/other.json", content(*kernels, day=4, cpu="Another CPU"))

    def shown() -> tuple[set[str], set[str], set[str]]:
        rows = sections()["matrix"]["content"]
        variants = {variant for row in rows for variant in row["variants"]}
        return {row["kernel"] for row in rows}, {row["size"] for row in rows}, variants

    assert report("runs", "--kernel", "gelu_f32") == 0 and shown()[0] == {"gelu_f32"}
    assert report("runs", "--size", "99") == 0 and shown()[1] == {"99"}
    assert report("runs", "--variant", "c-avx2") == 0 and shown()[2] == {"c-avx2"}
    assert report("runs", "--machine", "another") == 0 and "Another CPU" in page()
    assert "history" not in sections()
    assert report("runs", "--since", "2025-11-02", "--machine", "a cpu") == 0
    assert sections()["history"]["content"]["runs"] == 2
    assert report("runs", "--last", "2", "--machine", "a cpu") == 0
    assert sections()["history"]["content"]["runs"] == 2


def test_two_runs_can_be_named(here: Path) -> None:
    for day in (1, 2, 3):
        run = content(*(foreign(f"t.py::t{n}", 1.0 + (n == day)) for n in range(4)), day=day)
        save(here / f"{day}.json", run)
    assert report("3.json", "--compare", "1.json", "2.json") == 0
    compared = sections()["history"]["content"]["compared"]
    assert compared["before"] == "1.json" and compared["now"] == "2.json"
    assert {c["benchmark"]: c["ratio"] for c in compared["benchmarks"]} == {
        "t.py::t0": 1.0, "t.py::t1": 0.5, "t.py::t2": 2.0, "t.py::t3": 1.0,
    }  # fmt: skip


def test_gates_and_comparisons_are_told_by_their_content(here: Path) -> None:
    save(here / "a.json", content())
    save(here / "b.json", GATE)
    save(here / "c.json", small_peers())
    assert report("*.json") == 0
    assert {"gates", "peers"} <= sections().keys()


# --- At the end of a run -------------------------------------------------------------------------


@pytest.mark.parametrize("saved", [[], ["--benchmark-json=own.json"], ["--benchmark-autosave"]])
def test_pytest_draws_the_report_at_the_end_of_a_run(saved: list[str], here: Path) -> None:
    storage = here / "storage"
    earlier = content(foreign("test_x.py::test_x", 1.0))
    save(storage / "Linux/0001_a.json", earlier)
    command = [
        sys.executable, "-m", "pytest", "--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml"),
        str(ROOT / "test_bench_relu.py"), "-k", "idiomatic and 100-", "--benchmark-only", "--quick",
        "-k", "py-idiomatic-100]", "--report", "drawn", f"--benchmark-storage={storage}", *saved,
        "-p", "no:cacheprovider",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, cwd=here, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "drawn/index.html: the report, open it in a browser" in done.stdout
    text = Path("drawn/index.html").read_text(encoding="utf-8")
    assert "test_relu" in text or "relu_f32" in text
    assert Path("drawn/run.json").exists() == (not saved)
    if not saved:
        (benchmark,) = json.loads(Path("drawn/run.json").read_text())["benchmarks"]
        assert "data" not in benchmark["stats"] and benchmark["stats"]["rounds"] > 1
    assert len(list(storage.rglob("*.json"))) == 1 + ("--benchmark-autosave" in saved)


def test_a_report_that_cannot_be_written_is_said_before_anything_is_measured(here: Path) -> None:
    save(here / "taken", "mine")
    command = [
        sys.executable, "-m", "pytest", "--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml"),
        str(ROOT / "test_bench_relu.py"), "--benchmark-only", "--report", "taken",
        "-p", "no:cacheprovider",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, cwd=here, check=False)
    assert done.returncode == 2 and "taken: is no folder" in done.stdout + done.stderr
    assert Path("taken").read_text() == "mine"
