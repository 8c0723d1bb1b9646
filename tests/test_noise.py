"""pyperf's criteria, at their borders."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bench.analysis.noise import DEVIATION, EXTREME, FAR, SHORT, SHORTEST_ROUND, STDEV, signs
from bench.saved.runs import Result


def result(**changed: Any) -> Result:
    fine = {
        "fullname": "t", "group": "", "minimum": 0.95, "median": 1.0, "iqr": 0.02, "rounds": 9,
        "metadata": None, "maximum": 1.1, "mean": 1.0, "stddev": 0.03,
    }  # fmt: skip
    return Result(**{**fine, **changed})


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({}, set()),
        ({"stddev": DEVIATION - 1e-9}, set()),
        ({"stddev": DEVIATION}, {STDEV}),
        ({"maximum": 1 + EXTREME - 1e-9}, set()),
        ({"maximum": 1 + EXTREME}, {FAR}),
        ({"minimum": 1 - EXTREME}, {FAR}),
        ({"minimum": 1 - EXTREME + 1e-9}, set()),
        ({"stddev": 0.2, "maximum": 9.0}, {STDEV, FAR}),
        ({"stddev": 0.2, "maximum": 9.0, "rounds": 1}, set()),  # one round shows no noise
        ({"mean": float("nan")}, set()),  # not recorded
    ],
)
def test_criteria(changed: dict[str, Any], found: set[str]) -> None:
    assert signs(result(**changed)).keys() == found


@pytest.mark.parametrize(("iterations", "short"), [(1, True), (99, True), (100, False)])
def test_a_round_is_all_its_calls(iterations: int, short: bool) -> None:
    call = SHORTEST_ROUND / 100
    brief = result(minimum=call, median=call, maximum=call, mean=call, stddev=0.0)
    assert (SHORT in signs(replace(brief, iterations=iterations))) == short


def test_words_have_the_figures() -> None:
    found = signs(result(stddev=0.25, maximum=3.0))
    assert found[STDEV] == "standard deviation 25% of the mean"
    assert found[FAR] == "longest round +200% from the mean"
    assert signs(result(minimum=0.2, median=1.0))[FAR] == "shortest round -80% from the mean"
