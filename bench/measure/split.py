"""A token's time, kernel by kernel: the links of the chain timed where they stand.

The kernels of gpt_step are called one by one, in order, on their real arguments, with the clock
read in between: so each meets the caches as it does in a token. Of each the least is taken, less
what a call of an empty function costs in its place; what the whole call takes beyond the sum is the
residual.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

from bench.measure.cases.case import Case
from bench.measure.cases.engine import TokensCase
from bench.measure.timing.rounds import garbage_collection_off, tracing_off
from bench.suite.programs import CHAINED, STEP
from bench.suite.registry import ON_ONE_THREAD, side_and_name

Link = tuple[Callable[..., Any], tuple[Any, ...]]

_PASSES = 1500
_SECONDS = 1.0  # at most, but for the fewest: the first pass is cold, and one may be held up
_FEWEST = 20


def applies(case: Case, variant: str) -> bool:
    """Tokens of the tiers on one thread that are written by hand, at the main size."""
    return (
        isinstance(case, TokensCase)
        and case.kernel.task == "decode"
        and case.shape == case.kernel.sizes[0][1]
        and side_and_name(variant)[1] in ON_ONE_THREAD
        and case.kernel.native(variant).function == STEP
    )


def of_token(case: Case, variant: str) -> list[dict[str, Any]]:
    """{"layer": 0 or None, "kernel": "qkv", "seconds": ...} for each kernel of a token."""
    assert isinstance(case, TokensCase)
    tier = case.kernel.native(variant).tier
    session, (_, (links,)) = case.native_session(tier, CHAINED)
    names = names_of(case.model.config.layers, quantized=case.kernel.precision == "i8")
    seconds = least(links, session._lib.empty_call)
    return [
        {"layer": layer, "kernel": name, "seconds": taken}
        for (layer, name), taken in zip(names, seconds, strict=True)
    ]


def names_of(layers: int, quantized: bool) -> list[tuple[int | None, str]]:
    """The layer and the name of every kernel of a token, in their order."""

    def linear(layer: int | None, name: str) -> list[tuple[int | None, str]]:
        return [(layer, "quantize")] * quantized + [(layer, name)]

    names: list[tuple[int | None, str]] = [(None, "embedding")]
    for i in range(layers):
        names += [(i, "layernorm"), *linear(i, "qkv"), (i, "attention"), *linear(i, "projection")]
        names += [(i, "layernorm"), *linear(i, "up + GELU"), *linear(i, "down")]
    return [*names, (None, "layernorm"), *linear(None, "head")]


def least(links: Sequence[Link], empty: Callable[[], Any]) -> list[float]:
    """Seconds of each link, the least of many passes through all of them."""
    found, nothing = [float("inf")] * len(links), float("inf")
    deadline = perf_counter() + _SECONDS
    with garbage_collection_off(), tracing_off():
        for number in range(_PASSES):
            for i, (function, given) in enumerate(links):
                start = perf_counter()
                function(*given)
                taken = perf_counter() - start
                if taken < found[i]:
                    found[i] = taken
            start = perf_counter()
            empty()
            nothing = min(nothing, perf_counter() - start)
            if number >= _FEWEST and perf_counter() > deadline:
                break
    return [max(0.0, taken - nothing) for taken in found]
