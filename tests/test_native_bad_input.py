"""What a tier refuses, and what it must accept: wrong arguments raise one line that names the
argument, and nothing is written; empty inputs and every exporter of the right type are fine."""

from __future__ import annotations

import ctypes
import itertools
import mmap
import sys
from array import array
from collections.abc import Callable
from typing import Any

import pytest

import kernels_c
from tests.native import METHODS, Memory, Method, filled, named

BAD_SIZES = {
    "-1": -1,
    "-2^63": -(2**63),
    "-2^200": -(2**200),
    "2^63": 2**63,
    "2^64": 2**64,
    "2^200": 2**200,
    "10^5000": 10**5000,  # Python refuses to print it
    "-10^5000": -(10**5000),
}


def state(arguments: dict[str, Any]) -> list[bytes]:
    """Every byte of every buffer, those around a view included."""
    held = []
    for value in arguments.values():
        try:
            whole = memoryview(value).obj
        except (TypeError, ValueError):  # no buffer, or a released one
            continue
        held.append(memoryview(whole).tobytes())
    return held


def assert_refused(
    tier: kernels_c.Tier,
    method: Method,
    arguments: dict[str, Any],
    argument: str,
    error: type[Exception] | tuple[type[Exception], ...] = ValueError,
) -> None:
    before = state(arguments)
    with pytest.raises(error) as caught:
        method.call(tier, arguments)
    assert state(arguments) == before, "something was written"
    message = str(caught.value)
    assert message.startswith(f"{argument}: "), message
    assert "\n" not in message
    assert len(message) < 300


def test_every_method_of_a_tier_is_tested_here() -> None:
    public = {name for name in dir(kernels_c.Tier) if not name.startswith("_")}
    here = {method.name for method in METHODS.values()}
    assert public - {"unary", "build_info", "threads"} == here | IN_LAYERS


# Whose buffers depend on each other: see test_native_layers_bad_input.py.
IN_LAYERS = {"linear", "linear_i8", "pack_linear", "pack_linear_i8"}
IN_LAYERS |= {"attention", "embedding", "argmax"}


@pytest.mark.parametrize(**named())
def test_the_valid_call_that_every_bad_one_differs_from(
    tier: kernels_c.Tier, method: Method
) -> None:
    method.call(tier, method.arguments())


# --- Buffers -------------------------------------------------------------------------------------


def with_format(code: str) -> Callable[[memoryview], Any]:
    return lambda view: array(code, bytes(len(view) * array(code).itemsize))


def closed(view: memoryview) -> memoryview:
    other = view[:]
    other.release()
    return other


def spread(view: memoryview) -> memoryview:
    """As many elements, every second one of a buffer."""
    return Memory(view.format, 2 * len(view)).view[::2]


NO_BUFFER: dict[str, Callable[[memoryview], Any]] = {
    "list": lambda view: view.tolist(),
    "none": lambda view: None,
    "int": lambda view: 7,
    "str": lambda view: "text",
    "cast-to-bytes": lambda view: view.cast("B"),
    "bytes": bytes,
    "byte-swapped": lambda view: (ctypes.c_float.__ctype_be__ * len(view))(),
    "complex-like": lambda view: (ctypes.c_longlong * len(view))(),
    **{f"array-{code}": with_format(code) for code in "fdbBhHiIq"},
}
BAD_BUFFER: dict[str, Callable[[memoryview], Any]] = {
    "every-second": spread,
    "reversed": lambda view: view[::-1],
    "released": closed,
}


@pytest.mark.parametrize("kind", NO_BUFFER)
@pytest.mark.parametrize(**named())
def test_a_wrong_element_type_or_no_buffer_is_a_type_error(
    tier: kernels_c.Tier, method: Method, kind: str
) -> None:
    for argument, (code, _) in method.buffers.items():
        if kind != f"array-{code}":
            arguments = method.arguments()
            arguments[argument] = NO_BUFFER[kind](arguments[argument])
            assert_refused(tier, method, arguments, argument, TypeError)


@pytest.mark.parametrize("kind", BAD_BUFFER)
@pytest.mark.parametrize(**named())
def test_an_unusable_buffer_is_refused(tier: kernels_c.Tier, method: Method, kind: str) -> None:
    for argument in method.buffers:
        arguments = method.arguments()
        arguments[argument] = BAD_BUFFER[kind](arguments[argument])
        assert_refused(tier, method, arguments, argument)


