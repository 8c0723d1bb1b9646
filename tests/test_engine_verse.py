"""Sessions: every way to compute gives the logits of Python in double precision, however a text is
cut into calls; and what cannot be computed is one line."""

from __future__ import annotations

import math
import threading
from array import array
from collections.abc import Callable
from typing import Any

import pytest

import engine
import kernels_c
from engine.errors import BadInput
from engine.files import MODELS
from engine.gpt import Config, Gpt, default_tier, random_model, shapes
from engine.session import Session
from tests.models import CONFIGS, SMALL, model, tokens_for, worst

FLOAT_BOUND = 5e-5  # largest error of a logit
# A sum that is rounded otherwise can put an activation on the next of 127 steps, and that is felt.
INT8_BOUND = 0.1
PATHS = [
    ("f32", "step"),
    ("f32", "chained"),
    ("f32", "unpacked"),
    ("i8", "step"),
    ("i8", "chained"),
]
LENGTH = {name: min(config.context, 21) for name, config in CONFIGS.items()}


@pytest.fixture(scope="module", params=CONFIGS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def references() -> dict[tuple[str, str], array[float]]:
    return {}


@pytest.fixture
def expected(
    references: dict[tuple[str, str], array[float]],
) -> Callable[[str, str], array[float]]:
    """The logits of idiomatic Python, of a model and a precision."""

    def logits(name: str, precision: str) -> array[float]:
        key = (name, precision)
        if key not in references:
            session = model(name).session("idiomatic", precision)
            references[key] = session.logits(tokens_for(CONFIGS[name], LENGTH[name]))
        return references[key]

    return logits


@pytest.mark.parametrize(("precision", "path"), PATHS)
def test_a_native_session_has_the_logits_of_python(
    tier: kernels_c.Tier,
    name: str,
    precision: str,
    path: str,
    expected: Callable[[str, str], array[float]],
) -> None:
    tokens = tokens_for(CONFIGS[name], LENGTH[name])
    found = model(name).session(tier.name, precision, path).logits(tokens)
    bound = FLOAT_BOUND if precision == "f32" else INT8_BOUND
    assert worst(found, expected(name, precision)) <= bound


@pytest.mark.parametrize("precision", ["f32", "i8"])
@pytest.mark.parametrize("name", ["small", "odd", "least"], indirect=True)
def test_the_loop_has_the_logits_of_idiomatic_python(
    name: str, precision: str, expected: Callable[[str, str], array[float]]
) -> None:
    found = model(name).session("loop", precision).logits(tokens_for(CONFIGS[name], LENGTH[name]))
    bound = 1e-6 if precision == "f32" else INT8_BOUND
    assert worst(found, expected(name, precision)) <= bound


@pytest.mark.parametrize(("precision", "path"), PATHS)
@pytest.mark.parametrize("name", ["small", "odd"], indirect=True)
def test_a_text_in_parts_has_the_logits_of_the_whole(
    tier: kernels_c.Tier, name: str, precision: str, path: str
) -> None:
    tokens = tokens_for(CONFIGS[name], LENGTH[name])
    session = model(name).session(tier.name, precision, path)
    whole = session.logits(tokens)
    session.reset()
    stepped = [v for token in tokens for v in session.step(token)]
    session.rewind(4)
    last = session.prefill(tokens[4:])
    bound = FLOAT_BOUND if precision == "f32" else INT8_BOUND
    assert worst(stepped, whole) <= bound
    assert worst(last, whole[-len(last) :]) <= bound
    assert session.position == len(tokens)


@pytest.mark.parametrize("precision", ["f32", "i8"])
def test_one_call_a_token_is_the_chain_of_calls_bit_for_bit(
    tier: kernels_c.Tier, name: str, precision: str
) -> None:
    tokens = tokens_for(CONFIGS[name], LENGTH[name])
    step, chained = (
        model(name).session(tier.name, precision, path) for path in ("step", "chained")
    )
    assert step.logits(tokens).tobytes() == chained.logits(tokens).tobytes()
    step.reset()
    chained.reset()
    for token in tokens[:3]:
        assert step.step(token).tobytes() == chained.step(token).tobytes()


def test_a_prepared_call_may_be_repeated(tier: kernels_c.Tier) -> None:
    tokens = tokens_for(SMALL, 9)
    for kind, path in ((tier.name, "step"), (tier.name, "chained"), ("idiomatic", "step")):
        session = model("small").session(kind, path=path)
        session.prefill(tokens[:8])
        function, given = session.call(tokens[8:], 8)
        answers = []
        for _ in range(3):
            function(*given)
            answers.append(session.out.tobytes())
        assert session.position == 8
        assert set(answers) == {session.prefill(tokens[8:]).tobytes()}


def test_a_prompt_in_a_prepared_call(tier: kernels_c.Tier) -> None:
    tokens = tokens_for(SMALL, 9)
    session = model("small").session(tier.name)
    function, given = session.call(tokens, 0)
    function(*given)
    found = session.out.tobytes()
    assert found == session.prefill(tokens).tobytes()


def test_two_threads_make_the_tokens_of_one(tier: kernels_c.Tier) -> None:
    fresh = random_model(SMALL, 7)  # packed by whichever comes first
    made: dict[int, list[bytes]] = {}

    def write(number: int) -> None:
        session = fresh.session(tier.name, ("f32", "i8")[number % 2])
        made[number] = [session.generate(bytes([number]), 60, 0.9, seed) for seed in range(5)]

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    together = dict(made)
    for number in range(4):
        write(number)
    assert made == together and len(made) == 4


# --- Text -----------------------------------------------------------------------------------------

KINDS = ("loop", "idiomatic", default_tier())


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_context_goes_on_with_its_last_half(kind: str) -> None:
    """As documented: computed anew, at positions from 0 on."""
    session, context = model("small").session(kind), SMALL.context
    made = session.generate(b"ab", context + 5)
    text = b"ab" + made
    other = model("small").session(kind)
    # The first token that finds the context full is number `context` of the text.
    half = text[context + 1 - context // 2 : context + 1]
    logits = other.prefill(half)
    assert made[context - 1] == logits.index(max(logits))
    assert session.position == context // 2 + 5


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
    from random import Random

    from engine.sampling import sample

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


# --- The model that ships -------------------------------------------------------------------------

PROMPT = b"And the king said unto the people, Go ye up into the mountain"


@pytest.fixture(scope="module")
def verse() -> Gpt:
    if not (MODELS / "verse.safetensors").is_file():
        pytest.skip("engine/models/verse.safetensors is not there yet")
    shipped: Gpt = engine.load("verse")
    return shipped


@pytest.fixture(scope="module")
def truth(verse: Gpt) -> dict[str, array[float]]:
    return {p: verse.session("idiomatic", p).logits(PROMPT) for p in ("f32", "i8")}


@pytest.mark.parametrize("path", ["step", "chained", "unpacked"])
def test_verse_in_every_tier(
    verse: Gpt, truth: dict[str, array[float]], tier: kernels_c.Tier, path: str
) -> None:
    found = verse.session(tier.name, "f32", path).logits(PROMPT)
    assert worst(found, truth["f32"]) <= FLOAT_BOUND


def test_verse_in_int8(verse: Gpt, truth: dict[str, array[float]], tier: kernels_c.Tier) -> None:
    """What int8 costs is measured elsewhere; here the same is lost in Python and natively."""
    found = verse.session(tier.name, "i8").logits(PROMPT)
    lost = worst(truth["i8"], truth["f32"])
    assert worst(found, truth["i8"]) <= max(lost / 2, 0.02)


def test_verse_writes_the_same_in_every_tier(verse: Gpt, tier: kernels_c.Tier) -> None:
    assert verse.session(tier.name).generate(PROMPT, 300) == verse.session().generate(PROMPT, 300)
