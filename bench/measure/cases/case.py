"""A case: one kernel at one shape, with its data, its callables and its verification.

Both sides start from the same seeded values. Everything large is made when first asked for, so a
case whose Python variants are deselected never builds their lists. Products are in products.py.
"""

from __future__ import annotations

import importlib
import math
from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import kernels_c
from bench.measure import peers
from bench.measure.cases import wrapped
from bench.measure.cases.buffers import Buffer, values
from bench.measure.cases.errors_in_ulp import (
    Worst,
    WrongResult,
    inverse_ulps,
    require,
    worst_error,
)
from bench.suite import registry
from bench.suite.registry import Kernel, Native, Shape, Unit

Numbers = Sequence[float]


def folder_of(tier: kernels_c.Tier) -> str:
    """Of its sources, by which the registry's bounds are named: "portable" or "simd"."""
    folder: str = tier.build_info()["folder"]
    return "simd" if folder == "avx2" else folder  # as a gate's base may still call it


@dataclass(frozen=True)
class Call:
    """What is timed, function(*args), who implements it ("python", "peer" or a folder of
    kernels_c), and over how many threads it spreads. Where a library insists on memory of its own,
    or the result is a list, `collect` copies what was returned to where it is verified."""

    implementation: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    threads: int = 1
    collect: Callable[[Any], None] | None = None


class Case(ABC):
    """One kernel at one shape. A layout says what goes in and out; the rest is shared."""

    out_typecode = "f"
    needs_ieee = False  # holds NaN or infinity

    def __init__(self, kernel: Kernel, shape: Shape) -> None:
        self.kernel = kernel
        self.shape = shape

    @property
    @abstractmethod
    def out_length(self) -> int:
        """Elements of the result."""

    @abstractmethod
    def python_args(self) -> tuple[Any, ...]:
        """The arguments of every function in the kernel's Python module."""

    @abstractmethod
    def native_call(
        self, tier: kernels_c.Tier, function: str | None = None
    ) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """The native function, the kernel's own or the one that is named, and its arguments,
        buffers already converted to pointers."""

    @abstractmethod
    def native_inputs(self) -> list[tuple[Buffer, array[Any]]]:
        """Each native input with what it must still hold after a call."""

    @abstractmethod
    def check(self, what: str, implementation: str, result: Numbers) -> float:
        """The largest error in the kernel's unit of max_error_ulp; WrongResult beyond the bound."""

    def extra_metadata(self, result: Numbers) -> dict[str, float]:
        """More about a verified result that belongs in extra_info."""
        return {}

    @property
    def slow_in_python(self) -> bool:
        """Whether a Python call lasts about a second or more."""
        return False

    @cached_property
    def module(self) -> Any:
        return importlib.import_module(f"kernels_py.{self.kernel.module}")

    @cached_property
    def out(self) -> Buffer:
        return Buffer(self.out_typecode, self.out_length, stagger=5)

    def call(self, variant: str, peer_threads: int = 1) -> Call:
        """The callable of "py-loop", "c-avx2", "peer-numpy", ... Raises kernels_c.TierUnavailable,
        peers.PeerUnavailable."""
        side, name = registry.side_and_name(variant)
        if side == "python":
            return Call("python", getattr(self.module, name), self.python_args())
        if side == "peer":
            return peers.load_peer(name).call(self, peer_threads)
        native = self.kernel.native(variant)
        return self.call_of(kernels_c.load_tier(native.tier), native)

    def call_of(self, tier: kernels_c.Tier, native: Native) -> Call:
        """The native variant, of this very tier."""
        folder = folder_of(tier)
        if native.way is None:
            return Call(folder, *self.native_call(tier, native.function), tier.threads)
        function, args, collect = wrapped.call(self, tier, native.way)
        return Call(folder, function, args, tier.threads, collect)

    def run_and_verify(self, what: str, call: Call) -> dict[str, float]:
        """Call once; see verify."""
        self.prepare(call)
        return self.verify(what, call, call.function(*call.args))

    def prepare(self, call: Call) -> None:
        """Before a call that will be verified: what a kernel forgets to write must show."""
        if call.implementation != "python":
            self.out.poison()

    def output(self, call: Call) -> bytes:
        """What a native call left in the output, to compare with what later calls leave there."""
        return b"" if call.implementation == "python" else bytes(self.out.view)

    def verify(self, what: str, call: Call, returned: Any) -> dict[str, float]:
        """max_error_ulp and whatever else the layout has to say of the result of a call. Raises
        WrongResult when it is outside the documented bound, or memory it does not own changed."""
        if call.implementation == "python":
            result = self._in_kernel_type(what, returned)
        else:
            if call.collect is not None:
                call.collect(returned)
            result = self.out.view
            self.require_memory_intact(what)
        if len(result) != self.out_length:
            raise WrongResult(f"{what}: got {len(result)} elements, needs {self.out_length}")
        error = self.check(what, call.implementation, result)
        return {"max_error_ulp": error, **self.extra_metadata(result)}

    def _in_kernel_type(self, what: str, returned: Any) -> Numbers:
        """What a Python result is worth as float32, int8 or int32."""
        try:
            return array(self.out_typecode, returned)
        except (TypeError, OverflowError) as error:
            raise WrongResult(f"{what}: not of the kernel's type: {error}") from None

    def require_memory_intact(self, what: str) -> None:
        """Raises WrongResult if a call wrote outside its output, or into its inputs."""
        if not self.out.guards_intact():
            raise WrongResult(f"{what}: wrote outside its output")
        for buffer, original in self.native_inputs():
            if not buffer.guards_intact() or not buffer.holds(original):
                raise WrongResult(f"{what}: changed its input")


