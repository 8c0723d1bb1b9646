"""The parts of models where mistakes are fatal: between forbidden pages, with any number of
threads, and compiled with the sanitizers. In subprocesses."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import build_ffi
import kernels_c
from tests import sanitize
from tests.fenced import TINY_CACHES, run_child, wide_tiers

Team = Callable[[int], dict[str, str]]


@pytest.mark.parametrize(("caches", "threads"), [("", 2), (TINY_CACHES[0], 5)])
def test_layers_stay_inside_their_buffers(caches: str, threads: int, team_of: Team) -> None:
    reason = kernels_c.why_unavailable("avx2")
    if reason:
        pytest.skip(reason)
    environment = {**team_of(threads), "BAREMETAL_CACHES": caches}
    told = run_child("tests.layers_child", "fences", **environment)
    assert told.split() == [tier.name for tier, _ in wide_tiers()]


@pytest.mark.parametrize("alone", ["avx2", "avx512"])
def test_bits_do_not_depend_on_the_number_of_threads(alone: str, team_of: Team) -> None:
    reason = kernels_c.why_unavailable(alone)
    if reason:
        pytest.skip(reason)
    expected = run_child("tests.layers_child", alone)
    for threads in (1, 2, 5):
        assert run_child("tests.layers_child", f"{alone}_omp", **team_of(threads)) == expected


@pytest.mark.parametrize("tier", ["scalar", "avx2", "avx512"])
def test_the_sanitizers_find_nothing(tier: str) -> None:
    reason = build_ffi.why_unbuildable(tier) or sanitize.why_unavailable()
    if not reason and tier != "scalar":
        reason = kernels_c.why_unavailable(tier)  # compiled anew, but it has to run here
    if reason:
        pytest.skip(reason)
    assert sanitize.run(tier) == ""


def test_they_would_find_a_stray_read() -> None:
    reason = sanitize.why_unavailable()
    if reason:
        pytest.skip(reason)
    assert "heap-buffer-overflow" in sanitize.run("scalar", "-DSTRAY_READ")
