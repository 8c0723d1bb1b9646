"""The cases that are whole models: what they read, and what Python in double precision makes of it.

A native session computes into memory of its own; what a call left there is copied to the case's
output before it is looked at. A call is the same each time: it starts at a fixed position, so that
the keys and values that it writes, and the logits, are again those of the call before; the cache is
put back by that.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

import engine
import engine.gpt
import kernels_c
from bench.measure.cases.buffers import SEED, Buffer
from bench.measure.cases.case import Call, Called, Case, Collect, Numbers
from bench.measure.cases.errors_in_ulp import WrongResult
from bench.suite.programs import ALONE, Gpt, Identify, OfTokens
from bench.suite.registry import Shape, Unit
from engine.errors import BadInput
from engine.magika_labels import BLOCK, tokens_of

_HELD_OUT = Path(engine.__file__).parent / "models/held_out.txt"


@cache
def held_out(count: int) -> bytes:
    """The beginning of the text that verse was not trained on."""
    return _HELD_OUT.read_bytes()[:count]


class ModelUnavailable(RuntimeError):
    """The model is another package's, which is not here; the message says how to get it."""


class FromSession:
    """Copies what a session computed to where it is verified."""

    def __init__(self, session: Any, out: Buffer) -> None:
        self.session, self._out = session, out

    def __call__(self, _: object) -> None:
        self._out.fill(array("f", self.session.out))

    def poison(self) -> None:
        out = self.session.out
        out[:] = memoryview(array("f", [float("nan")]) * len(out))


class ProgramCase(Case):
    """A program at one size. There are no operands: weights and tokens are the model's own."""

    low, high = 0.0, 0.0
    kernel: Any
    verifies_itself = True
    slow_rounds = 1  # whole models take Python seconds, but for a single token

    @cached_property
    def inputs(self) -> tuple[array[Any], ...]:
        return ()

    @cached_property
    def _kept(self) -> list[Any]:
        """Sessions whose memory calls have bare pointers into: they live as long as the case."""
        return []

    def python_args(self) -> tuple[Any, ...]:
        return ()

    @property
    def slow_in_python(self) -> bool:
        return True

    def _computed_inverse(self, unit: Unit) -> Numbers:
        return [1.0] * len(self.reference)

    def native_call(
        self, tier: kernels_c.Tier, function: str
    ) -> tuple[Callable[..., Any], tuple[Any, ...], Collect]:
        session, (call, args) = self.native_session(tier.name, function)
        self._kept.append(session)
        return call, args, FromSession(session, self.out)

    def native_session(self, tier: str, path: str) -> tuple[Any, Called]:
        """A session that is ready for the call, and the call."""
        raise NotImplementedError

    def prepare(self, call: Call) -> None:
        super().prepare(call)
        if isinstance(call.collect, FromSession):
            call.collect.poison()

    def output(self, call: Call) -> bytes:
        if isinstance(call.collect, FromSession):
            call.collect(None)
        return super().output(call)

    def check(self, what: str, implementation: str, result: Numbers) -> float:
        error = super().check(what, implementation, result)
        best, second = sorted(self.reference, reverse=True)[:2]
        limit = self.kernel.accepted(implementation).limit
        if best - second > 2 * limit and first_of_largest(result) != first_of_largest(
            self.reference
        ):
            raise WrongResult(
                f"{what}: another token is the likeliest, by more than the error allows"
            )
        return error


def first_of_largest(values: Sequence[float]) -> int:
    return max(range(len(values)), key=values.__getitem__)


# --- Tokens --------------------------------------------------------------------------------------


class Truth:
    """What Python in double precision says of the tokens: logits, computed once, whoever asks, and
    a session for each position that calls start at."""

    def __init__(self, model: Any, precision: str, tokens: bytes) -> None:
        self._model, self._precision, self._tokens = model, precision, tokens
        self._sessions: dict[int, Any] = {}
        self._logits: dict[int, Numbers] = {}

    def fill(self, session: Any, start: int) -> None:
        """Give a Python session the keys and values of so many tokens, as far as another one has
        them: its own loop would take ten seconds to compute them."""
        known = max(self._sessions.values(), key=lambda one: int(one.position), default=session)
        have = min(known.position, start)
        session._caches, session.position = deepcopy(known._caches), have
        if have < start:
            session.prefill(self._tokens[have:start])

    def at(self, start: int) -> Any:
        """The session that has so many tokens; later ones may have followed."""
        if start not in self._sessions:
            made = self._model.session(tier="idiomatic", precision=self._precision)
            self.fill(made, start)
            self._sessions[start] = made
        return self._sessions[start]

    def after(self, positions: int) -> Numbers:
        if positions not in self._logits:
            self.call(positions - 1, 1)
        return self._logits[positions]

    def call(self, start: int, count: int) -> Numbers:
        """What is timed: the tokens from `start` on."""
        session = self.at(start)
        session.rewind(start)
        logits: Numbers = session.prefill(self._tokens[start : start + count])
        self._logits.setdefault(start + count, logits)
        return logits


@cache
def verse() -> Any:
    return engine.load("verse")


@cache
def truth_of_verse(precision: str) -> Truth:
    return Truth(verse(), precision, held_out(verse().config.context))