@pytest.mark.parametrize(**named())
def test_a_read_only_output_is_refused(tier: kernels_c.Tier, method: Method) -> None:
    arguments = method.arguments()
    view = arguments["out"]
    for read_only in (view.toreadonly(), memoryview(bytes(view.nbytes)).cast(view.format)):
        assert_refused(tier, method, {**arguments, "out": read_only}, "out")


@pytest.mark.parametrize(**named())
def test_read_only_inputs_are_fine(tier: kernels_c.Tier, method: Method) -> None:
    arguments, expected = method.arguments(), method.arguments()
    for argument in method.inputs:
        arguments[argument] = arguments[argument].toreadonly()
    method.call(tier, arguments)
    method.call(tier, expected)
    assert arguments["out"].tobytes() == expected["out"].tobytes()


@pytest.mark.parametrize(**named())
def test_a_wrong_length_is_refused(tier: kernels_c.Tier, method: Method) -> None:
    for argument, (code, count) in method.buffers.items():
        for wrong in (0, 1, count - 1, count + 1, 2 * count):
            blamed = method.blamed.get(argument, argument)
            arguments = {**method.arguments(), argument: Memory(code, wrong).view}
            assert_refused(tier, method, arguments, blamed)


@pytest.mark.parametrize(**named())
def test_a_misaligned_address_is_refused(tier: kernels_c.Tier, method: Method) -> None:
    for argument, (code, count) in method.buffers.items():
        for offset in () if code == "b" else (1, 2, 3):
            arguments = {**method.arguments(), argument: Memory(code, count, offset).view}
            assert_refused(tier, method, arguments, argument)


# --- Overlap -------------------------------------------------------------------------------------


