"""The levels of this machine's memory: how large each is, and which one a case works in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.analysis.levels import nearest_level

_LINUX = Path("/sys/devices/system/cpu/cpu0/cache")
_MIB = 2**20
# Where nothing says otherwise: no larger than on any CPU with AVX2, so that a working set fits.
_CAUTIOUS = (32 * 2**10, 256 * 2**10, 4 * _MIB)
# A working set several times the last cache leaves it useless; more than this only takes time and
# memory. A machine whose last cache is larger reads part of its "DRAM" from there.
_LEAST_DRAM, _MOST_DRAM = 64 * _MIB, 256 * _MIB


@dataclass(frozen=True)
class Caches:
    """Bytes of one core's data caches and of the last level, which cores share (a virtual machine
    perhaps also with strangers)."""

    l1: int
    l2: int
    l3: int

    def level(self, nbytes: int, cores: int = 1) -> str:
        """The nearest level that holds what a case touches, spread evenly over the cores."""
        return nearest_level(nbytes, self.sizes, cores)

    @property
    def sizes(self) -> dict[str, int]:
        """By level, as machine_info has them."""
        return {"L1": self.l1, "L2": self.l2, "L3": self.l3}

    def working_set(self, level: str) -> int:
        """Bytes that stand for the level: safely inside it, far outside the one before. For each
        core where the level is private, for all of them together where it is shared."""
        size = {
            "L1": self.l1 // 2,
            "L2": self.l2 // 2,
            "L3": max(self.l3 // 4, min(2 * self.l2, self.l3 // 2)),
            "DRAM": min(max(4 * self.l3, _LEAST_DRAM), _MOST_DRAM),
        }[level]
        return size // 4096 * 4096


def read_caches(folder: Path = _LINUX) -> Caches:
    """From Linux's description of core 0; what is not there is guessed low. (sysconf knows sizes
    too, but Python has no names for them, and glibc's third level is 384 MiB on a Zen 5 core that
    has 32.)"""
    found = dict(enumerate(_CAUTIOUS, start=1))
    found.update(filter(None, map(_data_cache, sorted(folder.glob("index*")))))
    # Never smaller than the level before: one that the machine lacks stays empty.
    l2 = max(found[2], found[1])
    return Caches(found[1], l2, max(found[3], l2))


def _data_cache(index: Path) -> tuple[int, int] | None:
    """(level, bytes); None for what holds instructions or cannot be read."""
    try:
        kind, level, size = (
            (index / name).read_text(encoding="ascii").strip() for name in ("type", "level", "size")
        )
        return None if kind == "Instruction" else (int(level), int(size.removesuffix("K")) * 1024)
    except (OSError, ValueError):
        return None
