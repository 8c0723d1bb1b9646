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
from bench.measure.comparison.reference import Grade
from bench.measure.timing.child import Child

_FOLDER = Path(bench.__file__).parent.parent
_COMMAND = (sys.executable, "-m", "bench.measure.comparison.serving")


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
        if self._child is None:
            scratch = Path(tempfile.gettempdir())
            command = [*_COMMAND, str(os.getpid())]
            self._child = Child(command, _FOLDER, scratch, os.environ, silent=True)
        self._what = f"{kernel} {size} {self.variant}"
        grade: Grade = self._ask("make", kernel, size, self.variant, threads)
        return grade

    def round(self, of: int = 5, asleep: float = 0.0, beside: str | None = None) -> float:
        """Seconds a call; see Server.round."""
        return float(self._ask("round", of, asleep, beside))

    @property
    def pid(self) -> int | None:
        """None where there is no process."""
        return None if self._child is None else self._child.pid

    def close(self) -> None:
        """End its process, whatever that is doing."""
        if self._child is not None:
            self._child.close()
            self._child = None

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
