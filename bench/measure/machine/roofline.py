"""How close a time is to what the machine allows: the roofline of a kernel's cost model.

Williams, Waterman and Patterson, Roofline: An Insightful Visual Performance Model for Multicore
Architectures, CACM 52(4), 2009. A call can be no faster than its operations at the peak rate, and
no faster than its bytes at the bandwidth of the memory level that holds them; the slower of the two
is its bound.
"""

from __future__ import annotations

from collections.abc import Mapping

from bench.measure.machine.caches import Caches
from bench.measure.machine.limits import PEAKS, Ceiling
from bench.suite.registry import Kernel, Shape


def ceilings(kernel: Kernel, shape: Shape, cores: int, caches: Caches) -> list[Ceiling]:
    """Those that the kernel is judged by: the instructions of its peak, then the bandwidths
    that it may choose from."""
    level = caches.level(kernel.bytes(shape), cores)
    patterns = [kernel.signature.pattern]
    if patterns == ["copy"] and level == "DRAM":  # only there do non-temporal stores pay
        patterns.append("stream")
    return [
        *(Ceiling(name, None, cores) for name in PEAKS[kernel.signature.peak]),
        *(Ceiling(pattern, level, cores) for pattern in patterns),
    ]


def least_seconds(
    kernel: Kernel, shape: Shape, cores: int, caches: Caches, best: Mapping[Ceiling, float]
) -> tuple[float, str] | None:
    """Seconds a call takes at least, and what bounds it: "compute", "L1", "L2", "L3" or "DRAM".
    None where no such peak or bandwidth was measured."""
    level = caches.level(kernel.bytes(shape), cores)
    chosen = [ceiling for ceiling in ceilings(kernel, shape, cores, caches) if ceiling in best]
    peaks = [best[ceiling] for ceiling in chosen if ceiling.level is None]
    bandwidths = [best[ceiling] for ceiling in chosen if ceiling.level is not None]
    if not peaks or not bandwidths:
        return None
    compute = kernel.flops(shape) / max(peaks)
    memory = kernel.bytes(shape) / max(bandwidths)
    return (compute, "compute") if compute >= memory else (memory, level)
