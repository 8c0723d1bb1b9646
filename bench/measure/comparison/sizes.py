"""What `python -m bench peers` measures: kernels at sizes where libraries change their ways."""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Callable, Sequence
from typing import Any

from bench.measure.cases.buffers import Buffer
from bench.measure.cases.case import Case
from bench.measure.cases.make import make_case
from bench.measure.cases.unary import UnaryCase
from bench.suite import registry
from bench.suite.registry import Kernel, Shape

# What is in the name of a size. The result replaces the input; every buffer begins so many bytes
# off a cache line, as those of NumPy and of array do, at 16.
IN_PLACE, OFF = " in place", " +"
_ALSO_IN_PLACE = ("relu_f32",)
_LINE = 64  # bytes of a cache line
# In the cache, out of it, and far out of it: a size for each factor of ten.
_TENFOLD = ("1000", "10000", "100000", "1000000", "10000000")
_QUICK_LENGTHS = ("1000", "100000", "1000000")
# And lengths that are no round number: of registers, of pages, of what each thread gets.
_LENGTHS = (
    *_TENFOLD,
    "70001",
    "600011",
    "5000003",
    *(f"{n}{OFF}16" for n in (10000, 70001, 600011)),
)
# Many short rows, none a multiple of a register; few long ones.
_ROWS = ("77x333", "64x64", "512x1024", "3x100000")
# m x n x k. Call overhead, small, odd, large; blocks that come out even, and that do not.
_SQUARES = (
    *("8", "16", "32", "64", "72", "100", "128", "240", "256", "333", "384", "500", "512", "517"),
    *("777", "1000", "1024", "1111", "1536", "2048"),
)
# A vector on one side, few rows or columns, a sum of a few terms, each dimension alone being long.
_THIN = (
    *("1024x1x1024", "6x1024x1024", "1024x16x1024", "1024x1024x4", "1024x1024x1"),
    *("4096x64x64", "64x4096x64", "64x64x4096"),
    *("1x2000x700", "2000x1x700", "5x900x1100", "900x13x1100"),
)
# Tokens by the layers of a small transformer: of 64 to 1024 features, to as many, to four times and
# to a quarter of them.
_TOKENS = (1, 2, 4, 8, 16, 64, 256)
_LAYERS = ((192, 64), (256, 256), (1024, 256), (256, 1024), (1024, 1024))
_TRANSFORMER = tuple(
    f"{m}x{n}x{k}" for (n, k), m in itertools.product(_LAYERS, _TOKENS) if len({m, n, k}) > 1
)
_OFF_LINES = tuple(size + OFF + "16" for size in ("64", "333", "1024", "1x1024x1024", "16x256x256"))
_SIZES: dict[str, tuple[str, ...]] = {
    "relu_f32": _LENGTHS,
    "softmax_f32": (*_TENFOLD, *_ROWS, f"10000{OFF}16", f"77x333{OFF}16"),
    "gelu_tanh_f32": _LENGTHS,
    "gelu_erf_f32": _LENGTHS,
    "matmul_f32": (*_SQUARES, *_THIN, *_TRANSFORMER, *_OFF_LINES),
    "quantize_f32_i8": _LENGTHS,
    "matmul_i8_i32": ("64", "128", "256", "333", "500", "512", "640", "1024"),
    **dict.fromkeys(("prefill_f32", "prefill_i8"), ("128",)),
    **dict.fromkeys(("decode_f32", "decode_i8"), ("0", "128", "255")),
    **dict.fromkeys(("identify_f32", "identify_i8"), ("2048",)),
}
_QUICK_SIZES = {
    **dict.fromkeys(_SIZES, _QUICK_LENGTHS),
    "matmul_f32": ("16", "64", "256", "512", "1x1024x1024", "1024x16x1024", "16x256x256"),
    "matmul_i8_i32": ("64", "256"),
    **dict.fromkeys(("prefill_f32", "prefill_i8"), ("128",)),
    **dict.fromkeys(("decode_f32", "decode_i8"), ("128",)),
    **dict.fromkeys(("identify_f32", "identify_i8"), ("2048",)),
}


