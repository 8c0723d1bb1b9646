"""What the adapters share: one class a library, one method for each kernel that it has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.measure.cases.buffers import Buffer
from bench.measure.cases.case import Call, Case
from bench.suite.registry import Shape


class PeerUnavailable(RuntimeError):
    """The library is not here, lacks the kernel, or gave a result that cannot be compared; the
    message is one sentence that says why."""


class Peer:
    """One library. Its methods are named like the kernels, take a case, how many threads, and
    views of the case's operands and output. They return what to call, its arguments and, where
    needed, what copies its result into the case's output.

    They use the fastest call that the library documents, on the case's own buffers, and without
    allocation wherever it can be told where to put the result. The module of a subclass imports
    the library; making an instance may raise PeerUnavailable.
    """

    name: str
    version: str  # of the library, as it writes it
    view: Callable[[Buffer, Shape], Any]  # a buffer's memory as the library takes it, not copied

    def use_threads(self, threads: int) -> None:
        """How many threads its calls may use; what threadpoolctl can set is set already."""
        return

    def call(self, case: Case, threads: int) -> Call:
        """The library's version of the case; PeerUnavailable when it has none."""
        make = getattr(self, case.kernel.name, None)
        if make is None:
            raise PeerUnavailable(f"{self.name} has no {case.kernel.name}")
        self.require_threads(threads)
        parts = zip((*case.buffers, case.out), case.kernel.parts(case.shape), strict=True)
        views = [self.view(buffer, shape) for buffer, shape in parts]
        function, args, *collect = make(case, threads, *views)
        return Call("peer", function, args, threads, *collect)

    def require_threads(self, threads: int) -> None:
        """Raises PeerUnavailable when the library as installed cannot use so many."""
        return
