"""NumPy: one ufunc or one BLAS call where it has one, the natural composition where it has none.

Every step writes into memory that is there already, the output itself wherever it has the type.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bench.measure.cases.buffers import Buffer
from bench.measure.cases.case import Called
from bench.measure.peers.adapter import Peer
from bench.suite.registry import Shape

Array: TypeAlias = NDArray[Any]


def as_array(buffer: Buffer, shape: Shape) -> Array:
    """The buffer's memory as an array; nothing is copied."""
    array: Array = np.frombuffer(buffer.view, dtype=buffer.view.format)
    return array.reshape(shape)


class NumPy(Peer):
    name = "numpy"
    version = str(np.__version__)
    view = staticmethod(as_array)

    def relu_f32(self, case: Any, threads: int, x: Array, out: Array) -> Called:
        zero = np.float32(0)  # a Python 0 would be converted at every call
        return partial(np.maximum, out=out), (x, zero)

    def softmax_f32(self, case: Any, threads: int, x: Array, out: Array) -> Called:
        top: Array = np.empty((len(x), 1), np.float32)
        total = np.empty_like(top)

        def softmax() -> None:
            np.max(x, axis=1, keepdims=True, out=top)
            np.subtract(x, top, out=out)
            np.exp(out, out=out)
            np.sum(out, axis=1, keepdims=True, out=total)
            np.divide(out, total, out=out)

        return softmax, ()

    def gelu_tanh_f32(self, case: Any, threads: int, x: Array, out: Array) -> Called:
        root = math.sqrt(2 / math.pi)

        def gelu() -> None:
            np.multiply(x, x, out=out)
            np.multiply(out, 0.044715 * root, out=out)
            np.add(out, root, out=out)
            np.multiply(out, x, out=out)
            np.tanh(out, out=out)
            np.add(out, 1.0, out=out)
            np.multiply(out, x, out=out)
            np.multiply(out, 0.5, out=out)

        return gelu, ()

    def quantize_f32_i8(self, case: Any, threads: int, x: Array, out: Array) -> Called:
        scratch, scale = np.empty_like(x), np.float32(case.scale)

        def quantize() -> None:
            np.multiply(x, scale, out=scratch)
            np.rint(scratch, out=scratch)
            np.clip(scratch, -127, 127, out=scratch)
            np.copyto(out, scratch, casting="unsafe")

        return quantize, ()

    def matmul_f32(self, case: Any, threads: int, a: Array, b: Array, out: Array) -> Called:
        return partial(np.matmul, out=out), (a, b)
