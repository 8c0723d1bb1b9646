"""What `python -m bench peers` measures: kernels at sizes where libraries change their ways."""

from __future__ import annotations

from typing import Any

from bench.measure.cases.buffers import Buffer
from bench.measure.cases.case import Case
from bench.measure.cases.make import make_case
from bench.measure.cases.unary import UnaryCase
from bench.suite import registry

# In the cache, out of it, and far out of it: a size for each factor of ten.
_LENGTHS = ("1000", "10000", "100000", "1000000", "10000000")
_QUICK_LENGTHS = ("1000", "100000", "1000000")
# m x n x k. Call overhead, small, odd, large; then a vector on one side, few rows or columns, a sum
# of a few terms, and each dimension alone being long.
_SQUARES = ("8", "16", "32", "64", "100", "128", "256", "333", "500", "512", "777", "1000", "1024")
_SKINNY = (
    *("1x1024x1024", "1024x1x1024", "6x1024x1024", "1024x16x1024", "1024x1024x4", "1024x1024x1"),
    *("4096x64x64", "64x4096x64", "64x64x4096"),
)
_SIZES: dict[str, tuple[str, ...]] = {
    "relu_f32": _LENGTHS,
    "softmax_f32": (*_LENGTHS, "512x1024"),
    "gelu_tanh_f32": _LENGTHS,
    "gelu_erf_f32": _LENGTHS,
    "matmul_f32": (*_SQUARES, "2048", *_SKINNY),
    "quantize_f32_i8": _LENGTHS,
    "matmul_i8_i32": ("64", "128", "256", "500", "512", "1024"),
}
_QUICK_SIZES = {
    **dict.fromkeys(_SIZES, _QUICK_LENGTHS),
    "matmul_f32": ("16", "64", "256", "512", "1x1024x1024", "1024x16x1024"),
    "matmul_i8_i32": ("64", "256"),
}
IN_PLACE = " in place"  # in the name of a size: the result replaces the input
_ALSO_IN_PLACE = ("relu_f32",)


def sizes(kernel: str, quick: bool) -> list[str]:
    """Names of the sizes of a kernel; empty for one that no library has."""
    listed = (_QUICK_SIZES if quick else _SIZES).get(kernel, ())
    in_place = [size + IN_PLACE for size in listed] if kernel in _ALSO_IN_PLACE else []
    return [*listed, *in_place]


class InPlaceCase(UnaryCase):
    """The result replaces the input. From the second call on there is nothing negative left in a
    ReLU's input; none of the kernels that are compared branches on it, so the time is the same."""

    @property
    def out(self) -> Buffer:
        return self.buffers[0]

    def prepare(self, call: Any) -> None:
        self.out.fill(self.inputs[0])

    def native_inputs(self) -> list[tuple[Buffer, Any]]:
        return []


def checked(kernel: str, size: str) -> str:
    """The size itself if the kernel can have it, listed or not; else raises ValueError."""
    shape = registry.kernel(kernel).shape_named(size.removesuffix(IN_PLACE))
    if size.endswith(IN_PLACE) and kernel not in _ALSO_IN_PLACE:
        raise ValueError(f"{kernel}: got size {size!r}, but it is not compared in place")
    if 0 in shape:
        raise ValueError(f"{kernel}: got size {size!r}, needs more than nothing to compare")
    return size


def make(kernel: str, size: str) -> Case:
    """The case of a size as `sizes` names it."""
    row = registry.kernel(kernel)
    shape = row.shape_named(size.removesuffix(IN_PLACE))
    return InPlaceCase(row, shape) if size.endswith(IN_PLACE) else make_case(row, shape)
