"""Which interpreters this machine has. Each is asked what it is, in a process of its own: nothing
is taken from the name of a file."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import bench.measure.machine.interpreter as description
from bench.measure.timing.child import communicate

OLDEST = (3, 10)
_SECONDS = 20.0  # a cold start from a slow disk takes some of them
_NAMES = re.compile(r"python3(\.\d+t?)?")
# What decides how an interpreter runs comes from us, the same for all of them.
_OURS = ("PYTHON", "PYTEST", "COV_", "VIRTUAL_ENV", "CONDA_", "__PYVENV")

# Old interpreters must be able to parse it.
_QUESTION = """
import sys
sys.path = [path for path in sys.path if path]  # not what lies in the current folder
import json, os, platform
base = getattr(sys, "base_prefix", sys.prefix)
info = {
    "implementation": platform.python_implementation(),
    "version": platform.python_version(),
    "executable": os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable),
    "prefix": os.path.realpath(base),
}
if info["implementation"] == "CPython" and sys.version_info >= OLDEST:
    import runpy
    info.update(runpy.run_path(sys.argv[1])["describe"]())
print(json.dumps(info))
""".replace("OLDEST", repr(OLDEST))


@dataclass(frozen=True)
class Setting:
    """One way to run an interpreter: with the lock or without, compiling or not.

    label         what a run of it will say: "CPython 3.14.0t GIL"
    name          of its files: "cpython-3.14.0t-gil"
    environment   variables that bring it about
    """

    interpreter: Interpreter
    label: str
    name: str
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Interpreter:
    """A CPython that the suite can run on.

    number   "-2" for the second one of the same label
    info     what describe() says in it
    """

    executable: Path
    number: str
    info: Mapping[str, Any]

    @property
    def label(self) -> str:
        """Of the build, whatever its state."""
        return description.label({**self.info, "gil": False, "jit": None})

    @property
    def name(self) -> str:
        """Of its folder: "cpython-3.14.0t"."""
        return _slug(self.label) + self.number

    @property
    def settings(self) -> list[Setting]:
        """How it is measured: a free-threaded one without the lock and with it, one with a JIT
        compiler with that on and off; any other as it is."""
        locks: list[tuple[bool, dict[str, str]]] = [(True, {})]
        if self.info["free_threaded"]:
            locks = [(False, {"PYTHON_GIL": "0"}), (True, {"PYTHON_GIL": "1"})]
        compilers: list[tuple[bool | None, dict[str, str]]] = [(None, {})]
        if self.info["jit"] is not None:
            compilers = [(True, {"PYTHON_JIT": "1"}), (False, {"PYTHON_JIT": "0"})]
        found = []
        for (gil, lock), (jit, compiler) in product(locks, compilers):
            label = description.label({**self.info, "gil": gil, "jit": jit})
            name = _slug(label) + self.number
            found.append(Setting(self, label, name, {**lock, **compiler}))
        return found


@dataclass(frozen=True)
class Skipped:
    """What looked like an interpreter, and why nothing is measured on it."""

    what: str
    reason: str


def find() -> tuple[list[Interpreter], list[Skipped]]:
    """Those of this machine, the oldest version first, and what is none for us."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    skipped: dict[str, Skipped] = {}
    asked: set[str] = set()
    for what, path in _candidates():
        if path is None:
            skipped[what] = Skipped(what, "there is no such command")
            continue
        real = os.path.realpath(path)
        if not Path(real).name.startswith("python"):  # one program that goes by what it is called
            real = str(path)
        if real in asked:
            continue
        asked.add(real)
        info = _ask(real)
        if isinstance(info, str):
            skipped.setdefault(real, Skipped(what, info))
        elif (reason := _why_not(info)) is not None:
            skipped.setdefault(info["executable"], Skipped(what, reason))
        else:
            # The environment of a virtual one is left: it is the interpreter beneath that counts.
            found.setdefault((info["executable"], info["prefix"]), info)
    return _named(list(found.values())), list(skipped.values())


