"""Exit codes: 1 means that something became slower, and nothing else ends with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from bench import __main__ as command_line
from bench.cli.exits import exit_code
from bench.gate.verdicts.errors import GateError
from bench.saved import runs
from bench.saved.checks import BadRun, NotComparable, Refusal
from bench.views.documents import BadDocument

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = str(ROOT / "results/reference.json")


def raising(error: BaseException) -> Callable[[], NoReturn]:
    def command() -> NoReturn:
        raise error

    return command


# Shown with their traceback.
FAULTS = (RuntimeError, AssertionError, RecursionError, SystemExit, GeneratorExit)
ENDS = [
    (RuntimeError("a bug"), 2),
    (AssertionError(), 2),
    (RecursionError("deep"), 2),
    (MemoryError(), 2),
    (KeyboardInterrupt(), 2),
    (ModuleNotFoundError("No module named 'x'", name="x"), 2),
    (OSError(28, "No space left on device", "f"), 2),
    (SystemExit(1), 2),
    (SystemExit("text"), 2),
    (Refusal("no"), 2),
    (BadRun("no"), 2),
    (BadDocument("no"), 2),
    (GateError("no"), 2),
    (NotComparable("no"), 3),
    (BrokenPipeError(32, "Broken pipe", "a summary"), 2),  # standard output's: see below
    (GeneratorExit(), 2),  # libraries have others that are no Exception
]


@pytest.mark.parametrize(("error", "code"), ENDS, ids=lambda v: type(v).__name__)
def test_no_failure_is_called_a_regression(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(raising(error)) == code
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("bench: ")
    assert len(lines) <= 1 or type(error) in FAULTS


@pytest.mark.parametrize(("old", "new"), command_line._RENAMED.items())
def test_an_old_name_works_and_says_the_new_one(
    old: str, new: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line.main([new, REFERENCE]) == 0
    expected = capsys.readouterr().out
    assert command_line.main([old, REFERENCE]) == 0
    assert capsys.readouterr() == (expected, f"bench: {old} is now called {new}\n")


@pytest.mark.parametrize("code", [0, 1, 2, 3])
def test_what_a_command_returns_stands(code: int) -> None:
    assert exit_code(lambda: code) == code


def test_a_reason_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    exit_code(raising(Refusal("two\nlines \x1b[31m\u202e")))
    assert capsys.readouterr().err == "bench: two\\nlines \\x1b[31m\\u202e\n"


COMMANDS = ["matrix", "ladder", "cost", "scaling", "overhead", "report", "gate"]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_fault_of_ours_ends_no_command_with_1(
    command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for read in ("saved.runs.load", "gate.saved_runs.load", "saved.archive.read"):
        monkeypatch.setattr(f"bench.{read}", lambda *_: 1 / 0)
    given = ["compare", REFERENCE, str(tmp_path)] if command == "gate" else [REFERENCE]
    assert command_line.main([command, *given]) == 2


def run(command: list[str], **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False, **more
    )


def test_a_full_disk_behind_standard_output_is_said() -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        ended = run(["-m", "bench", "matrix", REFERENCE], stdout=full)
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.endswith("No space left on device")


@pytest.mark.parametrize("where", ["2>/dev/full", "2>&-"])
def test_what_nobody_can_be_told_stops_no_command(where: str, tmp_path: Path) -> None:
    """Nor does it go to standard output, where a program reads."""
    content = json.loads(Path(REFERENCE).read_text(encoding="utf-8"))
    content["benchmarks"][0]["stats"]["min"] = 0.0
    odd = tmp_path / "odd.json"
    odd.write_text(json.dumps(content), encoding="utf-8")
    shown = f'exec "$0" -m bench matrix "$1" --format json {where}'
    ended = subprocess.run(
        ["sh", "-c", shown, sys.executable, str(odd)], cwd=ROOT, stdout=subprocess.PIPE, check=False
    )
    assert ended.returncode == 0
    assert json.loads(ended.stdout)


def test_a_closed_pipe_is_enough() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    ended = run(["-m", "bench", "matrix", REFERENCE], stdout=writer)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_missing_package_is_named() -> None:
    script = (
        "import runpy, sys; sys.modules['rich.console'] = None; sys.argv = ['bench', 'matrix'];"
        "runpy.run_module('bench', run_name='__main__')"
    )
    ended = run(["-c", script], stdout=subprocess.DEVNULL)
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert "rich" in line and "pip install" in line


@pytest.mark.skipif(sys.gettrace() is not None, reason="coverage imports json before we can")
@pytest.mark.parametrize("module", ["json", "statistics"])
def test_a_folder_with_a_module_of_a_known_name_is_no_regression(
    module: str, tmp_path: Path
) -> None:
    (tmp_path / f"{module}.py").write_text("raise ValueError('mine')")
    ended = subprocess.run(
        [sys.executable, "-m", "bench", "matrix"], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].startswith("bench: ") and "mine" in ended.stderr


@pytest.mark.parametrize(
    ("ends", "reason"), [("MemoryError", "not enough memory"), ("KeyboardInterrupt", "interrupted")]
)
def test_what_ends_it_while_it_starts_is_no_regression(ends: str, reason: str) -> None:
    script = (
        "import runpy, sys\nclass Ends:\n  def find_spec(self, name, *_):\n"
        f"    if name == 'bench.saved.runs': raise {ends}\n"
        "sys.meta_path.insert(0, Ends()); sys.argv = ['bench', 'matrix']\n"
        "runpy.run_module('bench', run_name='__main__')"
    )
    ended = run(["-c", script], stdout=subprocess.DEVNULL)
    (line,) = ended.stderr.splitlines()
    assert ended.returncode == 2 and reason in line


def test_a_run_that_is_left_out_in_part_is_refused_where_it_is_judged() -> None:
    run = runs.from_json({"benchmarks": [{}, {"fullname": "a", "stats": dict.fromkeys(
        ("min", "max", "mean", "median", "rounds"), 1) | {"stddev": 0, "iqr": 0}}]})  # fmt: skip
    assert len(run.results) == 1
    with pytest.raises(BadRun, match="fullname is nothing"):
        runs.undamaged(run)
