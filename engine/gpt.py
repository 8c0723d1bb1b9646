"""A decoder of GPT-2's kind: its sizes, its weights, and sessions that compute with them.

Pre-layernorm (epsilon 1e-5), causal attention, GELU in its tanh form, head tied to the embedding of
tokens. Matrices are [in, out], row-major, named as in GPT-2's files.
"""

from __future__ import annotations

import math
import threading
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from random import Random
from typing import Any, NamedTuple, TypeVar

import kernels_c
from engine.errors import BadInput, one_line
from engine.session import Session
from kernels_py import layernorm

EPSILON = layernorm.EPSILON  # 1e-5
MAX_SIZE = 65536  # of a width: sums of that many int8 products are exact in int32
PYTHON = ("loop", "idiomatic")
# Of one thread, fastest first; fastmath breaks the promises about NaN and infinity.
_PREFERRED = ("avx512", "avx2", "autovec", "scalar")

_T = TypeVar("_T")


@dataclass(frozen=True)
class Config:
    """Sizes of a model. Raises BadInput where there is no such model."""

    layers: int
    width: int
    heads: int
    hidden: int
    context: int
    vocabulary: int

    def __post_init__(self) -> None:
        for field in fields(self):
            size = getattr(self, field.name)
            if type(size) is not int or not 1 <= size <= MAX_SIZE:
                raise BadInput(f"{field.name}: got {size!r:.40}, needs 1 to {MAX_SIZE}")
        if self.width % self.heads:
            raise BadInput(f"heads: got {self.heads}, needs a divisor of the width {self.width}")


VERSE = Config(layers=4, width=128, heads=4, hidden=512, context=256, vocabulary=256)


class Matrix(NamedTuple):
    """A linear layer: where its weight [k, n] and its bias [n] are, by name."""

    name: str
    k: int
    n: int


def matrices(config: Config) -> Iterator[Matrix]:
    """All linear layers but the head, in the order in which a token meets them."""
    width, hidden = config.width, config.hidden
    for i in range(config.layers):
        yield Matrix(f"h.{i}.attn.c_attn", width, 3 * width)
        yield Matrix(f"h.{i}.attn.c_proj", width, width)
        yield Matrix(f"h.{i}.mlp.c_fc", width, hidden)
        yield Matrix(f"h.{i}.mlp.c_proj", hidden, width)


def shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """What a model of these sizes consists of."""
    width = config.width
    norms = [f"h.{i}.ln_{part}" for i in range(config.layers) for part in (1, 2)]
    found: dict[str, tuple[int, ...]] = {
        "wte.weight": (config.vocabulary, width),
        "wpe.weight": (config.context, width),
    }
    for matrix in matrices(config):
        found[f"{matrix.name}.weight"] = (matrix.k, matrix.n)
        found[f"{matrix.name}.bias"] = (matrix.n,)
    for norm in (*norms, "ln_f"):
        found[f"{norm}.weight"] = found[f"{norm}.bias"] = (width,)
    return found


def default_tier() -> str:
    """The fastest tier on one thread that runs here; Python where none is built. Raises BadInput
    where one has to be built again: Python would take a thousand times as long, and not say why."""
    for name in _PREFERRED:
        try:
            kernels_c.load_tier(name)
        except kernels_c.TierStale as reason:
            raise BadInput(str(reason)) from None
        except kernels_c.TierUnavailable:
            continue
        return name
    return "idiomatic"


class Gpt:
    """A model: `config`, and `weights` by name, which must not change any more. It may be used from
    any number of threads; each needs a session of its own."""

    def __init__(self, config: Config, weights: Mapping[str, array[float]]) -> None:
        needed = {name: math.prod(shape) for name, shape in shapes(config).items()}
        for name in sorted(needed.keys() ^ weights.keys()):
            fault = "is missing" if name in needed else "is nothing that this model has"
            raise BadInput(f"{one_line(name)}: {fault}")
        for name, count in needed.items():
            if weights[name].typecode != "f" or len(weights[name]) != count:
                got = f"{len(weights[name])} of type {weights[name].typecode!r}"
                raise BadInput(f"{name}: got {got}, needs {count} of type 'f'")
        self.config = config
        self.weights = dict(weights)
        self._made: dict[object, Any] = {}
        self._lock = threading.Lock()

    def once(self, key: object, make: Callable[[], _T]) -> _T:
        """What `make` gives, made once a key: sessions share packed weights."""
        with self._lock:
            if key not in self._made:
                self._made[key] = make()
            made: _T = self._made[key]
            return made

    def session(
        self, tier: str | None = None, precision: str = "f32", path: str = "step"
    ) -> Session:
        """A new, empty session.

        tier       a name of kernels_c.TIERS, or "loop" or "idiomatic": pure Python in double
                   precision; None for default_tier()
        precision  "f32", or "i8": weights with a scale a column, activations with a scale a row,
                   symmetric, in every product; embedding, layernorm, attention and GELU stay float
        path       of a native tier: "step" one call a token, "chained" the same kernels called one
                   by one, "unpacked" products of plain matrices (f32 only)

        Raises BadInput for anything else, and for a tier that cannot run here.
        """
        from engine.native import PATHS, NativeSession
        from engine.python import PythonSession

        if precision not in ("f32", "i8"):
            raise BadInput(f"precision: got {precision!r:.40}, needs 'f32' or 'i8'")
        if path not in PATHS:
            raise BadInput(f"path: got {path!r:.40}, needs one of {', '.join(PATHS)}")
        name = default_tier() if tier is None else tier
        if name in PYTHON:
            if path != "step":
                raise BadInput(f"path: got {path!r}, which is for native tiers, not {name!r}")
            return PythonSession(self, name, precision)
        if path == "unpacked" and precision != "f32":
            raise BadInput("path: got 'unpacked' with precision 'i8', needs 'f32'")
        if name not in kernels_c.TIERS:
            known = ", ".join((*kernels_c.TIERS, *PYTHON))
            raise BadInput(f"tier: got {name!r:.40}, needs one of {known}")
        try:
            loaded = kernels_c.load_tier(name)
        except kernels_c.TierUnavailable as error:
            raise BadInput(str(error)) from None
        return NativeSession(self, loaded, precision, path)


def random_model(config: Config, seed: int = 0) -> Gpt:
    """Weights at random, for speed and for tests: what it says means nothing. Activations stay
    around 1. Beyond 65,537 values the same come again: drawing 50 million would take a minute."""
    random, used = Random(seed), 0
    total = sum(math.prod(shape) for shape in shapes(config).values())
    pool = [random.gauss(0.0, 1.0) for _ in range(min(total, 65537))]
    weights: dict[str, array[float]] = {}
    for name, shape in shapes(config).items():
        is_gain = name.endswith("weight") and len(shape) == 1
        deviation = (
            0.1 if len(shape) == 1 else 1 / math.sqrt(shape[0] if name[0] == "h" else shape[1])
        )
        scaled = array("f", [v * deviation + is_gain for v in pool])
        start, count = used % len(pool), math.prod(shape)
        weights[name] = (scaled * (1 + (start + count) // len(pool)))[start : start + count]
        used += count
    return Gpt(config, weights)
