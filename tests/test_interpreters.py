"""make interpreters: what is found and how it is told apart, on interpreters that only pretend."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bench import __main__ as command_line
from bench.cli.interpreters import WORK
from bench.interpreters import running
from bench.interpreters.discovery import Interpreter, Skipped, clean_environment, find
from bench.measure.machine import interpreter as description
from bench.saved import runs
from tests.test_interpreters_view import run_json

ROOT = Path(__file__).resolve().parent.parent
PLAIN = {"free_threaded": False, "gil": True, "jit": None, "debug": False, "compiler": "GCC 15"}


def info(version: str, executable: Path, **more: Any) -> dict[str, Any]:
    """What an interpreter of that version answers."""
    metadata = {"implementation": "CPython", "version": version, **PLAIN, **more}
    where = {"executable": str(executable), "prefix": "/nowhere"}
    return {**metadata, **where, "label": description.label(metadata)}


def fake(path: Path, answer: dict[str, Any] | str, body: str = "exit 0") -> Path:
    """A command that answers the question, makes environments of itself, and else runs `body`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = answer if isinstance(answer, str) else f"echo '{json.dumps(answer)}'"
    path.write_text(f"""#!/bin/sh
case "$*" in
*" -c "*) {text}; exit ;;
"-m venv "*) [ -z "$NO_VENV" ] || exit 1; mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; exit ;;
esac
{body}
""")
    path.chmod(0o755)
    return path


def measuring(tmp_path: Path, label: str = "$label", before: str = "") -> str:
    """A body that saves a run as pytest would, of the label that its environment asks for."""
    template = tmp_path / "template.json"
    template.write_text(json.dumps(run_json("LABEL", {"py-loop": 1.0, "c-scalar": 0.1})))
    return f"""
label="CPython 3.99.0"
[ "$PYTHON_GIL" = 0 ] && label="CPython 3.99.0t"
[ "$PYTHON_GIL" = 1 ] && label="CPython 3.99.0t GIL"
for word in "$@"; do case $word in
--benchmark-json=*) {before} sed "s/LABEL/{label}/" {template} > "${{word#*=}}" ;;
esac; done
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without interpreters but for those that it cannot hide; its folder of commands."""
    for name in ("PYENV_ROOT", "CONDA_PREFIX", "UV_PYTHON_INSTALL_DIR", "INTERPRETERS", "NO_VENV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "bin"


def found_there(folder: Path) -> list[Interpreter]:
    """Those of the pretended machine."""
    return [one for one in find()[0] if one.executable.is_relative_to(folder.parent)]


def reason_for(path: Path) -> str:
    (one,) = (one for one in find()[1] if str(path) in one.what)
    return one.reason


# --- Discovery -----------------------------------------------------------------------------------


def test_this_interpreter_is_found_and_described_as_it_describes_itself(machine: Path) -> None:
    real = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    mine = next(one for one in find()[0] if one.executable == real)
    own = {name: value for name, value in mine.info.items() if name in description.describe()}
    assert own == description.describe()


@pytest.mark.parametrize(
    "place",
    [
        "bin/python3.99",
        ".pyenv/versions/3.99.0/bin/python3",
        ".local/share/uv/python/cpython-3.99/bin/python3.99",
        "miniconda3/envs/new/bin/python3",
    ],
)
def test_the_usual_places_are_looked_at(place: str, machine: Path, tmp_path: Path) -> None:
    path = fake(tmp_path / place, info("3.99.0", tmp_path / place))
    assert [one.executable for one in found_there(machine)] == [path]


def test_what_the_variable_names_is_asked_and_what_is_not_there_is_said(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fake(tmp_path / "elsewhere/my-python", info("3.99.0", tmp_path / "elsewhere/my-python"))
    monkeypatch.setenv("INTERPRETERS", f"{path} no-such-python")
    assert [one.name for one in found_there(machine)] == ["cpython-3.99.0"]
    assert Skipped("no-such-python", "there is no such command") in find()[1]


def test_one_interpreter_under_many_names_is_one(machine: Path) -> None:
    path = fake(machine / "python3.99", info("3.99.0", machine / "python3.99"))
    (machine / "python3").symlink_to(path)
    fake(machine.parent / "miniconda3/bin/python3", info("3.99.0", path))  # an environment of it
    assert len(found_there(machine)) == 1


def test_two_builds_of_one_version_have_two_names(machine: Path) -> None:
    for name in ("python3.98", "python3.99"):
        fake(machine / name, info("3.99.0", machine / name))
    assert [one.name for one in found_there(machine)] == ["cpython-3.99.0", "cpython-3.99.0-2"]


def test_versions_are_in_the_order_of_their_numbers(machine: Path) -> None:
    for version in ("3.100.0", "3.99.0", "3.98.1"):
        path = machine / f"python{version[:-2]}"
        fake(path, info(version, path))
    assert [one.info["version"] for one in found_there(machine)] == ["3.98.1", "3.99.0", "3.100.0"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"version": "3.9.1"}, "is CPython 3.9.1, needs CPython 3.10 or newer"),
        ({"implementation": "PyPy"}, "is PyPy 3.99.0, needs CPython 3.10 or newer"),
        ({"version": "3.13.1", "free_threaded": True}, "install 3.14t"),
        ("echo hello", "does not answer as a Python would"),
        ("echo '[1, 2]'", "does not answer as a Python would"),
        ("echo '{}'", "does not answer as a Python would"),
        ("echo broken >&2; exit 3", "cannot say what it is (broken)"),
        ("exit 127", "cannot say what it is (exit code 127)"),
    ],
)
def test_what_is_none_for_us_is_listed_with_the_reason(
    answer: dict[str, Any] | str, reason: str, machine: Path
) -> None:
    path = machine / "python3.99"
    if isinstance(answer, dict):
        answer = {**info("3.99.0", path), **answer}
    fake(path, answer)
    assert reason in reason_for(path)
    assert found_there(machine) == []


