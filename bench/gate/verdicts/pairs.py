"""What is compared: a benchmark of the head with the same one of the base."""

from __future__ import annotations

from dataclasses import dataclass

from bench.suite import registry
from bench.suite.registry import Native


@dataclass(frozen=True)
class Pair:
    """One benchmark on two sides.

    name, base_name  its test id in the head, and in the base
    kernel, variant  of this suite's kernels; empty for any other benchmark
    size             what the test asks for
    judged_size      what is measured: smaller where a call would last too long
    sides            0 is the base, 1 the head; (0, 0) for a control
    seconds          of a call, about
    injected         by how much the head is slowed in a self-check: 0.03 is 3 %
    """

    name: str
    base_name: str
    kernel: str = ""
    variant: str = ""
    size: str = ""
    judged_size: str = ""
    sides: tuple[int, int] = (0, 1)
    seconds: float = 0.0
    injected: float = 0.0

    @property
    def threaded(self) -> bool:
        """Whether it needs more than one core."""
        return self.variant.endswith("_omp")

    @property
    def tier(self) -> str | None:
        """Whose native module it is of; None of anything else."""
        native = native_of(self.kernel, self.variant)
        return native.tier if native else None


def native_of(kernel: str, variant: str) -> Native | None:
    """What a native variant is; None of any other."""
    if not variant.startswith("c-"):
        return None
    try:
        return registry.kernel(kernel).native(variant)
    except ValueError:  # a side's registry has it, this one does not: most are named by their tier
        return Native(variant.removeprefix("c-"), kernel)
