"""Evidence is collected, saved, read and said; what cannot be had is named, and costs no run."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

import kernels_c
from bench.measure.evidence import callgrind, collect, counted_calls, objdump
from bench.measure.evidence.callgrind import Counted, CountingFailed
from bench.saved import runs
from bench.saved.runs import BadRun, Evidence
from bench.saved.schema import MARK
from bench.suite import registry
from bench.views.explain.evidence import short
from tests.altered import altered
from tests.test_runs import GOOD

needs_valgrind = pytest.mark.skipif(
    callgrind.why_unavailable() is not None, reason=str(callgrind.why_unavailable())
)
needs_objdump = pytest.mark.skipif(
    objdump.why_unavailable() is not None, reason=str(objdump.why_unavailable())
)
RELU = ("relu_f32", "c-scalar", "100")
ROW: dict[str, Any] = {
    "instructions": 12.5,
    "l1_bytes": 8.0,
    "per": "element",
    "size": "10000",
    "vector_bits": 256,
    "fma": True,
    "math_calls": ["_ZGVdN8v_expf", "expf"],
}


@pytest.fixture
def no_valgrind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callgrind, "why_unavailable", lambda: "valgrind was not found")


def quiet(_: str) -> None:
    pass


def run_of(*cases: tuple[str, str, str]) -> dict[str, Any]:
    """A run as pytest-benchmark hands it over before it is saved, as far as it matters here."""
    infos = [dict(zip(("kernel", "variant", "size"), case, strict=True)) for case in cases]
    return {"machine_info": {}, "benchmarks": [{"extra_info": {**MARK, **info}} for info in infos]}


# --- Collecting ----------------------------------------------------------------------------------


@needs_valgrind
@needs_objdump
def test_what_is_collected_is_true_and_the_same_at_every_size() -> None:
    cases = [("relu_f32", v, s) for v in ("py-loop", "c-scalar", "c-avx2") for s in ("100", "1000")]
    cases += [("matmul_i8_i32", "c-scalar", "64"), ("relu_f32", "peer-numpy", "100")]
    found = collect.collect(cases, say=quiet)
    assert found.rows.keys() <= set(cases[:-1])
    for _, variant, _ in cases[:-2]:
        rows = [found.rows.get(("relu_f32", variant, size)) for size in ("100", "1000")]
        assert rows[0] == rows[1]
    python, scalar = (found.rows["relu_f32", v, "100"] for v in ("py-loop", "c-scalar"))
    # A compare, a branch, a load, a store, a step: and not a hundred bytecodes' worth of them.
    assert 4 < scalar["instructions"] < 12 < 50 < python["instructions"] < 2000
    # 40 KB in, 40 KB out, none of which is left in 32 KiB when the next call begins.
    assert 8 <= scalar["l1_bytes"] < 9 < python["l1_bytes"]
    assert (scalar["per"], scalar["size"], scalar["vector_bits"]) == ("element", "10000", 0)
    assert python["vector_bits"] is None
    product = found.rows["matmul_i8_i32", "c-scalar", "64"]
    assert product["per"] == "multiply-add"
    assert 3 < product["instructions"] < 12
    if kernels_c.why_unavailable("avx2") is None:
        wide = found.rows["relu_f32", "c-avx2", "100"]
        assert wide["vector_bits"] == 256
        if wide["instructions"] is not None:
            assert wide["instructions"] < scalar["instructions"] / 4


@needs_valgrind
def test_calls_of_any_function_are_counted() -> None:
    calls = {
        "short": ("kernels_py.relu", "loop", [[1.0] * 100]),
        "long": ("kernels_py.relu", "loop", [[1.0] * 200]),
    }
    found = collect.instructions_of_calls(calls)
    assert list(found) == ["short", "long"]
    assert found["long"] == pytest.approx(2 * found["short"], rel=0.1)
    assert collect.instructions_of_calls({}) == {}


@needs_valgrind
def test_a_call_that_fails_is_said_in_one_line() -> None:
    with pytest.raises(CountingFailed, match="no attribute 'bend'") as caught:
        collect.instructions_of_calls({"x": ("kernels_py.relu", "bend", [])})
    assert "\n" not in str(caught.value)


def test_a_tier_that_valgrind_lacks_is_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str) -> None:
        raise kernels_c.TierUnavailable(f"tier {name} needs more")

    monkeypatch.setattr(kernels_c, "load_tier", refuse)
    wanted, answers = tmp_path / "wanted", tmp_path / "answers"
    wanted.write_text(json.dumps([["case", "relu_f32", "c-avx512", "8"]]), encoding="utf-8")
    monkeypatch.setattr(counted_calls.buffers, "BLOCK", counted_calls.buffers.BLOCK)  # and back
    counted_calls.answer(str(wanted), str(answers), counted_calls._called)
    reasons = json.loads(answers.read_text(encoding="utf-8"))
    assert reasons == ["tier avx512 needs more"]


@pytest.mark.parametrize("name", list(registry.KERNELS))
@pytest.mark.parametrize("variant", ["py-loop", "c-scalar"])
def test_every_kernel_has_a_size_to_be_counted_at(name: str, variant: str) -> None:
    kernel = registry.kernel(name)
    size = collect.counted_size(kernel, variant)
    assert kernel.size_name(kernel.shape_named(size)) == size


def test_threads_and_ways_are_not_counted_but_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def count(items: list[Any], cache: bool) -> list[Counted | str]:
        asked.extend(items)
        return [Counted("0", 20_000.0, 100.0)] * len(items)

    monkeypatch.setattr(callgrind, "why_unavailable", lambda: None)
    monkeypatch.setattr(collect, "_in_child", count)
    cases = [("relu_f32", v, "100") for v in ("c-scalar", "c-scalar_lists", "c-avx2_omp")]
    found = collect.collect(cases, say=quiet)
    assert asked == [["case", "relu_f32", "c-scalar", "10000"]]
    row = found.rows[RELU]
    assert (row["instructions"], row["l1_bytes"]) == (2.0, 0.64)
    assert "c-avx2_omp is not counted: it runs on several threads" in found.unavailable


@needs_valgrind
def test_an_interruption_ends_what_other_threads_count(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        counted = pool.submit(callgrind.count, ["sleep", "60"], tmp_path)
        while not callgrind._running and not counted.done():
            pass
        callgrind.stop()
        with pytest.raises(CountingFailed):
            counted.result(30)


# --- Without tools, or when they fail ------------------------------------------------------------


@pytest.mark.usefixtures("no_valgrind")
def test_without_valgrind_and_objdump_the_run_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(objdump, "why_unavailable", lambda: "objdump was not found")
    run, said = run_of(RELU), list[str]()
    collect.add_evidence(run, True, said.append)
    missing = run["machine_info"]["evidence_unavailable"]
    assert sorted(missing) == ["objdump was not found", "valgrind was not found"]
    assert "evidence" not in run["benchmarks"][0]["extra_info"]
    assert sorted(said) == [f"evidence: {reason}" for reason in sorted(missing)]


@pytest.mark.parametrize(
    "why", [CountingFailed("a crash"), OSError("no space"), KeyboardInterrupt()]
)
def test_a_failure_never_loses_the_run(why: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise why

    monkeypatch.setattr(callgrind, "why_unavailable", lambda: None)
    monkeypatch.setattr(collect, "_in_child", fail)
    run = run_of(RELU, ("relu_f32", "py-loop", "100"))
    collect.add_evidence(run, True, quiet)
    (reason,) = run["machine_info"]["evidence_unavailable"]
    assert "could not be counted" in reason or "collecting evidence" in reason


@needs_objdump
@pytest.mark.usefixtures("no_valgrind")
def test_without_explain_only_the_code_is_looked_at() -> None:
    run = run_of(RELU, ("relu_f32", "py-loop", "100"))
    run["benchmarks"].append({"extra_info": {}})  # somebody else's
    collect.add_evidence(run, False, pytest.fail)
    native, python, foreign = (b["extra_info"] for b in run["benchmarks"])
    assert native["evidence"]["vector_bits"] == 0
    assert native["evidence"]["instructions"] is None
    assert "evidence" not in python
    assert foreign == {}
    assert run["machine_info"] == {}


def test_valgrind_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    found = collect.collect([RELU], say=quiet)
    assert any("apt-get install valgrind" in reason for reason in found.unavailable)
    assert found.rows == {}


# --- Saved and read ------------------------------------------------------------------------------


def with_evidence(row: Any) -> dict[str, Any]:
    return altered(GOOD, "benchmarks.0.extra_info.evidence", row)


def read(row: Any) -> Evidence | None:
    (result,) = runs.from_json(with_evidence(row)).results
    assert result.metadata is not None
    return result.metadata.evidence


def test_evidence_comes_back_as_it_was_saved() -> None:
    found = read(json.loads(json.dumps(ROW)))
    assert found is not None
    assert {**asdict(found), "math_calls": list(found.math_calls)} == ROW
    assert read(None) is None


@needs_objdump
def test_what_is_collected_can_be_read() -> None:
    row = collect.collect([RELU], counting=False).rows[RELU]
    found = read(row)
    assert found == Evidence(None, None, "element", None, 0, False, ())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("instructions", -1),
        ("instructions", "many"),
        ("instructions", float("nan")),
        ("l1_bytes", -0.5),
        ("l1_bytes", True),
        ("per", "row"),
        ("per", None),
        ("size", None),
        ("size", 10_000),
        ("vector_bits", 64),
        ("vector_bits", False),
        ("vector_bits", "256"),
        ("vector_bits", [256]),
        ("fma", 1),
        ("fma", "yes"),
        ("math_calls", "expf"),
        ("math_calls", [1]),
        ("math_calls", [""]),
    ],
)
def test_bad_evidence_is_named_with_its_place(name: str, value: Any) -> None:
    with pytest.raises(
        BadRun, match=rf"extra_info\.evidence\.{name}(\[0\])? is .*needs "
    ) as caught:
        read({**ROW, name: value})
    assert "\n" not in str(caught.value)


def test_evidence_is_an_object() -> None:
    with pytest.raises(BadRun, match=r"extra_info\.evidence is \[\], needs an object"):
        read([])


# --- In words ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (ROW, "12.5 instr, 8.00 B beyond L1, 256-bit FMA, calls expf x8 and expf"),
        ({"math_calls": []}, "12.5 instr, 8.00 B beyond L1, 256-bit FMA"),
        (
            {"instructions": None, "l1_bytes": None, "vector_bits": 0, "fma": False,
             "math_calls": ["tanhf"]},
            "scalar, calls tanhf",
        ),
        ({"vector_bits": None, "fma": None, "math_calls": []}, "12.5 instr, 8.00 B beyond L1"),
        (
            {"instructions": None, "l1_bytes": None, "vector_bits": None, "fma": None,
             "math_calls": []},
            "",
        ),
    ],
)  # fmt: skip
def test_evidence_is_said_in_a_few_words(row: dict[str, Any], said: str) -> None:
    found = read({**ROW, **row})
    assert found is not None
    assert short(found) == said