def test_one_that_does_not_answer_is_ended_with_what_it_started(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.interpreters.discovery._SECONDS", 0.3)
    path = fake(machine / "python3.99", f"sleep 60 & echo $! > {machine}/pid; wait")
    assert "did not say what it is within" in reason_for(path)
    wait_for_end_of(int((machine / "pid").read_text()))


def test_a_program_that_is_no_program_is_named(machine: Path) -> None:
    path = fake(machine / "python3.99", "")
    path.write_bytes(b"\x7fELF nonsense")
    assert "cannot be started" in reason_for(path)


def test_settings_are_the_lock_off_and_on_times_the_compiler_on_and_off(machine: Path) -> None:
    path = machine / "python3.99t"
    fake(path, info("3.99.0", path, free_threaded=True, gil=False, jit=False, debug=True))
    (one,) = found_there(machine)
    assert one.name == "cpython-3.99.0t-debug"
    assert [(s.name, dict(s.environment)) for s in one.settings] == [
        ("cpython-3.99.0t-jit-debug", {"PYTHON_GIL": "0", "PYTHON_JIT": "1"}),
        ("cpython-3.99.0t-jit-off-debug", {"PYTHON_GIL": "0", "PYTHON_JIT": "0"}),
        ("cpython-3.99.0t-gil-jit-debug", {"PYTHON_GIL": "1", "PYTHON_JIT": "1"}),
        ("cpython-3.99.0t-gil-jit-off-debug", {"PYTHON_GIL": "1", "PYTHON_JIT": "0"}),
    ]


def test_nothing_of_our_environment_makes_interpreters_differ() -> None:
    ours = {"PYTHON_GIL": "0", "PYTHONPATH": "/x", "PYTEST_ADDOPTS": "-x", "CXX": "clang++"}
    assert clean_environment(ours) == {"CXX": "clang++", "PYTHONNOUSERSITE": "1"}


# --- Running -------------------------------------------------------------------------------------


def test_both_ways_of_a_free_threaded_one_are_measured_and_saved(
    machine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = machine / "python3.99t"
    fake(path, info("3.99.0", path, free_threaded=True, gil=False), measuring(tmp_path))
    assert command_line.main(["interpreters", "--only", "3.99t", "-o", "out"]) == 0
    saved = sorted((tmp_path / "out").iterdir())
    assert [p.name for p in saved] == ["cpython-3.99.0t-gil.json", "cpython-3.99.0t.json"]
    assert runs.interpreter_label(runs.load(saved[0])) == "CPython 3.99.0t GIL"
    assert saved[0].read_text().count("\n") == 1
    shown = capsys.readouterr()
    assert "3.99.0t GIL" in shown.out
    assert shown.err.count("installing") == 1


def test_without_a_folder_no_run_becomes_the_newest_of_pytest_benchmark(
    machine: Path, tmp_path: Path
) -> None:
    fake(machine / "python3.99", info("3.99.0", machine / "python3.99"), measuring(tmp_path))
    assert command_line.main(["interpreters", "--only", "cpython-3.99.0"]) == 0
    assert (tmp_path / ".interpreters/cpython-3.99.0.json").is_file()
    assert not (tmp_path / ".benchmarks").exists()


def test_an_environment_is_made_once_and_again_when_it_was_not_finished(
    machine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(machine / "python3.99", info("3.99.0", machine / "python3.99"), measuring(tmp_path))
    again = ["interpreters", "--only", "3.99", "-o", "out"]
    installed = []
    for _ in range(3):
        assert command_line.main(again) == 0
        installed.append("installing" in capsys.readouterr().err)
        if len(installed) == 2:
            (tmp_path / WORK / "cpython-3.99.0/venv/installed.json").unlink()
    assert installed == [True, False, True]


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ('case "$*" in *pip*) echo "ERROR: no wheel for it"; exit 1 ;; esac', "no wheel for it"),
        (
            'case "$*" in build_ffi.py) echo "build_ffi: no Python headers"; exit 2 ;; esac',
            "the modules were not built: no Python headers",
        ),
        (
            'case "$*" in "-m pytest "*) echo "FAILED test_relu - wrong"; exit 1 ;; esac',
            "the benchmarks failed: FAILED test_relu - wrong",
        ),
        ("exit 0", "cannot be read"),
        ('case "$*" in "-m pytest "*) kill -9 $$ ;; esac', "the benchmarks failed; see"),
    ],
)
def test_one_that_fails_is_said_in_a_line_and_the_others_go_on(
    body: str,
    complaint: str,
    machine: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fake(machine / "python3.98", info("3.98.0", machine / "python3.98"), body)
    alone = ["interpreters", "-o", "out", "--only", "3.98"]
    assert command_line.main(alone) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if complaint in line]
    assert len(lines) == 1
    assert lines[0].startswith("CPython 3.98.0: ")
    assert not (tmp_path / "out").exists()
    fake(machine / "python3.99", info("3.99.0", machine / "python3.99"), measuring(tmp_path))
    assert command_line.main([*alone, "3.99"]) == 0
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["cpython-3.99.0.json"]


def test_no_venv_module_names_the_package(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(machine / "python3.99", info("3.99.0", machine / "python3.99"))
    monkeypatch.setenv("NO_VENV", "1")
    assert command_line.main(["interpreters", "--only", "3.99"]) == 2
    assert "apt-get install python3.99-venv" in capsys.readouterr().err


def test_a_run_of_another_kind_than_asked_for_is_not_saved(
    machine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A module can bring the lock back: that run would pass for one without."""
    path = machine / "python3.99t"
    body = measuring(tmp_path, label="CPython 3.99.0t GIL")
    fake(path, info("3.99.0", path, free_threaded=True, gil=False), body)
    assert command_line.main(["interpreters", "--only", "3.99t", "-o", "out"]) == 0
    assert "CPython 3.99.0t: it ran as CPython 3.99.0t GIL" in capsys.readouterr().err
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["cpython-3.99.0t-gil.json"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--only", "3.97"], "--only: there is no interpreter '3.97'; found: "),
        (["--only", ""], "there is no interpreter ''"),
        (["--only", "3.99t"], "there is no interpreter '3.99t'"),
        (["--only", "3.9"], "there is no interpreter '3.9'"),
        (["-o", "taken"], "taken: is no folder"),
        (["-o", "/proc/nowhere", "--only", "3.99"], "/proc/nowhere: "),
    ],
)
def test_bad_requests(
    arguments: list[str],
    complaint: str,
    machine: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fake(machine / "python3.99", info("3.99.0", machine / "python3.99"))
    (tmp_path / "taken").write_text("mine")
    assert command_line.main(["interpreters", *arguments]) == 2
    told = capsys.readouterr().err
    assert complaint in told
    assert len(told.splitlines()) == 1
    assert not (tmp_path / WORK).exists()


def test_the_list_names_what_can_be_chosen(
    machine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(machine / "python3.99", info("3.99.0", machine / "python3.99"))
    fake(machine / "python3.98", "echo hello")
    assert command_line.main(["interpreters", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert command_line.main(["interpreters", "--list", "--only", "3.99"]) == 0
    (only,) = capsys.readouterr().out.splitlines()
    assert only in lines
    assert f"cpython-3.99.0: CPython 3.99.0, {machine}/python3.99 (GCC 15)" in lines
    assert f"skipped: {machine}/python3.98: does not answer as a Python would" in lines


def test_being_asked_to_end_ends_what_was_started_and_leaves_nothing(
    machine: Path, tmp_path: Path
) -> None:
    started = tmp_path / "started"
    body = measuring(
        tmp_path, before=f"echo $$ > {started}.new; mv {started}.new {started}; sleep 60;"
    )
    fake(machine / "python3.99", info("3.99.0", machine / "python3.99"), body)
    command = [sys.executable, "-m", "bench", "interpreters", "--only", "3.99", "-o", "out"]
    process = subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not started.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 2
    assert "bench: interrupted; 0 of 1 runs were saved" in told
    assert not (tmp_path / "out").exists()
    assert not list((tmp_path / WORK / "cpython-3.99.0").glob("run-*"))
    wait_for_end_of(int(started.read_text()))


def wait_for_end_of(pid: int) -> None:
    """Fails where the process is still there after a while."""
    for _ in range(500):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return
        if state == "Z":
            return
        time.sleep(0.02)
    pytest.fail(f"process {pid} is still there")


def test_the_copy_keeps_what_was_built_in_it_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "checkout"
    running.copy_checkout(target)
    (target / "kernels_c/_scalar.cpython-399t.so").write_text("another suffix")
    (target / "kernels_c/gone.cpp").write_text("int x;")
    (target / "bench/suite/registry.py").write_text("stale")
    running.copy_checkout(target)
    assert (target / "kernels_c/_scalar.cpython-399t.so").read_text() == "another suffix"
    assert not (target / "kernels_c/gone.cpp").exists()
    assert (target / "bench/suite/registry.py").read_bytes() == (
        ROOT / "bench/suite/registry.py"
    ).read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkout"]


def test_the_packages_are_those_that_the_project_names() -> None:
    names = " ".join(running.requirements())
    assert all(name in names for name in ("cffi", "setuptools", "pytest-benchmark"))
    assert "ruff" not in names
