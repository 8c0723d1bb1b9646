"""Run by test_native_streaming.py: the element-wise kernels between guard pages, in whatever caches
and threads the environment says. Each element's bits must be those of a call on little."""

from __future__ import annotations

import ctypes
import random
import sys
from array import array
from itertools import product
from typing import Any

from kernels_c import Tier
from tests.fenced import Fence, Mark, wide_tiers
from tests.native import ELEMENTWISE, INF, LARGEST, NAN, Elementwise

# From 4096 elements on stores stream, over 3/4 of L3; in long calls threads share the work. The
# lengths step by one over every tail of 4 x 16 lanes and every remainder of a part.
LONG = range(8190, 8190 + 70)
LONGEST = 70_001
OFFSETS = (0, 1, 3, 7, 8, 15, 16)


def inputs(typecode: str) -> array[Any]:
    draw = random.Random(6)
    count = LONGEST + OFFSETS[-1]
    if typecode == "i":
        return array("i", [draw.randrange(-(2**31), 2**31) for _ in range(count)])
    x = array("f", [draw.uniform(-12.0, 12.0) for _ in range(count)])
    hard = [0.0, -0.0, NAN, INF, -INF, 1e-45, -1e-39, LARGEST, -LARGEST]
    for i in range(0, count, 13):
        x[i] = hard[i // 13 % len(hard)]
    return x


def lengths(offset: int) -> list[int]:
    """All that matter once, and some at every offset."""
    chosen = [*range(68), *range(4090, 4102), *LONG[::9], LONGEST]
    return [*chosen, *LONG] if offset == 0 else chosen


def check(tier: Tier, kernel: Elementwise, x: array[Any], mark: Mark) -> None:
    source, target = Fence(kernel.in_code, len(x)), Fence(kernel.out_code, len(x))
    size = target.size
    # In pieces of 1000 there are neither threads nor streaming stores.
    bits = b"".join(kernel.run(tier, x[i : i + 1000]) for i in range(0, len(x), 1000))
    source.put(x, at_end=False)

    def run(from_: int, to: int, n: int) -> None:
        kernel.call(tier.lib, source.pointer(tier, from_), target.pointer(tier, to), n)

    # Output from an aligned place on, and ending at the forbidden page.
    for x_offset in OFFSETS:
        for n in lengths(x_offset):
            mark(tier.name, kernel.name, "x offset", x_offset, "n", n)
            target.poison(len(x))
            expected = bits[x_offset * size : (x_offset + n) * size]
            run(source.begin + x_offset * source.size, target.address(n, at_end=True), n)
            assert target.taken(n) == expected, "wrong bits"
            before = ctypes.string_at(target.end - n * size - 64, 64)
            assert before == b"\xff" * 64 or n + 64 > len(x), "wrote before out"
    # Input that ends at the forbidden page; output at every distance from a cache line.
    for n, offset in product((1, 17, 67, 4100, LONG[0], LONG[1], LONG[-1]), range(17)):
        mark(tier.name, kernel.name, "out offset", offset, "n", n)
        place = target.begin + 64 + offset * size
        ctypes.memset(target.begin, 0xFF, (n + offset) * size + 256)
        run(source.put(x[:n]), place, n)
        assert ctypes.string_at(place, n * size) == bits[: n * size], "wrong bits"
        assert ctypes.string_at(place - 64, 64) == b"\xff" * 64, "wrote before out"
        assert ctypes.string_at(place + n * size, 64) == b"\xff" * 64, "wrote past out"
    if kernel.in_code == kernel.out_code == "f":
        for n in (*range(68), *LONG, LONGEST):
            mark(tier.name, kernel.name, "in place", n)
            place = target.put(x[:n])
            kernel.call(tier.lib, target.pointer(tier, place), target.pointer(tier, place), n)
            assert target.taken(n) == bits[: n * size], "wrong bits"


def main() -> None:
    mark = Mark(sys.argv[1])
    data = {code: inputs(code) for code in "fi"}
    for tier, _ in wide_tiers():
        for kernel in ELEMENTWISE:
            check(tier, kernel, data[kernel.in_code], mark)
        print(tier.name)


if __name__ == "__main__":
    main()
