"""`python -m bench contention`: the native tier on several threads beside others.

Every implementation is a process of its own that stands still unless it is asked. Conditions take
turns, and within each the implementations: a slow stretch of the machine meets all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any, TypeVar

import kernels_c
from bench.measure import peers
from bench.measure.cases.errors_in_ulp import WrongResult
from bench.measure.comparison import sizes
from bench.measure.comparison.neighbour import Neighbour
from bench.measure.comparison.participants import Participant
from bench.measure.machine import metadata
from bench.measure.machine.others import core_time, share_of_others
from bench.measure.peers.adapter import PeerUnavailable
from bench.saved.contention import QUIET
from bench.suite import registry

# Element by element long enough for several threads, and not a multiple of anything; products just
# beyond where several begin, and odd ones.
_SIZES: dict[str, tuple[str, ...]] = {
    "relu_f32": (f"600011{sizes.IN_PLACE}", "600011"),
    "gelu_erf_f32": ("600011",),
    "softmax_f32": ("600011",),
    "matmul_f32": ("240", "517"),
    "matmul_i8_i32": ("333",),
}
_QUICK_SIZES = {"gelu_erf_f32": ("600011",), "matmul_f32": ("240",)}
_TURNS = 7
_TRIALS, _BUSY_SECONDS, _AFTER_SECONDS = 7, 0.2, 0.3  # of recovery
_RECOVERED = 0.9  # of the speed without a neighbour

T = TypeVar("T")


@dataclass(frozen=True)
class Condition:
    """What goes on beside a call, or has gone on before it.

    lasting  seconds of a round, at least: several turns of the scheduler with a neighbour, and as
             long as every library's idle threads spin
    every    so many turns of the others there is one of this: some take seconds
    """

    name: str
    of: int = 5
    asleep: float = 0.0
    beside: str | None = None
    lasting: float = 0.0
    busy: bool = False
    fresh: bool = False
    every: int = 1


CONDITIONS = (
    Condition(QUIET),
    Condition("busy neighbour", of=1, busy=True, lasting=60e-3),
    *(
        Condition(f"beside {name}", of=3, beside=f"peer-{name}", lasting=8e-3)
        for name in ("torch", "onnxruntime", "numpy")
    ),
    Condition("after 10 ms", asleep=0.01),
    Condition("after 1 s", asleep=1.0, of=1, every=2),
    Condition("first call", fresh=True, every=2),
)
_EVERY = {condition.name: condition.every for condition in CONDITIONS}


@dataclass(frozen=True)
class Plan:
    """One cell: a kernel at a size, by one tier on several threads and one on one thread."""

    kernel: str
    size: str
    several: str
    one: str

    @property
    def variants(self) -> list[str]:
        """Of those that take part: both tiers, then the libraries that are here."""
        here = (name for name in registry.PEERS if peers.why_unavailable(name) is None)
        libraries = [f"peer-{name}" for name in here if self.kernel in registry.PEERS[name]]
        return [f"c-{self.several}", f"c-{self.one}", *libraries]


class Field:
    """Who takes part in a cell: both tiers and, as long as they are right, the libraries.

    times    by condition and variant: seconds a call, turn by turn
    refused  by library: why it takes no part, or no longer does
    """

    def __init__(
        self, plan: Plan, participants: Sequence[Participant], neighbour: Neighbour
    ) -> None:
        self.plan = plan
        self.times: dict[str, dict[str, list[float]]] = {}
        self.refused: dict[str, str] = {}
        self._participants = list(participants)
        self._neighbour = neighbour
        self._threads = metadata.usable_cores()

    def make(self) -> None:
        """Everyone's case, verified. Raises WrongResult where a kernel of ours is wrong."""
        what = self.plan.kernel, self.plan.size, self._threads
        for variant, grade in self._each(lambda participant: participant.make(*what)):
            if grade.inexact is not None and registry.side_and_name(variant)[0] == "native":
                raise WrongResult(grade.inexact)

    def turn(self, condition: Condition) -> None:
        """A round of everyone under the condition, first the one that came second last time."""
        self._participants[:2] = self._participants[1::-1]
        if condition.busy:
            self._neighbour.resume()
        try:
            for variant, seconds in self._each(lambda p: self._taken(condition, p)):
                times = self.times.setdefault(condition.name, {})
                times.setdefault(variant, []).append(seconds)
        finally:
            if condition.busy:
                self._neighbour.pause()

    def _taken(self, condition: Condition, participant: Participant) -> float:
        if not condition.fresh:
            return participant.round(
                condition.of, condition.asleep, condition.beside, condition.lasting
            )
        with closing(Participant(participant.variant)) as fresh:
            return fresh.first_call(self.plan.kernel, self.plan.size, self._threads)

    def _each(self, ask: Callable[[Participant], T]) -> Iterator[tuple[str, T]]:
        """What each says, by variant."""
        for participant in list(self._participants):
            said = self._said(participant, ask)
            if said is not None:
                yield participant.variant, said

    def _said(self, participant: Participant, ask: Callable[[Participant], T]) -> T | None:
        """A library that says why not is out."""
        try:
            return ask(participant)
        except (PeerUnavailable, WrongResult) as reason:
            side, name = registry.side_and_name(participant.variant)
            if side != "peer":
                raise
            self.refused[name] = str(reason)
            self._participants.remove(participant)
            return None

    def summary(self, name: str) -> dict[str, Any]:
        """What goes into the JSON of a condition: medians, of ratios those of the same turns."""
        times, several = self.times[name], f"c-{self.plan.several}"
        ours, single = times[several], times[f"c-{self.plan.one}"]
        quiet = self.times[QUIET][several][:: _EVERY[name]]
        here = [registry.side_and_name(p.variant)[1] for p in self._participants[2:]]
        return {
            "seconds": median(ours),
            "single_seconds": median(single),
            "speedup": _median_ratio(single, ours),
            "over_quiet": _median_ratio(ours, quiet),
            "turns": len(ours),
            "libraries": {name: _median_ratio(times[f"peer-{name}"], ours) for name in here},
        }


