"""What every session can do, whoever computes."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from engine.errors import BadInput
from engine.sampling import argmax, checked_temperature, sample

if TYPE_CHECKING:
    from engine.gpt import Gpt


class Session(ABC):
    """A text that a model reads and goes on with, token by token: the cache of keys and values.

    A session is safe to use from one thread at a time. Sessions share nothing that changes: two in
    two threads give the same tokens as one after the other, and native ones run at the same time.

    The context of the model is all that a session holds. Where it is full, `prefill`, `step` and
    `logits` raise BadInput; `generate` and `stream` go on with a window: the last half of the
    context is computed anew, at positions from 0 on, and what came before is forgotten.
    """

    def __init__(self, model: Gpt, tier: str, precision: str, path: str = "step") -> None:
        self.model, self.tier, self.precision, self.path = model, tier, precision, path
        self.position = 0  # tokens in the cache

    def __repr__(self) -> str:
        return f"<session of {self.tier}, {self.precision}, {self.position} tokens>"

    # --- What a kind of session adds --------------------------------------------------------------

    @property
    @abstractmethod
    def out(self) -> array[float] | memoryview[float]:
        """The logits of the last computation, [vocabulary] or [tokens, vocabulary]; the next one
        overwrites them."""

    @abstractmethod
    def call(self, tokens: Sequence[int], start: int) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """A function and its arguments, all converted: running it computes the logits after
        `tokens` at positions from `start` on into `out`, as often as one likes. For benchmarks: it
        leaves `position` alone and needs a cache that is filled up to `start`; afterwards the cache
        holds `tokens` there, so rewind(start) before going on with others. Keep the
        session: the memory is its own. Raises BadInput."""

    @abstractmethod
    def _compute(self, tokens: Sequence[int], start: int, every: bool) -> None:
        """Logits after the last of the checked tokens, or after each, into `out`."""

    def _likeliest(self) -> int:
        return argmax(self.out)

    # --- The cache --------------------------------------------------------------------------------

    def reset(self) -> None:
        """Forget everything."""
        self.position = 0

    def rewind(self, position: int) -> None:
        """Forget all tokens from `position` on. Raises BadInput where there are fewer."""
        self.position = _whole("position", position, 0, self.position)

    # --- Logits -----------------------------------------------------------------------------------

    def prefill(self, tokens: bytes | Sequence[int]) -> array[float]:
        """Logits [vocabulary] after the last of `tokens`, which follow what is in the cache. Raises
        BadInput where there is none, one is out of range, or the context has no room for them."""
        self._advance(self._checked(tokens, self.position), every=False)
        return array("f", self.out.tobytes())

    def step(self, token: int) -> array[float]:
        """Logits [vocabulary] after one more token: prefill([token])."""
        return self.prefill((token,))

    def logits(self, tokens: bytes | Sequence[int]) -> array[float]:
        """Logits [len(tokens), vocabulary], flat, after each token. Raises as prefill does."""
        self._advance(self._checked(tokens, self.position), every=True)
        return array("f", self.out.tobytes())

    # --- Text -------------------------------------------------------------------------------------

    def generate(
        self, prompt: str | bytes, n: int, temperature: float = 0.0, seed: int = 0
    ) -> bytes:
        """The `n` bytes that follow the prompt. Forgets what was in the cache.

        prompt       1 to `context` bytes; a text is encoded as UTF-8
        temperature  0 takes the likeliest token (the first of equals), more is more at random
        seed         of random.Random: the same seed makes the same text

        Raises BadInput.
        """
        return bytes(self.stream(prompt, n, temperature, seed))

    def stream(
        self, prompt: str | bytes, n: int, temperature: float = 0.0, seed: int = 0
    ) -> Iterator[int]:
        """The bytes of `generate`, one by one as they are made. Arguments are checked at once; the
        session belongs to the stream until it ends or is no longer asked."""
        tokens = self._checked(self._bytes_of(prompt), 0, "prompt")
        count = _whole("n", n, 0, None)
        return self._stream(tokens, count, checked_temperature(temperature), Random(_seed(seed)))

    def _stream(
        self, tokens: list[int], n: int, temperature: float, random: Random
    ) -> Iterator[int]:
        context = self.model.config.context
        self.reset()
        new = tokens
        for _ in range(n):
            if self.position + len(new) > context:
                self.reset()
                # Of a context of 1, half would be nothing.
                new = tokens = tokens[-max(1, context // 2) :]
            self._advance(new, every=False)
            token = sample(self.out, temperature, random) if temperature else self._likeliest()
            yield token
            new = [token]
            tokens.append(token)

    # --- Checks -----------------------------------------------------------------------------------

    def _advance(self, tokens: list[int], every: bool) -> None:
        self._compute(tokens, self.position, every)
        self.position += len(tokens)

    def _checked(
        self, tokens: bytes | Sequence[int], start: int, what: str = "tokens"
    ) -> list[int]:
        """The tokens as a list that fits into the context from `start` on. Raises BadInput."""
        config = self.model.config
        try:
            checked = [*map(operator.index, tokens)]
        except TypeError:
            raise BadInput(f"{what}: needs bytes, or integers one after the other") from None
        if not checked:
            raise BadInput(f"{what}: got none, needs at least one")
        if len(checked) > config.context - start:
            room = f"the context of {config.context} has room for {config.context - start}"
            raise BadInput(f"{what}: got {len(checked)}, and {room}")
        for token in (min(checked), max(checked)):
            if not 0 <= token < config.vocabulary:
                shown = token if abs(token) < 2**64 else "a huge number"
                raise BadInput(f"{what}: got {shown}, needs 0 to {config.vocabulary - 1}")
        return checked

    def _checked_call(self, tokens: Sequence[int], start: int) -> tuple[list[int], int]:
        first = _whole("start", start, 0, self.position)
        return self._checked(tokens, first), first

    def _bytes_of(self, prompt: str | bytes) -> bytes:
        if self.model.config.vocabulary > 256:
            raise BadInput("this model's tokens are not bytes: use prefill and step")
        if isinstance(prompt, (bytes, bytearray, memoryview)):
            return bytes(prompt)
        if not isinstance(prompt, str):
            raise BadInput(f"prompt: got {type(prompt).__name__}, needs str or bytes")
        try:
            return prompt.encode("utf-8", "surrogateescape")  # as the command line's arguments come
        except UnicodeEncodeError:
            raise BadInput("prompt: has a lone surrogate, which is no character") from None


def _whole(what: str, value: object, least: int, most: int | None) -> int:
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise BadInput(f"{what}: got {type(value).__name__}, needs an integer") from None
    if number < least or (most is not None and number > most):
        bound = f"at least {least}" if most is None else f"{least} to {most}"
        shown = number if abs(number) < 2**64 else "a huge number"
        raise BadInput(f"{what}: got {shown}, needs {bound}")
    return number


def _seed(seed: object) -> int:
    try:
        return operator.index(seed)  # type: ignore[arg-type]
    except TypeError:
        raise BadInput(f"seed: got {type(seed).__name__}, needs an integer") from None
