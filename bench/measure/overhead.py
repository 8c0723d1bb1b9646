"""Call overhead: what a call from Python into native code costs besides the work of a kernel:
calling, turning arguments into C values, and copying lists. The library is the scalar tier's,
which every machine has."""

from __future__ import annotations

import ctypes
import importlib
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import kernels_c
from bench.measure.cases.buffers import values
from bench.measure.cases.case import Called
from bench.measure.cases.errors_in_ulp import WrongResult
from bench.measure.timing.minimum import Rounds, record
from bench.saved.schema import MARK

_TIER = "scalar"
_DECLARATIONS = """
void empty_call(void);
void relu_f32(const float *x, float *out, size_t n);
"""
# By what copies are made of, the names of its elements in the array module, cffi and ctypes.
_TYPES: dict[str, tuple[str, str, Any]] = {
    "float32": ("f", "float", ctypes.c_float),
    "int8": ("b", "int8_t", ctypes.c_int8),
}


@dataclass(frozen=True)
class OverheadCase:
    """What is timed, function(*args), and what it must do: `outcome` makes of what was returned
    what is to be compared with `expected`."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    expected: Any
    outcome: Callable[[Any], Any]


class Binding(NamedTuple):
    """What reaches the library: its functions, and what makes an array a pointer for them."""

    empty_call: Callable[[], None]
    relu_f32: Callable[[Any, Any, int], None]
    pointer: Callable[[array[float]], Any]


def nothing() -> None:
    """The call that any other is compared with."""


# --- The three bindings --------------------------------------------------------------------------


def cffi_api(tier: kernels_c.Tier) -> Binding:
    """A module that the compiler made, which converts arguments in C."""
    return Binding(tier.lib.empty_call, tier.lib.relu_f32, lambda x: _cffi_pointer(tier.ffi, x))


def cffi_abi(tier: kernels_c.Tier) -> Binding:
    """The same functions opened at run time and called through libffi."""
    import cffi

    ffi = cffi.FFI()
    ffi.cdef(_DECLARATIONS)
    lib = ffi.dlopen(_library(tier))
    return Binding(lib.empty_call, lib.relu_f32, lambda x: _cffi_pointer(ffi, x))


def by_ctypes(tier: kernels_c.Tier) -> Binding:
    """The standard library's, through libffi too."""
    lib = ctypes.CDLL(_library(tier))
    floats = ctypes.POINTER(ctypes.c_float)
    lib.empty_call.argtypes, lib.empty_call.restype = (), None
    lib.relu_f32.argtypes, lib.relu_f32.restype = (floats, floats, ctypes.c_size_t), None

    def pointer(x: array[float]) -> Any:
        return ctypes.cast((ctypes.c_float * len(x)).from_buffer(x), floats)

    return Binding(lib.empty_call, lib.relu_f32, pointer)


BINDINGS = {"cffi API": cffi_api, "cffi ABI": cffi_abi, "ctypes": by_ctypes}


@cache
def binding_of(name: str) -> Binding:
    """Raises ValueError, kernels_c.TierUnavailable."""
    if name not in BINDINGS:
        raise ValueError(f"there is no binding {name!r}; the bindings are {', '.join(BINDINGS)}")
    return BINDINGS[name](kernels_c.load_tier(_TIER))


def _library(tier: kernels_c.Tier) -> str:
    return str(importlib.import_module(f"kernels_c._{tier.name}").__file__)


def _cffi_pointer(ffi: Any, x: array[float]) -> Any:
    return ffi.cast("float *", ffi.from_buffer("float[]", x))


# --- The overheads -------------------------------------------------------------------------------


def empty_call(binding: str, n: int, element: str | None) -> OverheadCase:
    function = nothing if binding == "Python" else binding_of(binding).empty_call
    return OverheadCase(function, (), None, lambda returned: returned)


def one_kernel(binding: str, n: int, element: str | None) -> OverheadCase:
    """ReLU with pointers that were made beforehand."""
    made = binding_of(binding)
    x, out = values(n, -8.0, 8.0), array("f", bytes(4 * n))
    args = (made.pointer(x), made.pointer(out), n)
    # The arrays live as long as the check that holds them.
    return OverheadCase(made.relu_f32, args, _relu(x), lambda _: (out.tolist(), x)[0])


