"""The kernels of simd/ between guard pages, in caches so small that a small input reaches every
block edge and the streaming stores. In subprocesses: what touches a guard page dies, and the sizes
of the caches are read once."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable

import pytest

import kernels_c
from kernels_py import matmul_i8
from tests.fenced import ROOT, TINY_CACHES, exact_product, run_child, wide_tiers

TINY, SINGLE_TILES = TINY_CACHES
THIS_MACHINE = ""  # an empty variable is as good as none

Team = Callable[[int], dict[str, str]]


@pytest.fixture(autouse=True)
def tiers() -> list[str]:
    """What a child goes through, and prints."""
    reason = kernels_c.why_unavailable("avx2")
    if reason:
        pytest.skip(reason)
    return [tier.name for tier, _ in wide_tiers()]


@pytest.mark.parametrize("caches", [THIS_MACHINE, TINY, SINGLE_TILES])
def test_elementwise_kernels_stay_inside_their_buffers(caches: str, tiers: list[str]) -> None:
    """Streaming stores or not: every tail, every distance from a cache line, the same bits."""
    assert run_child("tests.unary_child", BAREMETAL_CACHES=caches).split() == tiers


@pytest.mark.parametrize("threads", [5, 64])
def test_so_do_the_parts_of_threads(threads: int, tiers: list[str], team_of: Team) -> None:
    """With 64 the last part of 8193 elements is a single one, less than what goes before the first
    cache line of a streamed part: that was once written past the end."""
    environment = {**team_of(threads), "BAREMETAL_CACHES": SINGLE_TILES}
    assert run_child("tests.unary_child", **environment).split() == tiers


@pytest.mark.parametrize("caches", [THIS_MACHINE, TINY])
@pytest.mark.parametrize(
    "run", ["around_tiles", "skinny,largest_k,rounding", "rows_of_whole_pages"]
)
def test_products_stay_inside_their_buffers(caches: str, run: str, tiers: list[str]) -> None:
    assert run_child("tests.products_child", run, BAREMETAL_CACHES=caches).split() == tiers


@pytest.mark.parametrize("caches", [TINY, SINGLE_TILES])
def test_products_past_every_block_do(caches: str, tiers: list[str], team_of: Team) -> None:
    """Five threads share them, in the tiers that have threads."""
    environment = {**team_of(5), "BAREMETAL_CACHES": caches}
    assert run_child("tests.products_child", "past_blocks", **environment).split() == tiers


# --- The tools themselves ------------------------------------------------------------------------

OUT_OF_BOUNDS = """
from array import array
from tests.fenced import Fence
import ctypes, sys
fence = Fence("f", 5)
place = fence.put(array("f", [1.0] * 5), at_end=sys.argv[1] == "end")
assert ctypes.string_at(place, 20)
ctypes.string_at(place + int(sys.argv[2]), 4)
"""


@pytest.mark.parametrize("arguments", [("end", "17"), ("end", "20"), ("start", "-1")])
def test_a_fence_kills_who_reads_a_byte_beyond(arguments: tuple[str, str]) -> None:
    for offset, killed in ((arguments[1], True), ("8", False)):
        command = [sys.executable, "-c", OUT_OF_BOUNDS, arguments[0], offset]
        answer = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
        assert (answer.returncode != 0) == killed, answer.stderr
        assert not answer.stderr


def test_exact_products_are_exact() -> None:
    draw = random.Random(8)
    for m, n, k in ((1, 1, 1), (3, 5, 0), (4, 7, 9), (2, 3, 600)):
        a = draw.choices((-128, 127, 0, 5), k=m * k)
        b = draw.choices((-128, 127, 0, -1), k=k * n)
        rows = exact_product(a, b, m, n, k)
        assert [v for row in rows for v in row] == matmul_i8.reference(a, b, m, n, k)
    assert exact_product([-128] * 131071, [-128] * 131071, 1, 1, 131071) == [[2**31 - 2**14]]
