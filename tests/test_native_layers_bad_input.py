"""What linear layers, attention, embedding and argmax refuse: their buffers depend on each other.
The other methods are in test_native_bad_input.py."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Any

import pytest

import kernels_c
from tests.native import NAN, Memory, Method, filled
from tests.test_native_bad_input import (
    BAD_BUFFER,
    BAD_SIZES,
    NO_BUFFER,
    NO_SIZE,
    Fickle,
    assert_refused,
)

Arguments = dict[str, Any]
M, N, K = 3, 4, 5


def floats(count: int) -> memoryview:
    return filled("f", [i % 7 - 3.0 for i in range(count)]).view


def int8s(count: int) -> memoryview:
    return filled("b", [i % 7 - 3 for i in range(count)]).view


def pack_linear(_: kernels_c.Tier) -> Arguments:
    return {"w": floats(K * N), "bias": floats(N), "n": N, "k": K}


def pack_linear_i8(_: kernels_c.Tier) -> Arguments:
    return {"w": int8s(K * N), "scales": floats(N), "bias": floats(N), "n": N, "k": K}


def linear(tier: kernels_c.Tier) -> Arguments:
    packed = tier.pack_linear(**pack_linear(tier))
    sizes = {"m": M, "n": N, "k": K, "epilogue": "none", "x_row": K}
    return {"x": floats(M * K), "packed": filled("f", packed).view, "out": floats(M * N), **sizes}


def linear_i8(tier: kernels_c.Tier) -> Arguments:
    packed = filled("b", tier.pack_linear_i8(**pack_linear_i8(tier))).view
    own = {"x": int8s(M * K), "x_scales": floats(M), "packed": packed}
    return {**linear(tier), **own}


def attention(_: kernels_c.Tier) -> Arguments:
    sizes = {"count": 2, "start": 3, "context": 6, "width": 4, "heads": 2}
    caches = {"keys": floats(24), "values": floats(24)}
    return {"qkv": floats(24), **caches, "out": floats(8), **sizes}


def embedding(_: kernels_c.Tier) -> Arguments:
    tokens = filled("i", [2, 0]).view
    buffers = {"tokens": tokens, "table": floats(12), "positions": floats(12), "out": floats(8)}
    return {**buffers, "width": 4, "start": 1}


VALID: dict[str, Callable[[kernels_c.Tier], Arguments]] = {
    each.__name__: each
    for each in (pack_linear, pack_linear_i8, linear, linear_i8, attention, embedding)
}
WRITTEN = {"linear": ("out",), "linear_i8": ("out",), "embedding": ("out",)}
WRITTEN["attention"] = ("keys", "values", "out")
SIZES = ("m", "n", "k", "x_row", "count", "start", "context", "width", "heads")
each_method = pytest.mark.parametrize("name", VALID)


def refused(
    tier: kernels_c.Tier,
    name: str,
    argument: str,
    error: type[Exception] = ValueError,
    blamed: str | None = None,
    **changes: Any,
) -> None:
    arguments = {**VALID[name](tier), **changes}
    assert_refused(tier, Method(name, {}), arguments, blamed or argument, error)


def buffers(arguments: Arguments) -> dict[str, memoryview]:
    return {name: v for name, v in arguments.items() if isinstance(v, memoryview)}


@each_method
def test_the_valid_call_that_every_bad_one_differs_from(tier: kernels_c.Tier, name: str) -> None:
    getattr(tier, name)(**VALID[name](tier))


@each_method
def test_a_wrong_element_type_or_no_buffer(tier: kernels_c.Tier, name: str) -> None:
    for argument, view in buffers(VALID[name](tier)).items():
        for kind, change in NO_BUFFER.items():
            optional = kind == "none" and argument in ("bias", "positions")
            if kind != f"array-{view.format}" and not optional:
                refused(tier, name, argument, TypeError, **{argument: change(view)})
        for change in BAD_BUFFER.values():
            refused(tier, name, argument, **{argument: change(view)})


@each_method
def test_a_read_only_output_and_a_misaligned_address(tier: kernels_c.Tier, name: str) -> None:
    for argument, view in buffers(VALID[name](tier)).items():
        if argument in WRITTEN.get(name, ()):
            refused(tier, name, argument, **{argument: view.toreadonly()})
        for offset in (1, 2, 3):
            if view.format != "b" or argument == "packed":
                moved = Memory(view.format, len(view), offset).view
                refused(tier, name, argument, **{argument: moved})


# Where a buffer of another length is what another one should fit.
BLAMED = {("embedding", "tokens"): "out"}


@each_method
def test_a_wrong_length(tier: kernels_c.Tier, name: str) -> None:
    for argument, view in buffers(VALID[name](tier)).items():
        if (name, argument) in (("embedding", "table"), ("embedding", "positions")):
            continue  # see below
        for count in (0, 1, len(view) - 1, len(view) + 1, 2 * len(view)):
            if count != len(view):
                wrong = Memory(view.format, count).view
                blamed = BLAMED.get((name, argument))
                refused(tier, name, argument, blamed=blamed, **{argument: wrong})


@each_method
def test_a_size_that_is_none(tier: kernels_c.Tier, name: str) -> None:
    for size in set(SIZES) & VALID[name](tier).keys():
        for value in NO_SIZE:
            if not (size == "x_row" and value is None):
                refused(tier, name, size, TypeError, **{size: value})
        for value in BAD_SIZES.values():
            refused(tier, name, size, **{size: value})


@each_method
def test_a_number_is_asked_once_and_before_buffers_are_borrowed(
    tier: kernels_c.Tier, name: str
) -> None:
    for size in set(SIZES) & VALID[name](tier).keys():
        arguments = VALID[name](tier)
        fickle = Fickle(arguments[size], 2**40)
        getattr(tier, name)(**{**arguments, size: fickle})
        assert fickle.asked == 1


@pytest.mark.parametrize("name", WRITTEN)
def test_an_output_that_overlaps_anything_is_refused(tier: kernels_c.Tier, name: str) -> None:
    valid = buffers(VALID[name](tier))
    for written in WRITTEN[name]:
        for argument in valid.keys() - {written}:
            a, b = valid[written], valid[argument]
            whole = Memory("b", a.nbytes + b.nbytes)
            for place in (0, 4, b.nbytes - 4 & ~3):
                changes = {
                    argument: whole.bytes[: b.nbytes].cast(b.format),
                    written: whole.bytes[place : place + a.nbytes].cast(a.format),
                }
                arguments = {**VALID[name](tier), **changes}
                before = bytes(whole.raw)
                with pytest.raises(ValueError, match=r"^(out|keys|values): got a buffer that over"):
                    getattr(tier, name)(**arguments)
                assert whole.raw == before


@pytest.mark.parametrize("name", ["linear", "linear_i8"])
def test_an_unknown_epilogue(tier: kernels_c.Tier, name: str) -> None:
    for epilogue in ("relu", "", "GELU", None, 1, b"gelu", ["add"]):
        refused(tier, name, "epilogue", epilogue=epilogue)


@pytest.mark.parametrize("name", ["linear_i8", "pack_linear_i8"])
def test_int8_refuses_128_and_a_k_whose_sums_could_wrap(tier: kernels_c.Tier, name: str) -> None:
    argument = "x" if name == "linear_i8" else "w"
    least = VALID[name](tier)[argument]
    least[len(least) - 1] = -128
    refused(tier, name, argument, **{argument: least})
    refused(tier, name, "k", k=131072)


def test_weights_of_another_layer_are_refused(tier: kernels_c.Tier) -> None:
    """At least where they have another size."""
    other = tier.pack_linear(floats(40 * 40), None, 40, 40)
    refused(tier, "linear", "packed", packed=other)


def test_attention_to_more_than_its_context_or_by_no_heads(tier: kernels_c.Tier) -> None:
    refused(tier, "attention", "start + count", start=5)
    refused(tier, "attention", "start + count", start=2**62)
    for heads in (0, 3, 5):
        refused(tier, "attention", "heads", heads=heads)


def test_tokens_and_positions_that_do_not_exist(tier: kernels_c.Tier) -> None:
    for token in (-1, 3, 2**31 - 1, -(2**31)):
        refused(tier, "embedding", "tokens", tokens=array("i", [0, token]))
    refused(tier, "embedding", "tokens", table=floats(8))
    refused(tier, "embedding", "tokens", table=floats(0))
    refused(tier, "embedding", "table", table=floats(13))
    refused(tier, "embedding", "start + len(tokens)", start=2)
    refused(tier, "embedding", "start + len(tokens)", positions=floats(11))


def test_argmax_of_nothing(tier: kernels_c.Tier) -> None:
    for x, error in ((array("f"), ValueError), ([1.0], TypeError), (array("d", [1.0]), TypeError)):
        with pytest.raises(error, match=r"^x: "):
            tier.argmax(x)


@pytest.mark.parametrize("epsilon", [-1e-5, NAN, "1", None])
def test_an_epsilon_that_is_none(tier: kernels_c.Tier, epsilon: Any) -> None:
    x = floats(4)
    with pytest.raises((TypeError, ValueError), match=r"^epsilon: "):
        tier.layernorm(x, floats(4), floats(4), x, 1, epsilon)


def test_scales_are_an_output_too(tier: kernels_c.Tier) -> None:
    x, out, scales = floats(8), int8s(8), floats(2)
    with pytest.raises(ValueError, match=r"^scales: "):
        tier.quantize_rows(x, out, scales.toreadonly(), 2)
    with pytest.raises(ValueError, match=r"^scales: got a buffer that overlaps x"):
        tier.quantize_rows(x, out, x[:2], 2)


EMPTY: dict[str, Arguments] = {
    "linear": {"x": floats(0), "out": floats(0), "m": 0},
    "linear_i8": {"x": int8s(0), "x_scales": floats(0), "out": floats(0), "m": 0},
    "attention": {"qkv": floats(0), "out": floats(0), "count": 0},
    "embedding": {"tokens": array("i"), "out": floats(0)},
}


@pytest.mark.parametrize("name", EMPTY)
def test_no_rows_are_fine(tier: kernels_c.Tier, name: str) -> None:
    getattr(tier, name)(**{**VALID[name](tier), **EMPTY[name]})


def test_a_layer_without_columns_or_terms(tier: kernels_c.Tier) -> None:
    nothing = floats(0)
    for m, n, k in ((3, 0, 5), (0, 0, 0), (2**40, 0, 0)):
        packed = tier.pack_linear(nothing, nothing, n, k)
        tier.linear(floats(m * k), packed, nothing, m, n, k)
    bias, out = array("f", [1.0, -2.0]), array("f", [9.0] * 6)
    tier.linear(nothing, tier.pack_linear(nothing, bias, 2, 0), out, 3, 2, 0)
    assert out.tolist() == [1.0, -2.0] * 3
