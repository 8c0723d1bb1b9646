"""Axes: ticks that can be read, whatever the values."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.views.report import axes
from bench.views.report.axes import WIDTH

positive = st.floats(1e-12, 1e12)


@given(st.lists(positive, min_size=1), st.floats(0, 0.5))
def test_a_logarithmic_axis_holds_all_values_and_has_ticks(
    values: list[float], room: float
) -> None:
    axis = axes.log_axis("x", values, lambda value: f"{value:g}", room)
    assert axis.low < min(values) and max(values) < axis.high
    places = [axis.place(value) for value, _ in axis.ticks]
    assert 2 <= len(places) <= 8 and places == sorted(set(places))
    assert all(axis.low <= value <= axis.high for value, _ in axis.ticks)
    assert axis.title == "x (log)"
    shown = sum(7.2 * len(label) for _, label in axis.ticks)
    assert shown < WIDTH


@given(st.floats(-1e3, 1e3), st.floats(1e-6, 1e6))
def test_a_linear_axis_has_round_ticks_inside(low: float, length: float) -> None:
    axis = axes.axis("x", low, low + length)
    ticks = [value for value, _ in axis.ticks]
    assert 2 <= len(ticks) <= 6 and ticks == sorted(set(ticks))
    edge = 1e-5 * max(abs(low), length)
    assert len({label for _, label in axis.ticks}) == len(ticks)
    assert low - edge <= ticks[0] and ticks[-1] <= low + length + edge


@given(positive, positive, positive)
def test_what_is_beyond_stands_at_the_edge(low: float, factor: float, value: float) -> None:
    axis = axes.Axis("x", low, low * (1 + factor), (), log=True)
    assert math.log10(low) <= axis.place(value) <= math.log10(low * (1 + factor))


def test_rows_go_from_the_top_down() -> None:
    axis = axes.row_axis(["a", "b" * 40])
    assert [value for value, _ in axis.ticks] == [0, -1]
    assert axis.ticks[1][1].startswith("…b") and len(axis.ticks[1][1]) == 23
    assert axis.low < -1 and axis.high > 0


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.5, "0.5x"), (1, "1x"), (1.05, "1.05x"), (20, "20x"), (1e4, "10,000x"), (1e6, "1Mx")],
)
def test_factors_at_ticks(value: float, shown: str) -> None:
    assert axes.times(value) == shown
