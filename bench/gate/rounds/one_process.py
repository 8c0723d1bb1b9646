"""Kernels of both sides in one process, on the same buffers: verified, given a size that the gate
can judge, and measured."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import random
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import perf_counter

import kernels_c
from bench.gate.checkouts.loading import load_python_copy, load_tier_copy, no_late_imports
from bench.gate.checkouts.relinking import Module
from bench.gate.checkouts.sides import Side
from bench.gate.rounds.samples import SAMPLE_SECONDS, Sample, take_sample
from bench.gate.rounds.slowed import halved, part_of, slowed
from bench.gate.verdicts.errors import GateError
from bench.gate.verdicts.pairs import Pair
from bench.measure.calls import native_call_of
from bench.measure.cases.case import Call, Case
from bench.measure.cases.errors_in_ulp import WrongResult
from bench.measure.cases.make import edge_cases, make_case
from bench.measure.timing.rounds import ROUND_SECONDS, rounds_of
from bench.saved.runs import one_line
from bench.suite import registry
from bench.suite.registry import Kernel, Shape

# A team of threads falls asleep while the other side's works; waking it is part of its first call.
THREADS_ROUND_SECONDS = 1e-3
# A kernel whose call lasts longer is judged at a smaller size, of calls of at most a millisecond:
# there are too few rounds of long ones.
LONGEST_CALL = 10e-3
_SMALLER_CALL = 1e-3
_FIRST_FLOPS = 20_000  # of the size whose time says what the others' will be


class BothSides:
    """Each side's native modules, loaded once, and its Python modules, executed anew each time."""

    def __init__(
        self,
        sides: Sequence[Side],
        scratch: Path,
        draw: random.Random,
        modules: Mapping[Module, Path],
    ) -> None:
        self._sides = sides
        self._modules = modules  # those that were linked for this process
        self._scratch = scratch
        self._draw = draw
        self._tiers: dict[Module, kernels_c.Tier] = {}

    def take(self, pair: Pair, seconds: float = SAMPLE_SECONDS) -> Sample:
        kernel = registry.kernel(pair.kernel)
        case = make_case(kernel, kernel.shape_named(pair.judged_size))
        base, head = (rounds_of(call.function, call.args) for call in self._calls(pair, case))
        round_seconds = THREADS_ROUND_SECONDS if pair.threaded else ROUND_SECONDS
        if pair.injected:
            calls = round_seconds / pair.seconds
            part = make_case(kernel, part_of(kernel, case.shape, calls, pair.injected))
            extra = self._call(1, pair, part)
            head = slowed(head, rounds_of(extra.function, extra.args), pair.injected, round_seconds)
        with no_late_imports():
            return take_sample(base, head, self._draw, seconds, round_seconds)

    def _calls(self, pair: Pair, case: Case) -> list[Call]:
        """Both sides' calls, made in random order: who comes first gets other memory."""
        made = {place: self._call(place, pair, case) for place in self._draw.sample((0, 1), 2)}
        return [made[0], made[1]]

    def _call(self, place: int, pair: Pair, case: Case) -> Call:
        side = self._sides[pair.sides[place]]
        kind, name = registry.side_and_name(pair.variant)
        if kind == "python":
            module = load_python_copy(side.root, case.kernel.module, self._draw)
            return Call("python", getattr(module, name), case.python_args())
        native = case.kernel.native(pair.variant)
        key = (place, pair.sides[place], native.tier)
        tier = self._tiers.get(key)
        if tier is None:
            built = self._modules.get(key) or side.module(native.tier)
            assert built is not None  # its pytest lists the benchmark, and it was built
            tier = load_tier_copy(built, native.tier, self._scratch, self._draw)
            self._tiers[key] = tier
        try:
            return native_call_of(case, tier, native)
        except AttributeError as missing:
            raise GateError(f"not in this checkout: {missing}") from None

    # --- Before anything is timed ----------------------------------------------------------------

    def prepare(self, pairs: Sequence[Pair]) -> Iterator[tuple[str, float]]:
        """For each pair the size to judge it at, and the base's seconds of a call; all are of one
        kernel, and those of one size should stand together. Raises GateError where a side's result
        is wrong: at that size or, the first time that a native variant comes, on edge cases."""
        kernel = registry.kernel(pairs[0].kernel)
        with self._blamed(1, pairs[0]):  # the reference is the head's own
            importlib.import_module(f"kernels_py.{kernel.module}")
            edges = list(edge_cases(kernel))  # kept: each knows its reference
        case: Case | None = None
        verified: set[tuple[str, bytes]] = set()  # implementation and hash of its result
        tried: set[tuple[int, str]] = set()  # on the edge cases: side and variant
        for pair in pairs:
            shape = self._shape_to_judge(pair, kernel)
            if case is None or case.shape != shape:
                case, verified = make_case(kernel, shape), set()
            calls = self._calls(pair, case)
            for place, call in enumerate(calls):
                with self._blamed(place, pair):
                    _verify(pair.name, case, call, verified)
                    if call.implementation != "python" and (place, pair.variant) not in tried:
                        tried.add((place, pair.variant))
                        self._try_on(edges, place, pair)
            yield kernel.size_name(shape), _seconds(calls[0])

    def _try_on(self, edges: Sequence[Case], place: int, pair: Pair) -> None:
        for edge in edges:
            if not (edge.needs_ieee and pair.variant in registry.RELAXED):
                what = f"{pair.name} edge case {edge.kernel.size_name(edge.shape)}"
                edge.run_and_verify(what, self._call(place, pair, edge))

    def _shape_to_judge(self, pair: Pair, kernel: Kernel) -> Shape:
        """The pair's own shape, or the largest of those half as long on each side whose call is
        short enough: by the base's time at a smaller one, and the number of operations."""
        own = kernel.shape_named(pair.size)
        shapes: list[Shape] = []  # the smallest first
        for shape in halved(own):
            shapes.insert(0, shape)
            if kernel.flops(shape) <= _FIRST_FLOPS:
                break
        for shape, larger in zip(shapes, [*shapes[1:], own], strict=True):
            case = make_case(kernel, shape)  # kept: a native call holds bare pointers into it
            with self._blamed(0, pair):
                call = self._call(0, pair, case)
                with no_late_imports():
                    per_operation = _seconds(call) / max(1, kernel.flops(shape))
            if per_operation * kernel.flops(own) <= LONGEST_CALL:
                return own
            if per_operation * kernel.flops(larger) > _SMALLER_CALL:
                return shape
        return own

    @contextlib.contextmanager
    def _blamed(self, place: int, pair: Pair) -> Iterator[None]:
        """Inside, a side's code runs: whatever it raises becomes a GateError that names the side
        and the benchmark."""
        side = self._sides[pair.sides[place]]
        try:
            yield
            return
        except WrongResult as error:  # names the benchmark
            reason = one_line(error) + ("" if place else " (by the head's kernels_py and bounds)")
        except GateError as error:
            reason = f"{pair.name}: {error}"
        except (Exception, SystemExit) as error:
            said = one_line(str(error).partition("\n")[0])
            reason = f"{pair.name}: {type(error).__name__}: {said}"
        raise GateError(f"{side}: {reason}")


def _verify(what: str, case: Case, call: Call, verified: set[tuple[str, bytes]]) -> None:
    """Against the reference; but not again a result that is, bit for bit, one already verified."""
    case.prepare(call)
    with no_late_imports():
        returned = call.function(*call.args)
    if call.implementation == "python":
        result = array(case.out_typecode, returned).tobytes()
    else:
        case.require_memory_intact(what)
        if call.collect is not None:
            call.collect(returned)
        result = case.output(call)
    known = (call.implementation, hashlib.sha256(result).digest())
    if known not in verified:
        case.verify(what, call, returned)
        verified.add(known)


def _seconds(call: Call) -> float:
    """The shortest of a few calls; of two, where they are long: one may have been held up."""
    times = []
    for _ in range(5):
        start = perf_counter()
        call.function(*call.args)
        times.append(perf_counter() - start)
        if len(times) > 1 and min(times) > LONGEST_CALL:
            break
    return min(times)
