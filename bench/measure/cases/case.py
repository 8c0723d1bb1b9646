"""A case: one kernel at one shape, with its data and its verification.

Both sides start from the same seeded values. Everything large is made when first asked for, so a
case whose Python variants are deselected never builds their lists. unary.py and products.py have a
class for each signature.
"""

from __future__ import annotations

import importlib
import math
from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import kernels_c
from bench.measure.cases.buffers import Buffer, values
from bench.measure.cases.errors_in_ulp import WrongResult, inverse_ulps, worst_error
from bench.suite.registry import Kernel, Shape, Unit

Numbers = Sequence[float]
Called = tuple[Callable[..., Any], tuple[Any, ...]]  # a function and its arguments
Collect = Callable[[Any], None]

_C_TYPES = {"f": "float", "b": "int8_t", "i": "int32_t"}  # by array's names
_STAGGERS = (0, 2, 7, 9, 11)  # of the operands' buffers; the output has another


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
    collect: Collect | None = None


class Case(ABC):
    """One kernel at one shape. A signature says what goes in and out; the rest is shared.

    offsets: by how many bytes the operands, and the result, lie off a cache line.
    """

    low: float  # the least and the greatest of the operands' values
    high: float
    needs_ieee = False  # holds NaN or infinity
    native_only = False  # no Python variant does this
    verifies_itself = False  # in plain Python wherever it runs; NumPy knows nothing of it

    def __init__(self, kernel: Kernel, shape: Shape, offsets: tuple[int, int] = (0, 0)) -> None:
        self.kernel = kernel
        self.shape = shape
        self.offsets = offsets
        self.out_typecode = kernel.signature.result
        *self._in_lengths, self.out_length = map(math.prod, kernel.parts(shape))
        self._inverse_units: dict[Unit, Numbers] = {}

    @cached_property
    def inputs(self) -> tuple[array[Any], ...]:
        """The values of the operands, which both sides start from."""
        operands = zip(self.kernel.signature.operands, self._in_lengths, strict=True)
        return tuple(
            values(n, self.low, self.high, stream, typecode)
            for stream, (typecode, n) in enumerate(operands)
        )

    @abstractmethod
    def python_args(self) -> tuple[Any, ...]:
        """The arguments of every function in the kernel's Python module."""

    def python_call(self, variant: str) -> Called:
        """The Python variant of that name, and its arguments."""
        return getattr(self.module, variant), self.python_args()

    @property
    def native_numbers(self) -> tuple[float, ...]:
        """What a native function takes after its pointers."""
        return self.shape

    @property
    @abstractmethod
    def reference(self) -> Numbers:
        """What checked_part() of a result should be."""

    def checked_part(self, result: Numbers) -> Numbers:
        """What is compared element by element."""
        return result

    def inverse_units(self, unit: Unit) -> Numbers:
        """1 / unit, at every element of the reference; made once."""
        if unit not in self._inverse_units:
            self._inverse_units[unit] = self._computed_inverse(unit)
        return self._inverse_units[unit]

    def _computed_inverse(self, unit: Unit) -> Numbers:
        if unit is Unit.STEP:
            return [1.0] * len(self.reference)
        return inverse_ulps(self.lists[0] if unit is Unit.INPUT else self.reference)

    def check(self, what: str, implementation: str, result: Numbers) -> float:
        """The largest error in the kernel's unit of max_error_ulp; WrongResult beyond the bound."""
        bound, part = self.kernel.accepted(implementation), self.checked_part(result)
        worst = worst_error(part, self.reference, self.inverse_units(bound.unit))
        limit, place = bound.at(self.shape), worst.index
        if not worst.error <= limit:
            raise WrongResult(
                f"{what}: element {place} is {part[place]!r}, should be "
                f"{self.reference[place]!r}: {worst.error:.4g} {bound.unit.value}, at most "
                f"{limit:g} allowed"
            )
        if bound.unit is Unit.INPUT:
            worst = worst_error(part, self.reference, self.inverse_units(Unit.RESULT))
        return worst.error

    def extra_metadata(self, result: Numbers) -> dict[str, float]:
        """More about a verified result that belongs in extra_info."""
        return {}

    @property
    def slow_in_python(self) -> bool:
        """Whether a Python call lasts about a second or more."""
        return False

    # A Python call that lasts about a second is verified on its first round, and few follow.
    slow_rounds = 3

    @cached_property
    def module(self) -> Any:
        return importlib.import_module(f"kernels_py.{self.kernel.module}")

    @cached_property
    def lists(self) -> tuple[list[Any], ...]:
        """A number object for each element, as a program would have."""
        return tuple(operand.tolist() for operand in self.inputs)

    @cached_property
    def buffers(self) -> tuple[Buffer, ...]:
        staggers = zip(self.inputs, _STAGGERS, strict=False)
        return tuple(filled(*each, self.offsets[0]) for each in staggers)

    @cached_property
    def out(self) -> Buffer:
        return Buffer(self.out_typecode, self.out_length, 5, self.offsets[1])

    def shifted(self, operands: int, result: int) -> Case:
        """The same case on the same memory, its operands and its result so many bytes further. It
        holds the inputs now, which this one, for as much as they overlap, then no longer does."""
        there = copy(self)
        there.offsets = (self.offsets[0] + operands, self.offsets[1] + result)
        there.buffers = tuple(buffer.shifted(operands) for buffer in self.buffers)
        there._shift_result(self.out, result)
        for buffer, elements in zip(there.buffers, there.inputs, strict=True):
            buffer.fill(elements)
        return there

    def _shift_result(self, out: Buffer, by: int) -> None:
        self.out = out.shifted(by)

    def native_call(
        self, tier: kernels_c.Tier, function: str
    ) -> Called | tuple[Callable[..., Any], tuple[Any, ...], Collect]:
        """The native function of that name, and its arguments, buffers already converted to
        pointers; and Call.collect where it is needed."""
        pointers = [pointer(tier, buffer) for buffer in (*self.buffers, self.out)]
        return getattr(tier.lib, function), (*pointers, *self.native_numbers)

    def native_inputs(self) -> list[tuple[Buffer, array[Any]]]:
        """Each native input with what it must still hold after a call."""
        return list(zip(self.buffers, self.inputs, strict=True))

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
        """max_error_ulp and whatever else the signature has to say of the result of a call. Raises
        WrongResult when it is outside the documented bound, or memory it does not own changed."""
        result = self._result_of(what, call, returned)
        if len(result) != self.out_length:
            raise WrongResult(f"{what}: got {len(result)} elements, needs {self.out_length}")
        error = self.check(what, call.implementation, result)
        return {"max_error_ulp": error, **self.extra_metadata(result)}

    def _result_of(self, what: str, call: Call, returned: Any) -> Numbers:
        """What a call computed, whether it returned that or wrote it into the output."""
        if call.implementation == "python":
            return self._in_kernel_type(what, returned)
        if call.collect is not None:
            call.collect(returned)
        self.require_memory_intact(what)
        written: Numbers = self.out.view
        return written

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


def pointer(tier: kernels_c.Tier, buffer: Buffer) -> Any:
    return tier.ffi.cast(f"{_C_TYPES[buffer.view.format]} *", buffer.address)


def filled(elements: array[Any], stagger: int, offset: int = 0) -> Buffer:
    buffer = Buffer(elements.typecode, len(elements), stagger, offset)
    buffer.fill(elements)
    return buffer
