"""The case of attention: queries, and the caches of keys and values that it writes to first."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import kernels_c
from bench.measure.cases.buffers import Buffer
from bench.measure.cases.case import Call, Called, Case, Numbers, pointer
from bench.measure.cases.errors_in_ulp import WrongResult, inverse_ulps
from bench.suite.registry import Kernel, Shape, Unit
from kernels_py import attention

_SCORES = 15  # the stagger of their buffer
_COLUMNS_OF_A_HEAD = 32


class AttentionCase(Case):
    """qkv [count, 3 width] and the caches of the keys and values of `length` positions ->
    [count, width], for the last `count` of them. Heads have 32 columns where that goes."""

    low, high = -1.0, 1.0

    def __init__(self, kernel: Kernel, shape: Shape, offsets: tuple[int, int] = (0, 0)) -> None:
        super().__init__(kernel, shape, offsets)
        count, length, width = shape
        if count > length:
            raise ValueError(f"{kernel.name}: {count} of {length} positions; needs at most those")
        self.heads = width // _COLUMNS_OF_A_HEAD if width % _COLUMNS_OF_A_HEAD == 0 else 1

    @cached_property
    def inputs(self) -> tuple[array[Any], ...]:
        """The caches as they are afterwards: with the positions that qkv brings."""
        qkv, *caches = super().inputs
        count, length, width = self.shape
        for part, cache in enumerate(caches, 1):
            for i in range(count):
                row = qkv[(i * 3 + part) * width : (i * 3 + part + 1) * width]
                for here, there in self._rows_of(length - count + i):
                    cache[there] = row[here]
        return qkv, caches[0], caches[1]

    def _rows_of(self, place: int) -> Iterator[tuple[slice, slice]]:
        """Of a position, for each head: its columns, and where they are in a cache."""
        length, d = self.shape[1], self.shape[2] // self.heads
        for h in range(self.heads):
            at = (h * length + place) * d
            yield slice(h * d, (h + 1) * d), slice(at, at + d)

    @cached_property
    def _python(self) -> tuple[list[float], list[float], list[float]]:
        """Queries, keys and values, each a row a position."""
        (qkv, *caches), (_, length, width) = self.lists, self.shape
        queries = [v for at in range(0, len(qkv), 3 * width) for v in qkv[at : at + width]]
        keys, rows = (
            [
                v
                for place in range(length)
                for _, there in self._rows_of(place)
                for v in cache[there]
            ]
            for cache in caches
        )
        return queries, keys, rows

    def python_args(self) -> tuple[Any, ...]:
        count, _, width = self.shape
        return (*self._python, count, width, self.heads)

    @cached_property
    def reference(self) -> Numbers:
        return attention.reference(*self.python_args())

    def _computed_inverse(self, unit: Unit) -> Numbers:
        if unit is not Unit.TERMS:
            return super()._computed_inverse(unit)
        queries, keys, cached, *sizes = self.python_args()
        return inverse_ulps(attention.reference(queries, keys, [abs(v) for v in cached], *sizes))

    @cached_property
    def _scores(self) -> Buffer:
        rows = kernels_c.load_tier("scalar").lib.ATTENTION_ROWS
        return Buffer("f", self.heads * rows * self.shape[1], _SCORES)

    def native_call(self, tier: kernels_c.Tier, function: str) -> Called:
        count, length, width = self.shape
        memory = (*self.buffers, self._scores, self.out)
        pointers = [pointer(tier, buffer) for buffer in memory]
        numbers = count, length - count, length, width, self.heads
        return getattr(tier.lib, function), (*pointers, *numbers)

    def prepare(self, call: Call) -> None:
        """The call has to bring the positions of its own into the caches."""
        super().prepare(call)
        if call.implementation == "python":
            return
        count, length, _ = self.shape
        for cache in self.buffers[1:]:
            for place in range(length - count, length):
                for _, there in self._rows_of(place):
                    cache.view[there].cast("B")[:] = b"\xff" * cache.view[there].nbytes

    def require_memory_intact(self, what: str) -> None:
        super().require_memory_intact(what)
        if not self._scores.guards_intact():
            raise WrongResult(f"{what}: wrote outside its scores")
