"""Hand-made runs of one kernel at many sizes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from bench.analysis import scaling
from bench.measure.derived import add_derived_figures
from bench.saved.runs import Run, from_json
from bench.saved.schema import MARK
from tests.stats import MACHINE, OPTIONS, stats

REFERENCE = Path(__file__).resolve().parent.parent / "results/reference.json"
CACHES = {"L1": 32_768, "L2": 1_048_576, "L3": 33_554_432}
LENGTHS = tuple(8**n for n in range(8))  # 8 bytes each: 8 B, 64 B, ..., 16 MiB
SIDES = {"py": "python", "c": "native", "peer": "peer"}


def case(
    variant: str, shape: tuple[int, ...], seconds: float, confirmed: bool = True, **more: Any
) -> dict[str, Any]:
    size = "x".join(map(str, shape))
    return {
        "fullname": f"t.py::test_k[{variant}-{size}]",
        "stats": stats(seconds, **more),
        "options": OPTIONS,
        "extra_info": {
            **MARK,
            "kernel": "k",
            "variant": variant,
            "side": SIDES[variant.partition("-")[0]],
            "relaxed": False,
            "size": size,
            "shape": list(shape),
            "flops": math.prod(shape),
            "bytes": 8 * math.prod(shape) if len(shape) < 3 else 12 * shape[0] * shape[1],
            "rate": "GB/s",
            "max_error_ulp": 0,
            "error_unit": "steps",
            "confirmed": confirmed,
            "threads": 1,
        },
    }


def content(*benchmarks: dict[str, Any], **machine: Any) -> dict[str, Any]:
    add_derived_figures(list(benchmarks))
    described = {**MACHINE, "caches": CACHES, **machine}
    return {"benchmarks": list(benchmarks), "machine_info": described}


def run_of(times: dict[int, float], variant: str = "c-avx2", **more: Any) -> Run:
    return from_json(content(*(case(variant, (n,), t, **more) for n, t in times.items())))


def scaling_of(times: dict[int, float], variant: str = "c-avx2", **more: Any) -> scaling.Scaling:
    (found,) = scaling.scalings(run_of(times, variant, **more))
    return found


def case_without_metadata() -> dict[str, Any]:
    return {"fullname": "t.py::t", "stats": stats(1.0)}
