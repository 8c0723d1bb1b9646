"""Figures that follow from a run's times: added when its JSON is written, never measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.measure.machine.limits import Limits, limits_tier
from bench.measure.machine.roofline import least_seconds
from bench.measure.timing.rounds import ROUND_SECONDS
from bench.saved.schema import is_ours
from bench.suite import registry


def add_derived_figures(
    benchmarks: list[dict[str, Any]], limits: Mapping[str, Limits] | None = None
) -> None:
    """gflops, gbps, speedup, bound and percent_of_limit into the extra_info of each benchmark, as
    pytest-benchmark's JSON.

    speedup is against the fastest Python variant of the same kernel and shape, minimum against
    minimum; absent where no Python variant was measured in the run. bound and percent_of_limit are
    absent for Python, and without the limits of the registers that the variant uses (`limits`, by
    tier).
    """
    fastest_python: dict[tuple[str, str], float] = {}
    ours = [b for b in benchmarks if is_ours(b.get("extra_info")) and "kernel" in b["extra_info"]]
    for benchmark in ours:
        info = benchmark["extra_info"]
        if info["side"] == "python":
            case = (info["kernel"], info["size"])
            seconds = benchmark["stats"]["min"]
            fastest_python[case] = min(seconds, fastest_python.get(case, seconds))
    for benchmark in ours:
        info, seconds = benchmark["extra_info"], benchmark["stats"]["min"]
        info["gflops"] = info["flops"] / seconds / 1e9
        info["gbps"] = info["bytes"] / seconds / 1e9
        if "tokens" in info:
            info["tokens_per_second"] = info["tokens"] / seconds
            info["weights_gbps"] = info["weight_bytes"] / seconds / 1e9
        python = fastest_python.get((info["kernel"], info["size"]))
        if python is not None:
            info["speedup"] = python / seconds
        if limits and info["side"] != "python":
            own = limits.get(limits_tier(info["variant"]) or "")
            if own is not None:
                _add_limit(info, seconds, own)


def _add_limit(info: dict[str, Any], seconds: float, limits: Limits) -> None:
    kernel, shape = registry.kernel(info["kernel"]), tuple(info["shape"])
    least = least_seconds(kernel, shape, info["threads"], limits.caches, limits.best)
    if least is not None:
        info["bound"] = least[1]
        info["percent_of_limit"] = 100 * least[0] / seconds


def correct_options(benchmarks: list[dict[str, Any]]) -> None:
    """pytest-benchmark records its own settings; of those only these governed our rounds."""
    for benchmark in benchmarks:
        extra = benchmark.get("extra_info")
        if is_ours(extra) and {"kernel", "overhead"} & extra.keys():
            recorded = benchmark.get("options", {})
            benchmark["options"] = {
                "timer": "perf_counter",
                "disable_gc": True,
                "max_time": recorded.get("max_time"),
                "min_time": ROUND_SECONDS,
            }
