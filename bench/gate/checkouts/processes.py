"""Processes of a side: how they are started, how they end, and what they say."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.saved.runs import one_line

_LONGEST_REASON = 300


def in_short(said: str) -> str:
    """What a program said, for a line of ours."""
    return one_line(said)[:_LONGEST_REASON]


def run_group(command: Sequence[str], folder: Path) -> tuple[int, str, str]:
    """Run a side's command to its end: exit code, output and error output. If this process is
    interrupted meanwhile, all that the command has started ends with it: compilers, for one."""
    with subprocess.Popen(
        command,
        cwd=folder,
        env=side_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            output, errors = process.communicate()
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, output, errors


def side_environment(**more: str) -> dict[str, str]:
    """This environment without what would steer a side's Python or pytest elsewhere."""
    steering = ("PYTEST_", "COV_", "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "GIT_")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(steering)}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1", **more}


def stop_randomising_addresses() -> None:
    """Processes that this one starts get the addresses that the same program always gets: what two
    of them differ in is then their code. Where the system refuses (some containers), they are drawn
    at random as ever, and more samples are needed."""
    if sys.platform.startswith("linux"):
        import ctypes

        addr_no_randomize = 0x0040000
        ctypes.CDLL(None).personality(addr_no_randomize)
