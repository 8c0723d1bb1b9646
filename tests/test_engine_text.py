"""Texts that sessions write, by temperature and seed, and beyond a full context; and what cannot be
used is one line."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

import kernels_c
from engine.errors import BadInput
from engine.gpt import Config, Gpt, default_tier, random_model, shapes
from engine.sampling import sample
from engine.session import Session
from tests.models import SMALL, model

KINDS = ("loop", "idiomatic", default_tier())


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_context_goes_on_with_its_last_half(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As documented: computed anew, at positions from 0 on."""
    session, context = model("small").session(kind), SMALL.context
    calls: list[tuple[int, list[int]]] = []
    compute = session._compute

    def recorded(tokens: list[int], start: int, every: bool) -> None:
        calls.append((start, [*tokens]))
        compute(tokens, start, every)

    monkeypatch.setattr(session, "_compute", recorded)
    made = session.generate(b"ab", 2 * context, 2.0)
    text = [*b"ab", *made]
    # The first token that finds the context full is number `context`, counted from 0.
    half = context // 2
    anew = [(0, [97, 98])]
    anew += [(0, text[end - half : end]) for end in (context + 1, context + 1 + half + 1)]
    assert [call for call in calls if call[0] == 0][:3] == anew
    assert all(start + len(tokens) <= context for start, tokens in calls)
    assert all(len(tokens) == 1 for start, tokens in calls if start)


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_makes_the_text(kind: str) -> None:
    session = model("small").session(kind)
    first = session.generate("In", 30, 0.8, seed=3)
    assert session.generate("In", 30, 0.8, seed=3) == first
    assert session.generate("In", 30, 0.8, seed=-(2**80)) != first
    assert len(first) == 30
    assert session.generate("In", 0) == b""
    assert session.generate(b"\xff\x00", 3) == bytes(session.stream(b"\xff\x00", 3))
    assert session.generate("é", 3) == session.generate(b"\xc3\xa9", 3)
    assert session.generate("\udcff", 3) == session.generate(b"\xff", 3)  # from a command line


def test_no_temperature_is_the_likeliest() -> None:
    session = model("small").session()
    greedy = session.generate("In", 30)
    assert greedy == session.generate("In", 30, 1e-30) == session.generate("In", 30, 5e-324)
    logits = model("small").session("idiomatic").prefill(b"In")
    assert greedy[0] == logits.index(max(logits))


def test_a_temperature_samples_the_softmax() -> None:
    logits, random = [0.0, math.log(3.0), -math.inf], Random(0)
    found = [sample(logits, 1.0, random) for _ in range(4000)]
    assert abs(found.count(1) - 3000) < 150 and 2 not in found
    for bad in (math.nan, math.inf):
        with pytest.raises(BadInput, match="not finite"):
            sample([0.0, bad], 1.0, random)


def test_the_least_model_writes_too() -> None:
    assert model("least").session().generate(b"\0", 5) == bytes(5)


# --- Bad input ------------------------------------------------------------------------------------