def pointer(tier: kernels_c.Tier, buffer: Buffer, c_type: str) -> Any:
    return tier.ffi.cast(f"{c_type} *", buffer.address)


def filled(elements: array[Any], stagger: int) -> Buffer:
    buffer = Buffer(elements.typecode, len(elements), stagger)
    buffer.fill(elements)
    return buffer


class UnaryCase(Case):
    """float32 [n] -> float32 [n]."""

    # Covers where GELU and softmax do something.
    low, high = -8.0, 8.0

    @property
    def out_length(self) -> int:
        return math.prod(self.shape)

    @cached_property
    def data(self) -> array[Any]:
        return values(self.out_length, self.low, self.high)

    @cached_property
    def x(self) -> Buffer:
        return filled(self.data, stagger=0)

    @cached_property
    def x_list(self) -> list[float]:
        return self.data.tolist()  # a float object for each element, as a program would have

    def python_args(self) -> tuple[Any, ...]:
        return (self.x_list,)

    def native_inputs(self) -> list[tuple[Buffer, array[Any]]]:
        return [(self.x, self.data)]

    def native_call(
        self, tier: kernels_c.Tier, function: str | None = None
    ) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        x, out = pointer(tier, self.x, "float"), pointer(tier, self.out, "float")
        return getattr(tier.lib, function or self.kernel.name), (x, out, *self.shape)

    @cached_property
    def truth(self) -> Numbers:
        reference: Numbers = self.module.reference(*self.python_args())
        return reference

    @cached_property
    def _truth_as_result(self) -> memoryview:
        return memoryview(array(self.out_typecode, self.truth))

    @cached_property
    def _truth_ulps(self) -> Numbers:
        return inverse_ulps(self.truth)

    @cached_property
    def _input_ulps(self) -> Numbers:
        return inverse_ulps(self.x_list)

    def check(self, what: str, implementation: str, result: Numbers) -> float:
        bound = self.kernel.accepted(implementation)
        limit = bound.at(self.shape)
        if limit == 0 and memoryview(result) == self._truth_as_result:  # type: ignore[arg-type]
            return 0.0  # ten million ReLUs: no need to look at them one by one
        worst = self._worst(result, bound.unit)
        if self.out_length:
            place = worst.index
            require(what, worst, limit, bound.unit.value, result[place], self.truth[place])
        return worst.error if bound.unit is not Unit.INPUT else self._worst(result).error

    def _worst(self, result: Numbers, unit: Unit = Unit.RESULT) -> Worst:
        inverse_units = self._input_ulps if unit is Unit.INPUT else self._truth_ulps
        return worst_error(result, self.truth, inverse_units)


class RowsCase(UnaryCase):
    """float32 [rows, cols] -> the same."""

    def python_args(self) -> tuple[Any, ...]:
        return (self.x_list, self.shape[0])


class QuantizeCase(UnaryCase):
    """float32 [n] -> int8 [n]; errors are counted in steps."""

    out_typecode = "b"
    scale: float = array("f", [127 / 8.0])[0]

    def python_args(self) -> tuple[Any, ...]:
        return (self.x_list, self.scale)

    def native_call(
        self, tier: kernels_c.Tier, function: str | None = None
    ) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        x, out = pointer(tier, self.x, "float"), pointer(tier, self.out, "int8_t")
        return tier.lib.quantize_f32_i8, (x, out, self.out_length, self.scale)

    def _worst(self, result: Numbers, unit: Unit = Unit.STEP) -> Worst:
        return worst_error(result, self.truth, [1.0] * self.out_length)