@pytest.mark.parametrize(**named())
def test_an_output_that_overlaps_an_input_is_refused(tier: kernels_c.Tier, method: Method) -> None:
    out_code, out_count = method.buffers["out"]
    out_size = array(out_code).itemsize * out_count
    for argument in method.inputs:
        code, count = method.buffers[argument]
        size = array(code).itemsize * count
        # Every place of out relative to the input, in whole elements, that shares a byte with it.
        step = array(out_code).itemsize
        first = -(out_size // step - 1) * step
        for place in range(first, size, step):
            if place == 0 and method.in_place:
                continue
            whole = Memory("b", out_size + size + out_size)
            arguments = method.arguments()
            arguments[argument] = whole.bytes[out_size : out_size + size].cast(code)
            start = out_size + place
            arguments["out"] = whole.bytes[start : start + out_size].cast(out_code)
            assert_refused(tier, method, arguments, "out")


@pytest.mark.parametrize(**named())
def test_an_output_that_touches_an_input_is_fine(tier: kernels_c.Tier, method: Method) -> None:
    expected = method.arguments()
    method.call(tier, expected)
    out_code, out_count = method.buffers["out"]
    out_size = array(out_code).itemsize * out_count
    for argument in method.inputs:
        code, count = method.buffers[argument]
        size = array(code).itemsize * count
        for out_first in (True, False):
            whole = Memory("b", size + out_size)
            low, high = (0, out_size) if out_first else (size, 0)
            arguments = method.arguments()
            source = whole.bytes[high : high + size].cast(code)
            source[:] = arguments[argument]
            arguments[argument] = source
            arguments["out"] = whole.bytes[low : low + out_size].cast(out_code)
            method.call(tier, arguments)
            assert arguments["out"].tobytes() == expected["out"].tobytes()
            assert whole.guards_intact()


@pytest.mark.parametrize(**named("relu", "gelu", "softmax", "layernorm", "layernorm_columns"))
def test_out_may_be_x_itself(tier: kernels_c.Tier, method: Method) -> None:
    expected = method.arguments()
    method.call(tier, expected)
    for again in (lambda view: view, memoryview):
        arguments = method.arguments()
        arguments["out"] = again(arguments["x"])
        method.call(tier, arguments)
        assert arguments["out"].tobytes() == expected["out"].tobytes()


@pytest.mark.parametrize(**named("matmul", "matmul_i8"))
def test_the_inputs_of_a_product_may_overlap(tier: kernels_c.Tier, method: Method) -> None:
    arguments, expected = method.arguments(), method.arguments()
    arguments["b"] = arguments["a"]
    method.call(tier, arguments)
    method.call(tier, expected)  # a and b hold the same there
    assert arguments["out"].tobytes() == expected["out"].tobytes()


@pytest.mark.parametrize(**named())
def test_empty_buffers_overlap_nothing(tier: kernels_c.Tier, method: Method) -> None:
    whole = Memory("b", 64)
    empty = {a: whole.bytes[32:32].cast(code) for a, (code, _) in method.buffers.items()}
    sizes = dict.fromkeys(method.sizes, 0)
    method.call(tier, {**method.options, **sizes, **empty})
    if "m" in sizes:  # b is not empty, and out lies inside it
        b_code = method.buffers["b"][0]
        b = whole.bytes.cast(b_code)
        arguments = {**empty, "b": b, "m": 0, "n": len(b) // 4, "k": 4}
        method.call(tier, arguments)


# --- Sizes ---------------------------------------------------------------------------------------

BY_ROWS = ("softmax", "layernorm", "layernorm_columns", "quantize_rows", "gelu_max")
SIZED = (*BY_ROWS, "matmul", "matmul_i8")
NO_SIZE = (2.0, "2", b"2", None, [2], 2j, object())


@pytest.mark.parametrize(**named(*SIZED))
def test_a_size_that_is_no_integer_is_a_type_error(tier: kernels_c.Tier, method: Method) -> None:
    for size in method.sizes:
        for value in NO_SIZE:
            arguments = {**method.arguments(), size: value}
            assert_refused(tier, method, arguments, size, TypeError)


@pytest.mark.parametrize("value", BAD_SIZES.values(), ids=BAD_SIZES)
@pytest.mark.parametrize(**named(*SIZED))
def test_a_negative_or_overflowing_size_is_refused(
    tier: kernels_c.Tier, method: Method, value: int
) -> None:
    for size in method.sizes:
        assert_refused(tier, method, {**method.arguments(), size: value}, size)
        # Also where the other sizes, and so all buffers, are empty.
        empty = {a: Memory(code, 0).view for a, (code, _) in method.buffers.items()}
        sizes = {**dict.fromkeys(method.sizes, 0), size: value}
        assert_refused(tier, method, {**empty, **sizes}, size)


@pytest.mark.parametrize(**named("matmul", "matmul_i8"))
def test_sizes_whose_product_overflows_are_refused(tier: kernels_c.Tier, method: Method) -> None:
    """2^32 * 2^32 is 0 in 64 bits, (2^62 + 1) * 4 is 4: no such length may pass."""
    for m, n in ((2**32, 2**32), (2**62 + 1, 4), (4, 2**62 + 1), (2**62, 2**62)):
        empty = {a: Memory(code, 0).view for a, (code, _) in method.buffers.items()}
        assert_refused(tier, method, {**empty, "m": m, "n": n, "k": 0}, "out")
        full = {**method.arguments(), "m": m, "n": n, "k": 4}
        assert_refused(tier, method, full, "a" if m != 4 else "b")


@pytest.mark.parametrize("rows", (0, 5, 25, 48, 2**62))
@pytest.mark.parametrize("name", ("softmax", "layernorm", "layernorm_columns", "quantize_rows"))
def test_rows_that_do_not_divide_are_refused(tier: kernels_c.Tier, name: str, rows: int) -> None:
    assert_refused(tier, METHODS[name], {**METHODS[name].arguments(), "rows": rows}, "rows")


def test_int8_products_refuse_a_k_whose_sums_could_wrap(tier: kernels_c.Tier) -> None:
    method = METHODS["matmul_i8"]
    for k in (131072, 2**40):
        assert_refused(tier, method, {**method.arguments(), "k": k}, "k")
        empty = {a: Memory(code, 0).view for a, (code, _) in method.buffers.items()}
        assert_refused(tier, method, {**empty, "m": 0, "n": 0, "k": k}, "k")
    a, b = (Memory("b", 131072).view for _ in "ab")
    arguments = {"a": a, "b": b, "out": Memory("i", 1).view, "m": 1, "n": 1, "k": 131072}
    assert_refused(tier, method, arguments, "k")


# --- Options -------------------------------------------------------------------------------------

JUST_TOO_LARGE = 2.0**128 - 2.0**103  # halfway to 2^128: rounds to infinity
BAD_SCALES = (float("nan"), float("inf"), -float("inf"), 1e39, -1e39, JUST_TOO_LARGE, 10**400)


@pytest.mark.parametrize(**named("quantize", "dequantize"))
def test_a_scale_that_is_no_finite_float32_is_refused(tier: kernels_c.Tier, method: Method) -> None:
    for scale in BAD_SCALES:
        assert_refused(tier, method, {**method.arguments(), "scale": scale}, "scale")
    for nothing in ("2", None, [2.0], 2j, b"2"):
        assert_refused(tier, method, {**method.arguments(), "scale": nothing}, "scale", TypeError)


@pytest.mark.parametrize(**named("quantize", "dequantize"))
def test_any_finite_scale_is_fine(tier: kernels_c.Tier, method: Method) -> None:
    for scale in (0, -0.0, True, -3, 1e-300, 2.0**-149, JUST_TOO_LARGE - 1e23, 3.4028235e38):
        method.call(tier, {**method.arguments(), "scale": scale})


def test_an_unknown_gelu_form_is_refused(tier: kernels_c.Tier) -> None:
    method = METHODS["gelu-tanh"]
    for form in ("bogus", "erf", "", "Tanh", "a\nb", None, 3, b"tanh", ["tanh"]):
        arguments = {**method.arguments(), "approximate": form}
        assert_refused(tier, method, arguments, "approximate", (TypeError, ValueError))


# --- Arguments that answer differently each time -------------------------------------------------


class Fickle:
    """A number that is another one when it is asked again."""

    def __init__(self, first: Any, later: Any) -> None:
        self.answers = [first, later, later, later]
        self.asked = 0

    def _answer(self) -> Any:
        self.asked += 1
        return self.answers[self.asked - 1]

    def __index__(self) -> int:
        return int(self._answer())

    def __float__(self) -> float:
        return float(self._answer())


class FickleBuffer(Fickle):
    def __buffer__(self, flags: int) -> memoryview:
        return memoryview(self._answer())


class FickleText(str):
    """Equal to what it likes."""

    asked = 0

    def __hash__(self) -> int:
        FickleText.asked += 1
        return hash("tanh" if FickleText.asked == 1 else "none")

    def __eq__(self, other: object) -> bool:
        return other == ("tanh" if FickleText.asked == 1 else "none")


@pytest.mark.parametrize(**named(*SIZED, "quantize", "dequantize"))
def test_a_number_is_asked_once(tier: kernels_c.Tier, method: Method) -> None:
    """A second answer would be unchecked: a k beyond what sums hold, sizes beyond the buffers."""
    expected = method.arguments()
    method.call(tier, expected)
    for option, value in method.options.items():
        for later in (0, 2**17, 2**40, -1):
            arguments = method.arguments()
            fickle = Fickle(value, later)
            method.call(tier, {**arguments, option: fickle})
            assert fickle.asked == 1
            assert arguments["out"] == expected["out"]


def test_an_int8_product_checks_the_k_that_it_uses(tier: kernels_c.Tier) -> None:
    method = METHODS["matmul_i8"]
    fickle = Fickle(131072, 4)
    assert_refused(tier, method, {**method.arguments(), "k": fickle}, "k")
    assert fickle.asked == 1


def test_a_form_of_gelu_is_looked_up_once(tier: kernels_c.Tier) -> None:
    method = METHODS["gelu-tanh"]
    expected, arguments = method.arguments(), method.arguments()
    method.call(tier, expected)
    FickleText.asked = 0
    method.call(tier, {**arguments, "approximate": FickleText("x")})
    assert FickleText.asked == 1
    assert arguments["out"] == expected["out"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="classes export buffers from 3.12 on")
@pytest.mark.parametrize(**named())
def test_a_buffer_is_borrowed_once(tier: kernels_c.Tier, method: Method) -> None:
    for argument in method.buffers:
        arguments = method.arguments()
        fickle = FickleBuffer(arguments[argument], arguments[argument][:1])
        method.call(tier, {**arguments, argument: fickle})
        assert fickle.asked == 1


@pytest.mark.parametrize(**named(*SIZED, "quantize", "dequantize"))
def test_numbers_are_asked_before_buffers_are_borrowed(
    tier: kernels_c.Tier, method: Method
) -> None:
    """The code that answers may change a buffer, which is what the checks must then see."""
    for option, value in method.options.items():
        for argument, (code, count) in method.buffers.items():
            buffer = array(code, [0]) * count

            class Grows(Fickle):
                def _answer(self, buffer: array[Any] = buffer) -> Any:
                    buffer.append(0)  # BufferError while it is borrowed
                    return super()._answer()

            changed = {argument: buffer, option: Grows(value, value)}
            with pytest.raises(ValueError, match="elements, needs"):
                method.call(tier, {**method.arguments(), **changed})


# --- What is fine --------------------------------------------------------------------------------


@pytest.mark.parametrize(**named("relu", "gelu", "quantize", "dequantize"))
def test_empty_vectors_are_fine(tier: kernels_c.Tier, method: Method) -> None:
    memories = {a: Memory(code, 0) for a, (code, _) in method.buffers.items()}
    method.call(tier, {**{a: m.view for a, m in memories.items()}, **method.options})
    assert all(memory.guards_intact() for memory in memories.values())


@pytest.mark.parametrize("rows", (0, 1, 7, 2**62, 2**63 - 1))
def test_softmax_of_nothing_returns_at_once_for_any_number_of_rows(
    tier: kernels_c.Tier, rows: int
) -> None:
    x, out = Memory("f", 0), Memory("f", 0)
    tier.softmax(x.view, out.view, rows)
    assert out.guards_intact()


EMPTY_PRODUCTS = [
    (m, n, k)
    for m, n, k in itertools.product((0, 1, 3, 131071, 2**62), repeat=3)
    if 0 in (m, n, k) and max(m * k, k * n, m * n) < 2**20
]


@pytest.mark.parametrize(**named("matmul", "matmul_i8"))
def test_products_with_an_empty_dimension(tier: kernels_c.Tier, method: Method) -> None:
    """No elements, whatever the other sizes say, is done at once; k = 0 gives zeros."""
    for m, n, k in EMPTY_PRODUCTS:
        if method.name == "matmul_i8" and k > 131071:
            continue  # refused: int32 sums could wrap
        lengths = {"a": m * k, "b": k * n, "out": m * n}
        memories = {a: Memory(method.buffers[a][0], lengths[a]) for a in lengths}
        views = {argument: memory.view for argument, memory in memories.items()}
        method.call(tier, {**views, "m": m, "n": n, "k": k})
        assert all(memory.guards_intact() for memory in memories.values())
        assert not any(memories["out"].view)


def mapped(view: memoryview) -> memoryview:
    memory = mmap.mmap(-1, view.nbytes)
    memory[:] = view.tobytes()
    return memoryview(memory).cast(view.format)


CTYPES = {"f": ctypes.c_float, "i": ctypes.c_int32, "b": ctypes.c_int8}
EXPORTERS: dict[str, Callable[[memoryview], Any]] = {
    "array": lambda view: array(view.format, view.tolist()),
    "memoryview": memoryview,
    "mmap": mapped,
    "ctypes": lambda view: (CTYPES[view.format] * len(view))(*view),
    "ctypes-2d": lambda view: (CTYPES[view.format] * (len(view) // 4) * 4).from_buffer_copy(view),
    "2d": lambda view: view.cast("B").cast(view.format, [4, len(view) // 4]),
    "3d": lambda view: view.cast("B").cast(view.format, [2, 2, len(view) // 4]),
}


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize(**named())
def test_any_exporter_of_the_right_type_will_do(
    tier: kernels_c.Tier, method: Method, exporter: str
) -> None:
    expected = method.arguments()
    method.call(tier, expected)
    arguments = method.arguments()
    for argument in method.buffers:
        arguments[argument] = EXPORTERS[exporter](arguments[argument])
    method.call(tier, arguments)
    assert memoryview(arguments["out"]).tobytes() == expected["out"].tobytes()


@pytest.mark.parametrize(**named())
def test_a_call_holds_on_to_nothing(tier: kernels_c.Tier, method: Method) -> None:
    """An array that is still exported could not grow."""
    buffers = {a: array(code, [0]) * count for a, (code, count) in method.buffers.items()}
    method.call(tier, {**buffers, **method.options})
    for buffer in buffers.values():
        buffer.append(0)


def test_the_memory_of_these_tests_notices_a_stray_write() -> None:
    for place in (-1, 0):
        memory = filled("b", [1, 2, 3])
        memory.raw[memory._start - 1 if place else memory._end] ^= 1
        assert not memory.guards_intact()