BAD_CALLS: dict[str, tuple[Callable[[Session], Any], str]] = {
    "an empty prompt": (lambda s: s.generate("", 3), "prompt: got none, needs at least one"),
    "a long prompt": (
        lambda s: s.generate("x" * 25, 3),
        "prompt: got 25, and the context of 24 has room for 24",
    ),
    "no text": (lambda s: s.generate(None, 3), "prompt: got NoneType, needs str or bytes"),  # type: ignore[arg-type]
    "a lone surrogate": (lambda s: s.generate("\ud800", 3), "prompt: has a lone surrogate"),
    "negative n": (lambda s: s.stream("a", -1), "n: got -1, needs at least 0"),
    "half an n": (lambda s: s.stream("a", 1.5), "n: got float, needs an integer"),  # type: ignore[arg-type]
    "cold": (lambda s: s.generate("a", 1, -0.1), "temperature: got -0.1, needs 0 "),
    "NaN": (lambda s: s.generate("a", 1, math.nan), "temperature: got nan, needs 0 "),
    "infinite": (lambda s: s.generate("a", 1, math.inf), "temperature: got inf, needs 0 "),
    "huge": (lambda s: s.generate("a", 1, 10**400), "temperature: got 1000"),
    "hot text": (lambda s: s.generate("a", 1, "warm"), "temperature: got 'warm'"),  # type: ignore[arg-type]
    "a seed of text": (lambda s: s.generate("a", 1, 1, "x"), "seed: got str, needs an integer"),  # type: ignore[arg-type]
    "no tokens": (lambda s: s.prefill(b""), "tokens: got none, needs at least one"),
    "text as tokens": (lambda s: s.prefill("ab"), "tokens: needs bytes, or integers"),  # type: ignore[arg-type]
    "a number as tokens": (lambda s: s.prefill(3), "tokens: needs bytes, or integers"),  # type: ignore[arg-type]
    "a high token": (lambda s: s.step(256), "tokens: got 256, needs 0 to 255"),
    "a low token": (lambda s: s.logits([5, -1]), "tokens: got -1, needs 0 to 255"),
    "a huge token": (lambda s: s.step(10**5000), "tokens: got a huge number, needs 0 to 255"),
    "a full context": (
        lambda s: [s.step(1) for _ in range(25)],
        "tokens: got 1, and the context of 24 has room for 0",
    ),
    "too many": (lambda s: (s.step(1), s.prefill(bytes(24))), "tokens: got 24, and the context"),
    "forward": (lambda s: s.rewind(1), "position: got 1, needs 0 to 0"),
    "back": (lambda s: s.rewind(-1), "position: got -1, needs 0 to 0"),
    "a call ahead": (lambda s: s.call([1], 1), "start: got 1, needs 0 to 0"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("call", "reason"), BAD_CALLS.values(), ids=BAD_CALLS)
def test_what_a_session_cannot_use_is_one_line(
    kind: str, call: Callable[[Session], Any], reason: str
) -> None:
    session = model("small").session(kind)
    with pytest.raises(BadInput) as raised:
        call(session)
    assert str(raised.value).startswith(reason) and "\n" not in str(raised.value)
    session.reset()
    assert session.generate("a", 2) == model("small").session(kind).generate("a", 2)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"tier": "fast"}, "tier: got 'fast', needs one of debug, "),
        ({"precision": "f16"}, "precision: got 'f16', needs 'f32' or 'i8'"),
        ({"path": "short"}, "path: got 'short', needs one of step, chained, unpacked"),
        ({"tier": "loop", "path": "chained"}, "path: got 'chained', which is for native tiers"),
        ({"tier": "scalar", "path": "unpacked", "precision": "i8"}, "path: got 'unpacked' with"),
    ],
)
def test_there_is_no_such_session(given: dict[str, str], reason: str) -> None:
    with pytest.raises(BadInput) as raised:
        model("small").session(**given)
    assert str(raised.value).startswith(reason)


def test_a_tier_that_cannot_run_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacks(name: str) -> kernels_c.Tier:
        raise kernels_c.TierUnavailable(f"tier {name} needs a better CPU")

    monkeypatch.setattr(kernels_c, "load_tier", lacks)
    with pytest.raises(BadInput, match="tier avx2 needs a better CPU"):
        model("small").session("avx2")
    assert model("small").session().tier == "idiomatic"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"layers": 0}, "layers: got 0, needs 1 to 65536"),
        ({"width": 10**400}, "width: got 1"),
        ({"context": True}, "context: got True"),
        ({"heads": 3}, "heads: got 3, needs a divisor of the width 32"),
    ],
)
def test_there_is_no_such_model(change: dict[str, int], reason: str) -> None:
    with pytest.raises(BadInput) as raised:
        Config(**{**SMALL.__dict__, **change})
    assert str(raised.value).startswith(reason)


def test_weights_of_another_model_are_named() -> None:
    weights = model("small").weights
    without = {key: values for key, values in weights.items() if key != "ln_f.bias"}
    for given, reason in (
        (without, "ln_f.bias: is missing"),
        ({**weights, "x\n": weights["ln_f.bias"]}, r"x\n: is nothing that this model has"),
        ({**weights, "ln_f.bias": array("f", [1.0])}, "ln_f.bias: got 1 of type 'f', needs 32"),
        ({**weights, "ln_f.bias": array("d", bytes(256))}, "ln_f.bias: got 32 of type 'd'"),
    ):
        with pytest.raises(BadInput) as raised:
            Gpt(SMALL, given)
        assert str(raised.value).startswith(reason)


def test_a_vocabulary_beyond_bytes_has_no_text() -> None:
    large = random_model(Config(1, 4, 2, 4, 4, 300), 1)
    assert len(large.session().step(299)) == 300
    with pytest.raises(BadInput, match="not bytes"):
        large.session().generate("a", 1)


def test_random_weights_are_of_every_size_and_the_same_again() -> None:
    one, again, other = (random_model(SMALL, seed) for seed in (1, 1, 2))
    assert one.weights == again.weights != other.weights
    large = random_model(Config(2, 256, 4, 512, 16, 64), 1)
    assert {k: len(v) for k, v in large.weights.items()} == {
        k: math.prod(v) for k, v in shapes(large.config).items()
    }
