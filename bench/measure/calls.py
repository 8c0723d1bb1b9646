"""A case's callable for a variant: Python's, a native tier's by whatever path, or a library's."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from functools import partial
from typing import Any

import kernels_c
from bench.measure import peers
from bench.measure.cases.case import Call, Case, folder_of
from bench.measure.cases.errors_in_ulp import WrongResult
from bench.suite import registry
from bench.suite.registry import CALL_PATHS, Native, Signature

Method = Callable[..., None]  # method(inputs..., out, sizes and scales...)


def call_of(case: Case, variant: str, peer_threads: int = 1) -> Call:
    """The callable of "py-loop", "c-avx2", "peer-numpy", ... Raises kernels_c.TierUnavailable,
    peers.PeerUnavailable."""
    side, name = registry.side_and_name(variant)
    if side == "python":
        return Call("python", *case.python_call(name))
    if side == "peer":
        return peers.load_peer(name).call(case, peer_threads)
    native = case.kernel.native(variant)
    return native_call_of(case, kernels_c.load_tier(native.tier), native)


def native_call_of(case: Case, tier: kernels_c.Tier, native: Native) -> Call:
    """The native variant, of this very tier."""
    if native.call_path is not None:
        return call_path(case, tier, native.call_path)
    function, args, *collect = case.native_call(tier, native.function)
    return Call(folder_of(tier), function, args, tier.threads, *collect)


# --- Call paths ----------------------------------------------------------------------------------


def call_path(case: Case, tier: kernels_c.Tier, path: str) -> Call:
    """The native kernel as a program reaches it that has made no pointers beforehand: through the
    checked methods of kernels_c, or from lists to lists. Raises ValueError for a path that is none
    of registry.CALL_PATHS."""
    if path == "checked":
        views = [buffer.view for buffer in case.buffers]
        others = case.python_args()[len(views) :]
        method = method_of(case, tier, with_scratch=True)
        return Call(folder_of(tier), method, (*views, case.out.view, *others), tier.threads)
    if path == "lists":
        function, collect = through_lists(case, method_of(case, tier)), partial(collect_list, case)
        return Call(folder_of(tier), function, case.python_args(), tier.threads, collect)
    raise ValueError(f"there is no call path {path!r}; the call paths are {', '.join(CALL_PATHS)}")


def method_of(case: Case, tier: kernels_c.Tier, with_scratch: bool = False) -> Method:
    """The method of kernels_c.Tier, which has the name of the kernel's Python module, or what a
    program writes that needs several; with `with_scratch` what lies between those is made now."""
    kernel = case.kernel
    if kernel.signature is Signature.QUANTIZED_PRODUCT:
        return partial(quantized_matmul, tier, scratch(*case.shape) if with_scratch else None)
    if kernel.signature is Signature.UNARY and not hasattr(tier, kernel.module):
        return partial(tier.unary, kernel.name)
    own: Method = getattr(tier, kernel.module)
    return own


def scratch(m: int, n: int, k: int) -> tuple[array[int], array[int], array[int]]:
    """Both matrices as int8, and their product as int32."""
    return empty("b", m * k), empty("b", k * n), empty("i", m * n)


def empty(typecode: str, n: int) -> array[Any]:
    return array(typecode, bytes(n * array(typecode).itemsize))


def quantized_matmul(
    tier: kernels_c.Tier,
    between: tuple[array[int], array[int], array[int]] | None,
    a: object,
    b: object,
    out: object,
    m: int,
    n: int,
    k: int,
    scale_a: float,
    scale_b: float,
) -> None:
    """float32 [m, k], [k, n] -> float32 [m, n] through int8, by four checked methods."""
    quantized_a, quantized_b, product = between or scratch(m, n, k)
    tier.quantize(a, quantized_a, scale_a)
    tier.quantize(b, quantized_b, scale_b)
    tier.matmul_i8(quantized_a, quantized_b, product, m, n, k)
    tier.dequantize(product, out, 1.0 / (scale_a * scale_b))


def through_lists(case: Case, method: Method) -> Callable[..., list[Any]]:
    """A function of what the kernel's Python functions take, lists and numbers, to a list."""
    in_code, out_code = case.inputs[0].typecode, case.out_typecode

    def unary(x: list[float], *others: float) -> list[Any]:
        out = empty(out_code, len(x))
        method(array(in_code, x), out, *others)
        return out.tolist()

    def product(a: list[Any], b: list[Any], m: int, n: int, k: int, *scales: float) -> list[Any]:
        out = empty(out_code, m * n)
        method(array(in_code, a), array(in_code, b), out, m, n, k, *scales)
        return out.tolist()

    return unary if len(case.inputs) == 1 else product


def collect_list(case: Case, returned: list[Any]) -> None:
    """Into the case's output. Raises WrongResult where it does not fit in there."""
    needs = f"needs a list of {case.out_length}"
    try:
        result = array(case.out_typecode, returned)
    except (TypeError, OverflowError) as error:
        raise WrongResult(f"{case.kernel.name} by lists: got {error}, {needs}") from None
    if len(result) != case.out_length:
        raise WrongResult(f"{case.kernel.name} by lists: got {len(result)} elements, {needs}")
    case.out.fill(result)