class TokensCase(ProgramCase):
    """A prompt read, or a token made, by verse, on text that it was not trained on."""

    kernel: OfTokens

    def __init__(self, kernel: OfTokens, shape: Shape, offsets: tuple[int, int] = (0, 0)) -> None:
        super().__init__(kernel, shape, offsets)
        self.count, self.start = kernel.tokens(shape), kernel.start(shape)
        self.slow_rounds = 3 if self.count == 1 else 1

    @property
    def model(self) -> Any:
        return verse()

    @cached_property
    def tokens(self) -> bytes:
        return held_out(self.model.config.context)

    @property
    def _truth(self) -> Truth:
        return truth_of_verse(self.kernel.precision)

    @cached_property
    def reference(self) -> Numbers:
        return self._truth.after(self.start + self.count)

    def check(self, what: str, implementation: str, result: Numbers) -> float:
        error = super().check(what, implementation, result)
        alone = self.start + self.count == 1 and implementation != "peer"
        if alone and error > ALONE:
            raise WrongResult(f"{what}: {error:.4g} in a logit of a first token, at most {ALONE:g}")
        return error

    @property
    def new_tokens(self) -> bytes:
        return self.tokens[self.start : self.start + self.count]

    def python_call(self, variant: str) -> Called:
        self._truth.at(self.start)
        if variant == "idiomatic":
            return self._truth.call, (self.start, self.count)
        session = self.model.session(tier=variant, precision=self.kernel.precision)
        self._truth.fill(session, self.start)

        def call() -> Numbers:
            session.rewind(self.start)
            logits: Numbers = session.prefill(self.new_tokens)
            return logits

        return call, ()

    def native_session(self, tier: str, path: str) -> tuple[Any, Called]:
        session = self.model.session(tier=tier, precision=self.kernel.precision, path=path)
        if self.start:
            session.prefill(self.tokens[: self.start])
        return session, session.call(self.new_tokens, self.start)

    def extra_metadata(self, result: Numbers) -> dict[str, float]:
        """Of int8: what it costs against float32, beside what it is held to."""
        if self.kernel.precision == "f32":
            return {"max_logit_error": max_difference(result, self.reference)}
        true = truth_of_verse("f32").after(self.start + self.count)
        return {
            "max_logit_error": max_difference(result, true),
            "same_token_as_f32": float(first_of_largest(result) == first_of_largest(true)),
        }


def max_difference(a: Numbers, b: Numbers) -> float:
    return max(abs(x - y) for x, y in zip(a, b, strict=True))


class RandomCase(TokensCase):
    """A token by a model of random weights: for its speed. True is what plain loops say."""

    @property
    def model(self) -> Any:
        return random_model(self.kernel.model(self.shape))

    @cached_property
    def tokens(self) -> bytes:
        return bytes(range(self.model.config.context))

    @cached_property
    def reference(self) -> Numbers:
        session = self.model.session(tier="scalar", precision=self.kernel.precision)
        logits: Numbers = session.prefill(self.new_tokens)
        return logits

    def extra_metadata(self, result: Numbers) -> dict[str, float]:
        return {}


@lru_cache(maxsize=1)
def random_model(shape: Gpt) -> Any:
    config = engine.gpt.Config(
        shape.layers, shape.width, shape.heads, shape.hidden, shape.context, shape.vocabulary
    )
    return engine.gpt.random_model(config, SEED)


# --- Files ---------------------------------------------------------------------------------------


class FileTruth:
    """Python's scores of the one file, computed once, whoever asks first."""

    def __init__(self) -> None:
        self.model = engine.load("magika")
        text = held_out(2 * BLOCK)
        self.tokens = array("i", tokens_of(text[:BLOCK], text[-BLOCK:]))
        self._session = self.model.session(tier="idiomatic")
        self._scores: Numbers | None = None

    @property
    def scores(self) -> Numbers:
        return self._scores if self._scores is not None else self.call()

    def call(self) -> Numbers:
        self._scores = array("f", self._session.scores(self.tokens))
        return self._scores


@cache
def truth_of_magika() -> FileTruth:
    return FileTruth()


class FileCase(ProgramCase):
    """A file's type by magika. The file is a text; every file is as much work."""

    kernel: Identify

    def __init__(self, kernel: Identify, shape: Shape, offsets: tuple[int, int] = (0, 0)) -> None:
        try:
            truth_of_magika()
        except BadInput as reason:
            raise ModelUnavailable(str(reason)) from None
        super().__init__(kernel, shape, offsets)

    @property
    def model(self) -> Any:
        return truth_of_magika().model

    @property
    def tokens(self) -> array[int]:
        return truth_of_magika().tokens

    @property
    def reference(self) -> Numbers:
        """Scores by float32 whatever the precision: Python has no int8 here."""
        return truth_of_magika().scores

    def python_call(self, variant: str) -> Called:
        if variant == "idiomatic":
            return truth_of_magika().call, ()
        return self.model.session(tier=variant).scores, (self.tokens,)

    def native_session(self, tier: str, path: str) -> tuple[Any, Called]:
        session = self.model.session(tier=tier, precision=self.kernel.precision)
        return session, session.call(self.tokens)
