"""Memory that ends, or begins, at a page that nobody may touch: a kernel that reads or writes one
element too many is killed. So this is for subprocesses; each says through Mark how far it came."""

from __future__ import annotations

import ctypes
import mmap
import os
import subprocess
import sys
import tempfile
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import kernels_c

PAGE = mmap.PAGESIZE
_NOTHING_ALLOWED = 0  # PROT_NONE
_C_TYPES = {"f": "float *", "b": "int8_t *", "i": "int32_t *"}
WIDE_TIERS = {"avx2": (6, 16), "avx2_omp": (6, 16), "avx512": (14, 32), "avx512_omp": (14, 32)}
ROOT = Path(__file__).resolve().parent.parent

# L1, L2, L3 in bytes: as small as to reach every edge of the blocks of simd/blocking.h, and
# streaming stores, with small inputs; and so small that every block is a single tile.
TINY_CACHES = ("2048,8192,65536", "0,0,0")


class Fence:
    """Room for `count` elements between two forbidden pages."""

    def __init__(self, typecode: str, count: int) -> None:
        self.typecode, self.size = typecode, array(typecode).itemsize
        room = -(-count * self.size // PAGE) * PAGE or PAGE
        self._map = mmap.mmap(-1, room + 2 * PAGE)
        base = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        libc = ctypes.CDLL(None, use_errno=True)
        self.begin, self.end = base + PAGE, base + PAGE + room
        for page in (base, self.end):
            if libc.mprotect(ctypes.c_void_p(page), PAGE, _NOTHING_ALLOWED) != 0:
                raise OSError(ctypes.get_errno(), "mprotect")

    def address(self, count: int, at_end: bool) -> int:
        """Of `count` elements that touch one of the forbidden pages."""
        return self.end - count * self.size if at_end else self.begin

    def put(self, values: array[Any], at_end: bool = True) -> int:
        """Copies them in; where they lie."""
        place = self.address(len(values), at_end)
        ctypes.memmove(place, values.buffer_info()[0], len(values) * self.size)
        return place

    def poison(self, count: int, at_end: bool = True) -> int:
        """NaN as float32, -1 as an integer: what a kernel forgets to write shows."""
        place = self.address(count, at_end)
        ctypes.memset(place, 0xFF, count * self.size)
        return place

    def taken(self, count: int, at_end: bool = True) -> bytes:
        return ctypes.string_at(self.address(count, at_end), count * self.size)

    def pointer(self, tier: kernels_c.Tier, address: int) -> Any:
        return tier.ffi.cast(_C_TYPES[self.typecode], address)


def wide_tiers() -> list[tuple[kernels_c.Tier, tuple[int, int]]]:
    """The tiers of kernels_c/simd that run here, with the tile of their products."""
    return [
        (kernels_c.load_tier(name), tile)
        for name, tile in WIDE_TIERS.items()
        if kernels_c.why_unavailable(name) is None
    ]


# --- Subprocesses --------------------------------------------------------------------------------


class Mark:
    """What the process is doing, in a file that outlives it."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY)

    def __call__(self, *what: object) -> None:
        os.pwrite(self._file, " ".join(map(str, what)).encode().ljust(160)[:160], 0)


def run_child(module: str, *arguments: str, limit: float = 120.0, **environment: str) -> str:
    """python -m MODULE MARK ARGUMENTS, which must end by itself and with exit code 0; what it
    printed. The limit is for what hangs."""
    with tempfile.NamedTemporaryFile("r") as mark:
        try:
            answer = subprocess.run(
                [sys.executable, "-m", module, mark.name, *arguments],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
                capture_output=True,
                text=True,
                check=False,
                timeout=limit,
            )
        except subprocess.TimeoutExpired:
            raise AssertionError(f"hangs at: {mark.read().strip()}") from None
        assert answer.returncode == 0, (
            f"exit code {answer.returncode} at: {mark.read().strip()}\n{answer.stderr[-2000:]}"
        )
    return answer.stdout


# --- Exact products ------------------------------------------------------------------------------

_DIGIT = 32
_HALF = 1 << _DIGIT - 1


def exact_product(a: Sequence[int], b: Sequence[int], m: int, n: int, k: int) -> list[list[int]]:
    """Rows of a times b, sums within int32. A row of b is one long integer with a digit for each
    column, so the interpreter does n multiply-adds at a time."""
    bias = sum(_HALF << _DIGIT * j for j in range(n))
    rows_of_b = []
    for p in range(k):
        digits = array("I", [value + _HALF for value in b[p * n : (p + 1) * n]])
        rows_of_b.append(int.from_bytes(digits.tobytes(), "little") - bias)
    product = []
    for i in range(m):
        total = bias
        for factor, row in zip(a[i * k : (i + 1) * k], rows_of_b, strict=True):
            total += factor * row
        digits = array("I")
        digits.frombytes(total.to_bytes(n * 4, "little"))
        product.append([digit - _HALF for digit in digits])
    return product
