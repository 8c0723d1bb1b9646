"""A saved run by kernel and size: which variants were measured, and which is the fastest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.saved.runs import Metadata, Result, Run

Pair = tuple[Result, Metadata]


@dataclass(frozen=True)
class Row:
    """One kernel at one size: the result of each variant that was measured."""

    kernel: str
    size: str
    results: dict[str, Pair]

    def fastest(
        self, side: str, among: Callable[[Metadata], bool] = lambda metadata: True
    ) -> Pair | None:
        """The fastest variant of a side ("python", "native", "peer"), by minimum; of those that
        keep IEEE rules: fastmath is shown, but not what the others are measured by."""
        of_side = [p for p in self.results.values() if p[1].side == side and not p[1].relaxed]
        found = [pair for pair in of_side if among(pair[1])]
        return min(found, key=lambda pair: pair[0].minimum, default=None)

    @property
    def work(self) -> int:
        """What the sizes of a kernel are ordered by: operations and bytes."""
        return max(metadata.flops + metadata.bytes for _, metadata in self.results.values())

    @property
    def times_best_peer(self) -> float | None:
        """The fastest library's time over that of the fastest native tier on as many threads:
        above 1 the tier is ahead. None where one of them is missing."""
        peer = self.fastest("peer")
        if peer is None:
            return None
        threads = peer[1].threads
        native = self.fastest("native", lambda metadata: metadata.threads == threads)
        return peer[0].minimum / native[0].minimum if native else None

    @property
    def speedup(self) -> float | None:
        """Fastest native tier against fastest Python; None where one of them is missing."""
        native = self.fastest("native")
        return native[1].speedup if native else None


def rows(run: Run, kernel: str | None = None) -> list[Row]:
    """In the order of measurement; of one kernel, or of all."""
    by_case: dict[tuple[str, str], Row] = {}
    for result, metadata in run.ours if kernel is None else run.by_kernel.get(kernel, ()):
        if metadata.auxiliary:
            continue
        case = (metadata.kernel, metadata.size)
        row = by_case.setdefault(case, Row(*case, results={}))
        row.results[metadata.variant] = (result, metadata)
    return list(by_case.values())


def at_size(run: Run, kernel: str, size: str) -> dict[str, Pair]:
    """By variant, those beside the main ladder too."""
    return {m.variant: (r, m) for r, m in run.by_kernel.get(kernel, ()) if m.size == size}


def by_hand(metadata: Metadata) -> bool:
    """Whether a native variant is written by hand, and not left to the compiler."""
    return metadata.variant.startswith("c-avx")
