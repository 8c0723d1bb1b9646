"""What a kernel may be called with: every check of every argument, before anything is written.

Each raises TypeError or ValueError in one line: the argument, what it got, what it needs.
"""

from __future__ import annotations

import math
import operator
from typing import Any, NamedTuple

_MAX_SIZE = 2**63 - 1  # a size_t that is also a valid Python buffer length
MAX_K_INT8 = 131071  # 131071 * 128^2 < 2^31: the last k at which int32 sums cannot wrap


class Dtype(NamedTuple):
    name: str
    formats: tuple[str, ...]  # struct-module codes, as memoryview.format gives them
    c_type: str
    itemsize: int


FLOAT32 = Dtype("float32", ("f",), "float *", 4)
INT8 = Dtype("int8", ("b",), "int8_t *", 1)
INT32 = Dtype("int32", ("i", "l"), "int32_t *", 4)


class Checked(NamedTuple):
    """A buffer that passed: where it lies, how much it holds, and the view that keeps it there."""

    argument: str
    data: Any  # a pointer of the tier's cffi
    address: int
    length: int
    nbytes: int
    view: memoryview


def whole_number(argument: str, value: object) -> int:
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{argument}: got {type(value).__name__}, needs an integer") from None
    if not 0 <= number <= _MAX_SIZE:
        bits = number.bit_length()  # Python refuses to print very long integers
        got = number if bits <= 256 else f"an integer of {bits} bits"
        raise ValueError(f"{argument}: got {got}, needs 0 to {_MAX_SIZE}")
    return number


def int8_k(value: object) -> int:
    k = whole_number("k", value)
    if k > MAX_K_INT8:
        raise ValueError(f"k: got {k}, needs at most {MAX_K_INT8} for exact int32 sums")
    return k


def finite_scale(value: object, argument: str = "scale") -> float:
    try:
        if not hasattr(value, "__float__"):  # float() takes text, we do not
            raise TypeError
        scale = float(value)
        finite = math.isfinite(scale) and abs(scale) < 2.0**128 * (1 - 2.0**-25)
    except OverflowError:
        scale, finite = math.inf, False
    except (TypeError, ValueError):
        raise TypeError(f"{argument}: got {type(value).__name__}, needs a number") from None
    if not finite:
        raise ValueError(f"{argument}: got {scale}, needs a finite float32")
    return scale


def needs_length(buffer: Checked, expected: int, meaning: str) -> None:
    if buffer.length != expected:
        raise ValueError(
            f"{buffer.argument}: got {buffer.length} elements, needs {expected} ({meaning})"
        )


def needs_within(argument: str, value: int, limit: int, meaning: str) -> None:
    if value > limit:
        raise ValueError(f"{argument}: got {value}, needs at most {limit} ({meaning})")


def needs_aligned_floats(buffer: Checked) -> None:
    if buffer.nbytes and buffer.address % FLOAT32.itemsize:
        raise ValueError(f"{buffer.argument}: needs an address that is a multiple of 4")


def needs_no_overlap(out: Checked, *others: Checked, same_allowed: bool = False) -> None:
    for other in others:
        if same_allowed and out.address == other.address and out.nbytes == other.nbytes:
            continue
        if not out.nbytes or not other.nbytes:  # an empty buffer may point into the other
            continue
        starts_before_end = out.address < other.address + other.nbytes
        if starts_before_end and other.address < out.address + out.nbytes:
            allowed = f" or be {other.argument} itself" if same_allowed else ""
            raise ValueError(
                f"{out.argument}: got a buffer that overlaps {other.argument}, "
                "needs to be apart from it" + allowed
            )


def checked_buffer(
    ffi: Any, argument: str, exporter: object, dtype: Dtype, writable: bool = False
) -> Checked:
    """The exporter as an aligned, C-contiguous array of dtype, with a pointer of the tier's ffi."""
    try:
        view = memoryview(exporter)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(
            f"{argument}: got {type(exporter).__name__}, needs a buffer of {dtype.name}"
        ) from None
    except (BufferError, ValueError) as error:  # a released memoryview, a closed mmap
        raise ValueError(
            f"{argument}: got a buffer without memory ({error}), needs one of {dtype.name}"
        ) from None
    # cffi does not compare element types: array('d') would pass as twice as many floats.
    code = view.format.lstrip("@=<")
    if code not in dtype.formats or view.itemsize != dtype.itemsize:
        raise TypeError(
            f"{argument}: got elements of format {view.format!r}, {view.itemsize} bytes each, "
            f"needs {dtype.name} (format {dtype.formats[0]!r})"
        )
    if not view.c_contiguous:
        raise ValueError(f"{argument}: got a non-contiguous buffer, needs a C-contiguous one")
    if writable and view.readonly:
        raise ValueError(f"{argument}: got a read-only buffer, needs a writable one")
    # from_buffer is asked for the address only. A cffi array that still held `view` when the
    # garbage collector clears both (say, with the traceback of a failed call) would crash
    # CPython 3.11: clearing a memoryview does not ask who else uses it.
    with ffi.from_buffer(view) as borrowed:
        address = int(ffi.cast("uintptr_t", borrowed))
    if view.nbytes and address % dtype.itemsize:
        raise ValueError(
            f"{argument}: got an address that is not a multiple of {dtype.itemsize}, "
            f"needs aligned {dtype.name}"
        )
    data = ffi.cast(dtype.c_type, address)
    return Checked(argument, data, address, view.nbytes // dtype.itemsize, view.nbytes, view)
