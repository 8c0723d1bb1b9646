"""`python -m bench peers`: native against every library, cell by cell, in alternating rounds."""

from __future__ import annotations

import itertools
import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Protocol

import kernels_c
from bench.measure import peers
from bench.measure.calls import call_of
from bench.measure.cases.errors_in_ulp import WrongResult
from bench.measure.comparison import content
from bench.measure.comparison import sizes as cells
from bench.measure.machine import metadata
from bench.measure.machine.others import core_time, share_of_others
from bench.measure.peers.adapter import PeerUnavailable
from bench.measure.timing.paired import Pairing, Takes, Timed, in_turn
from bench.saved.peers import KIND
from bench.stats.rank import FEWEST, estimate
from bench.suite import registry

if TYPE_CHECKING:
    from bench.measure.comparison.grade import Grade
    from bench.measure.comparison.participants import Participant

# Of calls this slow there are fewer pairs of rounds.
_SLOW_SECONDS = 0.25
# Set, each pins a library to what an older or smaller CPU would get.
_HOLDING_BACK = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "MKL_ENABLE_INSTRUCTIONS")


@dataclass(frozen=True)
class Plan:
    """One cell: a kernel at a size, on so many threads, by one tier."""

    kernel: str
    size: str
    threads: int
    tier: str

    @property
    def name(self) -> str:
        return f"{self.kernel} {self.size}"


def plans(
    kernels: Sequence[str],
    sizes: Sequence[str],
    threads: Sequence[int],
    tier: str | None,
    quick: bool,
) -> list[Plan]:
    """Every cell that was asked for, one thread first; empty sequences and None ask for the
    default. Raises ValueError for what does not exist, kernels_c.TierUnavailable."""
    cores = metadata.usable_cores()
    if not threads:
        threads = [n for n in (1, 2) if n <= cores]
        if tier is not None:
            threads = threads[-1:] if tier in registry.ON_SEVERAL_THREADS else threads[:1]
    for n in threads:
        if not 1 <= n <= cores:
            raise ValueError(f"--threads: got {n}, this process may use 1 to {cores}")
    for kernel in kernels:
        if not cells.sizes(registry.kernel(kernel).name, quick):
            raise ValueError(f"--kernel: no library has {kernel}")
    chosen = cells.chosen(kernels, sizes, cells.sizes, quick)
    natives = {n: _tier(n, tier) for n in threads}
    return [Plan(*what, n, native) for n, native in natives.items() for what in chosen]


def _tier(threads: int, asked_for: str | None) -> str:
    """The tier to run on so many threads."""
    if asked_for is not None:
        if threads > 1 and asked_for not in registry.ON_SEVERAL_THREADS:
            raise ValueError(f"--tier: {asked_for} runs on one thread, got --threads {threads}")
        kernels_c.load_tier(asked_for)
        return asked_for
    able = registry.ON_ONE_THREAD if threads == 1 else registry.ON_SEVERAL_THREADS
    return registry.first_available(able)


def measure_all(
    wanted: Sequence[Plan], seconds: float, apart: bool = False
) -> Generator[dict[str, Any], None, None]:
    """Each cell as it goes into the JSON. `apart`: on one thread, too, each library in a process of
    its own. Raises WrongResult when a kernel of ours is wrong."""
    for (threads, tier), plans_of in itertools.groupby(wanted, lambda p: (p.threads, p.tier)):
        with ExitStack() as stack:
            apart_here = participants(tier, stack) if apart or threads > 1 else None
            for plan in plans_of:
                # Anew for each: ONNX Runtime and others may have loaded more in between.
                with peers.limited_threads(threads, *registry.PEERS):
                    cell = measure(plan, seconds, apart_here)
                yield cell


def participants(tier: str, stack: ExitStack) -> dict[str, Participant]:
    """The tier and every library that is here, by variant; they end with the stack."""
    from bench.measure.comparison.participants import Participant

    here = [f"peer-{name}" for name in registry.PEERS if peers.why_unavailable(name) is None]
    made = {variant: Participant(variant) for variant in (f"c-{tier}", *here)}
    for participant in made.values():
        stack.callback(participant.close)
    return made


class Together:
    """All in this process, on the same buffers."""

    least_pairs = 15
    turn = 0.1

    def __init__(self, plan: Plan) -> None:
        from bench.measure.comparison.reference import Reference

        self._plan = plan
        self._case = cells.make(plan.kernel, plan.size)
        self._reference = Reference(self._case)

    def make(self, variant: str) -> tuple[Grade, Takes]:
        call = call_of(self._case, variant, self._plan.threads)
        what = f"{self._plan.name} {registry.side_and_name(variant)[1]}"
        grade = self._reference.grade(what, call)
        self._case.prepare(call)  # inputs as they were, where a call replaced them
        return grade, Timed(call.function, call.args)


