"""The native kernels: loads a tier, checks the CPU for it, validates every buffer.

    t = kernels_c.load_tier("avx2")
    t.relu(x, out)

`x` and `out` are any C-contiguous buffers (array.array, memoryview, mmap, numpy, ...). Each method
checks element type, writability, sizes and overlap before it writes anything, and raises TypeError
or ValueError naming the argument, what it got and what it needs. What a kernel computes, to which
error and with which NaN rules, stands above its implementation in portable/ and simd/.

During a call the buffers stay exported: bytearray, array, mmap, BytesIO and numpy then refuse to
change size. Three ways to free or take away memory do not ask, and must not be used on a buffer
while a call runs: ctypes.resize(), numpy's resize(refcheck=False), and cutting short a file that is
mapped. What other threads write into an input meanwhile may make results wrong, but is no index.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.machinery
import json
import platform
from functools import cache
from pathlib import Path
from typing import Any

from kernels_c.arguments import (
    FLOAT32,
    INT8,
    INT32,
    Checked,
    Dtype,
    checked_buffer,
    finite_scale,
    int8_k,
    needs_length,
    needs_no_overlap,
    whole_number,
)
from kernels_c.layers import Layers
from kernels_c.module_file import is_source, why_damaged

__all__ = [
    "TIERS",
    "Tier",
    "TierStale",
    "TierUnavailable",
    "checkout",
    "load_tier",
    "why_unavailable",
]

# In ladder order: each changes one thing over the one before. build_ffi.py holds sources and flags;
# a test keeps the two lists equal (importing it here would need cffi's build half at run time).
TIERS = (
    "debug",
    "scalar",
    "autovec",
    "fastmath",
    "avx2",
    "avx2_omp",
    "avx512",
    "avx512_omp",
)

_BASELINE = ["debug", "scalar"]  # safe to import on every CPU of the architecture
if platform.machine().lower() not in ("x86_64", "amd64"):
    _BASELINE += ["autovec", "fastmath"]  # built for any CPU of it, too: see build_ffi.py
_FOLDER = Path(__file__).resolve().parent


class TierUnavailable(RuntimeError):
    """The tier cannot run here; the message is one sentence that says why."""


class TierStale(TierUnavailable):
    """The tier was built from other sources than those on disk, so its figures would be of a kernel
    that no longer exists; or its module is damaged. Rebuilding is all it takes."""


def checkout() -> Path | None:
    """The project's folder, with the sources that the modules are built from; None where they were
    installed without: a wheel has neither headers nor build_ffi.py."""
    root = _FOLDER.parent
    needed = (root / "build_ffi.py", _FOLDER / "kernels.h")
    return root if all(path.is_file() for path in needed) else None


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
        missing = _missing_instructions(name)
        if missing:
            raise TierUnavailable(f"tier {name} needs {missing}, which this CPU does not have")
    module = _import_module(name)
    tier = Tier(name, module)
    stale = _changed_file(tier.build_info())
    if stale:
        raise TierStale(f"tier {name} was built before {stale} changed; {_remedy()}")
    return tier


def _remedy(options: str = "") -> str:
    """What a tier that does not load needs."""
    if checkout() is None:
        return "install the package again, built from its sdist on this machine"
    return f"run: python build_ffi.py{options}"


def _import_module(name: str) -> Any:
    # Only here: another checkout may be installed in editable mode, and its import hook answers for
    # modules that this one has not built.
    spec = importlib.machinery.PathFinder.find_spec(f"{__name__}._{name}", [str(_FOLDER)])
    if spec is None or spec.origin is None:
        raise TierUnavailable(f"tier {name} is not built; {_remedy()}")
    file = Path(spec.origin)
    try:
        damage = why_damaged(file)
        if damage is not None:
            raise TierStale(f"tier {name} is damaged: {damage}; {_remedy()}")
        return importlib.import_module(spec.name)
    except (ImportError, OSError) as error:
        remedy = _remedy(" --force")
        if "failed to map segment" in str(error):  # the loader's words where no code may be run
            remedy = f"{_FOLDER} must let code run: is it mounted noexec?"
        if "subinterpreters" in str(error):  # CPython's own words, from 3.12 on
            remedy = "load it in the main interpreter"
        reason = f"tier {name} does not load ({error}); {remedy}"
    raise TierUnavailable(reason) from None


def _missing_instructions(name: str) -> str | None:
    """What the tier needs and this CPU lacks; asked through the scalar tier."""
    cpu = load_tier("scalar").lib
    if name.startswith("avx512"):
        return None if cpu.cpu_has_avx512_vnni() else "AVX-512 with VNNI"
    return None if cpu.cpu_has_avx2_fma() else "AVX2, FMA and F16C"


def _changed_file(info: dict[str, Any]) -> str | None:
    """The first file that differs from the build's, is new or is gone; None too where the package
    was installed without its sources."""
    root = checkout()
    if root is None:
        return None
    built_from: dict[str, str] = info["files"]
    folder = f"kernels_c/{info['folder']}"
    found = filter(is_source, (_FOLDER / info["folder"]).iterdir())
    present = {f"{folder}/{path.name}" for path in found}
    for relative in sorted(present | built_from.keys()):
        path = root / relative
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
        if digest is None or digest != built_from.get(relative):
            return relative
    return None


# --- A tier --------------------------------------------------------------------------------------


class Tier(Layers):
    """One build of every kernel. Methods take buffers; `lib` and `ffi` are the raw cffi pair.

    The methods add a few microseconds for their checks; code that calls a kernel in a loop on
    buffers that it has checked once may use `lib` directly, with the functions of kernels.h.
    An argument is converted once, and numbers come before buffers: what is asked for its value may
    run any code, which must change nothing that has been checked.
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

    @property
    def threads(self) -> int:
        """Threads that a call is spread over now, where it is large enough: as many as OpenMP was
        given (OMP_NUM_THREADS, omp_set_num_threads), but no more than the process has cores."""
        available = getattr(self.lib, "team_size", None)  # the portable loops have none
        return 1 if available is None else int(available())

    def relu(self, x: object, out: object) -> None:
        """out[i] = max(x[i], 0). float32 [n] -> float32 [n]; out may be x."""
        self.unary("relu_f32", x, out)

    def gelu(self, x: object, out: object, approximate: str = "tanh") -> None:
        """GELU; approximate="tanh", or "none" for the exact erf form. float32 [n] -> float32 [n];
        out may be x."""
        forms = {"tanh": "gelu_tanh_f32", "none": "gelu_erf_f32"}
        function = forms.get(approximate) if isinstance(approximate, str) else None
        if function is None:
            raise ValueError(f"approximate: got {approximate!r}, needs 'tanh' or 'none'")
        self.unary(function, x, out)

    def unary(self, function: str, x: object, out: object) -> None:
        """Any function of kernels.h with the signature (const float *x, float *out, size_t n)."""
        source, target = self._unary_buffers(x, out, FLOAT32, FLOAT32)
        getattr(self.lib, function)(source.data, target.data, source.length)

    def softmax(self, x: object, out: object, rows: int = 1) -> None:
        """Row-wise softmax. float32 [rows, len(x) / rows] -> the same; out may be x."""
        count = whole_number("rows", rows)
        source, target = self._unary_buffers(x, out, FLOAT32, FLOAT32)
        if count == 0 and source.length:
            raise ValueError(f"rows: got 0, needs a divisor of len(x) = {source.length}")
        cols, rest = divmod(source.length, count) if count else (0, 0)
        if rest:
            raise ValueError(f"rows: got {count}, needs a divisor of len(x) = {source.length}")
        self.lib.softmax_f32(source.data, target.data, count, cols)

    def quantize(self, x: object, out: object, scale: float) -> None:
        """out[i] = x[i] * scale, rounded half to even, clipped to [-127, 127]; NaN gives 0.
        float32 [n] -> int8 [n]; scale is rounded to float32 first."""
        factor = finite_scale(scale)
        source, target = self._unary_buffers(x, out, FLOAT32, INT8)
        self.lib.quantize_f32_i8(source.data, target.data, source.length, factor)

    def dequantize(self, x: object, out: object, scale: float) -> None:
        """out[i] = x[i] * scale. int32 [n] -> float32 [n]; scale is rounded to float32 first."""
        factor = finite_scale(scale)
        source, target = self._unary_buffers(x, out, INT32, FLOAT32)
        self.lib.dequantize_i32_f32(source.data, target.data, source.length, factor)

    def matmul(self, a: object, b: object, out: object, m: int, n: int, k: int) -> None:
        """out[m, n] = a[m, k] @ b[k, n], row-major float32, overwritten."""
        self._product(self.lib.matmul_f32, FLOAT32, FLOAT32, (a, b, out), (m, n, k))

    def matmul_i8(self, a: object, b: object, out: object, m: int, n: int, k: int) -> None:
        """out[m, n] = a[m, k] @ b[k, n], row-major, int8 x int8 -> int32, exact; k <= 131071."""
        self._product(self.lib.matmul_i8_i32, INT8, INT32, (a, b, out), (m, n, int8_k(k)))

    def _unary_buffers(
        self, x: object, out: object, x_dtype: Dtype, out_dtype: Dtype
    ) -> tuple[Checked, Checked]:
        source = checked_buffer(self.ffi, "x", x, x_dtype)
        target = checked_buffer(self.ffi, "out", out, out_dtype, writable=True)
        needs_length(target, source.length, "as many as x")
        needs_no_overlap(target, source, same_allowed=x_dtype is out_dtype)
        return source, target

    def _product(
        self,
        function: Any,
        in_dtype: Dtype,
        out_dtype: Dtype,
        buffers: tuple[object, object, object],
        sizes: tuple[int, int, int],
    ) -> None:
        m, n, k = (whole_number(name, size) for name, size in zip("mnk", sizes, strict=True))
        a = checked_buffer(self.ffi, "a", buffers[0], in_dtype)
        b = checked_buffer(self.ffi, "b", buffers[1], in_dtype)
        out = checked_buffer(self.ffi, "out", buffers[2], out_dtype, writable=True)
        needs_length(a, m * k, f"m * k = {m} * {k}")
        needs_length(b, k * n, f"k * n = {k} * {n}")
        needs_length(out, m * n, f"m * n = {m} * {n}")
        needs_no_overlap(out, a, b)
        if function(a.data, b.data, out.data, m, n, k) != 0:
            raise MemoryError(f"no memory to pack a {m} x {k} by {k} x {n} product")
