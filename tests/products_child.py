"""Run by test_native_fences.py: both matrix products between guard pages, at every shape around a
tile and past the blocks of whatever caches the environment says."""

from __future__ import annotations

import ctypes
import random
import sys
from array import array
from collections.abc import Callable, Iterable
from functools import cache
from itertools import chain, cycle, islice, product
from typing import Any

from kernels_c import Tier
from tests.fenced import Fence, Mark, exact_product, wide_tiers
from tests.native import INF, MATMUL, NAN, Product
from tests.test_native_products import judge_f32

Rows = list[list[int]]
Fill = Callable[[int], Iterable[int]]  # that many elements


def mixed(low: int, high: int, seed: int) -> Fill:
    def fill(count: int) -> list[int]:
        return random.Random(seed).choices(range(low, high + 1), k=count)

    return fill


def repeated(*pattern: int) -> Fill:
    return lambda count: islice(cycle(pattern), count)


SMALL = (mixed(-4, 4, 1), mixed(-4, 4, 2))  # every sum is below 2^24: float is exact too
# Where 16-bit or saturating sums would fail, and where a step of padding would show.
EXTREME = (
    (repeated(-128), repeated(-128)),
    (repeated(127, -127), repeated(-127, 127)),
    (repeated(127, -128), repeated(127)),
    (mixed(-128, 127, 3), mixed(-128, 127, 4)),
)
KS = (0, 1, 2, 3, 7, 8, 9, 16, 17, 40)
INT8_KS = (*range(1, 10), 15, 16, 17, 31, 33, 40)
FLOAT = ("matmul_f32", "matmul_tiled_f32")
IN_CODE = {**dict.fromkeys(FLOAT, "f"), "matmul_i8_i32": "b"}
OUT_CODE = {**dict.fromkeys(FLOAT, "f"), "matmul_i8_i32": "i"}


class Bench:
    """Fenced memory for one kernel of one tier, and the kernel called on it."""

    def __init__(self, tier: Tier, kernel: str, most: int, mark: Mark) -> None:
        self.tier, self.kernel, self.mark = tier, kernel, mark
        self.code, self.out_code = IN_CODE[kernel], OUT_CODE[kernel]
        self.a, self.b = Fence(self.code, most), Fence(self.code, most)
        self.out = Fence(self.out_code, most)

    def run(self, m: int, n: int, k: int, left: int, right: int, at_end: bool) -> bytes:
        """What is in out after the call, for a and b at these addresses."""
        self.mark(self.tier.name, self.kernel, m, n, k, "at the", "end" if at_end else "start")
        to = self.out.poison(m * n, at_end)
        if at_end:
            ctypes.memset(to - 64, 0xFF, 64)
        pointers = (
            fence.pointer(self.tier, place)
            for fence, place in ((self.a, left), (self.b, right), (self.out, to))
        )
        assert getattr(self.tier.lib, self.kernel)(*pointers, m, n, k) == 0
        if at_end:
            assert ctypes.string_at(to - 64, 64) == b"\xff" * 64, "wrote before out"
        return self.out.taken(m * n, at_end)


def columns(matrix: array[Any], width: int, n: int) -> array[Any]:
    """The first n of `width` columns."""
    rows = (matrix[at : at + n] for at in range(0, len(matrix), width))
    return array(matrix.typecode, chain.from_iterable(rows))


@cache
def whole(fills: tuple[Fill, Fill], m: int, n: int, k: int) -> tuple[list[int], list[int], Rows]:
    """The operands that all parts are taken from, and the rows of their product."""
    a, b = list(fills[0](m * k)), list(fills[1](k * n))
    return a, b, exact_product(a, b, m, n, k)


def check_shapes(
    tier: Tier,
    mark: Mark,
    shapes: tuple[Iterable[int], Iterable[int], Iterable[int]],
    kernels: Iterable[str] = tuple(IN_CODE),
    fills: tuple[Fill, Fill] = SMALL,
) -> None:
    """Every m with every n and k. The products are parts of one: its first rows and columns."""
    ms, ns, ks = map(list, shapes)
    most_m, most_n = max(ms), max(ns)
    size = max(most_m * most_n, max(ks) * max(most_m, most_n)) + 64
    benches = [Bench(tier, kernel, size, mark) for kernel in kernels]
    for k in ks:
        a, b, truth = whole(fills, most_m, most_n, k)
        for n in ns:
            of_n = [row[:n] for row in truth]
            for bench in benches:
                expected = array(bench.out_code, chain.from_iterable(of_n)).tobytes()
                rows = array(bench.code, a)
                part = columns(array(bench.code, b), most_n, n)
                for at_end in (True, False) if n % 3 == 1 else (True,):
                    right = bench.b.put(part, at_end)
                    for m in ms:
                        left = bench.a.put(rows[: m * k], at_end)
                        got = bench.run(m, n, k, left, right, at_end)
                        assert expected.startswith(got), "wrong sums"


