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
# By the elements of an array: what is made of it, to cffi and to ctypes.
_TYPES: dict[str, tuple[str, Any]] = {
    "f": ("float[]", ctypes.c_float),
    "b": ("int8_t[]", ctypes.c_int8),
}
OVERHEADS = (
    "empty call",
    "ReLU, ready pointers",
    "ReLU, checked method",
    "array as buffer",
    "list to buffer",
    "buffer to list",
)


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
    return _by_cffi(tier.ffi, tier.lib)


def cffi_abi(tier: kernels_c.Tier) -> Binding:
    """The same functions opened at run time and called through libffi."""
    import cffi

    ffi = cffi.FFI()
    ffi.cdef(_DECLARATIONS)
    return _by_cffi(ffi, ffi.dlopen(_library(tier)))


def _by_cffi(ffi: Any, lib: Any) -> Binding:
    def pointer(x: array[float]) -> Any:
        return ffi.cast("float *", ffi.from_buffer("float[]", x))

    return Binding(lib.empty_call, lib.relu_f32, pointer)


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


# --- The overheads -------------------------------------------------------------------------------


def make_case(name: str, binding: str, n: int, element: str | None = None) -> OverheadCase:
    """The case of that name. Raises ValueError, kernels_c.TierUnavailable."""
    if name not in OVERHEADS:
        raise ValueError(f"there is no call overhead {name!r}; there are {', '.join(OVERHEADS)}")
    if name == "empty call":
        function = nothing if binding == "Python" else binding_of(binding).empty_call
        return OverheadCase(function, (), None, lambda returned: returned)
    if name.startswith("ReLU"):
        return _relu(name, binding, values(n, -8.0, 8.0))
    x = values(n, -128, 127, typecode="b") if element == "int8" else values(n, -8.0, 8.0)
    try:
        return OverheadCase(*_copies(x)[name, binding], x.tolist(), list)
    except KeyError:
        raise ValueError(f"{name}: got {binding!r}, which it is not measured for") from None


def _relu(name: str, binding: str, x: array[float]) -> OverheadCase:
    out = array("f", bytes(4 * len(x)))
    if name == "ReLU, checked method":
        call: Called = (kernels_c.load_tier(_TIER).relu, (x, out))
    else:  # with pointers that are made beforehand
        made = binding_of(binding)
        call = made.relu_f32, (made.pointer(x), made.pointer(out), len(x))
    # The check holds both arrays: pointers alone would not keep them alive.
    expected = [[max(v, 0.0) for v in x], x.tolist()]
    return OverheadCase(*call, expected, lambda _: [out.tolist(), x.tolist()])


def _copies(x: array[Any]) -> dict[tuple[str, str], Called]:
    """By name and binding: an array seen by somebody else, its elements where they are; a list
    copied to where native code can read it, and from where native code has written."""
    elements, ffi = x.tolist(), kernels_c.load_tier(_TIER).ffi
    c_array, c_class = _TYPES[x.typecode]
    ctypes_array = c_class * len(x)
    return {
        ("array as buffer", "Python"): (memoryview, (x,)),
        ("array as buffer", "cffi API"): (ffi.from_buffer, (c_array, x)),
        ("array as buffer", "ctypes"): (ctypes_array.from_buffer, (x,)),
        ("list to buffer", "Python"): (array, (x.typecode, elements)),
        ("list to buffer", "cffi API"): (ffi.new, (c_array, elements)),
        ("list to buffer", "ctypes"): (ctypes_array, tuple(elements)),
        ("buffer to list", "Python"): (x.tolist, ()),
        ("buffer to list", "cffi API"): (ffi.unpack, (ffi.from_buffer(c_array, x), len(x))),
        ("buffer to list", "ctypes"): (ctypes_array.from_buffer(x).__getitem__, (slice(None),)),
    }


def measure(
    benchmark: Any, cap_seconds: float, name: str, binding: str, n: int, element: str | None = None
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
