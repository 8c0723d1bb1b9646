"""Where values and memory come from.

The same seeded values for both sides, and buffers that measure the kernel, not the page tables.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import random
from array import array
from copy import copy
from functools import lru_cache
from typing import Any

SEED = 20240229
_HUGE_PAGE = 2 * 1024 * 1024
_GUARD = 64
_GUARD_BYTE = 0xA5
# Long inputs repeat a block of this many values (not a power of two): drawing ten million takes
# seconds, and no kernel here is faster for having seen a value before.
BLOCK = 2**18 - 3


def values(n: int, low: float, high: float, stream: int = 0, typecode: str = "f") -> array[Any]:
    """n values, float32 ("f") or int8 ("b"), uniform in [low, high]; another `stream` gives other
    values. A new array: what was drawn is kept for whoever asks next."""
    block = _drawn(min(n, BLOCK), low, high, stream, typecode)
    whole, rest = divmod(n, len(block) or 1)
    return block * whole + block[:rest]


@lru_cache(maxsize=32)
def _drawn(n: int, low: float, high: float, stream: int, typecode: str) -> array[Any]:
    source = random.Random(SEED + stream)
    draw: Any = source.uniform if typecode == "f" else source.randint
    return array(typecode, [draw(low, high) for _ in range(n)])


class Buffer:
    """Native memory for n elements: page-aligned plus a stagger, pre-faulted, huge-page advised
    where large, with guard bytes on both sides; `offset` bytes off a cache line.

    `view` is the memory as elements; `address` is where it starts, for as long as the buffer lives.
    """

    def __init__(self, typecode: str, n: int, stagger: int = 0, offset: int = 0) -> None:
        itemsize = array(typecode).itemsize
        nbytes = n * itemsize
        large = nbytes >= _HUGE_PAGE
        align = _HUGE_PAGE if large else mmap.PAGESIZE
        self._map = mmap.mmap(-1, nbytes + 2 * align + 4096)
        if large and hasattr(mmap, "MADV_HUGEPAGE"):
            with contextlib.suppress(OSError):  # a kernel without them: measured all the same
                self._map.madvise(mmap.MADV_HUGEPAGE)
        base = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        # Buffers that all start at the same offset of a page collide in the cache and in the
        # store-to-load check (4K aliasing); a few lines of stagger keep them apart.
        self._base, self._nbytes = base, nbytes
        self._whole = memoryview(self._map)
        self._whole[:] = bytes(len(self._whole))  # pre-faulted
        self._begin_at(-base % align + _GUARD + 64 * stagger + offset, typecode)

    def _begin_at(self, start: int, typecode: str) -> None:
        end = start + self._nbytes
        self._before = self._whole[start - _GUARD : start]
        self._after = self._whole[end : end + _GUARD]
        self._before[:] = self._after[:] = bytes([_GUARD_BYTE]) * _GUARD
        self.view = self._whole[start:end].cast(typecode)  # type: ignore[call-overload]
        self.address = self._base + start

    def shifted(self, by: int) -> Buffer:
        """The same memory, so many bytes further, at most a few cache lines: the same pages and the
        same places in the caches. Its guards lie in what this one holds."""
        there = copy(self)
        there._begin_at(self.address - self._base + by, self.view.format)
        return there

    def fill(self, elements: array[float] | array[int]) -> None:
        self.view[:] = memoryview(elements)

    def holds(self, elements: array[float] | array[int]) -> bool:
        return bool(self.view.cast("B") == memoryview(elements).cast("B"))

    def poison(self) -> None:
        """Bytes that are NaN as float32 and no plausible integer: what a kernel forgets shows."""
        raw = self.view.cast("B")
        raw[:] = b"\xff" * len(raw)

    def guards_intact(self) -> bool:
        expected = bytes([_GUARD_BYTE]) * _GUARD
        return self._before == expected and self._after == expected
