"""Every call path gives the right result, and a wrong one is not timed."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from array import array
from pathlib import Path
from typing import Any

import pytest

import kernels_c
from bench.gate.counts.child import Checkout
from bench.measure import overhead
from bench.measure.calls import call_of, call_path
from bench.measure.cases.case import Case
from bench.measure.cases.errors_in_ulp import WrongResult
from bench.measure.cases.make import make_case
from bench.saved import runs
from bench.saved.overhead import call_overheads
from bench.saved.schema import MARK
from bench.suite import registry
from tests.checkout import ROOT
from tests.stats import stats

BENCHMARKS = ROOT / "test_bench_boundary.py"
SHAPES = {1: ((1,), (67,)), 2: ((1, 1), (5, 67)), 3: ((1, 1, 1), (7, 17, 5))}
ASKED_FOR = [
    *(("empty call", binding, 0, None) for binding in ("Python", *overhead.BINDINGS)),
    *(("ReLU, ready pointers", binding, n, None) for binding in overhead.BINDINGS for n in (1, 9)),
    ("ReLU, checked method", "cffi API", 1, None),
    *(
        (name, binding, 300, element)
        for name in ("array as buffer", "list to buffer", "buffer to list")
        for binding in ("Python", "cffi API", "ctypes")
        for element in ("float32", "int8")
    ),
]


WITH_PATHS = [name for name, kernel in registry.KERNELS.items() if not kernel.is_layer]


def call_path_cases() -> list[tuple[str, str, tuple[int, ...]]]:
    return [
        (kernel.name, variant, shape)
        for kernel in map(registry.kernel, WITH_PATHS)
        for variant in registry.CALL_PATH_VARIANTS
        for shape in SHAPES[len(kernel.sizes[0][1])]
    ]


def case_of(name: str, shape: tuple[int, ...]) -> Case:
    return make_case(registry.kernel(name), shape)


# --- Call overhead -------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "binding", "n", "element"), ASKED_FOR)
def test_a_call_overhead_does_what_it_is_said_to(
    name: str, binding: str, n: int, element: str | None
) -> None:
    case = overhead.make_case(name, binding, n, element)
    for _ in range(3):
        overhead.verify(name, case, case.function(*case.args))


def test_the_bindings_compute_the_same_relu() -> None:
    x = array("f", [-2.0, -0.0, 0.5, float("inf"), float("-inf"), 1e-45, -1e-45])
    results = set()
    for name in overhead.BINDINGS:
        binding = overhead.binding_of(name)
        out = array("f", [9.0]) * len(x)
        binding.relu_f32(binding.pointer(x), binding.pointer(out), len(x))
        results.add(out.tobytes())
    assert len(results) == 1
    assert array("f", results.pop()).tolist() == [max(v, 0.0) for v in x]


def test_a_wrong_result_is_noticed() -> None:
    case = overhead.make_case("list to buffer", "Python", 300, "int8")
    wrong = case.function(*case.args)
    wrong[299] ^= 1
    with pytest.raises(WrongResult, match="copied wrongly: got"):
        overhead.verify("copied wrongly", case, wrong)


@pytest.mark.parametrize(
    ("name", "binding", "message"),
    [
        ("nonsense", "ctypes", "there is no call overhead 'nonsense'; there are empty call, "),
        ("empty call", "SWIG", "there is no binding 'SWIG'; the bindings are cffi API, "),
        ("list to buffer", "cffi ABI", "list to buffer: got 'cffi ABI'"),
    ],
)
def test_what_cannot_be_crossed_is_named(name: str, binding: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        overhead.make_case(name, binding, 1)


def test_a_fixture_that_keeps_no_times_is_enough(tmp_path: Path) -> None:
    """The gate's stand-in: those that run code of ours are measured there as any other benchmark
    is, and those that time the interpreter alone are not there."""
    result = tmp_path / "listed.json"
    script = ROOT / "bench/gate/rounds/pytest_plugin.py"
    command = [str(script), str(os.getpid()), "list", str(result), BENCHMARKS.name]
    run = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    listed = json.loads(result.read_text(encoding="utf-8"))
    assert (listed["failed"], listed["skipped"]) == ({}, {})
    names = {name.partition("::")[2].partition("[")[0] for name in listed["found"]}
    assert names == {"test_ready_pointers", "test_checked_method"} and len(listed["found"]) == 4
    assert all(0 < metadata["seconds"] < 1 for metadata in listed["found"].values())


def test_the_metadata_is_in_the_saved_run(tmp_path: Path) -> None:
    saved = tmp_path / "run.json"
    command = [
        "-m", "pytest", "-q", "-p", "no:cacheprovider", BENCHMARKS.name, "--benchmark-only",
        "--benchmark-max-time=0.01", f"--benchmark-json={saved}", "-k", "int8 and Python or empty",
    ]  # fmt: skip
    run = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout
    assert "the overhead of a call into native code" in run.stdout
    assert "competency matrix" not in run.stdout
    benchmarks = json.loads(saved.read_text(encoding="utf-8"))["benchmarks"]
    metadata = {b["name"]: b["extra_info"] for b in benchmarks}
    assert len(metadata) == 6
    confirmed = metadata["test_list_to_buffer[Python-int8]"].pop("confirmed")
    assert confirmed in (True, False)
    assert metadata["test_list_to_buffer[Python-int8]"].pop("uncertainty") >= 0
    assert metadata["test_list_to_buffer[Python-int8]"] == {
        **MARK,
        "overhead": "list to buffer", "binding": "Python", "elements": 10_000, "element": "int8",
    }  # fmt: skip
    assert {b["options"]["timer"] for b in benchmarks} == {"perf_counter"}


@pytest.mark.parametrize("mark", [MARK, {}])
def test_runs_from_before_it_was_called_overhead_are_read(mark: dict[str, str]) -> None:
    older = {"crossing": "empty call", "binding": "Python", "elements": 0, "stable": True}
    row = {"fullname": "a", "stats": stats(1e-7), "extra_info": {**mark, **older}}
    (found,) = call_overheads(runs.from_json({"benchmarks": [row]}))
    assert (found.name, found.confirmed) == ("empty call", True)


# --- Call paths ----------------------------------------------------------------------------------


def call_or_skip(case: Case, variant: str) -> Any:
    try:
        return call_of(case, variant)
    except kernels_c.TierUnavailable as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize(("name", "variant", "shape"), call_path_cases())
def test_every_call_path_gives_a_right_result(
    name: str, variant: str, shape: tuple[int, ...]
) -> None:
    case = case_of(name, shape)
    call = call_or_skip(case, variant)
    assert call.implementation == {"scalar": "portable"}.get(variant[2:].partition("_")[0], "simd")
    metadata = case.run_and_verify(name, call)
    direct = case_of(name, shape)
    by_pointers = call_of(direct, variant.rpartition("_")[0])
    assert metadata == direct.run_and_verify(name, by_pointers)
    assert case.output(call) == direct.output(by_pointers)


@pytest.mark.parametrize("kernel", WITH_PATHS)
@pytest.mark.parametrize("change", ["one element", "short", "long", "none", "text"])
def test_a_wrong_list_is_noticed(kernel: str, change: str) -> None:
    case = case_of(kernel, SHAPES[len(registry.kernel(kernel).sizes[0][1])][1])
    call = call_of(case, "c-scalar_lists")

    def wrong(*args: Any) -> Any:
        result = call.function(*args)
        if change == "one element":
            result[3] += 2
        changed = {"short": result[1:], "long": [*result, 0], "none": None, "text": ["a"]}
        return changed.get(change, result)

    with pytest.raises(WrongResult):
        case.run_and_verify(kernel, dataclasses.replace(call, function=wrong))


@pytest.mark.parametrize("path", registry.CALL_PATHS)
def test_a_list_that_nothing_came_back_from_is_noticed(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels_c.Tier, "relu", lambda self, x, out: None)
    case = case_of("relu_f32", (67,))
    with pytest.raises(WrongResult):
        case.run_and_verify("relu_f32", call_of(case, f"c-scalar_{path}"))


def test_a_call_path_that_does_not_exist_is_named() -> None:
    with pytest.raises(
        ValueError, match="there is no call path 'carrier_pigeon'; the call paths are checked"
    ):
        call_path(case_of("relu_f32", (1,)), kernels_c.load_tier("scalar"), "carrier_pigeon")


@pytest.mark.parametrize("path", registry.CALL_PATHS)
def test_the_instruction_counter_reaches_a_call_path_too(path: str) -> None:
    case = case_of("quantized_matmul_f32", (7, 17, 5))
    call = call_of(case, f"c-scalar_{path}")

    class Built(Checkout):
        def __init__(self) -> None:
            """No copies of modules: those of this checkout."""

        def tier(self, name: str) -> kernels_c.Tier:
            return kernels_c.load_tier(name)

    function, args = Built().call(case, f"c-scalar_{path}")
    case.run_and_verify(path, dataclasses.replace(call, function=function, args=args))


def test_call_paths_are_timed_only_when_asked_for() -> None:
    for name in registry.KERNELS:
        assert not {v for v, _ in registry.cases(name)} & {*registry.CALL_PATH_VARIANTS}
        asked = registry.cases(name, explain=True)
        wanted = {*registry.CALL_PATH_VARIANTS} if name in WITH_PATHS else set()
        assert {v for v, _ in asked} & {*registry.CALL_PATH_VARIANTS} == wanted
