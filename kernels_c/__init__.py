"""The native kernels: loads a tier, checks the CPU for it, validates every buffer.

    t = kernels_c.load_tier("avx2")
    t.relu(x, out)

`x` and `out` are any C-contiguous buffers (array.array, memoryview, mmap, numpy, ...). Each method
checks element type, writability, sizes and overlap before it writes anything, and raises TypeError
or ValueError naming the argument, what it got and what it needs. What a kernel computes, to which
error and with which NaN rules, stands above its implementation in portable/ and avx2/.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import math
import operator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["TIERS", "Tier", "TierStale", "TierUnavailable", "load_tier", "why_unavailable"]

# In ladder order: each changes one thing over the one before. build_ffi.py holds sources and flags;
# a test keeps the two lists equal (importing it here would need cffi's build half at run time).
TIERS = ("debug", "scalar", "autovec", "fastmath", "avx2", "avx2_omp")

_BASELINE = ("debug", "scalar")  # safe to import on every CPU of the architecture
_FOLDER = Path(__file__).resolve().parent
_REBUILD = "run: python build_ffi.py"

_MAX_SIZE = 2**63 - 1  # a size_t that is also a valid Python buffer length
_MAX_K_INT8 = 131071  # 131071 * 128^2 < 2^31: the last k at which int32 sums cannot wrap


class TierUnavailable(RuntimeError):
    """The tier cannot run here; the message is one sentence that says why."""


class TierStale(TierUnavailable):
    """The tier was built from other sources than those on disk: its figures would be of a kernel
    that no longer exists. Rebuilding is all it takes."""


# --- Loading -------------------------------------------------------------------------------------


def why_unavailable(name: str) -> str | None:
    """None if load_tier(name) will work, else the reason in one sentence."""
    try:
        load_tier(name)
    except TierUnavailable as reason:
        return str(reason)
    return None


def why_unusable_build(name: str) -> str | None:
    """Why nothing should be measured before a rebuild: the tier is stale, or it is the scalar tier,
    which every machine can build and run, and is missing. None otherwise."""
    try:
        load_tier(name)
    except TierStale as reason:
        return str(reason)
    except TierUnavailable as reason:
        return str(reason) if name == "scalar" else None
    return None


@cache
def load_tier(name: str) -> Tier:
    """The tier of that name. Raises TierUnavailable: unknown, not built, stale, or the CPU lacks
    its instructions (such a module is never imported: its very initialisation may use them)."""
    if name not in TIERS:
        raise TierUnavailable(f"there is no tier {name!r}; the tiers are {', '.join(TIERS)}")
    if name not in _BASELINE:
        missing = _missing_instructions()
        if missing:
            raise TierUnavailable(f"tier {name} needs {missing}, which this CPU does not have")
    module = _import_module(name)
    tier = Tier(name, module)
    stale = _changed_file(tier.build_info())
    if stale:
        raise TierStale(f"tier {name} was built before {stale} changed; {_REBUILD}")
    return tier


def _import_module(name: str) -> Any:
    try:
        module = importlib.import_module(f"{__name__}._{name}")
        # Another checkout may be installed in editable mode: its import hook answers for modules
        # that this one has not built.
        if Path(module.__file__ or "").resolve().parent == _FOLDER:
            return module
        reason = f"tier {name} is not built; {_REBUILD}"
    except ModuleNotFoundError:
        reason = f"tier {name} is not built; {_REBUILD}"
    except ImportError as error:
        reason = f"tier {name} does not load ({error}); {_REBUILD} --force"
    raise TierUnavailable(reason) from None


def _missing_instructions() -> str | None:
    """What the AVX2 tiers need and this CPU lacks; asked through the scalar tier."""
    return None if load_tier("scalar").lib.cpu_has_avx2_fma() else "AVX2 and FMA"


def _changed_file(info: dict[str, Any]) -> str | None:
    """The first file that differs from the build's, is new or is gone; None too where the package
    was installed without its sources."""
    if not (_FOLDER / "kernels.h").is_file():
        return None
    built_from: dict[str, str] = info["files"]
    folder = f"kernels_c/{info['folder']}"
    present = {f"{folder}/{p.name}" for p in (_FOLDER / info["folder"]).glob("*.[ch]*")}
    for relative in sorted(present | built_from.keys()):
        path = _FOLDER.parent / relative
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
        if digest is None or digest != built_from.get(relative):
            return relative
    return None


# --- Checking arguments --------------------------------------------------------------------------


class _Dtype(NamedTuple):
    name: str
    formats: tuple[str, ...]  # struct-module codes, as memoryview.format gives them
    c_type: str
    itemsize: int


_FLOAT32 = _Dtype("float32", ("f",), "float *", 4)
_INT8 = _Dtype("int8", ("b",), "int8_t *", 1)
_INT32 = _Dtype("int32", ("i", "l"), "int32_t *", 4)


class _Checked(NamedTuple):
    """A buffer that passed: where it lies, how much it holds, and the view that keeps it there."""

    argument: str
    data: Any  # a pointer of the tier's cffi
    address: int
    length: int
    nbytes: int
    view: memoryview


def _number(argument: str, value: object) -> int:
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{argument}: got {type(value).__name__}, needs an integer") from None
    if not 0 <= number <= _MAX_SIZE:
        bits = number.bit_length()  # Python refuses to print very long integers
        got = number if bits <= 256 else f"an integer of {bits} bits"
        raise ValueError(f"{argument}: got {got}, needs 0 to {_MAX_SIZE}")
    return number


def _scale(value: object) -> float:
    try:
        if not hasattr(value, "__float__"):  # float() takes text, we do not
            raise TypeError
        scale = float(value)
        finite = math.isfinite(scale) and abs(scale) < 2.0**128 * (1 - 2.0**-25)
    except OverflowError:
        scale, finite = math.inf, False
    except (TypeError, ValueError):
        raise TypeError(f"scale: got {type(value).__name__}, needs a number") from None
    if not finite:
        raise ValueError(f"scale: got {scale}, needs a finite float32")
    return scale


def _needs_length(buffer: _Checked, expected: int, meaning: str) -> None:
    if buffer.length != expected:
        raise ValueError(
            f"{buffer.argument}: got {buffer.length} elements, needs {expected} ({meaning})"
        )


def _needs_no_overlap(out: _Checked, *others: _Checked, same_allowed: bool = False) -> None:
    for other in others:
        if same_allowed and out.address == other.address and out.nbytes == other.nbytes:
            continue
        if not out.nbytes or not other.nbytes:  # an empty buffer may point into the other
            continue
        starts_before_end = out.address < other.address + other.nbytes
        if starts_before_end and other.address < out.address + out.nbytes:
            allowed = f" or be {other.argument} itself" if same_allowed else ""
            raise ValueError(
                f"out: got a buffer that overlaps {other.argument}, needs to be apart from it"
                + allowed
            )


# --- A tier --------------------------------------------------------------------------------------


class Tier:
    """One build of every kernel. Methods take buffers; `lib` and `ffi` are the raw cffi pair.

    The methods add 1-2 us for their checks; code that calls a kernel in a loop on buffers that it
    has checked once may use `lib` directly, with the functions of kernels.h.
    """

    def __init__(self, name: str, module: Any) -> None:
        self.name = name
        self.lib: Any = module.lib
        self.ffi: Any = module.ffi

    def __repr__(self) -> str:
        return f"<kernels_c tier {self.name}>"

    def build_info(self) -> dict[str, Any]:
        """What the module was built from and with: compiler, flags, hash of every source."""
        info: dict[str, Any] = json.loads(self.ffi.string(self.lib.build_info()))
        return info

    def relu(self, x: object, out: object) -> None:
        """out[i] = max(x[i], 0). float32 [n] -> float32 [n]; out may be x."""
        self.unary("relu_f32", x, out)

    def gelu(self, x: object, out: object, approximate: str = "tanh") -> None:
        """GELU; approximate="tanh", or "none" for the exact erf form. float32 [n] -> float32 [n];
        out may be x."""
        forms = {"tanh": "gelu_tanh_f32", "none": "gelu_erf_f32"}
        if not isinstance(approximate, str) or approximate not in forms:
            raise ValueError(f"approximate: got {approximate!r}, needs 'tanh' or 'none'")
        self.unary(forms[approximate], x, out)

    def unary(self, function: str, x: object, out: object) -> None:
        """Any function of kernels.h with the signature (const float *x, float *out, size_t n)."""
        source, target = self._unary_buffers(x, out, _FLOAT32, _FLOAT32)
        getattr(self.lib, function)(source.data, target.data, source.length)

    def softmax(self, x: object, out: object, rows: int = 1) -> None:
        """Row-wise softmax. float32 [rows, len(x) / rows] -> the same; out may be x."""
        source, target = self._unary_buffers(x, out, _FLOAT32, _FLOAT32)
        count = _number("rows", rows)
        if count == 0 and source.length:
            raise ValueError(f"rows: got 0, needs a divisor of len(x) = {source.length}")
        cols, rest = divmod(source.length, count) if count else (0, 0)
        if rest:
            raise ValueError(f"rows: got {count}, needs a divisor of len(x) = {source.length}")
        self.lib.softmax_f32(source.data, target.data, count, cols)

    def quantize(self, x: object, out: object, scale: float) -> None:
        """out[i] = x[i] * scale, rounded half to even, clipped to [-127, 127]; NaN gives 0.
        float32 [n] -> int8 [n]; scale is rounded to float32 first."""
        source, target = self._unary_buffers(x, out, _FLOAT32, _INT8)
        self.lib.quantize_f32_i8(source.data, target.data, source.length, _scale(scale))

    def dequantize(self, x: object, out: object, scale: float) -> None:
        """out[i] = x[i] * scale. int32 [n] -> float32 [n]; scale is rounded to float32 first."""
        source, target = self._unary_buffers(x, out, _INT32, _FLOAT32)
        self.lib.dequantize_i32_f32(source.data, target.data, source.length, _scale(scale))

    def matmul(self, a: object, b: object, out: object, m: int, n: int, k: int) -> None:
        """out[m, n] = a[m, k] @ b[k, n], row-major float32, overwritten."""
        self._product(self.lib.matmul_f32, _FLOAT32, _FLOAT32, (a, b, out), (m, n, k))

    def matmul_i8(self, a: object, b: object, out: object, m: int, n: int, k: int) -> None:
        """out[m, n] = a[m, k] @ b[k, n], row-major, int8 x int8 -> int32, exact; k <= 131071."""
        if _number("k", k) > _MAX_K_INT8:
            raise ValueError(f"k: got {k}, needs at most {_MAX_K_INT8} for exact int32 sums")
        self._product(self.lib.matmul_i8_i32, _INT8, _INT32, (a, b, out), (m, n, k))

    def _unary_buffers(
        self, x: object, out: object, x_dtype: _Dtype, out_dtype: _Dtype
    ) -> tuple[_Checked, _Checked]:
        source = self._buffer("x", x, x_dtype)
        target = self._buffer("out", out, out_dtype, writable=True)
        _needs_length(target, source.length, "as many as x")
        _needs_no_overlap(target, source, same_allowed=x_dtype is out_dtype)
        return source, target

    def _product(
        self,
        function: Any,
        in_dtype: _Dtype,
        out_dtype: _Dtype,
        buffers: tuple[object, object, object],
        sizes: tuple[int, int, int],
    ) -> None:
        m, n, k = (_number(name, size) for name, size in zip("mnk", sizes, strict=True))
        a = self._buffer("a", buffers[0], in_dtype)
        b = self._buffer("b", buffers[1], in_dtype)
        out = self._buffer("out", buffers[2], out_dtype, writable=True)
        _needs_length(a, m * k, f"m * k = {m} * {k}")
        _needs_length(b, k * n, f"k * n = {k} * {n}")
        _needs_length(out, m * n, f"m * n = {m} * {n}")
        _needs_no_overlap(out, a, b)
        if function(a.data, b.data, out.data, m, n, k) != 0:
            raise MemoryError(f"no memory to pack a {m} x {k} by {k} x {n} product")

    def _buffer(
        self, argument: str, exporter: object, dtype: _Dtype, writable: bool = False
    ) -> _Checked:
        try:
            view = memoryview(exporter)  # type: ignore[arg-type]
        except TypeError:
            raise TypeError(
                f"{argument}: got {type(exporter).__name__}, needs a buffer of {dtype.name}"
            ) from None
        except (BufferError, ValueError) as error:  # a released memoryview, a closed mmap
            raise ValueError(
                f"{argument}: got a buffer without memory ({error}), needs one of {dtype.name}"
            ) from None
        # cffi does not compare element types: array('d') would pass as twice as many floats.
        code = view.format.lstrip("@=<")
        if code not in dtype.formats or view.itemsize != dtype.itemsize:
            raise TypeError(
                f"{argument}: got elements of format {view.format!r}, {view.itemsize} bytes each, "
                f"needs {dtype.name} (format {dtype.formats[0]!r})"
            )
        if not view.c_contiguous:
            raise ValueError(f"{argument}: got a non-contiguous buffer, needs a C-contiguous one")
        if writable and view.readonly:
            raise ValueError(f"{argument}: got a read-only buffer, needs a writable one")
        # from_buffer is asked for the address only. A cffi array that still held `view` when the
        # garbage collector clears both (say, with the traceback of a failed call) would crash
        # CPython 3.11: clearing a memoryview does not ask who else uses it.
        with self.ffi.from_buffer(view) as borrowed:
            address = int(self.ffi.cast("uintptr_t", borrowed))
        if view.nbytes and address % dtype.itemsize:
            raise ValueError(
                f"{argument}: got an address that is not a multiple of {dtype.itemsize}, "
                f"needs aligned {dtype.name}"
            )
        data = self.ffi.cast(dtype.c_type, address)
        return _Checked(argument, data, address, view.nbytes // dtype.itemsize, view.nbytes, view)
