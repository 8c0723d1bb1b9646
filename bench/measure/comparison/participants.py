"""Libraries that do not meet: each in a process of its own that stands still until it is asked.

Where they share a process they share its cores: on several threads the idle workers of NumPy's
OpenBLAS spin for 100 ms after a product, ONNX Runtime's for half of that, where the next one's
rounds are taken already; and what one has set up, another finds.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import bench
from bench.measure.cases.errors_in_ulp import WrongResult
from bench.measure.comparison.grade import Grade
from bench.measure.timing.child import Child

_FOLDER = Path(bench.__file__).parent.parent


def start(module: str) -> Child:
    """A process that runs this module: python -m MODULE PARENT PIPE."""
    command = [sys.executable, "-m", module, str(os.getpid())]
    return Child(command, _FOLDER, Path(tempfile.gettempdir()), os.environ, silent=True)


class Participant:
    """One implementation, "c-avx2_omp" or "peer-torch", in a process of its own. All of its threads
    are stopped unless it is asked something, so it takes no core from the others.

    What it is asked raises what is raised there, and WrongResult where the process has ended; the
    next make() then starts another.
    """

    def __init__(self, variant: str) -> None:
        self.variant = variant
        self._child: Child | None = None

    def make(self, kernel: str, size: str, threads: int) -> Grade:
        """Make the case of a size as sizes.py names it, verify the result there and get ready for
        rounds of it."""
        grade: Grade = self._begin("make", kernel, size, threads)
        return grade

    def first_call(self, kernel: str, size: str, threads: int) -> float:
        """Seconds of the first call that a process makes: this one's must not have made any."""
        return float(self._begin("first_call", kernel, size, threads))

    def timeline(self, seconds: float) -> list[tuple[float, float]]:
        """Calls for so long: when each began, by perf_counter() here as there, and its seconds."""
        calls: list[tuple[float, float]] = self._ask("timeline", seconds)
        return calls

    def round(
        self, of: int = 5, asleep: float = 0.0, beside: str | None = None, lasting: float = 0.0
    ) -> float:
        """Seconds a call; see Server.round."""
        return float(self._ask("round", of, asleep, beside, lasting))

    @property
    def pid(self) -> int | None:
        """None where there is no process."""
        return None if self._child is None else self._child.pid

    def close(self) -> None:
        """End its process, whatever that is doing."""
        if self._child is not None:
            self._child.close()
            self._child = None

    def _begin(self, question: str, kernel: str, size: str, threads: int) -> Any:
        """Ask about a case; the process is started if there is none."""
        if self._child is None:
            self._child = start("bench.measure.comparison.serving")
        self._what = f"{kernel} {size} {self.variant}"
        return self._ask(question, kernel, size, self.variant, threads)

    def _ask(self, name: str, *arguments: object) -> Any:
        if self._child is None:
            raise WrongResult(f"{self._what}: its process has ended")
        self._child.resume()
        self._child.ask((name, arguments))
        try:
            answer = self._child.answer()
        except EOFError:
            ending = self._child.ending()
            self.close()
            raise WrongResult(f"{self._what}: its process ended with {ending}") from None
        self._child.pause()
        if isinstance(answer, Exception):
            raise answer
        return answer
