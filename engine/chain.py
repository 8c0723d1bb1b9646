"""The kernels of a token one by one, as Python calls them: what gpt_step does in one call, and how
it was before matrices were packed and epilogues fused. Each is a list of functions and arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
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


class Rows(NamedTuple):
    """What a kernel works on: so many rows of the residual stream, and of what is made of them."""

    length: int
    x: Any
    normal: Any


def rows_of_layers(g: Any, call: Call) -> Iterator[tuple[Any, Rows, Rows]]:
    """Each layer with the rows of its attention and those of what comes after: of the last layer
    only what is asked for, as gpt.cpp has it."""
    every = Rows(call.length, g.x, g.normal)
    skipped = (call.length - call.rows) * g.width
    last = Rows(call.rows, g.x + skipped, g.normal + skipped)
    for i in range(g.layers):
        yield g.layer[i], every, last if i + 1 == g.layers else every


def packed(lib: Any, g: Any, call: Call) -> list[Link]:
    """The calls of gpt.cpp, bit for bit."""
    width, hidden, none = g.width, g.hidden, lib.EPILOGUE_NONE

    def linear(m: int, x: Any, matrix: Any, out: Any, n: int, k: int, epilogue: int) -> list[Link]:
        if not g.quantized:
            return [(lib.linear_f32, (x, matrix, out, m, n, k, k, epilogue))]
        return [
            (lib.quantize_rows_f32_i8, (x, g.bytes, g.scales, m, k)),
            (lib.linear_i8_f32, (g.bytes, g.scales, matrix, out, m, n, k, k, epilogue)),
        ]

    links = [_embedding(lib, g, call)]
    for own, rows, after in rows_of_layers(g, call):
        m = after.length
        links += [
            _norm(lib, g, rows, own.gain_1, own.bias_1),
            *linear(rows.length, rows.normal, own.qkv, g.wide, 3 * width, width, none),
            _attention(lib, g, own, call),
            *linear(m, after.normal, own.projection, after.x, width, width, lib.EPILOGUE_ADD),
            _norm(lib, g, after, own.gain_2, own.bias_2),
            *linear(m, after.normal, own.up, g.wide, hidden, width, lib.EPILOGUE_GELU),
            *linear(m, g.wide, own.down, after.x, width, hidden, lib.EPILOGUE_ADD),
        ]
    head = linear(m, after.normal, g.head, call.logits, g.vocabulary, width, none)
    return [*links, _norm(lib, g, after, g.gain, g.bias), *head]


def plain(lib: Any, weights: Any, g: Any, call: Call, zeros: Any, numbers: Any) -> list[Link]:
    """Products of plain matrices with bias, GELU and sum as kernels of their own. The kernel that
    adds rows is embedding_f32: row zeros[i] of a bias, or row numbers[i] of another matrix."""
    width, hidden = g.width, g.hidden

    def linear(m: int, x: Any, name: str, out: Any, n: int, k: int) -> list[Link]:
        bias = weights.floats(f"{name}.bias")
        return [
            (lib.matmul_f32, (x, weights.floats(name), out, m, n, k)),
            (lib.embedding_f32, (zeros, bias, out, out, m, 0, n)),
        ]

    def add(rows: Rows, other: Any) -> Link:
        return lib.embedding_f32, (numbers, rows.x, other, rows.x, rows.length, 0, width)

    links = [_embedding(lib, g, call)]
    for i, (own, rows, after) in enumerate(rows_of_layers(g, call)):
        m, name = after.length, f"h.{i}"
        links += [
            _norm(lib, g, rows, own.gain_1, own.bias_1),
            *linear(rows.length, rows.normal, f"{name}.attn.c_attn", g.wide, 3 * width, width),
            _attention(lib, g, own, call),
            *linear(m, after.normal, f"{name}.attn.c_proj", g.wide, width, width),
            add(after, g.wide),
            _norm(lib, g, after, own.gain_2, own.bias_2),
            *linear(m, after.normal, f"{name}.mlp.c_fc", g.wide, hidden, width),
            (lib.gelu_tanh_f32, (g.wide, g.wide, m * hidden)),
            *linear(m, g.wide, f"{name}.mlp.c_proj", after.normal, width, hidden),
            add(after, after.normal),
        ]
    head = (after.normal, weights.floats("head"), call.logits, m, g.vocabulary, width)
    return [*links, _norm(lib, g, after, g.gain, g.bias), (lib.matmul_f32, head)]


def _embedding(lib: Any, g: Any, call: Call) -> Link:
    given = (call.tokens, g.tokens, g.positions, g.x, call.length, call.start, g.width)
    return lib.embedding_f32, given


def _norm(lib: Any, g: Any, rows: Rows, gain: Any, bias: Any) -> Link:
    return lib.layernorm_f32, (rows.x, gain, bias, rows.normal, rows.length, g.width, g.epsilon)


def _attention(lib: Any, g: Any, own: Any, call: Call) -> Link:
    memory = (g.wide, own.keys, own.values, g.scores, g.normal)
    return lib.attention_f32, (*memory, call.length, call.start, g.context, g.width, g.heads)
