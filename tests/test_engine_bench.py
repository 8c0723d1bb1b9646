"""Whole models as benchmarks: their rows, what catches a wrong one, and what is made of the
times."""

from __future__ import annotations

import gc
import json
import weakref
from array import array
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import engine.gpt
import kernels_c
from bench.analysis.split import splits
from bench.measure import peers, split
from bench.measure.calls import call_of
from bench.measure.cases import engine as cases
from bench.measure.cases.errors_in_ulp import WrongResult
from bench.measure.cases.make import edge_cases, make_case
from bench.measure.comparison import sizes
from bench.measure.derived import add_derived_figures
from bench.measure.session import static_metadata
from bench.saved import runs
from bench.suite import ladder, registry
from bench.suite.programs import PROGRAMS, VERSE, DecodeRandom
from bench.views.explain import split as split_view
from bench.views.tables import render

TOKENS = ("prefill_f32", "prefill_i8", "decode_f32", "decode_i8")
SMALL = engine.gpt.Config(layers=2, width=32, heads=2, hidden=64, context=256, vocabulary=256)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A small model in place of verse, so that Python's reference takes no time."""
    made = engine.gpt.random_model(SMALL, 3)
    monkeypatch.setattr(cases, "verse", lambda: made)
    monkeypatch.setattr(cases, "held_out", lambda count: bytes(range(32, 122)) * 60)
    cases.truth_of_verse.cache_clear()
    yield made
    cases.truth_of_verse.cache_clear()


@pytest.fixture
def avx2() -> None:
    reason = kernels_c.why_unavailable("avx2")
    if reason is not None:
        pytest.skip(reason)


def small_case(name: str, *shape: int) -> Any:
    return make_case(registry.kernel(name), shape)


# --- Rows ----------------------------------------------------------------------------------------


def test_programs_are_rows_beside_the_kernels() -> None:
    assert not PROGRAMS.keys() & registry.KERNELS.keys()
    assert registry.kernel("decode_i8") is PROGRAMS["decode_i8"]
    assert list(registry.rows()) == [*registry.KERNELS, *PROGRAMS]


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_size_has_one_name(name: str) -> None:
    row = registry.kernel(name)
    shapes = row.shapes(explain=True)
    assert shapes and all(row.shape_named(row.size_name(shape)) == shape for shape in shapes)
    for wrong in ("", "-1", "100000", "1x2"):
        with pytest.raises(ValueError, match="got size"):
            row.shape_named(wrong)


def test_ids_say_tier_precision_and_size() -> None:
    found = registry.program_cases("decode")
    assert {("c-avx512", "i8", "128"), ("py-loop", "f32", "128"), ("c-avx2", "f32", "255")} <= {
        *found
    }
    quick = registry.program_cases("decode", quick=True)
    assert {size for _, _, size in quick} == {"0"}
    assert {v for v, _, _ in quick if v.startswith("py-")} == {"py-idiomatic"}
    assert not registry.program_cases("prefill", quick=True)
    assert not registry.program_cases("decode_random")
    assert len(registry.program_cases("decode_random", explain=True)) == 2 * 2 * 5


def test_verse_is_what_the_engine_calls_so() -> None:
    assert vars(engine.gpt.VERSE).items() <= vars(VERSE).items()


def test_work_is_counted_as_the_weights_are() -> None:
    row: Any = registry.kernel("decode_f32")
    matrices = 4 * (128 * 384 + 128 * 128 + 2 * 128 * 512) + 128 * 256
    assert row.flops((1, 129)) == 2 * (matrices + 4 * 2 * 128 * 129)
    floats = 4 * (384 + 128 + 512 + 128) + 256 + 9 * 2 * 128
    assert row.weight_bytes((1, 129)) == 2 * matrices + 4 * floats  # the file is float16
    assert row.bytes((1, 129)) - row.weight_bytes((1, 129)) == 4 * 4 * 2 * 128 * 129
    int8: Any = registry.kernel("decode_i8")
    assert row.weight_bytes((1, 1)) / int8.weight_bytes((1, 1)) == pytest.approx(2, rel=0.05)
    prompt: Any = registry.kernel("prefill_f32")
    tokens = sum(row.flops((1, n)) - 2 * 128 * 256 for n in range(1, 129)) + 2 * 128 * 256
    # Of the last layer the other tokens need keys and values alone.
    spared = 127 * (128 * 128 + 2 * 128 * 512) + 2 * 128 * sum(range(1, 128))
    assert prompt.flops((128, 128)) == tokens - 2 * spared


