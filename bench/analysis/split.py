"""Where a token's time goes, by layer and by kernel, as a run has measured it."""

from __future__ import annotations

from dataclasses import dataclass

from bench.saved.checks import listed
from bench.saved.runs import BadRun, Run, extra_info


@dataclass(frozen=True)
class Split:
    """Of one benchmark, in seconds.

    parts   by (layer, kernel), in the order of the first call of each; the layer is None for what
            comes before and after all layers
    whole   of the call itself
    """

    kernel: str
    size: str
    variant: str
    parts: dict[tuple[int | None, str], float]
    whole: float

    @property
    def kernels(self) -> dict[str, float]:
        """Of all layers together."""
        found: dict[str, float] = {}
        for (_, kernel), seconds in self.parts.items():
            found[kernel] = found.get(kernel, 0.0) + seconds
        return found

    @property
    def layers(self) -> list[int]:
        return sorted({layer for layer, _ in self.parts if layer is not None})

    @property
    def explained(self) -> float:
        return sum(self.parts.values())

    @property
    def residual(self) -> float:
        return self.whole - self.explained


def splits(run: Run, kernel: str | None = None) -> list[Split]:
    """All that the run has, or those of one program. Raises BadRun where there is none."""
    found = []
    for result, metadata in run.ours:
        if "split" not in result.extra or kernel not in (None, metadata.kernel):
            continue
        parts: dict[tuple[int | None, str], float] = {}
        for row in extra_info(run, result).objects("split"):
            layer = row.optional(row.integer, "layer")
            key = layer, row.text("kernel")
            parts[key] = parts.get(key, 0.0) + row.number("seconds", 0.0)
        found.append(Split(metadata.kernel, metadata.size, metadata.variant, parts, result.minimum))
    if not found:
        wanted = f"of {kernel!r}" if kernel else "of any program"
        raise BadRun(f"{run.source}: has no split by kernel {wanted}, has {listed(run.by_kernel)}")
    return found
