"""What pytest-benchmark writes of a benchmark's rounds, as far as it is read."""

from __future__ import annotations

from typing import Any


def stats(seconds: float, **more: Any) -> dict[str, Any]:
    """Nine rounds of the same time, but for what is said otherwise."""
    same = dict.fromkeys(("min", "max", "mean", "median"), seconds)
    return {**same, "stddev": 0.0, "iqr": 0.0, "rounds": 9, **more}
