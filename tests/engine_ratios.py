"""Our own variants of whole models against each other, in alternating rounds: one thread against
several, float32 against int8, a token in one call against the same kernels called from Python.

    python -m tests.engine_ratios [SECONDS]

Not a test: a table for whoever has a quiet machine. Libraries: python -m bench peers --kernel ...
"""

from __future__ import annotations

import sys
from statistics import quantiles

from bench.measure.calls import call_of
from bench.measure.cases.case import Case
from bench.measure.cases.make import make_case
from bench.measure.timing.paired import Pairing, Timed
from bench.suite import registry

PROGRAMS = {"decode": ("0", "128", "255"), "prefill": ("128",), "identify": ("2048",)}


def main(seconds: float) -> None:
    one = registry.first_available(registry.ON_ONE_THREAD)
    several = registry.first_available(registry.ON_SEVERAL_THREADS)
    print(f"{'':63} ratio   quartiles       first    second")
    for task, sizes in PROGRAMS.items():
        for size in sizes:
            float32, int8 = f"{task}_f32", f"{task}_i8"
            compare(seconds, size, (float32, f"c-{several}"), (float32, f"c-{one}"))
            compare(seconds, size, (int8, f"c-{several}"), (int8, f"c-{one}"))
            compare(seconds, size, (int8, f"c-{one}"), (float32, f"c-{one}"))
            if task != "identify":
                compare(seconds, size, (float32, f"c-{one}"), (float32, f"c-{one}_chained"))
                compare(seconds, size, (float32, f"c-{one}"), (float32, f"c-{one}_unpacked"))


def compare(seconds: float, size: str, first: tuple[str, str], second: tuple[str, str]) -> None:
    """Print how many times as long the second takes as the first."""
    cases = [verified(name, variant, size) for name, variant in (first, second)]
    pairing = Pairing(*(timed for _, timed in cases))
    pairing.take(seconds)
    low, middle, high = quantiles(pairing.ratios * 2, n=4)
    what = f"{' '.join(second)} / {' '.join(first)} {size}"
    times = f"{1e6 * pairing.first_minimum:9.1f} {1e6 * pairing.second_minimum:9.1f} us"
    print(f"{what:62} {middle:6.2f}   {low:.2f}-{high:.2f} {times}", flush=True)


def verified(name: str, variant: str, size: str) -> tuple[Case, Timed]:
    """The case, which its call points into, and rounds of it."""
    kernel = registry.kernel(name)
    case = make_case(kernel, kernel.shape_named(size))
    call = call_of(case, variant)
    case.run_and_verify(f"{name} {variant} {size}", call)
    return case, Timed(call.function, call.args)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 2.0)
