"""How often change points are marked where nothing changed, and found where something did.

    python -m tests.change_point_rates [LEVEL [SEED]]

Takes a minute or two. Every share comes with its 95 % limits. A planted step counts as found if a
point is within two runs of it. The noise has a standard deviation of 1 % and what its name adds.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from random import Random
from statistics import fmean

from bench.stats.binomial import binomial_bounds
from bench.stats.change_points import ChangePoint, change_points

Noise = Callable[[Random, int], list[float]]
STEPS = (0.02, 0.03, 0.05, 0.10, 0.30)
NEAR = 2  # runs


def gaussian(draw: Random, n: int, deviation: float = 0.01) -> list[float]:
    return [math.exp(draw.gauss(0, deviation)) for _ in range(n)]


def skewed(draw: Random, n: int) -> list[float]:
    """Nothing is faster than the machine, and one run in twenty is up to twice as slow."""
    return [
        math.exp(abs(draw.gauss(0, 0.01))) * (1 + (draw.random() < 0.05) * draw.random())
        for _ in range(n)
    ]


def bimodal(share: float, factor: float) -> Noise:
    return lambda draw, n: [x * (factor if draw.random() < share else 1) for x in gaussian(draw, n)]


def correlated(rho: float) -> Noise:
    """An autoregressive process of first order."""

    def noise(draw: Random, n: int) -> list[float]:
        state, values = draw.gauss(0, 1), []
        for _ in range(n):
            values.append(math.exp(0.01 * state))
            state = rho * state + math.sqrt(1 - rho * rho) * draw.gauss(0, 1)
        return values

    return noise


def neighbour(stays: float, share: float = 0.2, factor: float = 1.1) -> Noise:
    """Another program comes and goes: a tenth slower for so many runs in a row on average."""

    def noise(draw: Random, n: int) -> list[float]:
        busy, values = draw.random() < share, []
        for x in gaussian(draw, n):
            values.append(x * (factor if busy else 1))
            if draw.random() < (1 / stays if busy else share / (1 - share) / stays):
                busy = not busy
        return values

    return noise


def coarse(draw: Random, n: int) -> list[float]:
    """A clock that tells half a dozen values apart."""
    return [1 + round(draw.gauss(0, 1)) / 100 for _ in range(n)]


NOISE: dict[str, Noise] = {
    "gaussian": gaussian,
    "skewed, 5 % up to 2x": skewed,
    "10 % of runs at 1.15x": bimodal(0.1, 1.15),
    "30 % of runs at 1.5x": bimodal(0.3, 1.5),
    "coarse clock": coarse,
    "AR(1), rho 0.3": correlated(0.3),
    "AR(1), rho 0.5": correlated(0.5),
    "AR(1), rho 0.7": correlated(0.7),
    "neighbour for 2 runs": neighbour(2),
    "neighbour for 4 runs": neighbour(4),
}


def planted(values: Sequence[float], steps: dict[int, float]) -> list[float]:
    """The values, times a factor from each index on."""
    return [
        x * math.prod(factor for at, factor in steps.items() if at <= i)
        for i, x in enumerate(values)
    ]


def near(points: Sequence[ChangePoint], index: int) -> ChangePoint | None:
    """The point that marks the step at the index, if any does."""
    nearest = min(points, key=lambda point: abs(point.index - index), default=None)
    return nearest if nearest and abs(nearest.index - index) <= NEAR else None


def percent(successes: int, trials: int) -> str:
    bounds = binomial_bounds(successes, trials)
    shares = (100 * x for x in (successes / max(trials, 1), bounds.low, bounds.high))
    share, low, high = (f"{x:.0f}" if x >= 9.95 else f"{x:.2g}" for x in shares)
    return f"{share} ({low}-{high})"


def row(title: str, cells: Sequence[str]) -> None:
    print(f"{title:24}" + "".join(f"{cell:>19}" for cell in cells), flush=True)


def false_alarms(level: float, seed: int) -> None:
    sizes = {20: 2000, 100: 1000, 1000: 200}
    row("\nseries with a point, %", [f"{trials} of {n} runs" for n, trials in sizes.items()])
    for name, noise in NOISE.items():
        draw = Random(seed)
        row(name, [
            percent(sum(bool(change_points(noise(draw, n), level)) for _ in range(trials)), trials)
            for n, trials in sizes.items()
        ])  # fmt: skip


def drifts(level: float, seed: int) -> None:
    sizes = {50: 200, 100: 200, 1000: 20}
    row("\npoints in 2 % of drift", [f"{n} runs" for n in sizes])
    for deviation in (0.005, 0.01, 0.02):
        draw, cells = Random(seed), []
        for n, trials in sizes.items():
            counts = []
            for _ in range(trials):
                noise = gaussian(draw, n, deviation)
                drifting = [x * (1 + 0.02 * i / n) for i, x in enumerate(noise)]
                counts.append(len(change_points(drifting, level)))
            cells.append(f"{fmean(counts):.2g}, at most {max(counts)}")
        row(f"noise {100 * deviation:g} %", cells)


def detections(level: float, seed: int, name: str, trials: int = 200) -> None:
    """One step, and a step that is taken back; of those found, the index and the interval."""
    row(f"\n{name}: found, %", [f"{100 * step:g} %" for step in STEPS])
    shapes = [(5, 5), (10, 10), (20, 20), (50, 50), (20, 5), (50, 3), (50, 5), (50, 10), (200, 4)]
    stretches = [(20, 10, 20), (50, 5, 50), (50, 10, 50), (50, 20, 50)]
    exact: list[bool] = []
    held: list[bool] = []
    others = series = 0
    for shape in (*shapes, *stretches):
        draw, cells = Random(seed), []
        for step in STEPS:
            steps = {shape[0]: 1 + step}
            if len(shape) == 3:
                steps[shape[0] + shape[1]] = 1 / (1 + step)
            found = 0
            for _ in range(trials):
                points = change_points(planted(NOISE[name](draw, sum(shape)), steps), level)
                marks = {at: mark for at in steps if (mark := near(points, at))}
                found += len(marks) == len(steps)
                others, series = others + len(points) - len(marks), series + 1
                exact += [mark.index == at for at, mark in marks.items()]
                held += [mark.low <= steps[at] <= mark.high for at, mark in marks.items()]
            cells.append(percent(found, trials))
        row(" + ".join(map(str, shape)) + (" (back)" if len(shape) == 3 else ""), cells)
    print(
        f"of those found, at the very run: {percent(sum(exact), len(exact))} %;"
        f" interval holds the step: {percent(sum(held), len(held))} %;"
        f" other points in a series: {others / series:.3f}"
    )


def speed(level: float, seed: int) -> None:
    print()
    for name in ("gaussian", "AR(1), rho 0.5"):
        for n, series in ((100, 1000), (1000, 100), (10_000, 10)):
            draw = Random(seed)
            made = [planted(NOISE[name](draw, n), {n // 2: 1.05}) for _ in range(series)]
            began = time.process_time()
            for values in made:
                change_points(values, level)
            used = time.process_time() - began
            print(f"{name}, a step in {series} series of {n} runs: {used:.2f} s of CPU")


def main(level: float = 0.001, seed: int = 1) -> int:
    print(f"level {level:g}, seed {seed}")
    false_alarms(level, seed)
    drifts(level, seed)
    for name in ("gaussian", "skewed, 5 % up to 2x", "AR(1), rho 0.5"):
        detections(level, seed, name)
    speed(level, seed)
    return 0


if __name__ == "__main__":
    sys.exit(main(*(kind(arg) for kind, arg in zip((float, int), sys.argv[1:], strict=False))))
