"""A process that takes part in the measuring, and the pipe on which it is asked and answers."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

from bench.gate.checkouts.processes import end_of


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