class Apart:
    """Each in a process of its own; all others stand still."""

    least_pairs = 12  # they are dear; of so many the interval leaves out two at either end
    turn = 0.0  # each round warms up by itself

    def __init__(self, plan: Plan, here: Mapping[str, Participant]) -> None:
        self._plan = plan
        self._here = here

    def make(self, variant: str) -> tuple[Grade, Takes]:
        participant = self._here[variant]
        return participant.make(self._plan.kernel, self._plan.size, self._plan.threads), participant


class Makes(Protocol):
    """least_pairs: of rounds that every library gets, whatever they cost.
    turn: of the seconds of a library, how much it gets at a time."""

    least_pairs: int
    turn: float

    def make(self, variant: str) -> tuple[Grade, Takes]:
        """The variant's result, verified, and what rounds of it can be taken of."""


def measure(
    plan: Plan, seconds: float, apart: Mapping[str, Participant] | None = None
) -> dict[str, Any]:
    """One cell: everyone verified, then each library in alternation with the native tier; in this
    process, or in those that are given."""
    running = [] if apart is None else list(apart.values())
    before = core_time(p.pid for p in running if p.pid is not None)
    cell = _measured(plan, seconds, Together(plan) if apart is None else Apart(plan, apart))
    after = core_time(p.pid for p in running if p.pid is not None)
    return {**cell, "apart": apart is not None, "others": share_of_others(before, after)}


def _measured(plan: Plan, seconds: float, makes: Makes) -> dict[str, Any]:
    grade, native = makes.make(f"c-{plan.tier}")
    if grade.inexact is not None:
        raise WrongResult(grade.inexact)
    libraries: dict[str, dict[str, Any]] = {}
    pairings: dict[str, Pairing] = {}
    for name in registry.libraries_of(plan.kernel):
        if peers.why_unavailable(name) is not None:
            continue
        try:
            theirs, call = makes.make(f"peer-{name}")
        except PeerUnavailable as reason:
            libraries[name] = {"unavailable": str(reason)}
        except Exception as error:  # whatever their code raises ends their cell, not ours
            libraries[name] = {"wrong": peers.reason_of(error, f"{plan.name} {name}")}
        else:
            pairings[name] = Pairing(native, call)
            libraries[name] = {"max_error_ulp": theirs.max_error, "inexact": theirs.inexact}
    turns = in_turn(
        native,
        pairings,
        seconds,
        lambda p: FEWEST if p.second_minimum > _SLOW_SECONDS else makes.least_pairs,
        turn=seconds * makes.turn,
    )
    for name, raised in turns.failed.items():
        del pairings[name]
        libraries[name] = {"wrong": peers.reason_of(raised, f"{plan.name} {name}")}
    for name, pairing in pairings.items():
        libraries[name] |= {
            **asdict(estimate(pairing.ratios)),
            "pairs": len(pairing.ratios),
            "min_seconds": pairing.second_minimum,
        }
    fastest = min(turns.first)
    return {
        "kernel": plan.kernel,
        "size": plan.size,
        "shape": list(cells.shape_of(plan.kernel, plan.size)),
        "threads": plan.threads,
        "tier": plan.tier,
        "min_seconds": fastest if pairings else None,
        "median_over_min": median(turns.first) / fastest,
        "max_error_ulp": grade.max_error,
        "error_unit": registry.kernel(plan.kernel).error_unit.value,
        "peers": libraries,
    }


def saved_content(measured: Sequence[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """The JSON of a comparison: what was measured, on what and with what."""
    from threadpoolctl import threadpool_info

    blas = [
        {**info, "filepath": Path(info["filepath"]).name}  # a name says enough, and nothing private
        for info in threadpool_info()
    ]
    return content.saved_content(
        KIND,
        measured,
        warnings(blas),
        libraries=peers.metadata(),
        thread_pools=blas,
        environment={name: os.environ[name] for name in _HOLDING_BACK if name in os.environ},
        seconds=seconds,
    )


def warnings(thread_pools: Sequence[dict[str, Any]]) -> list[str]:
    """What keeps a library below its best here, one line each."""
    held = [name for name in _HOLDING_BACK if name in os.environ]
    lines = []
    if held:
        lines.append(
            f"libraries are held back by {' and '.join(held)} in the environment; unset it for "
            "their full speed"
        )
    for pool in thread_pools:
        if pool.get("internal_api") == "blis" and pool.get("architecture") == "generic":
            lines.append(
                f"blis {pool.get('version')} does not know this CPU and runs its generic kernels; "
                "BLIS_ARCH_TYPE chooses others (docs/measuring.md)"
            )
            break
    return lines
