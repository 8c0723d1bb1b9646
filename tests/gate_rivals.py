"""Other gates' rules on the rounds that a self-check recorded.

    python -m bench gate selfcheck --gates 30 --record rounds.jsonl
    python -m tests.gate_rivals rounds.jsonl

Each rule sees what the gate's first stage saw, all rounds of both sides, which alternated in fresh
processes: more than the tools that use these rules give them.
"""

from __future__ import annotations

import json
import math
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median

from bench.gate.verdicts.verdict import FIRST_STAGE

Rounds = Sequence[float]


def u_test_p(base: Rounds, head: Rounds) -> float:
    """One-sided p-value of the head being slower, by the normal approximation (Mann and Whitney, On
    a Test of Whether One of Two Random Variables Is Stochastically Larger than the Other, Annals of
    Mathematical Statistics 18, 1947); ties share their rank."""
    ranked = sorted([(v, 0) for v in base] + [(v, 1) for v in head])
    rank_sum, start, ties = 0.0, 0, 0.0
    while start < len(ranked):
        end = start
        while end < len(ranked) and ranked[end][0] == ranked[start][0]:
            end += 1
        size = end - start
        rank_sum += sum(of_head for _, of_head in ranked[start:end]) * (start + end + 1) / 2
        ties += size**3 - size
        start = end
    m, n = len(base), len(head)
    u = rank_sum - n * (n + 1) / 2
    variance = m * n / 12 * (m + n + 1 - ties / ((m + n) * (m + n - 1)))
    return 0.5 * math.erfc((u - m * n / 2) / math.sqrt(2 * variance)) if variance else 1.0


def beyond(statistic: Callable[[Rounds], float], share: float) -> Callable[[Rounds, Rounds], bool]:
    return lambda base, head: statistic(head) > (1 + share) * statistic(base)


RULES: dict[str, Callable[[Rounds, Rounds], bool]] = {
    "min:5%": beyond(min, 0.05),
    "min:10%": beyond(min, 0.10),
    "mean:5%": beyond(fmean, 0.05),
    "mean:10%": beyond(fmean, 0.10),
    "median:5%": beyond(median, 0.05),
    "U-test at 0.05": lambda base, head: u_test_p(base, head) < 0.05,
    "U-test at 0.05 and median 1%": lambda base, head: (
        median(head) > 1.01 * median(base) and u_test_p(base, head) < 0.05
    ),
}


@dataclass
class Recorded:
    """One gate's rounds: by benchmark, a list for each sample of the first stage."""

    kind: str
    injected: dict[str, float]
    samples: dict[str, list[tuple[Rounds, Rounds]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def pooled(self, name: str) -> tuple[list[float], list[float]]:
        bases, heads = zip(*self.samples[name], strict=True)
        return [v for b in bases for v in b], [v for h in heads for v in h]


def read(paths: Sequence[Path]) -> Iterator[Recorded]:
    gate: Recorded | None = None
    for path in paths:
        with path.open(encoding="utf-8") as file:
            for line in map(json.loads, file):
                if "gate" in line:
                    if gate is not None:
                        yield gate
                    gate = Recorded(line["gate"], line["injected"])
                elif gate is not None and len(gate.samples[line["name"]]) < FIRST_STAGE:
                    rounds = (line["base_rounds"], line["head_rounds"])
                    gate.samples[line["name"]].append(rounds)
    if gate is not None:
        yield gate


def main(paths: Sequence[Path]) -> int:
    gates = dict.fromkeys(RULES, 0)  # with a false alarm
    alarms = dict(gates)
    caught: dict[str, dict[float, int]] = {rule: defaultdict(int) for rule in RULES}
    victims: dict[float, int] = defaultdict(int)
    total = innocent = 0
    for gate in read(paths):
        total += 1
        alarmed = set()
        for name in gate.samples:
            base, head = gate.pooled(name)
            injected = gate.injected.get(name, 0.0)
            if injected:
                victims[injected] += 1
            else:
                innocent += 1
            for rule, is_slower in RULES.items():
                if not is_slower(base, head):
                    continue
                if injected:
                    caught[rule][injected] += 1
                else:
                    alarms[rule] += 1
                    alarmed.add(rule)
        for rule in alarmed:
            gates[rule] += 1
    print(f"{total} gates, {innocent} benchmarks that had not changed")
    print("| rule | gates with a false alarm | benchmarks blamed |", end="")
    print("".join(f" {100 * p:g} % caught |" for p in sorted(victims)))
    for rule in RULES:
        hits = "".join(
            f" {100 * caught[rule][p] / victims[p]:.0f} % of {victims[p]} |"
            for p in sorted(victims)
        )
        print(f"| {rule} | {gates[rule]} of {total} | {alarms[rule]} of {innocent} |{hits}")
    return 0


if __name__ == "__main__":
    sys.exit(main([Path(name) for name in sys.argv[1:]]))
