"""How benchmarks moved across the runs of a machine, and where their level changed for good."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import count

from bench.analysis.history import History, Track
from bench.stats.change_points import ChangePoint, change_points, scatter

# How often a benchmark may be said to have changed, and has not; and one of all of them.
_WRONG, _ANY_WRONG = 0.001, 0.05


@dataclass(frozen=True)
class Trend:
    """One benchmark that two runs have or more.

    changes  of its level, as run numbers of the history
    enough   whether there are runs enough to see one at all
    scatter  by how much its minima differ otherwise, as a share; None where too few runs say so
    """

    track: Track
    changes: tuple[ChangePoint, ...]
    enough: bool
    scatter: float | None

    @cached_property
    def known(self) -> list[float]:
        return [value for value in self.track.seconds if math.isfinite(value)]

    @property
    def relative(self) -> list[float]:
        """To the first run that has it; NaN where one lacks it."""
        return [value / self.known[0] for value in self.track.seconds]

    @property
    def moved(self) -> float:
        """By how much the last differs from the first, faster or slower."""
        return abs(math.log(self.known[-1] / self.known[0]))


def trends(history: History) -> dict[str, Trend]:
    """By fullname, in the order of the newest run."""
    counts = {n: sum(map(math.isfinite, t.seconds)) for n, t in history.tracks.items()}
    several = [name for name, count in counts.items() if count > 1]
    level = min(_WRONG, _ANY_WRONG / max(len(several), 1))
    found = {}
    for name in several:
        track = history.tracks[name]
        changes = tuple(change_points(track.seconds, level))
        enough = counts[name] >= fewest(level)
        found[name] = Trend(track, changes, enough, scatter(track.seconds, changes))
    return found


@lru_cache
def fewest(level: float) -> int:
    """Of so many runs on the cleanest of steps is found, in their middle; of fewer none, however
    large it is."""

    def step(runs: int) -> list[float]:
        """No two values alike, since ties tell less."""
        return [1 + i / 1e3 + 9 * (2 * i >= runs) for i in range(runs)]

    return next(runs for runs in count(2) if change_points(step(runs), level))