def clean_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Without what tells an interpreter or pytest to behave otherwise, or in which environment."""
    kept = {name: v for name, v in environment.items() if not name.startswith(_OURS)}
    return {**kept, "PYTHONNOUSERSITE": "1"}


def _candidates() -> Iterator[tuple[str, Path | None]]:
    """(what it is called, where it is), perhaps several times; None: named, and not there."""
    search = os.environ.get("PATH", os.defpath)
    for name in os.environ.get("INTERPRETERS", "").split():
        where = shutil.which(Path(name).expanduser(), path=search)
        yield name, None if where is None else Path(where)
    yield "this one", Path(sys.executable)
    home = Path(os.environ.get("HOME") or "~").expanduser()
    pyenv = Path(os.environ.get("PYENV_ROOT") or home / ".pyenv")
    folders = [Path(entry) for entry in search.split(os.pathsep) if entry]
    for folder in [*folders, Path("/usr/local/bin"), Path("/usr/bin")]:
        if folder.resolve() != (pyenv / "shims").resolve():  # scripts; what they start comes below
            yield from _interpreters_in(folder)
    uv = os.environ.get("UV_PYTHON_INSTALL_DIR") or home / ".local/share/uv/python"
    for folder in (pyenv / "versions", Path(uv)):
        for version in _entries(folder):
            yield from _interpreters_in(version / "bin")
    condas = [home / name for name in ("miniconda3", "anaconda3", "miniforge3", "mambaforge")]
    condas += [Path("/opt/conda"), Path("/opt/miniconda3")]
    if conda := os.environ.get("CONDA_PREFIX"):
        condas.insert(0, Path(conda))
    for root in condas:
        for prefix in [root, *_entries(root / "envs")]:
            yield from _interpreters_in(prefix / "bin")


def _interpreters_in(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in _entries(folder):
        if _NAMES.fullmatch(path.name) and path.is_file() and os.access(path, os.X_OK):
            yield str(path), path


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _ask(executable: str) -> dict[str, Any] | str:
    """What it says it is, or one sentence on why it does not."""
    command = [executable, "-E", "-s", "-c", _QUESTION, description.__file__]
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="backslashreplace",
            env=clean_environment(),
            start_new_session=True,  # so that what a wrapper has started can be ended with it
        )
    except OSError as error:
        return f"cannot be started ({error.strerror or error})"
    try:
        out, complaint = communicate(process, _SECONDS)
    except subprocess.TimeoutExpired:
        return f"did not say what it is within {_SECONDS:g} s"
    finally:
        with contextlib.suppress(OSError):  # it has ended, and left nobody behind
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.returncode != 0:
        last = complaint.strip().rpartition("\n")[2] or f"exit code {process.returncode}"
        return f"cannot say what it is ({last[:120]})"
    try:
        info = json.loads(out.strip().rpartition("\n")[2])
    except ValueError:
        info = None
    needs = ("implementation", "version", "executable", "prefix")
    if not isinstance(info, dict) or not all(isinstance(info.get(name), str) for name in needs):
        return "does not answer as a Python would"
    return info


def _why_not(info: Mapping[str, Any]) -> str | None:
    """None where the suite can run on it, else why not, and what would do."""
    oldest = ".".join(map(str, OLDEST))
    name = f"{info['implementation']} {info['version']}"
    version = _version(info["version"])
    if info["implementation"] != "CPython" or version[:2] < OLDEST:
        return f"is {name}, needs CPython {oldest} or newer"
    if not {"label", "free_threaded", "gil", "jit", "debug"} <= info.keys():
        return "does not answer as a Python would"
    if info["free_threaded"] and version[:2] < (3, 14):
        return f"is {name}t, and cffi supports free-threaded builds from 3.14 on: install 3.14t"
    return None


def _version(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", text)[:3]))


def _named(found: list[dict[str, Any]]) -> list[Interpreter]:
    """In order of version; those of one label are numbered."""
    order = sorted(found, key=lambda s: (_version(s["version"]), s["label"], s["executable"]))
    interpreters: list[Interpreter] = []
    for info in order:
        one = Interpreter(Path(info["executable"]), "", info)
        before = sum(other.label == one.label for other in interpreters)
        interpreters.append(replace(one, number=f"-{before + 1}") if before else one)
    return interpreters


def _slug(label: str) -> str:
    return re.sub(r"[^a-z0-9.+]+", "-", label.lower())
