"""One benchmark session: makes cases, verifies, times, and withdraws what proved wrong."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from bench.measure import peers, split
from bench.measure.calls import call_of
from bench.measure.cases.case import Call, Case
from bench.measure.cases.errors_in_ulp import WrongResult
from bench.measure.cases.make import edge_cases, make_case
from bench.measure.derived import add_derived_figures, correct_options
from bench.measure.doctor import checkup
from bench.measure.evidence import bytecodes
from bench.measure.evidence.collect import add_evidence
from bench.measure.machine.limits import Limits, Machine
from bench.measure.machine.others import CoreTime, core_time, share_of_programs, share_stolen
from bench.measure.machine.roofline import ceilings
from bench.measure.peers.adapter import PeerUnavailable
from bench.measure.saving import readable, withdraw
from bench.measure.timing.minimum import Rounds, record
from bench.measure.timing.paired import Pairing, Timed
from bench.saved import doctor, runs
from bench.saved.schema import MARK, Run
from bench.suite import ladder, registry
from bench.suite.registry import Kernel, Signature

# Of a case's cap, at a size that the default run leaves out (--explain): there are twice as many of
# those, and what is asked of them is a line through all.
_SHARE_BETWEEN = 1 / 3
SLOW_SECONDS = 4.0  # no further round when the case has taken this long
# What goes through several kernels.
_CHAINS = (Signature.QUANTIZED_PRODUCT, Signature.PROGRAM, Signature.PROGRAM_I8)
# Two rungs of the ladder alternate for this share of the cap, or until there are so many pairs, the
# cap at most; not at all if one call of each takes longer than this.
_STEP_SHARE = 0.2
_STEP_PAIRS = 12
_STEP_SECONDS = 0.06
_STRETCHES = 4


class Session:
    """What the benchmarks of one pytest run share: the newest case, and what has failed."""

    def __init__(
        self, cap_seconds: float, peer_threads: int = 1, slow_seconds: float = SLOW_SECONDS
    ) -> None:
        self.cap_seconds = cap_seconds  # a case that takes longer ends unconfirmed
        self.slow_seconds = slow_seconds
        self.peer_threads = peer_threads
        self.refused_peers: dict[str, str] = {}  # "torch relu_f32 100": why it was not timed
        self._names: set[str] = set()  # of the benchmarks that were measured here
        self._case: Case | None = None
        self._machine = Machine()
        self._passed_edge_cases: set[tuple[str, str]] = set()
        self._failed: dict[tuple[str, str], str] = {}
        self._recorded: dict[tuple[str, str], list[Any]] = {}
        self._bytecodes: dict[str, dict[str, float]] = {}  # by kernel: its loop's
        # Of the newest case: each variant's call and its shortest time.
        self._verified: dict[str, tuple[Call, float]] = {}
        self._checkup: doctor.Checkup | None = None
        self._began: CoreTime | None = None

    def look_at_machine(self, say: Callable[[str], None]) -> None:
        """Before the first case, in less than a second: what will spoil its times."""
        self._began = core_time([])
        try:
            self._checkup = checkup.take(checkup.BEFORE_A_RUN)
        except Exception as error:  # whatever it was, the times can be taken
            say(f"what may spoil the times was not looked at: {error!r}")

    def machine_info(self) -> dict[str, Any]:
        """What was found then, and who else has had the cores since, as shares of their time from
        0 to 1 (None: not known); nothing where nobody looked."""
        found: dict[str, Any] = {}
        if self._checkup is not None:
            found["doctor"] = doctor.as_json(self._checkup)
        if self._began is not None:
            now = core_time([])
            found["steal"] = share_stolen(self._began, now)
            found["other_programs"] = share_of_programs(self._began, now)
        return found

    def measure(self, benchmark: Any, name: str, variant: str, size: str) -> None:
        """Verify, then time, one case into pytest-benchmark's fixture. Whatever this raises, the
        case itself is withdrawn with its test (saving.Whole).

        Raises WrongResult, or what the kernel raised, and then no figure of this kernel and variant
        is kept, at any size; kernels_c.TierUnavailable when the CPU or the build lacks the tier;
        PeerUnavailable when a library is not here, or is wrong at this size.
        """
        kernel = registry.kernel(name)
        case = self._case_for(kernel, size)
        benchmark.group = f"{name} {size}"
        self._names.add(benchmark.fullname)
        benchmark.extra_info.update(static_metadata(kernel, variant, size))
        side, library = registry.side_and_name(variant)
        # Before a library's threads are set: how many cores the machine has depends on it.
        limits = None if side == "python" else self._machine.limits(variant)
        if side == "peer":
            self._measure_peer(benchmark, case, library, f"{name} {size}", limits)
            return
        call = call_of(case, variant)
        if side == "native":
            benchmark.extra_info["threads"] = call.threads
        try:
            if (name, variant) in self._failed:
                reason = self._failed[name, variant]
                raise WrongResult(f"{name} {variant} is already known to be wrong: {reason}")
            self._verify_edge_cases(kernel, variant, call.implementation)
            self._verify_and_time(benchmark, case, call, f"{name} {variant} {size}", limits)
            if variant == "py-loop" and kernel.signature not in _CHAINS:
                # Of a chain of kernels each does its share of them, which depends on the shape.
                if name not in self._bytecodes:
                    self._bytecodes[name] = bytecodes.of_loop(kernel)
                benchmark.extra_info["bytecodes"] = self._bytecodes[name]
            if not benchmark.disabled:
                self._paired_ratio(benchmark, kernel, variant, call)
                if split.applies(case, variant):
                    benchmark.extra_info["split"] = split.of_token(case, variant)
        except MemoryError:  # what is too large for this machine is not wrong
            raise
        except Exception as error:  # whatever it was: nothing of a kernel that fails is kept
            self._withdraw(name, variant, str(error))
            raise
        self._recorded.setdefault((name, variant), []).append(benchmark)

    def _measure_peer(
        self, benchmark: Any, case: Case, library: str, what: str, limits: Limits | None
    ) -> None:
        """Other people's code fails nobody's run: what is wrong is not timed, and the reason kept.
        The edge cases are for kernels whose times we answer for."""
        benchmark.extra_info["threads"] = self.peer_threads
        try:
            with peers.limited_threads(self.peer_threads, library):
                call = call_of(case, f"peer-{library}", self.peer_threads)
                self._verify_and_time(benchmark, case, call, f"{what} peer-{library}", limits)
        except Exception as error:
            reason = peers.reason_of(error, f"{what} {library}")
            if not isinstance(error, PeerUnavailable):
                self.refused_peers[f"{library} {what}"] = reason
            raise PeerUnavailable(reason) from None

    def _case_for(self, kernel: Kernel, size: str) -> Case:
        shape = kernel.shape_named(size)
        if self._case is None or (self._case.kernel, self._case.shape) != (kernel, shape):
            self._case = None  # the old case's memory goes before the new one's comes
            self._verified.clear()
            self._case = make_case(kernel, shape)
        return self._case

    def _verify_and_time(
        self, benchmark: Any, case: Case, call: Call, what: str, limits: Limits | None
    ) -> None:
        """With the ceilings of a native case, or a library's, measured before and after it."""
        is_default = case.shape in case.kernel.shapes()
        cap = self.cap_seconds * case.kernel.share * (1 if is_default else _SHARE_BETWEEN)
        rounds = Rounds(call.function, call.args, cap)
        slow = call.implementation == "python" and case.slow_in_python
        if slow or benchmark.disabled:
            case.prepare(call)
            returned = benchmark.pedantic(call.function, call.args)
            metadata = case.verify(what, call, returned)
            if not benchmark.disabled:
                for seconds in rounds.few(
                    case.slow_rounds, self.slow_seconds, benchmark.stats.stats.data
                ):
                    benchmark.stats.update(seconds)
        else:
            metadata = case.run_and_verify(what, call)
            verified = case.output(call)
            with (
                nullcontext()
                if limits is None
                else limits.beside(ceilings(case.kernel, case.shape, call.threads, limits.caches))
            ):
                record(benchmark, rounds)
            if case.output(call) != verified:
                raise WrongResult(f"{what}: a later call gave another result than the verified one")
        benchmark.extra_info.update(
            metadata, confirmed=rounds.confirmed, uncertainty=rounds.uncertainty
        )

    def _paired_ratio(self, benchmark: Any, kernel: Kernel, variant: str, call: Call) -> None:
        """How many times as fast this is as the nearest rung of the ladder below that was verified
        on the same case: the ratio of their minima over rounds in alternation, which meet the same
        machine. Not where calls are too long for that, nor for several threads, whose rounds would
        have to be longer still."""
        seconds = benchmark.stats.stats.min
        self._verified[variant] = call, seconds
        lower = next((v for v in ladder.below(kernel, variant) if v in self._verified), None)
        if lower is None:
            return
        other, other_seconds = self._verified[lower]
        if call.threads + other.threads > 2 or seconds + other_seconds > _STEP_SECONDS:
            return
        this, below = Timed(call.function, call.args), Timed(other.function, other.args)
        stretches = [Pairing(this, below) for _ in range(_STRETCHES)]
        cap = self.cap_seconds * kernel.share
        enough = min(_STEP_PAIRS * (seconds + other_seconds), cap)
        for stretch in stretches:
            stretch.take(max(_STEP_SHARE * cap, enough) / _STRETCHES)
        ratios = [s.second_minimum / s.first_minimum for s in stretches]
        best = min(s.first_minimum for s in stretches)
        benchmark.extra_info["paired_ratio"] = {
            "over": lower,
            "ratio": min(s.second_minimum for s in stretches) / best,
            "low": min(ratios),
            "high": max(ratios),
            "pairs": sum(len(s.ratios) for s in stretches),
        }

    def limits(self) -> dict[str, Limits]:
        """By tier, what has been measured of those whose registers a case has used; none where only
        Python was timed, or nothing can be measured."""
        return {tier: limits for tier, limits in self._machine.by_tier.items() if limits.best}

    def add_figures(self, run: dict[str, Any]) -> None:
        """What follows from the times and the limits so far into a run, as pytest-benchmark's JSON;
        to do so again does no harm."""
        limits = self.limits()
        if limits:
            rows = [row for of_tier in limits.values() for row in of_tier.as_rows()]
            run["machine_info"]["limits"] = rows
        add_derived_figures(self._own(run)["benchmarks"], limits)
        correct_options(run["benchmarks"])

    def run_of(self, benchmarks: list[dict[str, Any]], machine: dict[str, Any]) -> Run | None:
        """What was just measured, as it is read from a saved run; None where nothing is left."""
        self.add_figures({"benchmarks": benchmarks, "machine_info": machine})
        benchmarks, _ = readable(benchmarks)
        content = {"benchmarks": benchmarks, "machine_info": machine}
        return runs.from_json(content) if benchmarks else None

    def _own(self, run: dict[str, Any]) -> dict[str, Any]:
        """The run with those benchmarks alone that this session has measured: what another test
        writes into its extra_info does not make it one of them."""
        return {**run, "benchmarks": [b for b in run["benchmarks"] if b["fullname"] in self._names]}

    def complete(
        self, saved: list[dict[str, Any]], counting: bool, say: Callable[[str], None]
    ) -> bool:
        """What takes long, when all timing is done: the limits that no case has met, and evidence.
        Returns whether it was interrupted.

        saved     one session's runs; what they say of a benchmark is the same object in all
        """
        limits = self.limits().values()
        if any(of_tier.missing for of_tier in limits):
            say("measuring the limits that no case has met: some ten seconds")
        for of_tier in limits:
            of_tier.complete()
        for run in saved:
            self.add_figures(run)
        return any(add_evidence(self._own(run), counting, say) for run in saved[:1])

    def _verify_edge_cases(self, kernel: Kernel, variant: str, implementation: str) -> None:
        """The small awkward cases, once for each native kernel and tier."""
        if implementation == "python" or (kernel.name, variant) in self._passed_edge_cases:
            return
        for case in edge_cases(kernel):
            if case.needs_ieee and variant in registry.RELAXED:
                continue
            what = f"{kernel.name} {variant} edge case {kernel.size_name(case.shape)}"
            case.run_and_verify(what, call_of(case, variant))
        self._passed_edge_cases.add((kernel.name, variant))

    def _withdraw(self, name: str, variant: str, reason: str) -> None:
        self._failed.setdefault((name, variant), reason)
        for benchmark in self._recorded.pop((name, variant), []):
            withdraw(benchmark)


def static_metadata(kernel: Kernel, variant: str, size: str) -> dict[str, Any]:
    """What extra_info holds before anything has run."""
    shape = kernel.shape_named(size)
    return {
        **MARK,
        "kernel": kernel.name,
        "variant": variant,
        "side": registry.side_and_name(variant)[0],
        "size": size,
        "shape": list(shape),
        "flops": kernel.flops(shape),
        "bytes": kernel.bytes(shape),
        **kernel.figures(shape),
        "rate": kernel.rate,
        "relaxed": variant in registry.RELAXED,
        "auxiliary": variant in registry.auxiliary(kernel),
        "error_unit": kernel.error_unit.value,
    }
