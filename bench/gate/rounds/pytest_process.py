"""Starts pytest_plugin.py in a side's folder: to list its benchmarks, or to take rounds of them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.gate.checkouts.processes import in_short, run_group, side_environment
from bench.gate.checkouts.sides import Side
from bench.gate.verdicts.errors import GateError
from bench.measure.timing.child import Child, end_of
from bench.saved.runs import one_line

_SCRIPT = Path(__file__).with_name("pytest_plugin.py")
# Not `python FILE`: that puts this folder first on the path of imports.
_START = "import runpy, sys; del sys.argv[0]; runpy.run_path(sys.argv[0], run_name='__main__')"
# pytest's exit codes with which a list of benchmarks is whole: tests passed, some failed (each is
# known), there were none.
_WHOLE = (0, 1, 5)


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


def command_of(*arguments: str) -> list[str]:
    """What starts pytest_plugin.py with these arguments; to be run in a side's folder."""
    return [sys.executable, "-c", _START, str(_SCRIPT), str(os.getpid()), *arguments]


def list_benchmarks(side: Side, pytest_arguments: Sequence[str], scratch: Path) -> Listed:
    """Every benchmark that the side's pytest collects; each test that is not a kernel's was run
    once. Raises GateError where pytest itself does not run, or does not take its arguments."""
    result = scratch / f"{side.label}-benchmarks.json"
    command = command_of("list", str(result), *_known_to(side, pytest_arguments))
    code, output, errors = run_group(command, side.root)
    try:
        listed = json.loads(result.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        raise GateError(f"{side}: {_how_it_ended(code, Path(f'{result}.running'))}") from None
    if listed.pop("exit") not in _WHOLE and not listed["failed"]:
        raise GateError(f"{side}: pytest says: {_last_line(output + errors)}")
    return Listed(**listed)


def _known_to(side: Side, arguments: Sequence[str]) -> list[str]:
    """--quick by its long name, as the short one may be another plugin's; a side from before there
    was a long one has the short one alone."""
    conftest = side.root / "conftest.py"
    text = conftest.read_text(encoding="utf-8", errors="replace") if conftest.is_file() else ""
    long = "--baremetal-quick" if "--baremetal-" in text else "--quick"
    return [long if argument == "--quick" else argument for argument in arguments]


def _how_it_ended(code: int, running: Path) -> str:
    """Of a pytest that was gone before it could say what it found."""
    test = running.read_text(encoding="utf-8") if running.is_file() else ""
    return f"pytest ended with {end_of(code)}" + (f" in {one_line(test)}" if test else "")


def _last_line(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    marks = ("ERROR", "E  ", "INTERNALERROR> E", "Exit:", "! _pytest.outcomes.Exit:")
    errors = [line for line in lines if line.startswith(marks)] or lines
    return in_short((errors or ["nothing"])[-1].removeprefix("ERROR:").strip())


class Serving:
    """A side's pytest that waits inside one benchmarked call after the other.

    By `placement` it lays out its memory in one of many ways: the environment's length moves the
    stack, the seed of hashes orders sets, and pytest_plugin.py moves the heap. Both sides get the
    same; the next sample's get another.
    """

    def __init__(self, side: Side, tests: Sequence[str], scratch: Path, placement: int) -> None:
        self._side = side
        self._test = ""  # that it was last told to come to
        environment = side_environment(
            PYTHONHASHSEED=str(placement), BAREMETAL_GATE_PADDING="x" * (placement % 4093)
        )
        self._child = Child(command_of("serve"), side.root, scratch, environment)
        self._child.ask(list(tests))

    def wait_for(self, test: str) -> None:
        """Until the test stands inside its call. Raises GateError if it fails, before or after an
        earlier one's call."""
        self._test = one_line(test)
        message = self._answer()
        if message.get("ready") != test:
            raise GateError(f"{self._side}: {message.get('ready')}: ran instead of {test}")

    def take(self, calls: int) -> float:
        self._child.ask(calls)
        return float(self._answer()["seconds"])

    def done(self) -> None:
        self._child.ask(0)

    def _answer(self) -> dict[str, Any]:
        try:
            message: dict[str, Any] = self._child.answer()
        except EOFError:
            end, said = self._child.last_words()
            raise GateError(
                f"{self._side}: {self._test}: pytest ended with {end}, saying {_last_line(said)}"
            ) from None
        if "failed" in message:
            reason = one_line(message["reason"])
            raise GateError(f"{self._side}: {one_line(message['failed'])} fails: {reason}")
        return message

    def close(self) -> None:
        self._child.close()
