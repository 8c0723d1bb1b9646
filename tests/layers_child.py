"""Run by test_native_layer_fences.py: the parts of models in subprocesses.

python -m tests.layers_child MARK fences    every buffer ends, then begins, at a page that
                                            nobody may touch; prints the tiers
python -m tests.layers_child MARK TIER      a hash of what the tier computes, large enough for
                                            threads
"""

from __future__ import annotations

import ctypes
import hashlib
import sys
from array import array
from typing import Any

import kernels_c
from bench.measure.calls import call_of
from bench.measure.cases import attention, buffers, case, layers
from bench.measure.cases.make import edge_cases
from bench.suite.registry import KERNELS, Shape
from tests.fenced import Fence, Mark, wide_tiers
from tests.threads_child import noise

LAYERS = [kernel for kernel in KERNELS.values() if kernel.is_layer]
# m x n x k; a prompt and a token, rows and columns that no number of threads divides.
LINEAR: tuple[Shape, ...] = ((64, 512, 128), (1, 4096, 300), (257, 131, 67), (1, 512, 128))
# count, start, width, heads
ATTENTION = ((128, 0, 128, 4), (1, 1000, 128, 4), (77, 33, 96, 3), (300, 0, 64, 2))


class Fenced(buffers.Buffer):
    """As a case's buffers, but between two forbidden pages."""

    at_end = True

    def __init__(self, typecode: str, n: int, stagger: int = 0, offset: int = 0) -> None:
        self._fence = Fence(typecode, n)
        self.address = self._fence.address(n, self.at_end)
        size = n * array(typecode).itemsize
        memory = (ctypes.c_char * size).from_address(self.address)
        self.view = memoryview(memory).cast("B").cast(typecode)  # type: ignore[call-overload]

    def guards_intact(self) -> bool:
        return True


def fences(mark: Mark) -> None:
    case.Buffer = layers.Buffer = attention.Buffer = Fenced  # type: ignore[misc, attr-defined]
    for tier, _ in wide_tiers():
        for at_end in (True, False):
            Fenced.at_end = at_end
            for kernel in LAYERS:
                for each in edge_cases(kernel):
                    mark(tier.name, kernel.name, each.shape, "at the end" * at_end)
                    each.run_and_verify(kernel.name, call_of(each, f"c-{tier.name}"))
        print(tier.name)


def results(tier: kernels_c.Tier, mark: Mark) -> str:
    digest = hashlib.sha256()

    def out(count: int) -> array[Any]:
        return array("f", bytes(4 * count))

    for m, n, k in LINEAR:
        for epilogue in ("none", "gelu", "add"):
            mark(tier.name, "linear", m, n, k, epilogue)
            to = out(m * n)
            packed = tier.pack_linear(noise(k * n), noise(n), n, k)
            tier.linear(noise(m * k), packed, to, m, n, k, epilogue)
            digest.update(to)
            packed8 = tier.pack_linear_i8(noise(k * n, "b"), noise(n), noise(n), n, k)
            tier.linear_i8(noise(m * k, "b"), noise(m), packed8, to, m, n, k, epilogue)
            digest.update(to)
    for count, start, width, heads in ATTENTION:
        mark(tier.name, "attention", count, start, width, heads)
        context = start + count + 5
        keys, values, to = noise(width * context), noise(width * context), out(count * width)
        sizes = count, start, context, width, heads
        tier.attention(noise(3 * count * width), keys, values, to, *sizes)
        digest.update(to)
    for rows, cols in ((508, 512), (3, 100_003), (1000, 33)):
        mark(tier.name, "rows", rows, cols)
        x, to = noise(rows * cols), out(rows * cols)
        tier.layernorm(x, noise(cols), noise(cols), to, rows)
        digest.update(to)
        tier.layernorm_columns(x, noise(rows), noise(rows), to, rows)
        digest.update(to)
        tier.gelu_max(x, largest := out(cols), rows)
        digest.update(largest)
        steps, scales = array("b", bytes(rows * cols)), out(rows)
        tier.quantize_rows(x, steps, scales, rows)
        digest.update(steps)
        digest.update(scales)
    return digest.hexdigest()


def main() -> None:
    mark = Mark(sys.argv[1])
    if sys.argv[2] == "fences":
        fences(mark)
    else:
        tier = kernels_c.load_tier(sys.argv[2])
        first = results(tier, mark)
        for _ in range(3):  # helpers come when there has been enough to do
            assert results(tier, mark) == first, "another result in a later call"
        print(first)


if __name__ == "__main__":
    main()
