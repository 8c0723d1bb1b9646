"""The parts of models where mistakes are fatal: between forbidden pages, with any number of
threads, and compiled with the sanitizers. In subprocesses."""

from __future__ import annotations

from collections.abc import Callable

import pytest

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


@pytest.mark.parametrize("name", sanitize.DETECTORS)
def test_every_entry_is_clean_and_what_is_planted_is_found(name: str) -> None:
    """A few inputs, on the widest tier; make sanitize takes more of both."""
    detector, reason = sanitize.DETECTORS[name], sanitize.why_unavailable(name)
    if reason or not detector.tiers():
        pytest.skip(reason or "no tier with threads runs here")
    # Half of the time goes to the optimiser.
    with sanitize.compiled(detector.tiers()[-1], (*detector.flags, "-O0")) as program:
        for planted in detector.finds:
            assert sanitize.said_by(detector, program, "plant", planted), planted
        few = str(detector.inputs // 50)
        assert sanitize.said_by(detector, program, few, str(detector.callers)) == ""
        tiny = sanitize.said_by(detector, program, few, "1", caches=TINY_CACHES[0])
        assert tiny == ""
