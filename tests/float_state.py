"""A thread's floating-point state, MXCSR: how it rounds, and whether subnormals are zeros. On Linux
with an x86-64, where it is the last word of what fegetenv gives.

Source: Intel SDM vol. 1, 10.2.3."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product

OCCURRED = 0x3F
DIVISION_BY_ZERO = 0x04
DEFAULT = 0x1F80  # to nearest, subnormals kept, no exception traps
INEXACT_TRAPS = DEFAULT & ~0x1000
TOWARD_ZERO, FLUSH_RESULTS, FLUSH_OPERANDS = 0x6000, 0x8000, 0x0040
STATES = [
    DEFAULT | rounding | results | operands
    for rounding, results, operands in product(
        (0, 0x2000, 0x4000, TOWARD_ZERO), (0, FLUSH_RESULTS), (0, FLUSH_OPERANDS)
    )
]


def mxcsr() -> int:
    environment = (ctypes.c_uint32 * 8)()
    ctypes.CDLL("libm.so.6").fegetenv(environment)
    return environment[7]


def set_mxcsr(value: int) -> None:
    environment = (ctypes.c_uint32 * 8)()
    libm = ctypes.CDLL("libm.so.6")
    libm.fegetenv(environment)
    environment[7] = value
    libm.fesetenv(environment)


@contextmanager
def float_state(value: int) -> Iterator[None]:
    before = mxcsr()
    set_mxcsr(value)
    try:
        yield
    finally:
        set_mxcsr(before)
