"""Which benchmarks of a run are noisy, by the criteria of pyperf's `check` command.

pyperf (Victor Stinner), "Analyze benchmark results": a standard deviation of 10 % of the mean or
more, a minimum or maximum 50 % from the mean or more, and values too short for the clock. Where it
asks for a millisecond we ask for what a clock with this step needs for 1 %.
"""

from __future__ import annotations

import math

from bench.saved.runs import Result

DEVIATION, EXTREME = 0.10, 0.50
# A round shorter than this is off by more than 1 % where the clock steps by 0.1 us, as Python's
# perf_counter does from one call to the next.
SHORTEST_ROUND = 1e-5

CRITERIA = STDEV, FAR, SHORT = "deviation", "extreme", "under-resolved"


def signs(result: Result) -> dict[str, str]:
    """By criterion what was seen, in words; empty for a benchmark that is fine. A single round
    shows no noise."""
    found: dict[str, str] = {}
    if result.rounds > 1 and math.isfinite(result.mean):
        share = result.stddev / result.mean
        if share >= DEVIATION:
            found[STDEV] = f"standard deviation {share:.0%} of the mean"
        longest, shortest = result.maximum / result.mean - 1, 1 - result.minimum / result.mean
        if max(longest, shortest) >= EXTREME:
            which = "longest round" if longest >= shortest else "shortest round"
            off = f"+{longest:.0%}" if longest >= shortest else f"-{shortest:.0%}"
            found[FAR] = f"{which} {off} from the mean"
    round_seconds = result.minimum * result.iterations
    if round_seconds < SHORTEST_ROUND:
        found[SHORT] = f"a round takes {round_seconds * 1e6:.2g} us"
    return found
