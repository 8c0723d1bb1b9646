"""How close a time is to what the machine allows: the roofline of a kernel's cost model.

Williams, Waterman and Patterson, Roofline: An Insightful Visual Performance Model for Multicore
Architectures, CACM 52(4), 2009. A call can be no faster than its operations at the peak rate, and
no faster than its bytes at the bandwidth of the memory level that holds them; the slower of the two
is its bound.
"""

from __future__ import annotations

from collections.abc import Mapping

from bench.measure.caches import Caches
from bench.measure.limits import Ceiling
from bench.registry import Kernel, Shape

COMPUTE = "compute"


def ceilings(kernel: Kernel, shape: Shape, cores: int, caches: Caches) -> list[Ceiling]:
    """Those that the kernel is judged by: its peak, then the bandwidths that it may choose from."""
    level = caches.level(kernel.bytes(shape), cores)
    patterns = [kernel.pattern]
    if (
        kernel.pattern == "copy" and level == "DRAM"
    ):  # non-temporal stores pay there, and only there
        patterns.append("stream")
    return [Ceiling(kernel.peak, None, cores), *(Ceiling(p, level, cores) for p in patterns)]


def least_seconds(
    kernel: Kernel, shape: Shape, cores: int, caches: Caches, best: Mapping[Ceiling, float]
) -> tuple[float, str] | None:
    """Seconds a call takes at least, and what bounds it: "compute", "L1", "L2", "L3" or "DRAM".
    None where a ceiling was not measured."""
    peak, *bandwidths = ceilings(kernel, shape, cores, caches)
    if any(ceiling not in best for ceiling in (peak, *bandwidths)):
        return None
    compute = kernel.flops(shape) / best[peak]
    memory = kernel.bytes(shape) / max(best[bandwidth] for bandwidth in bandwidths)
    level = bandwidths[0].level
    assert level is not None
    return (compute, COMPUTE) if compute >= memory else (memory, level)