@pytest.mark.parametrize("name", [n for n in PROGRAMS if "random" not in n])
def test_every_rung_says_what_it_changes(name: str) -> None:
    rungs = ladder.ladder(registry.kernel(name))
    texts = [(rung.idea, rung.reason) for rung in rungs]
    assert len(set(texts)) == len(texts)
    variants = [rung.variant for rung in rungs]
    if name == "decode_f32":
        assert variants[-5:-2] == ["c-avx2_unpacked", "c-avx2_chained", "c-avx2"]
    assert sizes.checked(name, sizes.sizes(name, True)[0])


# --- Right and wrong -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", TOKENS)
@pytest.mark.parametrize("variant", ["py-loop", "py-idiomatic", "c-scalar", "c-autovec"])
def test_a_right_program_passes(model: Any, name: str, variant: str) -> None:
    for shape in ((1, 1), (1, 20)) if "decode" in name else ((1, 1), (20, 20)):
        case = small_case(name, *shape)
        for _ in range(2):  # the cache is as it was before
            found = case.run_and_verify("it", call_of(case, variant))
        assert found["max_error_ulp"] <= case.kernel.bound("simd").limit


@pytest.mark.parametrize("variant", ["py-loop", "py-idiomatic", "c-scalar"])
def test_a_call_stays_right_when_a_shorter_case_was_verified_since(
    model: Any, variant: str
) -> None:
    case, short = small_case("decode_f32", 1, 20), small_case("decode_f32", 1, 3)
    call = call_of(case, variant)
    short.run_and_verify("the short one", call_of(short, "py-idiomatic"))
    assert case.run_and_verify("it", call)["max_error_ulp"] < 5e-5


@pytest.mark.parametrize("path", ["unpacked", "chained"])
def test_the_steps_of_the_fastest_tier_pass(avx2: None, model: Any, path: str) -> None:
    case = small_case("decode_f32", 1, 20)
    call = call_of(case, f"c-avx2_{path}")
    assert case.run_and_verify("it", call)["max_error_ulp"] < 5e-5


def test_random_models_agree_with_plain_loops(avx2: None) -> None:
    row = registry.kernel("decode_random_f32")
    assert isinstance(row, DecodeRandom)
    case = make_case(row, row.shape_named("0.2M"))
    assert case.run_and_verify("it", call_of(case, "c-avx2"))["max_error_ulp"] < 5e-5


@pytest.mark.parametrize("name", TOKENS)
def test_short_prompts_are_edge_cases(name: str) -> None:
    found = [case.shape for case in edge_cases(registry.kernel(name))]
    assert (1, 1) in found  # where int8 is held closest