def sizes(kernel: str, quick: bool) -> list[str]:
    """Names of the sizes of a kernel; empty for one that no library has."""
    listed = (_QUICK_SIZES if quick else _SIZES).get(kernel, ())
    also = [f"10000{OFF}16"] if quick and kernel in _ALSO_IN_PLACE else []
    return [*listed, *in_place(kernel, (*listed, *also))]


def in_place(kernel: str, listed: Sequence[str]) -> list[str]:
    """These sizes in place, as "70001 in place +16" of "70001 +16"; none of a kernel that is not
    measured so."""
    parts = [size.partition(OFF) for size in listed if kernel in _ALSO_IN_PLACE]
    return [length + IN_PLACE + off + offset for length, off, offset in parts]


def chosen(
    kernels: Sequence[str],
    wanted: Sequence[str],
    listed: Callable[[str, bool], Sequence[str]],
    quick: bool,
) -> list[tuple[str, str]]:
    """(kernel, size) of everything that was asked for; nothing asks for all that is listed. Raises
    ValueError for what does not exist.

    Of one kernel any size can be asked for. Of several, each takes those that it lists: a million
    is a length to one and a cube to another.
    """
    rows = dict.fromkeys(registry.kernel(name).name for name in kernels or registry.KERNELS)
    if wanted and len(rows) == 1:
        (row,) = rows
        return [(row, checked(row, size)) for size in wanted]
    found = [
        (row, size)
        for row in rows
        for size in listed(row, quick and not wanted)
        if not wanted or size in wanted
    ]
    if not found and wanted:
        raise ValueError(f"--size: no kernel lists {' or '.join(wanted)}; name one with --kernel")
    return found


class InPlaceCase(UnaryCase):
    """The result replaces the input. From the second call on there is nothing negative left in a
    ReLU's input; none of the kernels that are compared branches on it, so the time is the same."""

    @property
    def out(self) -> Buffer:
        return self.buffers[0]

    def _shift_result(self, out: Buffer, by: int) -> None:
        return  # it lies where the operand does

    def prepare(self, call: Any) -> None:
        self.out.fill(self.inputs[0])

    def native_inputs(self) -> list[tuple[Buffer, Any]]:
        return []


def checked(kernel: str, size: str) -> str:
    """The size itself if the kernel can have it, listed or not; else raises ValueError."""
    shape, in_place, _ = _parts(registry.kernel(kernel), size)
    if in_place and kernel not in _ALSO_IN_PLACE:
        raise ValueError(f"{kernel}: got size {size!r}, but it is not compared in place")
    if 0 in shape:
        raise ValueError(f"{kernel}: got size {size!r}, needs more than nothing to compare")
    return size


def make(kernel: str, size: str) -> Case:
    """The case of a size as `sizes` names it."""
    row = registry.kernel(kernel)
    shape, in_place, offsets = _parts(row, size)
    return InPlaceCase(row, shape, offsets) if in_place else make_case(row, shape, offsets)


def shape_of(kernel: str, size: str) -> Shape:
    return _parts(registry.kernel(kernel), size)[0]


def _parts(kernel: Kernel, size: str) -> tuple[Shape, bool, tuple[int, int]]:
    """Of the name of a size: the shape, whether in place, and by how many bytes the operands and
    the result are off a cache line. Where the result's elements are the larger, by whole ones."""
    named, off, offset = size.partition(OFF)
    into, out = (array(t).itemsize for t in (kernel.signature.operands[0], kernel.signature.result))
    shape = kernel.shape_named(named.removesuffix(IN_PLACE))
    if off and not (offset.isdecimal() and int(offset) < _LINE and int(offset) % into == 0):
        multiple = f"a multiple of {into} " if into > 1 else ""
        needs = f"{multiple}from 0 to {_LINE - into} after the +"
        raise ValueError(f"{kernel.name}: got size {size!r}, needs {needs}")
    bytes_off = int(offset or 0)
    return shape, named.endswith(IN_PLACE), (bytes_off, bytes_off - bytes_off % out)
