"""How time grows with size: from hand-made runs, where exponent, overhead and steps are known."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis import levels, scaling
from bench.measure import session
from bench.saved.comparable import merged
from bench.saved.runs import BadRun, from_json, undamaged
from bench.stats import fits
from bench.views.explain import scaling as view
from bench.views.tables import render
from tests.growing import (
    CACHES,
    LENGTHS,
    REFERENCE,
    case,
    case_without_metadata,
    content,
    run_of,
    scaling_of,
)


@given(st.floats(0, 1e-6), st.floats(1e-10, 1e-8), st.floats(0.9, 1.15))
def test_exponent_and_overhead_of_a_variant(overhead: float, a: float, exponent: float) -> None:
    found = scaling_of({n: overhead + a * n**exponent for n in LENGTHS})
    assert found.fit and found.fit.exponent == pytest.approx(exponent, abs=0.02)
    assert found.overhead is not None and abs(found.overhead - overhead) <= a * 8


def test_sizes_at_which_the_call_outweighs_the_work_are_not_fitted() -> None:
    found = scaling_of({n: 1e-7 + 1e-11 * n for n in LENGTHS})
    assert [point.work for point in found.fitted] == [8**5, 8**6, 8**7]
    assert found.fit and found.fit.exponent == pytest.approx(1.0)


def test_fewer_than_three_sizes_beyond_the_call_have_no_exponent() -> None:
    assert scaling_of({100: 1e-7, 10_000: 1e-6, 1_000_000: 1e-4}).fit is None
    assert scaling_of(dict.fromkeys(LENGTHS, 1e-7)).fit is None  # nothing but the call


@given(
    st.sampled_from([("L1", "L2"), ("L2", "L3")]),
    st.floats(1.2, 50),
    st.floats(0, 0.04),
)
def test_an_injected_step_is_found_where_it_is(
    border: tuple[str, str], factor: float, scatter: float
) -> None:
    before = levels.LEVELS[: levels.LEVELS.index(border[1])]
    places = {n: levels.level_of(metadata_of(n), CACHES) for n in LENGTHS}
    times = {n: 1e-9 * n * (1 if place in before else factor) for n, place in places.items()}
    benchmarks = [case("c-avx2", (n,), t, iqr=scatter * t) for n, t in times.items()]
    (found,) = scaling.scalings(from_json(content(*benchmarks)))
    jump = found.largest_jump
    assert jump and (jump.before.level, jump.after.level) == border
    assert jump.factor == pytest.approx(factor) and jump.beyond_scatter and jump.inside is None
    others = [other for other in found.jumps if other != jump]
    assert all(other.factor == pytest.approx(1) for other in others)


def metadata_of(n: int) -> Any:
    return run_of({n: 1.0}).ours[0][1]


def test_a_step_within_the_scatter_is_not_marked() -> None:
    times = {512: 512e-9, 4096: 4096e-9, 32_768: 32_768e-9 * 1.05}
    assert scaling_of(times).jumps[0].beyond_scatter
    for more in ({"iqr": 1e-5 * 4}, {"rounds": 1}):  # one round has no scatter to be larger than
        assert not scaling_of(times, **more).jumps[0].beyond_scatter


def test_what_rises_inside_a_level_is_said() -> None:
    """As with a branch that is predicted until its pattern is too long."""
    cost = {4096: 1.0, 10_000: 1.0, 32_768: 3.0, 131_000: 3.0, 262_144: 15.0}
    found = scaling_of({n: 1e-9 * n * c for n, c in cost.items()})
    jump = found.largest_jump
    assert jump and jump.factor == pytest.approx(15) and jump.inside == pytest.approx(3)
    text = render(view.view(run_of({n: 1e-9 * n * c for n, c in cost.items()})), "text")
    assert "15.0x* L2 to L3, 3.00x of it inside L2" in text


def test_no_step_where_everything_becomes_faster() -> None:
    found = scaling_of({n: 1e-9 * n / math.log(n + 9) for n in LENGTHS})
    assert found.largest_jump is None or found.largest_jump.factor > 1
    assert scaling_of({512: 5e-7, 32_768: 2e-5}).largest_jump is None


def test_a_cost_that_told_the_overhead_is_not_shown_as_a_finding() -> None:
    """Two sizes: whatever is left of the first without the overhead equals the second."""
    found = scaling_of({512: 6e-7, 32_768: 33e-6})
    assert found.overhead and [point.work for point in found.fitted] == [32_768]
    assert found.jumps == []


def test_levels_have_exponents_of_their_own() -> None:
    times = {n: 1e-9 * n for n in (512, 1024, 4096)} | {n: 1e-9 * n**1.5 for n in (8192, 65_536)}
    found = scaling_of(times)
    exponents = {level: inside.fit for level, inside in found.levels.items()}
    assert exponents["L1"] and exponents["L1"].exponent == pytest.approx(1)
    assert exponents["L2"] == fits.Fit(pytest.approx(1.5), None, 2)


@pytest.mark.parametrize(
    ("variant", "shape", "threads", "level"),
    [
        ("c-avx2", (4096,), 1, "L1"),
        ("c-avx2", (4097,), 1, "L2"),
        ("c-avx2_omp", (8192,), 2, "L1"),  # half of it each
        ("c-avx2_omp", (8_000_000,), 2, "DRAM"),  # shared: not half
        ("py-loop", (512,), 1, "L1"),  # 64 bytes an element: two pointers, two objects
        ("py-loop", (513,), 1, "L2"),
        ("py-loop", (500, 500, 500), 1, "L3"),  # 24 MB, where the buffers take 3
        ("c-avx2", (500, 500, 500), 1, "L3"),
        ("c-avx2", (10_000_000,), 1, "DRAM"),
    ],
)
def test_the_level_is_that_of_what_is_touched(
    variant: str, shape: tuple[int, ...], threads: int, level: str
) -> None:
    benchmark = case(variant, shape, 1.0)
    benchmark["extra_info"]["threads"] = threads
    (found,) = scaling.scalings(from_json(content(benchmark)))
    assert found.points[0].level == level
    assert found.per == ("multiply-add" if len(shape) == 3 else "element")
    assert found.points[0].work == math.prod(shape)


def test_cache_sizes_of_an_old_run_come_from_its_limits() -> None:
    saved = json.loads(REFERENCE.read_text(encoding="utf-8"))
    told = saved["machine_info"].pop("caches")
    old = from_json(saved)
    assert not old.caches
    assert levels.cache_sizes(old) == told


def test_without_cache_sizes_there_is_no_level() -> None:
    run = from_json(content(*(case("c-avx2", (n,), 1e-9 * n) for n in LENGTHS), caches=None))
    (found,) = scaling.scalings(run)
    assert found.fit and found.levels == {} and found.jumps == []
    assert "does not say how large the caches are" in render(view.view(run), "text")


@pytest.mark.parametrize("caches", [[], {}, {"L1": 1, "L2": 2}, {**CACHES, "L3": 0}, {"L1": "32K"}])
def test_broken_cache_sizes_are_refused(caches: Any) -> None:
    with pytest.raises(BadRun, match=r"machine_info\.caches"):
        undamaged(from_json(content(case("c-avx2", (1,), 1.0), caches=caches)))


def test_a_run_says_how_large_the_caches_are() -> None:
    from bench.measure.machine import metadata

    machine: dict[str, Any] = {}
    metadata.complete(machine)
    run = from_json({"benchmarks": [case_without_metadata()], "machine_info": machine})
    assert list(run.caches) == ["L1", "L2", "L3"]
    assert list(run.caches.values()) == sorted(run.caches.values())


def test_shapes_without_work_and_beyond_belief_are_left_out() -> None:
    huge = case("c-avx2", (10**30,) * 20, 1.0)
    huge["extra_info"]["bytes"] = huge["extra_info"]["flops"] = 1
    run = from_json(content(case("c-avx2", (0,), 1e-7), case("c-avx2", (9,), 1e-6), huge))
    (found,) = scaling.scalings(run)
    assert [point.work for point in found.points] == [9]
    assert "c-avx2" in render(view.view(run), "text")


# --- Several runs --------------------------------------------------------------------------------


def test_runs_of_one_machine_complete_each_other() -> None:
    first, second = run_of({1: 3.0, 8: 4.0}), run_of({8: 5.0, 64: 6.0})
    (found,) = scaling.scalings(merged([first, second]))
    assert [(point.work, point.seconds) for point in found.points] == [(1, 3), (8, 4), (64, 6)]


# --- Measuring it --------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "cap"), [("10000", 0.6), ("4096", 0.2)])
def test_sizes_between_take_a_third_of_the_time(
    size: str, cap: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_caps = []

    def rounds(function: Any, args: Any, cap_seconds: float) -> Any:
        given_caps.append(cap_seconds)
        raise InterruptedError

    monkeypatch.setattr(session, "Rounds", rounds)
    benchmark = SimpleNamespace(extra_info={}, stats=None, disabled=False, fullname="of nobody")
    with pytest.raises(InterruptedError):
        session.Session(cap_seconds=0.6).measure(benchmark, "relu_f32", "py-loop", size)
    assert given_caps == pytest.approx([cap])
