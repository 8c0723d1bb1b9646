"""The kernels of a token one by one, as Python calls them: what gpt_step does in one call, and how
it was before matrices were packed and epilogues fused. Each is a list of functions and arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

Link = tuple[Callable[..., Any], tuple[Any, ...]]


class Call(NamedTuple):
    """`length` tokens at positions from `start` on; logits of the last `rows` of them."""

    tokens: Any
    length: int
    start: int
    rows: int
    logits: Any


def run(links: list[Link]) -> None:
    """Raises MemoryError where a product had no memory for its panels."""
    for function, given in links:
        if function(*given):
            raise MemoryError("no memory to pack a product")


def packed(lib: Any, g: Any, call: Call) -> list[Link]:
    """The calls of gpt.cpp, bit for bit."""
    m = call.length

    def linear(x: Any, matrix: Any, out: Any, n: int, k: int, epilogue: int, m: int) -> list[Link]:
        if not g.quantized:
            return [(lib.linear_f32, (x, matrix, out, m, n, k, k, epilogue))]
        return [
            (lib.quantize_rows_f32_i8, (x, g.bytes, g.scales, m, k)),
            (lib.linear_i8_f32, (g.bytes, g.scales, matrix, out, m, n, k, k, epilogue)),
        ]

    def layer(own: Any) -> list[Link]:
        width, hidden = g.width, g.hidden
        return [
            _norm(lib, g, g.x, own.gain_1, own.bias_1, m),
            *linear(g.normal, own.qkv, g.wide, 3 * width, width, lib.EPILOGUE_NONE, m),
            _attention(lib, g, own, call),
            *linear(g.normal, own.projection, g.x, width, width, lib.EPILOGUE_ADD, m),
            _norm(lib, g, g.x, own.gain_2, own.bias_2, m),
            *linear(g.normal, own.up, g.wide, hidden, width, lib.EPILOGUE_GELU, m),
            *linear(g.wide, own.down, g.x, width, hidden, lib.EPILOGUE_ADD, m),
        ]

    none, rows = lib.EPILOGUE_NONE, call.rows
    return [
        _embedding(lib, g, call),
        *(link for i in range(g.layers) for link in layer(g.layer[i])),
        _norm(lib, g, g.x + (m - rows) * g.width, g.gain, g.bias, rows),
        *linear(g.normal, g.head, call.logits, g.vocabulary, g.width, none, rows),
    ]


def plain(lib: Any, weights: Any, g: Any, call: Call, zeros: Any, numbers: Any) -> list[Link]:
    """Products of plain matrices with bias, GELU and sum as kernels of their own. The kernel that
    adds rows is embedding_f32: row zeros[i] of a bias, or row numbers[i] of another matrix."""
    m, width, hidden = call.length, g.width, g.hidden

    def linear(x: Any, name: str, out: Any, n: int, k: int) -> list[Link]:
        bias = weights.floats(f"{name}.bias")
        return [
            (lib.matmul_f32, (x, weights.floats(name), out, m, n, k)),
            (lib.embedding_f32, (zeros, bias, out, out, m, 0, n)),
        ]

    def add(other: Any) -> Link:
        return lib.embedding_f32, (numbers, g.x, other, g.x, m, 0, width)

    def layer(own: Any, name: str) -> list[Link]:
        return [
            _norm(lib, g, g.x, own.gain_1, own.bias_1, m),
            *linear(g.normal, f"{name}.attn.c_attn", g.wide, 3 * width, width),
            _attention(lib, g, own, call),
            *linear(g.normal, f"{name}.attn.c_proj", g.wide, width, width),
            add(g.wide),
            _norm(lib, g, g.x, own.gain_2, own.bias_2, m),
            *linear(g.normal, f"{name}.mlp.c_fc", g.wide, hidden, width),
            (lib.gelu_tanh_f32, (g.wide, g.wide, m * hidden)),
            *linear(g.wide, f"{name}.mlp.c_proj", g.normal, width, hidden),
            add(g.normal),
        ]

    rows = call.rows
    head = (g.normal, weights.floats("head"), call.logits, rows, g.vocabulary, width)
    return [
        _embedding(lib, g, call),
        *(link for i in range(g.layers) for link in layer(g.layer[i], f"h.{i}")),
        _norm(lib, g, g.x + (m - rows) * width, g.gain, g.bias, rows),
        (lib.matmul_f32, head),
    ]


def _embedding(lib: Any, g: Any, call: Call) -> Link:
    given = (call.tokens, g.tokens, g.positions, g.x, call.length, call.start, g.width)
    return lib.embedding_f32, given


def _norm(lib: Any, g: Any, x: Any, gain: Any, bias: Any, rows: int) -> Link:
    return lib.layernorm_f32, (x, gain, bias, g.normal, rows, g.width, g.epsilon)


def _attention(lib: Any, g: Any, own: Any, call: Call) -> Link:
    memory = (g.wide, own.keys, own.values, g.scores, g.normal)
    return lib.attention_f32, (*memory, call.length, call.start, g.context, g.width, g.heads)
