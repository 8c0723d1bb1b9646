"""What pytest-benchmark writes of a benchmark's rounds, as far as it is read."""

from __future__ import annotations

from typing import Any

from bench.saved.schema import MARK

# What runs must say, for their times to be compared.
OPTIONS = {"timer": "perf_counter", "disable_gc": True}
MACHINE = {
    **MARK,
    "cpu": {"brand_raw": "A CPU"},
    "python_version": "3.11.7",
    "tiers": {"avx2": {"compiler": "g++ 12", "flags": ["-O3"], "key": "k1"}},
}


def stats(seconds: float, **more: Any) -> dict[str, Any]:
    """Nine rounds of the same time, but for what is said otherwise."""
    same = dict.fromkeys(("min", "max", "mean", "median"), seconds)
    return {**same, "stddev": 0.0, "iqr": 0.0, "rounds": 9, **more}