FAULTS = {
    "a logit is off": lambda session: session.out.__setitem__(7, session.out[7] + 1e-3),
    "a logit is NaN": lambda session: session.out.__setitem__(255, float("nan")),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_program_is_noticed(model: Any, fault: str) -> None:
    case = small_case("decode_f32", 1, 5)
    call = call_of(case, "c-scalar")
    assert call.collect is not None
    session: Any = call.collect.session  # type: ignore[attr-defined]

    def wrong(*args: Any) -> None:
        call.function(*args)
        FAULTS[fault](session)

    with pytest.raises(WrongResult):
        case.run_and_verify(
            "it", type(call)(call.implementation, wrong, call.args, 1, call.collect)
        )


def test_a_program_that_writes_nothing_is_noticed(model: Any) -> None:
    case = small_case("decode_f32", 1, 5)
    call = call_of(case, "c-scalar")
    with pytest.raises(WrongResult):
        case.run_and_verify("it", replace(call, function=lambda *_: None))


def test_a_cache_that_is_not_put_back_is_noticed(model: Any) -> None:
    """What later calls leave is compared with what was verified."""
    case = small_case("decode_f32", 1, 9)
    call = call_of(case, "c-scalar")
    case.run_and_verify("it", call)
    verified = case.output(call)
    call.function(*call.args)
    assert case.output(call) == verified
    session: Any = call.collect.session  # type: ignore[union-attr]
    session._memory.view("keys.0").cast("f")[3] += 0.5
    call.function(*call.args)
    assert case.output(call) != verified


@pytest.mark.parametrize("name", TOKENS)
@pytest.mark.parametrize("library", ["torch", "onnxruntime"])
def test_libraries_compute_the_same(model: Any, library: str, name: str) -> None:
    if library not in registry.libraries_of(name):
        pytest.skip("has no int8")
    if peers.why_unavailable(library) is not None:
        pytest.skip("not installed")
    case = small_case(name, *((1, 20) if "decode" in name else (20, 20)))
    with peers.limited_threads(1, library):
        case.run_and_verify("it", call_of(case, f"peer-{library}"))


# --- Figures -------------------------------------------------------------------------------------


def benchmark(variant: str, seconds: float, **more: Any) -> dict[str, Any]:
    kernel = registry.kernel("decode_f32")
    info = {
        **static_metadata(kernel, variant, "128"),
        "max_error_ulp": 1e-6,
        "confirmed": True,
        "uncertainty": 0.01,
        "threads": None if variant.startswith("py-") else 1,
        **more,
    }
    stats = dict.fromkeys(("min", "max", "mean", "median"), seconds)
    stats |= {"stddev": 0.0, "iqr": 0.0, "rounds": 5, "iterations": 1}
    return {"name": variant, "fullname": f"test_decode[{variant}]", "group": None,
            "params": None, "extra_info": info, "stats": stats}  # fmt: skip


def test_figures_follow_from_the_time(tmp_path: Path) -> None:
    found = [benchmark("py-idiomatic", 20e-3), benchmark("c-avx2", 20e-6)]
    add_derived_figures(found)
    info = found[1]["extra_info"]
    assert info["speedup"] == pytest.approx(1000)
    assert info["tokens_per_second"] == pytest.approx(50_000)
    assert info["weights_gbps"] == pytest.approx(info["weight_bytes"] / 20e-6 / 1e9)


def test_a_split_adds_up(avx2: None, model: Any, tmp_path: Path) -> None:
    for name in ("decode_f32", "decode_i8"):
        case = small_case(name, 1, 129)
        assert split.applies(case, "c-avx2") and not split.applies(case, "c-avx2_chained")
        parts = split.of_token(case, "c-avx2")
        layers = {part["layer"] for part in parts}
        assert layers == {None, 0, 1} and all(part["seconds"] >= 0 for part in parts)
    row = benchmark("c-avx2", 20e-6, split=parts, max_error_ulp=0.0)
    add_derived_figures([row])
    saved = tmp_path / "run.json"
    content = {"machine_info": {}, "commit_info": {}, "benchmarks": [row]}
    saved.write_text(json.dumps({**content, "datetime": "2026-01-01T00:00:00+00:00"}))
    run = runs.load(saved)
    (found,) = splits(run)
    assert found.explained + found.residual == pytest.approx(found.whole)
    assert sum(found.kernels.values()) == pytest.approx(found.explained)
    shown = render(split_view.view(run, "decode_f32"), "text")
    assert "attention" in shown and "residual" in shown


def test_links_are_named_as_they_are_called(avx2: None, model: Any) -> None:
    """The chain's logits are those of one call, bit for bit, so its links are a token's kernels."""
    for name, quantized in (("decode_f32", False), ("decode_i8", True)):
        case = small_case(name, 1, 12)
        results = []
        for path in ("step", "chained"):
            session, (function, given) = case.native_session("avx2", path)
            function(*given)
            results.append(array("f", session.out))
        assert results[0] == results[1]
        called = [str(link[0]) for link in given[0]]
        names = [kernel for _, kernel in split.names_of(SMALL.layers, quantized)]
        assert len(names) == len(called)
        for kernel, function_name in zip(names, called, strict=True):
            if kernel in ("embedding", "layernorm", "attention", "quantize"):
                assert kernel in function_name


def test_a_call_works_for_as_long_as_its_case(model: Any) -> None:
    """Whoever times it keeps the function and its arguments, which are bare pointers."""
    case = small_case("decode_f32", 1, 20)
    call = call_of(case, "c-scalar")
    held = weakref.ref(call.collect.session)  # type: ignore[union-attr]
    function, args = call.function, call.args
    del call
    gc.collect()
    assert held() is not None
    function(*args)
