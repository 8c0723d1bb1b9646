"""The methods of a tier for the parts of a transformer: normalisation, linear layers with packed
weights, attention with a cache, embedding, and what picks a token or a feature."""

from __future__ import annotations

from array import array
from typing import Any

from kernels_c.arguments import (
    FLOAT32,
    INT8,
    INT32,
    Checked,
    checked_buffer,
    finite_scale,
    int8_k,
    needs_aligned_floats,
    needs_length,
    needs_no_overlap,
    needs_within,
    whole_number,
)

_EPILOGUES = {"none": 0, "gelu": 1, "add": 2}  # as kernels.h has them


class Layers:
    """Mixed into kernels_c.Tier."""

    lib: Any
    ffi: Any

    def layernorm(
        self,
        x: object,
        gain: object,
        bias: object,
        out: object,
        rows: int = 1,
        epsilon: float = 1e-5,
    ) -> None:
        """Layer normalisation of each row. float32 [rows, cols], gain and bias [cols] -> as x; out
        may be x."""
        self._layernorm(self.lib.layernorm_f32, (x, gain, bias, out), rows, epsilon, False)

    def layernorm_columns(
        self,
        x: object,
        gain: object,
        bias: object,
        out: object,
        rows: int = 1,
        epsilon: float = 1e-5,
    ) -> None:
        """The same of each column: gain and bias are [rows]."""
        self._layernorm(self.lib.layernorm_columns_f32, (x, gain, bias, out), rows, epsilon, True)

    def _layernorm(
        self, function: Any, buffers: tuple[object, ...], rows: int, epsilon: float, columns: bool
    ) -> None:
        count, small = whole_number("rows", rows), finite_scale(epsilon, "epsilon")
        if small < 0.0:
            raise ValueError(f"epsilon: got {small}, needs at least 0")
        x, gain, bias = self._floats(x=buffers[0], gain=buffers[1], bias=buffers[2])
        out = self._written("out", buffers[3])
        needs_length(out, x.length, "as many as x")
        cols = _columns(x, count)
        for vector in (gain, bias):
            needs_length(vector, count if columns else cols, "rows" if columns else "columns")
        needs_no_overlap(out, x, same_allowed=True)
        needs_no_overlap(out, gain, bias)
        function(x.data, gain.data, bias.data, out.data, count, cols, small)

    def pack_linear(self, w: object, bias: object, n: int, k: int) -> array[float]:
        """float32 w[k, n] and bias[n], or None for zeros, as linear of this tier reads them."""
        n, k = whole_number("n", n), whole_number("k", k)
        (weights,) = self._floats(w=w)
        needs_length(weights, k * n, f"k * n = {k} * {n}")
        offset = self._bias(bias, n)
        packed = array("f", [0.0]) * int(self.lib.packed_linear_f32(n, k))
        to = self.ffi.from_buffer("float[]", packed)
        self.lib.pack_linear_f32(weights.data, offset.data if offset else self.ffi.NULL, to, n, k)
        return packed

    def linear(
        self,
        x: object,
        packed: object,
        out: object,
        m: int,
        n: int,
        k: int,
        epilogue: str = "none",
        x_row: int | None = None,
    ) -> None:
        """out[m, n] = x[m, k] w[k, n] + bias[n], float32, of what pack_linear made of w and bias.

        epilogue   "none"; "gelu": GELU (tanh) of the sum; "add": the sum is added to out
        x_row      how far the rows of x are apart, k if not given; fewer than k: they overlap
        """
        m, n, k, step = self._linear_sizes(m, n, k, x_row)
        after = _epilogue(epilogue)
        rows, weights = self._floats(x=x, packed=packed)
        target = self._written("out", out)
        needs_length(rows, _span(m, k, step), "m rows of k, x_row apart")
        needs_length(weights, int(self.lib.packed_linear_f32(n, k)), f"packed for {n} x {k}")
        needs_length(target, m * n, f"m * n = {m} * {n}")
        needs_no_overlap(target, rows, weights)
        self.lib.linear_f32(rows.data, weights.data, target.data, m, n, k, step, after)

    def pack_linear_i8(self, w: object, scales: object, bias: object, n: int, k: int) -> array[int]:
        """int8 w[k, n] of -127 to 127, float32 scales[n] and bias[n], or None for zeros, as
        linear_i8 of this tier reads them; k <= 131071."""
        n, k = whole_number("n", n), int8_k(k)
        weights = checked_buffer(self.ffi, "w", w, INT8)
        (factors,) = self._floats(scales=scales)
        needs_length(weights, k * n, f"k * n = {k} * {n}")
        needs_length(factors, n, f"n = {n}")
        offset = self._bias(bias, n)
        _needs_symmetric(weights)
        packed = array("b", [0]) * int(self.lib.packed_linear_i8(n, k))
        to = self.ffi.from_buffer("int8_t[]", packed)
        null = self.ffi.NULL
        self.lib.pack_linear_i8(
            weights.data, factors.data, offset.data if offset else null, to, n, k
        )
        return packed

    def linear_i8(
        self,
        x: object,
        x_scales: object,
        packed: object,
        out: object,
        m: int,
        n: int,
        k: int,
        epilogue: str = "none",
        x_row: int | None = None,
    ) -> None:
        """out[m, n] = x[m, k] w[k, n] * x_scales[m] * scales[n] + bias[n], float32; x is int8 of
        -127 to 127, the product exact, k <= 131071. epilogue and x_row as linear has them."""
        k = int8_k(k)
        m, n, k, step = self._linear_sizes(m, n, k, x_row)
        after = _epilogue(epilogue)
        rows = checked_buffer(self.ffi, "x", x, INT8)
        (factors,) = self._floats(x_scales=x_scales)
        weights = checked_buffer(self.ffi, "packed", packed, INT8)
        target = self._written("out", out)
        needs_length(rows, _span(m, k, step), "m rows of k, x_row apart")
        needs_length(factors, m, f"m = {m}")
        needs_length(weights, int(self.lib.packed_linear_i8(n, k)), f"packed for {n} x {k}")
        needs_length(target, m * n, f"m * n = {m} * {n}")
        needs_aligned_floats(weights)
        needs_no_overlap(target, rows, factors, weights)
        _needs_symmetric(rows)
        pointers = (rows.data, factors.data, weights.data, target.data)
        if self.lib.linear_i8_f32(*pointers, m, n, k, step, after) != 0:
            raise MemoryError(f"no memory to widen {m} rows of {k}")

    def quantize_rows(self, x: object, out: object, scales: object, rows: int = 1) -> None:
        """scales[r] = max |x[r, c]| / 127, out[r, c] = x[r, c] / scales[r] rounded half to even.
        float32 [rows, cols] -> int8 [rows, cols], float32 [rows]. A row that holds NaN or infinity
        has the scale NaN and zeros."""
        count = whole_number("rows", rows)
        (source,) = self._floats(x=x)
        target = checked_buffer(self.ffi, "out", out, INT8, writable=True)
        factors = self._written("scales", scales)
        needs_length(target, source.length, "as many as x")
        cols = _columns(source, count)
        needs_length(factors, count, f"rows = {count}")
        needs_no_overlap(target, source)
        needs_no_overlap(factors, source, target)
        self.lib.quantize_rows_f32_i8(source.data, target.data, factors.data, count, cols)

    def attention(
        self,
        qkv: object,
        keys: object,
        values: object,
        out: object,
        count: int,
        start: int,
        context: int,
        width: int,
        heads: int,
    ) -> None:
        """Causal attention of `count` positions from `start` on, float32: qkv [count, 3 width] ->
        [count, width]. keys and values [heads, context, width / heads] are the caches of all
        positions; those of these go into them first."""
        names = {"count": count, "start": start, "context": context, "width": width, "heads": heads}
        count, start, context, width, heads = (whole_number(n, v) for n, v in names.items())
        if heads == 0 or width % heads:
            raise ValueError(f"heads: got {heads}, needs a divisor of width = {width}")
        needs_within("start + count", start + count, context, "context")
        (source,) = self._floats(qkv=qkv)
        caches = self._written("keys", keys), self._written("values", values)
        target = self._written("out", out)
        needs_length(source, count * 3 * width, f"count * 3 * width = {count} * 3 * {width}")
        for cache in caches:
            needs_length(cache, context * width, f"context * width = {context} * {width}")
        needs_length(target, count * width, f"count * width = {count} * {width}")
        needs_no_overlap(caches[0], source, caches[1])
        needs_no_overlap(caches[1], source)
        needs_no_overlap(target, source, *caches)
        size = heads * int(self.lib.ATTENTION_ROWS) * context if count else 0
        scores = self.ffi.from_buffer("float[]", array("f", bytes(4 * size)))
        pointers = (source.data, caches[0].data, caches[1].data, scores, target.data)
        self.lib.attention_f32(*pointers, count, start, context, width, heads)

    def embedding(
        self,
        tokens: object,
        table: object,
        positions: object,
        out: object,
        width: int,
        start: int = 0,
    ) -> None:
        """out[i] = table[tokens[i]] + positions[start + i]. int32 [count], float32 [rows, width],
        [at least start + count, width], or None for nothing to add -> float32 [count, width]."""
        width, start = whole_number("width", width), whole_number("start", start)
        indices = checked_buffer(self.ffi, "tokens", tokens, INT32)
        (rows,) = self._floats(table=table)
        places = None if positions is None else self._floats(positions=positions)[0]
        target = self._written("out", out)
        needs_length(target, indices.length * width, "width for each token")
        needs_no_overlap(target, indices, rows, *([places] if places else []))
        known = rows.length // width if width else 0
        if rows.length != known * width:
            raise ValueError(f"table: got {rows.length} elements, needs rows of width = {width}")
        if places is not None:
            room = places.length // max(width, 1)
            needs_within("start + len(tokens)", start + indices.length, room, "rows of positions")
        # A copy is checked and used: another thread may write to `tokens`, and each is an address.
        copy = array("i", indices.view.tobytes())
        if width and copy:
            low, high = min(copy), max(copy)
            if low < 0 or high >= known:
                got = low if low < 0 else high
                raise ValueError(f"tokens: got {got}, needs 0 to {known - 1}, the rows of table")
        given = self.ffi.from_buffer("int32_t[]", copy)
        added = places.data if places else self.ffi.NULL
        self.lib.embedding_f32(given, rows.data, added, target.data, len(copy), start, width)

    def argmax(self, x: object) -> int:
        """The index of the largest element, the first of equals; the first NaN where there is one.
        float32 [n], n > 0."""
        (source,) = self._floats(x=x)
        if not source.length:
            raise ValueError("x: got no elements, needs at least one")
        return int(self.lib.argmax_f32(source.data, source.length))

    def gelu_max(self, x: object, out: object, rows: int = 1) -> None:
        """out[c] = the largest GELU (tanh) in column c. float32 [rows, cols] -> [cols], of rows."""
        count = whole_number("rows", rows)
        (source,) = self._floats(x=x)
        target = self._written("out", out)
        if count == 0 and target.length:
            raise ValueError("rows: got 0, needs at least 1")
        needs_length(source, count * target.length, f"rows * len(out) = {count} * {target.length}")
        needs_no_overlap(target, source)
        self.lib.gelu_max_f32(source.data, target.data, count, target.length)

    def _floats(self, **buffers: object) -> list[Checked]:
        return [checked_buffer(self.ffi, name, x, FLOAT32) for name, x in buffers.items()]

    def _written(self, name: str, buffer: object) -> Checked:
        return checked_buffer(self.ffi, name, buffer, FLOAT32, writable=True)

    def _bias(self, bias: object, n: int) -> Checked | None:
        if bias is None:
            return None
        (offset,) = self._floats(bias=bias)
        needs_length(offset, n, f"n = {n}")
        return offset

    def _linear_sizes(self, m: int, n: int, k: int, x_row: int | None) -> tuple[int, int, int, int]:
        m, n, k = (whole_number(name, size) for name, size in zip("mnk", (m, n, k), strict=True))
        return m, n, k, k if x_row is None else whole_number("x_row", x_row)


def _columns(x: Checked, rows: int) -> int:
    cols, rest = divmod(x.length, rows) if rows else (0, x.length)
    if rest:
        raise ValueError(f"rows: got {rows}, needs a divisor of len(x) = {x.length}")
    return cols


def _span(m: int, k: int, step: int) -> int:
    return (m - 1) * step + k if m and k else 0


def _epilogue(name: object) -> int:
    number = _EPILOGUES.get(name) if isinstance(name, str) else None
    if number is None:
        raise ValueError(f"epilogue: got {name!r}, needs 'none', 'gelu' or 'add'")
    return number


def _needs_symmetric(x: Checked) -> None:
    if b"\x80" in x.view.tobytes():
        raise ValueError(f"{x.argument}: got -128, needs -127 to 127")
