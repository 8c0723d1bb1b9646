"""A copy of this project in a repository of its own, cut down so that a gate takes seconds: one
native tier, and few short samples. What such a gate finds says nothing; what it does is tested."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import build_ffi
from tests.checkout import Checkout

# Compiles fast, knows no tier but the portable ones, and waits while there is a file $SLOW_CXX.
COMPILER = """#!/bin/sh
case "$*" in *mavx*|*fopenmp*) exit 1;; esac
while [ -n "$SLOW_CXX" ] && [ -e "$SLOW_CXX" ]; do sleep 0.05; done
exec {compiler} "$@" -O0
"""
MARK = "GATE_TEST"
DEADLINE = 300  # seconds, for what takes a few, or half a minute under valgrind


class Project:
    """The repository; `base` is its first commit. Every gate has a temporary folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.checkout = Checkout(folder, with_modules=False)
        self.folder = self.checkout.folder
        for room in ("docs", "results", "tests"):  # which every gate would copy twice
            shutil.rmtree(self.folder / room)
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        compiler = folder / "c++"
        compiler.write_text(COMPILER.format(compiler=" ".join(build_ffi.compiler())))
        compiler.chmod(0o755)
        self.compiler = compiler
        self.slow = folder / "slow"  # while it exists, nothing is compiled
        replace = self.checkout.replace
        # No test in there is of its kind, and its end of every session takes a second.
        option = '    "--strict-markers",\n'
        replace("pyproject.toml", option, f'{option}    "-pno:hypothesispytest",\n')
        replace("build_ffi.py", '    "debug": Tier("portable", "-O0"),\n', "")
        replace("bench/gate/rounds/samples.py", "SAMPLE_SECONDS = 0.06", "SAMPLE_SECONDS = 0.002")
        replace("bench/gate/verdicts/verdict.py", "FIRST_STAGE = 12", "FIRST_STAGE = 5")
        replace(
            "bench/gate/verdicts/verdict.py", "LATER_STAGES = (32, 64)", "LATER_STAGES = (5, 6)"
        )
        replace("bench/gate/verdicts/verdict.py", "MARGIN = 0.02", "MARGIN = 5.0")
        replace("bench/gate/timed.py", "FEWEST_CONTROLS = 3", "FEWEST_CONTROLS = 1")
        built = self.checkout.build(CXX=str(compiler))
        assert built.returncode == 0, built.stderr
        self.git("init", "--quiet", "--initial-branch", "main")
        self.commit()
        self.git("tag", "clean")

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "gc.auto=0")
        command = ["git", "-C", str(self.folder), *identity, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "c")

    def restore(self) -> None:
        self.slow.unlink(missing_ok=True)
        self.git("reset", "--quiet", "--hard", "clean")
        self.git("clean", "--quiet", "--force", "-d")

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def state(self) -> dict[str, object]:
        """Everything in the checkout, .git and what is ignored included."""
        return {
            str(p.relative_to(self.folder)): (
                p.lstat().st_mode,
                hashlib.sha256(p.read_bytes()).hexdigest() if p.is_file() else "",
            )
            for p in self.folder.rglob("*")
            if "__pycache__" not in p.parts
        }

    def start(self, *arguments: str, **environment: str) -> Running:
        return Running(self, arguments, environment)

    def gate(self, *arguments: str, **environment: str) -> Finished:
        """Run it to its end. It must leave nothing behind, in the checkout or elsewhere."""
        before = self.state()
        running = self.start(*arguments, **environment)
        finished = running.end()
        assert running.left() == []
        assert changed(before, self.state()) == []
        assert not self.abandoned(), self.abandoned()
        return finished

    def gate_beside(self, *arguments: str) -> Finished:
        """While another one runs."""
        return self.start(*arguments).end()

    def abandoned(self) -> list[str]:
        return [p.name for p in self.temporary.iterdir()]


class Finished:
    """How a gate ended."""

    def __init__(self, code: int, output: str, errors: str) -> None:
        self.code, self.output, self.errors = code, output, errors

    @property
    def line(self) -> str:
        """The one line that says why there is no result."""
        lines = [line for line in self.errors.splitlines() if not line.startswith("gate: ")]
        assert len(lines) == 1, self.errors
        assert self.output == ""
        assert lines[0].isprintable()
        return lines[0]


class Timer(threading.Timer):
    """Calls a function unless the sample that it guards has ended by then."""

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self.cancel()


class Running:
    """A gate in a session of its own, as a shell's job."""

    def __init__(self, project: Project, arguments: Sequence[str], more: dict[str, str]) -> None:
        self.mark = uuid.uuid4().hex
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "COV_"))}
        env |= {
            "PYTHONPATH": str(project.folder), "PYTHONDONTWRITEBYTECODE": "1", MARK: self.mark,
            "CXX": str(project.compiler), "SLOW_CXX": str(project.slow), "CXXFLAGS": "",
            "TMPDIR": str(project.temporary), **more,
        }  # fmt: skip
        self._said: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench", "gate", "run", *arguments],
            cwd=project.folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
            # A shell's background job, the tests in one included, is started deaf to Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )

    def reach(self, stage: str) -> None:
        """Until it says that it has come to that stage."""
        assert self.process.stderr is not None
        with Timer(DEADLINE, self.process.kill):  # which ends the loop
            for line in self.process.stderr:
                self._said.append(line)
                if line.startswith(f"gate: {stage}"):
                    return
        raise AssertionError(f"never came to {stage!r}: {''.join(self._said)}")

    def children(self) -> list[int]:
        return [pid for pid in self.left() if pid != self.process.pid]

    def await_children(self, words: str) -> None:
        """Until one of its processes is a `words`."""
        deadline = time.monotonic() + DEADLINE
        while not any(words in _command(pid) for pid in self.children()):
            assert time.monotonic() < deadline, f"never ran {words!r}"
            assert self.process.poll() is None, f"ended before it ran {words!r}"
            time.sleep(0.02)

    def interrupt(self, how: signal.Signals) -> None:
        """As a terminal does it, to all; as a program does it, to the one that it has started."""
        if how is signal.SIGINT:
            os.killpg(self.process.pid, how)
        else:
            self.process.send_signal(how)

    def end(self) -> Finished:
        with Timer(DEADLINE, self.process.kill):
            output, errors = self.process.communicate()
        return Finished(self.process.returncode, output, "".join(self._said) + errors)

    def await_end_of_all(self) -> None:
        """The system ends processes whose parent has ended; at once, where it is not busy."""
        deadline = time.monotonic() + 20
        while self.left() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert self.left() == []

    def left(self) -> list[int]:
        """Its processes that still run, itself and the children of children included."""
        marked = f"{MARK}={self.mark}".encode()
        pids = [p.name for p in Path("/proc").iterdir() if p.name.isdecimal()]
        return [int(pid) for pid in pids if marked in _read(pid, "environ")]


def _read(pid: str, what: str) -> bytes:
    """Nothing of a process that has just ended, or is somebody else's."""
    try:
        return Path("/proc", pid, what).read_bytes()
    except OSError:
        return b""


def _command(pid: int) -> str:
    return _read(str(pid), "cmdline").replace(b"\0", b" ").decode(errors="replace")


def changed(before: dict[str, object], after: dict[str, object]) -> list[str]:
    return sorted(n for n in {*before, *after} if before.get(n) != after.get(n))