def checked_method(binding: str, n: int, element: str | None) -> OverheadCase:
    x, out = values(n, -8.0, 8.0), array("f", bytes(4 * n))
    tier = kernels_c.load_tier(_TIER)
    return OverheadCase(tier.relu, (x, out), _relu(x), lambda _: out.tolist())


def buffer(binding: str, n: int, element: str | None) -> OverheadCase:
    """An array seen by somebody else, its elements where they are."""
    x = values(n, -8.0, 8.0)
    makers: dict[str, Called] = {
        "Python": (memoryview, (x,)),
        "cffi API": (kernels_c.load_tier(_TIER).ffi.from_buffer, ("float[]", x)),
        "ctypes": ((ctypes.c_float * n).from_buffer, (x,)),
    }
    return OverheadCase(*makers[binding], x.tolist(), list)


def list_in(binding: str, n: int, element: str | None) -> OverheadCase:
    """A list copied to where native code can read it."""
    x, (code, c_type, c_class) = _elements(n, element)
    elements = x.tolist()
    makers: dict[str, Called] = {
        "Python": (array, (code, elements)),
        "cffi API": (kernels_c.load_tier(_TIER).ffi.new, (f"{c_type}[]", elements)),
        "ctypes": (c_class * n, tuple(elements)),
    }
    return OverheadCase(*makers[binding], elements, list)


def list_out(binding: str, n: int, element: str | None) -> OverheadCase:
    """A list copied from where native code has written."""
    x, (_, c_type, c_class) = _elements(n, element)
    ffi = kernels_c.load_tier(_TIER).ffi
    makers: dict[str, Called] = {
        "Python": (x.tolist, ()),
        "cffi API": (ffi.unpack, (ffi.from_buffer(f"{c_type}[]", x), n)),
        "ctypes": ((c_class * n).from_buffer(x).__getitem__, (slice(None),)),
    }
    return OverheadCase(*makers[binding], x.tolist(), lambda returned: returned)


OVERHEADS: dict[str, Callable[[str, int, str | None], OverheadCase]] = {
    "empty call": empty_call,
    "ReLU, ready pointers": one_kernel,
    "ReLU, checked method": checked_method,
    "array as buffer": buffer,
    "list to buffer": list_in,
    "buffer to list": list_out,
}


def make_case(name: str, binding: str, n: int, element: str | None = None) -> OverheadCase:
    """The case of that name. Raises ValueError, kernels_c.TierUnavailable."""
    if name not in OVERHEADS:
        raise ValueError(f"there is no call overhead {name!r}; there are {', '.join(OVERHEADS)}")
    try:
        return OVERHEADS[name](binding, n, element)
    except KeyError as missing:
        raise ValueError(f"{name}: got {missing}, which it is not measured for") from None


def _relu(x: array[float]) -> list[float]:
    return [max(v, 0.0) for v in x]


def _elements(n: int, element: str | None) -> tuple[array[Any], tuple[str, str, Any]]:
    x = values(n, -128, 127, typecode="b") if element == "int8" else values(n, -8.0, 8.0)
    return x, _TYPES[element or "float32"]


def measure(
    benchmark: Any,
    cap_seconds: float,
    name: str,
    binding: str,
    n: int,
    element: str | None = None,
) -> None:
    """Verify, then time, one of OVERHEADS into pytest-benchmark's fixture, or into what stands in
    for it and keeps no times. Raises WrongResult, kernels_c.TierUnavailable."""
    case = make_case(name, binding, n, element)
    benchmark.group = name if element is None else f"{name}, {n} {element}"
    benchmark.extra_info.update(MARK, overhead=name, binding=binding, elements=n)
    if element is not None:
        benchmark.extra_info["element"] = element
    verify(f"{name} by {binding}", case, case.function(*case.args))
    last = record(benchmark, Rounds(case.function, case.args, cap_seconds))
    verify(f"{name} by {binding}", case, last)


def verify(what: str, case: OverheadCase, returned: Any) -> None:
    got = case.outcome(returned)
    if got != case.expected:
        raise WrongResult(f"{what}: got {str(got)[:60]}, should be {str(case.expected)[:60]}")
