"""One interpreter: an environment and a copy of the checkout of its own, and the suite run there.

A copy, because native modules are built in place: what one interpreter's cffi needs would make
another's stale. The packages are installed, the project is not, so no import leads back here.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.interpreters.discovery import Interpreter, Setting, clean_environment
from bench.saved import runs
from bench.saved.writing import write_atomic
from bench.suite import registry

ROOT = Path(__file__).resolve().parents[2]
CONTROL = "c-scalar"  # compiled alike for all of them: what it differs by, the machine does
_COPIED = ("bench", "kernels_c", "kernels_py", "build_ffi.py", "conftest.py", "pyproject.toml")
_VARIANTS = (*(f"py-{name}" for name in registry.PYTHON_VARIANTS), CONTROL)
# What an element costs in Python has no variants; it is measured where the file is there.
_SELECTED = " or ".join([*(f"{name}-" for name in _VARIANTS), "test_bench_python.py"])

Say = Callable[[str], None]


class MeasurementFailed(Exception):
    """This interpreter cannot be measured; the message says why, and what would help."""


class Environment:
    """Where one interpreter works: FOLDER/venv, FOLDER/checkout, and FOLDER/log.txt, what the
    commands said."""

    def __init__(self, interpreter: Interpreter, folder: Path) -> None:
        self.interpreter = interpreter
        self.folder = folder.resolve() / interpreter.name
        self.python = self.folder / "venv/bin/python"
        self.checkout = self.folder / "checkout"
        self.log = self.folder / "log.txt"

    def prepare(self, say: Say) -> None:
        """Environment, copy and native modules, each only where something has changed. Raises
        MeasurementFailed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log.write_text("", encoding="utf-8")
        self._make_environment(say)
        say("building")
        copy_checkout(self.checkout)
        self._run([str(self.python), "build_ffi.py"], "the modules were not built", _build_error)

    def measure(self, setting: Setting, quick: bool, say: Say) -> dict[str, Any]:
        """The run, as pytest-benchmark's JSON without the single rounds. Raises
        MeasurementFailed."""
        say("measuring")
        with tempfile.TemporaryDirectory(dir=self.folder, prefix="run-") as folder:
            saved = Path(folder, "run.json")
            files = sorted(path.name for path in self.checkout.glob("test_bench_*.py"))
            command = [str(self.python), "-m", "pytest", *files, "-v", "-p", "no:cacheprovider"]
            command += ["--benchmark-only", f"--benchmark-json={saved}", "-k", _SELECTED]
            command += ["--baremetal-count", *(["--baremetal-quick"] if quick else [])]

            def read(line: str) -> str | None:
                say(_progress(line))
                return line if line.startswith(("FAILED ", "ERROR", "!")) else None

            self._run(command, "the benchmarks failed", read, setting)
            try:
                content = runs.read_json(saved, "pytest-benchmark JSON")
                label = runs.interpreter_label(runs.from_json(content, str(saved)))
            except runs.BadRun as error:
                raise MeasurementFailed(str(error)) from None
        if label != setting.label:
            what = f"it ran as {label}, which is not what was asked for"
            raise MeasurementFailed(f"{what}; see {self.log}")
        for benchmark in content["benchmarks"]:
            benchmark["stats"].pop("data", None)
        return dict(content)

    def _make_environment(self, say: Say) -> None:
        """Complete is an environment with its stamp, which comes last and says what is in it."""
        stamp, wanted = self.folder / "venv/installed.json", requirements()
        content = json.dumps({"python": dict(self.interpreter.info), "requirements": wanted})
        if stamp.is_file() and stamp.read_text(encoding="utf-8") == content:
            return
        say("installing")
        venv = self.folder / "venv"
        shutil.rmtree(venv, ignore_errors=True)
        version = ".".join(str(self.interpreter.info["version"]).split(".")[:2])
        self._run(
            [str(self.interpreter.executable), "-m", "venv", str(venv)],
            "it has no working venv module: install that (Debian, Ubuntu: apt-get install "
            f"python{version}-venv)",
        )
        pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        self._run([str(self.python), *pip, *wanted], "the packages were not installed", _pip_error)
        write_atomic(stamp, content)

    def _run(
        self,
        command: list[str],
        complaint: str,
        read: Callable[[str], str | None] = lambda line: None,
        setting: Setting | None = None,
    ) -> None:
        """Run to the end, into the log. `read` sees every line; the last text it returns says why
        the command failed. Raises MeasurementFailed."""
        environment = {**clean_environment(), "PYTHONUNBUFFERED": "1"}
        environment.update(setting.environment if setting else {})
        inside = self.checkout if self.checkout.is_dir() else self.folder
        reason = ""
        try:
            process = subprocess.Popen(
                command,
                cwd=inside,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="backslashreplace",
                start_new_session=True,  # Ctrl-C comes to us; it and its children end below
            )
        except OSError as error:
            reason = f"{command[0]}: {error.strerror or error}"
            raise MeasurementFailed(f"{complaint}: {reason}") from None
        try:
            assert process.stdout is not None
            with self.log.open("a", encoding="utf-8") as log:
                for line in process.stdout:
                    log.write(line)
                    reason = read(line.strip()) or reason
            process.wait()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if process.returncode != 0:
            why = f": {runs.one_line(reason)[:200]}" if reason else ""
            raise MeasurementFailed(f"{complaint}{why}; see {self.log}")


def requirements() -> list[str]:
    """What the suite needs to be built and run, as pyproject.toml says."""
    # Not an import statement: of the two each interpreter has one, tomli by way of pytest.
    toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    content = toml.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return [*content["build-system"]["requires"], *content["project"]["dependencies"]]


def copy_checkout(target: Path) -> None:
    """This checkout's sources, whole or not at all. Native modules that were built there stay, and
    ours come along: build_ffi.py looks at each of them, and builds what does not fit."""
    fresh = target.with_name(f"{target.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    ignored = shutil.ignore_patterns("__pycache__", ".build-*")
    for source in [*(ROOT / name for name in _COPIED), *ROOT.glob("test_bench_*.py")]:
        if source.is_dir():
            shutil.copytree(source, fresh / source.name, ignore=ignored)
        else:
            shutil.copy2(source, fresh)
    for built in (target / "kernels_c").glob("*.so"):
        shutil.copy2(built, fresh / "kernels_c")
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)


def _pip_error(line: str) -> str | None:
    return line.removeprefix("ERROR: ") if line.startswith("ERROR: ") else None


def _build_error(line: str) -> str | None:
    told = line.removeprefix("build_ffi: ")
    return told if told != line and not told.startswith("skipping ") else None


def _progress(line: str) -> str:
    """ "12 % relu[py-loop-100]" of pytest's line for a test; "" of others."""
    match = re.match(r"\S+::(?:test_)?(\S+) \w+ .*\[ *(\d+)%\]$", line)
    return f"{match[2]} % {match[1]}" if match else ""
