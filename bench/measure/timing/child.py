"""A process that takes part in the measuring, and the pipe on which it is asked and answers."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

from bench.saved.checks import one_line

_LONGEST_REASON = 300


class Child:
    """Runs `command` in `folder`; one argument more is the number of its end of the pipe.

    What it prints goes to a file in `scratch`, as a pipe that nobody empties holds up who prints
    much; or, if `silent`, only its error output goes there.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        scratch: Path,
        environment: Mapping[str, str],
        silent: bool = False,
    ) -> None:
        self._pipe, theirs = Pipe()
        self._said = tempfile.TemporaryFile("w+", dir=scratch, errors="replace")  # noqa: SIM115
        with theirs:
            self._process = subprocess.Popen(
                [*command, str(theirs.fileno())],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL if silent else self._said,
                stderr=self._said,
                pass_fds=[theirs.fileno()],
            )

    def ask(self, question: object) -> None:
        with suppress(OSError):  # it has ended: said when its answer is missing
            self._pipe.send(question)

    def answer(self) -> Any:
        """Raises EOFError where it has ended."""
        try:
            return self._pipe.recv()
        except OSError:  # in the middle of an answer, or with a question unread
            raise EOFError from None

    @property
    def pid(self) -> int:
        return self._process.pid

    def pause(self) -> None:
        """Stop it where it is; returns when all of its threads stand still, or it has ended."""
        self._process.send_signal(signal.SIGSTOP)
        with suppress(ChildProcessError):  # its end is known already
            os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def ending(self) -> str:
        """How it ended and the last that it said: "signal 11 (SIGSEGV)"."""
        end, said = self.last_words()
        last = one_line(said.strip().rpartition("\n")[2])[:_LONGEST_REASON]
        return f"{end}: {last}" if last else end

    def last_words(self) -> tuple[str, str]:
        """How it ended, and what it had printed."""
        end = end_of(self._process.wait())
        self._said.seek(0)
        return end, self._said.read()

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        """End it, whatever it is doing."""
        self.kill()
        self._process.wait()
        self._pipe.close()
        self._said.close()


def communicate(process: subprocess.Popen[str], seconds: float | None = None) -> tuple[str, str]:
    """Popen.communicate() that takes no stop for a hang: of a time for which this process, or both,
    were suspended, one second counts at most. Raises subprocess.TimeoutExpired."""
    if seconds is None:
        return process.communicate()
    for _ in range(math.ceil(seconds)):
        with suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=min(1.0, seconds))
    raise subprocess.TimeoutExpired(process.args, seconds)


def end_of(code: int) -> str:
    """What a process's exit code says, in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"signal {-code}"


def die_with_parent(parent: int) -> None:
    """Ask Linux to end this process when its parent ends, however that happens; now, if it has."""
    if sys.platform.startswith("linux"):
        import ctypes

        pr_set_pdeathsig, sigkill = 1, 9
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, sigkill)
        if parent != os.getppid():
            os._exit(1)
