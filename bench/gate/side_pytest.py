"""Starts pytest_side.py in a side's folder: to list its benchmarks, or to take rounds of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.gate.errors import GateError
from bench.gate.sides import Side, side_environment

_SCRIPT = Path(__file__).with_name("pytest_side.py")
# Not `python FILE`: that puts this folder first on the path of imports.
_START = "import runpy, sys; del sys.argv[0]; runpy.run_path(sys.argv[0], run_name='__main__')"
_PYTEST_BAD_USAGE = 4
_LONGEST_REASON = 300


@dataclass(frozen=True)
class Listed:
    """What a side's pytest found.

    found     by test id: {"kernel", "variant", "size"}, or of any other one {"code", "seconds"}
    failed    by test id or file: why
    skipped   by test id: why
    """

    found: dict[str, dict[str, Any]]
    failed: dict[str, str]
    skipped: dict[str, str]


def command_of(side: Side, *arguments: str) -> dict[str, Any]:
    """What subprocess needs to start pytest_side.py with these arguments in the side's folder."""
    return {
        "args": [sys.executable, "-c", _START, str(_SCRIPT), *arguments],
        "cwd": side.root,
        "stdin": subprocess.DEVNULL,
        "stderr": subprocess.STDOUT,
    }


def list_benchmarks(side: Side, pytest_arguments: Sequence[str], scratch: Path) -> Listed:
    """Every benchmark that the side's pytest collects; each test that is not a kernel's was run
    once. Raises GateError where pytest itself does not run, or does not take its arguments."""
    result = scratch / f"{side.label}-benchmarks.json"
    answer = subprocess.run(
        **command_of(side, "list", str(result), *pytest_arguments),
        env=side_environment(),
        stdout=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
    )
    try:
        listed = json.loads(result.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        listed = {"found": {}, "exit": _PYTEST_BAD_USAGE}
    if not listed["found"] and listed["exit"] == _PYTEST_BAD_USAGE:
        raise GateError(f"{side.label} {side.name}: pytest says: {_last_line(answer.stdout)}")
    return Listed(listed["found"], listed["failed"], listed["skipped"])


def _last_line(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("ERROR", "E  "))] or lines
    return (errors or ["nothing"])[-1].removeprefix("ERROR:").strip()[:_LONGEST_REASON]


def layout_environment(layout: int) -> dict[str, str]:
    """What makes a process lay out its memory in one of many ways: the environment's length moves
    the stack, the seed of hashes orders sets, and pytest_side.py moves the heap by it. Both sides
    get the same; the next block's get another."""
    return {"PYTHONHASHSEED": str(layout), "BAREMETAL_GATE_PADDING": "x" * (layout % 4093)}


class Serving:
    """A side's pytest that waits inside one benchmarked call after the other."""

    def __init__(self, side: Side, tests: Sequence[str], scratch: Path, layout: int) -> None:
        self._side = side
        with tempfile.NamedTemporaryFile("w", dir=scratch, suffix=".json", delete=False) as wanted:
            json.dump(list(tests), wanted)
        self._log = Path(f"{wanted.name}.log")
        requests, self._requests = os.pipe()
        replies, write_replies = os.pipe()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                **command_of(side, "serve", str(requests), str(write_replies), wanted.name),
                env=side_environment(**layout_environment(layout)),
                stdout=log,
                pass_fds=(requests, write_replies),
            )
        os.close(requests)
        os.close(write_replies)
        self._replies = os.fdopen(replies, "rb", buffering=0)

    def wait_for(self, test: str) -> None:
        """Until the test stands inside its call. Raises GateError if it fails, before or after an
        earlier one's call."""
        message = json.loads(self._line())
        if message.get("ready") != test:
            failed = message.get("failed", message.get("ready"))
            reason = message.get("reason", f"ran instead of {test}")
            raise GateError(f"{self._side.label} {self._side.name}: {failed}: {reason}")

    def take(self, calls: int) -> float:
        os.write(self._requests, b"run %d\n" % calls)
        return float(self._line())

    def done(self) -> None:
        os.write(self._requests, b"done\n")

    def _line(self) -> bytes:
        line = self._replies.readline()
        if not line:
            output = self._log.read_text(encoding="utf-8", errors="replace")
            name = f"{self._side.label} {self._side.name}"
            raise GateError(f"{name}: pytest ended early: {_last_line(output)}")
        return line

    def close(self) -> None:
        """End it, whatever it is doing."""
        os.close(self._requests)
        self._replies.close()
        self._process.kill()
        self._process.wait()