def _median_ratio(above: Sequence[float], below: Sequence[float]) -> float:
    return median(a / b for a, b in zip(above, below, strict=True))


def listed(kernel: str, quick: bool) -> Sequence[str]:
    return (_QUICK_SIZES if quick else _SIZES).get(kernel, ())


def plans(kernels: Sequence[str], wanted: Sequence[str], quick: bool) -> list[Plan]:
    """Every cell that was asked for. Raises ValueError for what does not exist,
    kernels_c.TierUnavailable."""
    if metadata.usable_cores() < 2:
        raise kernels_c.TierUnavailable("contention needs two cores, this process may use 1")
    several = registry.first_available(registry.ON_SEVERAL_THREADS)
    one = registry.first_available(registry.ON_ONE_THREAD)
    chosen = sizes.chosen(kernels, wanted, listed, quick)
    if not chosen:
        raise ValueError(f"--size: {' and '.join(kernels)} has none by default, needs one named")
    return [Plan(kernel, size, several, one) for kernel, size in chosen]


def measure_all(wanted: Sequence[Plan], seconds: float) -> Generator[dict[str, Any], None, None]:
    """Each cell as it goes into the JSON. Raises WrongResult when a kernel of ours is wrong."""
    with closing(Neighbour()) as neighbour:
        neighbour.spin()
        neighbour.pause()
        for plan in wanted:
            yield measure(plan, seconds, neighbour)


def measure(plan: Plan, seconds: float, neighbour: Neighbour) -> dict[str, Any]:
    """One cell: everyone verified, then turn by turn each condition, and what follows it."""
    with ExitStack() as stack:
        everyone = [stack.enter_context(closing(Participant(v))) for v in plan.variants]
        field = Field(plan, everyone, neighbour)
        field.make()
        conditions = [c for c in CONDITIONS if _why_not(c) is None]
        pids = [neighbour.pid, *(p.pid for p in everyone if p.pid is not None)]
        before = core_time(pids)
        deadline, turns = perf_counter() + seconds * len(conditions), 0
        while turns < _TURNS or perf_counter() < deadline:
            for condition in conditions:
                if turns % condition.every == 0:
                    field.turn(condition)
            turns += 1
        quiet = min(field.times[QUIET][everyone[0].variant])
        recoveries = [_recovery(everyone[0], quiet / _RECOVERED) for _ in range(_TRIALS)]
        others = share_of_others(before, core_time(pids))
    return {
        "kernel": plan.kernel,
        "size": plan.size,
        "threads": kernels_c.load_tier(plan.several).threads,
        "tier": plan.several,
        "single": plan.one,
        "conditions": {name: field.summary(name) for name in field.times},
        "recoveries_ms": recoveries,
        "refused": field.refused,
        "others": others,
    }


def _recovery(several: Participant, enough: float) -> float:
    """Milliseconds from the end of a busy neighbour until a call begins that takes so many seconds
    at most; all that was waited for, where none does."""
    with closing(Neighbour()) as neighbour:
        neighbour.spin(_BUSY_SECONDS)
        calls = several.timeline(_BUSY_SECONDS + _AFTER_SECONDS)
        ended = neighbour.ended()
    after = (begun for begun, seconds in calls if begun >= ended and seconds <= enough)
    return 1e3 * (next(after, calls[-1][0]) - ended)


def _why_not(condition: Condition) -> str | None:
    """Why there cannot be such a condition here; None if there can."""
    if condition.beside is None:
        return None
    return peers.why_unavailable(condition.beside.removeprefix("peer-"))


def unavailable() -> list[str]:
    """What could not take part, one line each."""
    reason = peers.why_not_installed()
    if reason is not None:
        return [reason]
    reasons = map(peers.why_unavailable, registry.PEERS)
    return [reason for reason in reasons if reason is not None]