def check_that_nothing_leaks(
    tier: Tier, mark: Mark, shapes: tuple[Iterable[int], Iterable[int], Iterable[int]]
) -> None:
    """NaN in one row of a, infinity in one column of b: both spread over theirs, and the padding of
    edges carries them nowhere else."""
    ms, ns, ks = map(list, shapes)
    size = max(*ms, *ks) * max(*ns, *ks) + 64
    for kernel, k in product(FLOAT, ks):
        bench = Bench(tier, kernel, size, mark)
        a, b, truth = whole(SMALL, max(ms), max(ns), k)
        for m, n in product(ms, ns):
            for last in (True, False):
                row, column = (m - 1, n - 1) if last else (0, 0)
                spoiled_a = array("f", a[: m * k])
                spoiled_b = columns(array("f", b), max(ns), n)
                spoiled_a[row * k : row * k + k] = array("f", [NAN]) * k
                spoiled_b[column::n] = array("f", [INF]) * k
                left, right = bench.a.put(spoiled_a), bench.b.put(spoiled_b)
                got = array("f", bench.run(m, n, k, left, right, True))
                for i in range(m):
                    line, true = got[i * n : (i + 1) * n], truth[i][:n]
                    if i == row:
                        assert all(v != v for v in line), "NaN lost"
                        continue
                    assert line[column] - line[column] != 0, "infinity lost"
                    line[column] = true[column]
                    assert line.tolist() == true, "leaked"


def check_largest_k(tier: Tier, mark: Mark, tile: tuple[int, int]) -> None:
    k = 131071
    m, n = tile[0] + 1, tile[1] + 1
    bench = Bench(tier, "matmul_i8_i32", k * n, mark)
    for x, y in ((-128, -128), (127, -128), (-128, 127), (127, 127)):
        left = bench.a.put(array("b", [x]) * (m * k))
        right = bench.b.put(array("b", [y]) * (k * n))
        expected = array("i", [x * y * k]) * (m * n)
        assert bench.run(m, n, k, left, right, True) == expected.tobytes(), "wrong sums"


# --- What a run consists of ----------------------------------------------------------------------


def around_tiles(tier: Tier, tile: tuple[int, int], mark: Mark) -> None:
    """Everything up to two tiles and one more. So little work is never shared: the threaded tiers,
    the same text in other modules, get a part of it."""
    ms, ns = range(2 * tile[0] + 2), range(2 * tile[1] + 2)
    if tier.name.endswith("_omp"):
        check_shapes(tier, mark, (ms, ns, KS[1::3]))
        return
    check_shapes(tier, mark, (ms, ns, KS))
    for fills in EXTREME:
        check_shapes(tier, mark, (ms[1::3], ns[1:], INT8_KS), ["matmul_i8_i32"], fills)
    check_that_nothing_leaks(tier, mark, (ms[1::2], ns[1::3], (1, 9, 17)))
    check_that_nothing_leaks(tier, mark, (ms[1::5], ns[1:], (16, 40)))


def past_blocks(tier: Tier, tile: tuple[int, int], mark: Mark) -> None:
    """For caches of 2048, 8192 and 65536 bytes: blocks of at most 16 steps, 84 rows, 256 columns.
    Large enough for threads as well."""
    ms = (1, 2, 6, 7, 14, 15, 41, 42, 43, 83, 84, 85, 100, 171)
    ns = (1, 4, 5, 16, 17, 32, 33, 127, 128, 129, 255, 256, 257, 300, 513)
    ks = (1, 8, 9, 16, 17, 33, 65, 70, 131)
    check_shapes(tier, mark, (ms, ns, ks))
    check_that_nothing_leaks(tier, mark, ((7, 43, 86), (17, 129, 300), (9, 33)))


def skinny(tier: Tier, tile: tuple[int, int], mark: Mark) -> None:
    """A dot product, a matrix and a vector, few columns, few steps: all have a way of their own."""
    long_k = (511, 512, 513, 1023, 1025, 1029, 1537)
    check_shapes(
        tier, mark, ((1, 2, 3, 4, 5, 8, 9, 13), (1, 2, 3, 4, 5, 6), (*range(1, 36), *long_k))
    )
    check_shapes(tier, mark, ((1, 6, 7, 15, 40), (1, 3, 1023, 1025, 2085), (1, 2, 8, 15, 16, 17)))
    check_shapes(tier, mark, ((1, 4, 5, 200, 4001), (1, 2, 3, 4), (1, 8, 9)))


def rows_of_whole_pages(tier: Tier, tile: tuple[int, int], mark: Mark) -> None:
    """4096 bytes from row to row of a: where b is wide enough, float packs a too."""
    ms = (1, 5, 6, 7, 11, 13, 15, 27, 29, 43)
    check_shapes(tier, mark, (ms, (5, 127, 128, 129, 255, 256, 257, 300), (1024,)))


def rounding(tier: Tier, tile: tuple[int, int], mark: Mark) -> None:
    """Where results are not exact: within gamma_k, on every way that a product can take."""
    draw = random.Random(5)
    for shape in (
        (40, 33, 70),
        (7, 130, 33),
        (13, 4, 530),
        (50, 1, 1030),
        (1, 40, 513),
        (15, 300, 9),
    ):
        mark(tier.name, "rounding", *shape)
        m, n, k = shape
        a, b = (
            array("f", [draw.uniform(-1.0, 1.0) for _ in range(size)]) for size in (m * k, k * n)
        )
        for function in FLOAT:
            judge_f32(Product(tier.name, MATMUL, function), a, b, shape)


RUNS = {
    run.__name__: run for run in (around_tiles, past_blocks, skinny, rows_of_whole_pages, rounding)
}


def main() -> None:
    mark = Mark(sys.argv[1])
    for tier, tile in wide_tiers():
        for name in sys.argv[2].split(","):
            if name == "largest_k":
                check_largest_k(tier, mark, tile)
            else:
                RUNS[name](tier, tile, mark)
        print(tier.name)


if __name__ == "__main__":
    main()
