"""Buffers and the garbage collector."""

from __future__ import annotations

from pathlib import Path

from tests.checkout import Checkout

COLLECT_A_FAILED_CALL = """
import gc, kernels_c
from array import array
from kernels_c.arguments import FLOAT32, checked_buffer

tier = kernels_c.load_tier("scalar")
for _ in range(20):
    # What the traceback of a failed call holds, in a cycle, with the view older than the cycle.
    checked = checked_buffer(tier.ffi, "x", array("f", [1.0] * 64), FLOAT32)
    cycle = [checked]
    cycle.append(cycle)
    del checked, cycle
    gc.collect()
print("alive")
"""


def test_collecting_the_traceback_of_a_failed_call_does_not_crash(tmp_path: Path) -> None:
    """It did while a cffi array held the view: CPython clears a memoryview that is still in use."""
    answer = Checkout(tmp_path).python("-c", COLLECT_A_FAILED_CALL)
    assert answer.stdout.strip() == "alive"
    assert answer.stderr == ""
