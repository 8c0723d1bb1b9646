"""The suite as a user runs it: pytest-benchmark's commands, and what becomes of wrong kernels."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest
from pytest_benchmark.stats import Stats

import kernels_c
from bench.measure.machine.limits import WIDTHS
from bench.saved import comparable
from bench.suite import registry
from tests.checkout import Checkout
from tests.stats import stats

# A few fast cases on both sides.
SHORT = ("--benchmark-only", "--benchmark-max-time=0.01")
DISPLAY = ("--benchmark-sort=name", "--benchmark-group-by=param:size", "--benchmark-columns=mean")
ABLE = [
    variant
    for variant in registry.VARIANTS
    if not variant.startswith("c-") or kernels_c.why_unavailable(variant[2:]) is None
]
FEW = "(py-idiomatic or py-loop or c-scalar or c-avx2) and 100]"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """For tests that break nothing."""
    return Checkout(tmp_path_factory.mktemp("suite"))


def test_run_save_list_compare(shared: Checkout) -> None:
    quick = ("--benchmark-only", "--benchmark-max-time=0.02", "-k", FEW)
    first = shared.pytest(*quick, "--benchmark-autosave")
    assert first.returncode == 0, first.stdout
    assert "competency matrix" in first.stdout
    assert first.stdout.index("competency matrix") > first.stdout.index("benchmark 'relu_f32 100'")

    second = shared.pytest(*quick, "--benchmark-autosave", "--benchmark-compare")
    assert second.returncode == 0, second.stdout
    assert "Comparing against benchmarks from" in second.stdout + second.stderr
    assert "not comparable" not in second.stdout + second.stderr

    tool = ("-m", "pytest_benchmark")
    listed = shared.python(*tool, "list")
    assert listed.stdout.count(".json") == 2
    compared = shared.python(*tool, "compare", "--group-by=fullname", "--columns=min,median")
    assert compared.returncode == 0, compared.stderr
    assert "test_relu[c-avx2-100]" in compared.stdout

    matrix = shared.python("-m", "bench", "matrix", "--format", "json")
    row = next(r for r in json.loads(matrix.stdout) if r["kernel"] == "relu_f32")
    assert row["speedup"] > 1
    assert set(row["variants"]) == {"py-loop", "py-idiomatic", "c-scalar", "c-avx2", "c-avx2_omp"}

    runs = sorted((shared.folder / ".benchmarks").glob("*/*.json"))
    report = shared.python("-m", "bench", "report", *map(str, runs), "-o", "out")
    assert report.returncode == 0, report.stderr
    assert (shared.folder / "out/index.html").is_file()


def test_compare_fail_fails_on_a_regression(shared: Checkout) -> None:
    quick = ("--benchmark-only", "--benchmark-max-time=0.02", "-k", "test_relu and py-loop-100]")
    shared.pytest(*quick, "--benchmark-save=base")
    (saved,) = (shared.folder / ".benchmarks").glob("*/*_base.json")
    run = json.loads(saved.read_text())
    for name in ("min", "median", "mean"):
        run["benchmarks"][0]["stats"][name] /= 100
    saved.write_text(json.dumps(run))
    number = saved.name[:4]
    failed = shared.pytest(
        *quick, f"--benchmark-compare={number}", "--benchmark-compare-fail=min:50%"
    )
    assert failed.returncode != 0
    assert "Performance has regressed" in failed.stdout + failed.stderr


# Valid JSON, as other tools and other moments leave it where a saved run should be.
STRANGE_RUNS: dict[str, Any] = {
    "list": [1],
    "bare": {"benchmarks": [{}]},
    "nothing": {"benchmarks": [None]},
    "empty": {"benchmarks": []},
    "machine": {"benchmarks": [{"fullname": "x", "stats": {"mean": 1.0}}], "machine_info": 3},
    "no-times": {"benchmarks": [{"fullname": "x", "stats": {"mean": 1.0}}]},
    "no-statistics": {"benchmarks": [{"fullname": "x", "stats": stats(1.0)}]},
}


@pytest.mark.parametrize("kind", STRANGE_RUNS)
def test_what_nothing_can_be_compared_with_is_refused(kind: str) -> None:
    with pytest.raises(comparable.BadRun) as refused:
        comparable.make_fit(copy.deepcopy(STRANGE_RUNS[kind]), {}, Stats.fields, "that run")
    assert str(refused.value).startswith("that run: ")


def test_what_pytest_benchmark_cannot_print_is_left_out_and_named() -> None:
    whole = dict.fromkeys(Stats.fields, 1.0) | {"rounds": 1, "outliers": "1;0"}
    rows: list[Any] = [
        {"fullname": "good", "stats": {**whole, "name": "\x1b[31m", "group": {}}},
        {"fullname": "odd", "stats": {**whole, "ops": None}},
        {"fullname": "hostile", "stats": {**whole, "outliers": "\x1b[31m"}},
        {"fullname": "\x1b[31m", "params": 3, "stats": whole},
        {"fullname": "twin", "stats": 5},
        {"fullname": "twin", "stats": whole},
    ]
    run = {"benchmarks": rows}
    lines, _ = comparable.make_fit(run, {}, Stats.fields, "that run")
    assert run["benchmarks"] == [{"fullname": "good", "stats": whole}]
    assert lines == [
        "that run: \\x1b[31m: params is 3, needs an object",
        "that run: twin: stats is 5, needs an object",
        "that run: twin appears twice",
        f"that run: 2 benchmarks lack statistics, needs {', '.join(Stats.fields)}",
    ]


REFUSED = {
    json.dumps(STRANGE_RUNS["machine"]): "x: min is nothing, needs a number",
    json.dumps([STRANGE_RUNS["machine"]]): "the file is [",
    "{": "is not JSON",
    "": "cannot be read (No such file or directory)",
}


@pytest.mark.parametrize("content", REFUSED)
def test_it_is_refused_before_anything_is_measured(content: str, shared: Checkout) -> None:
    path = shared.folder / ("strange.json" if content else "missing.json")
    if content:
        path.write_text(content)
    ended = shared.pytest(*SHORT, "-k", "relu and 100]", f"--benchmark-compare={path}")
    said = ended.stdout + ended.stderr
    assert ended.returncode == 2, said
    assert f"{path}: {REFUSED[content]}" in said
    assert "INTERNALERROR" not in said and "Traceback" not in said and "passed" not in said


def test_what_can_be_used_of_a_run_is_compared_with(shared: Checkout) -> None:
    quick = (*SHORT, "-k", "test_relu and py-loop-100]")
    shared.pytest(*quick, "--benchmark-json=good.json")
    run = shared.json("good.json")
    odd = {"fullname": "odd", "stats": {**run["benchmarks"][0]["stats"], "min": 0.0}}
    run["benchmarks"] += [odd, {"fullname": "bare", "stats": stats(1.0)}, {"fullname": "empty"}]
    run["machine_info"]["cpu"]["brand_raw"] = "Another CPU"
    (shared.folder / "mixed.json").write_text(json.dumps(run), encoding="utf-8-sig")
    ended = shared.pytest(*quick, "--benchmark-compare=mixed.json")
    said = ended.stdout + ended.stderr
    assert ended.returncode == 0, said
    assert "odd: min is 0.0" in said and "1 benchmarks lack statistics" in said
    assert "cpu.brand_raw: Another CPU before" in said
    assert "Comparing against benchmarks from" in said
    # Nothing is said about the code, so nothing is judged either.
    judged = shared.pytest(
        *quick, "--benchmark-compare=mixed.json", "--benchmark-compare-fail=min:1%"
    )
    assert judged.returncode == 3, judged.stdout + judged.stderr
    assert "cpu.brand_raw: Another CPU before" in judged.stdout + judged.stderr
    assert "has regressed" not in judged.stdout + judged.stderr


@pytest.mark.parametrize("compare", ["--benchmark-compare", "--benchmark-compare=0001"])
def test_a_pipe_among_the_saved_runs_keeps_nobody_waiting(compare: str, shared: Checkout) -> None:
    storage = shared.folder / "piped"
    storage.mkdir(exist_ok=True)
    pipe = storage / "0001_pipe.json"
    if not pipe.exists():
        os.mkfifo(pipe)
    ended = shared.pytest(*SHORT, "-k", "relu and 100]", f"--benchmark-storage={storage}", compare)
    assert ended.returncode == 2
    assert f"{pipe}: is no regular file" in ended.stdout + ended.stderr


def test_extra_info_holds_the_metadata(shared: Checkout) -> None:
    shared.pytest(
        "--benchmark-only", "--benchmark-max-time=0.02", "--benchmark-json=facts.json",
        "-k", "test_matmul and 16]",
    )  # fmt: skip
    run = shared.json("facts.json")
    info = next(b["extra_info"] for b in run["benchmarks"] if b["name"] == "test_matmul[c-avx2-16]")
    assert info["kernel"] == "matmul_f32"
    assert info["variant"] == "c-avx2"
    assert info["side"] == "native"
    assert info["shape"] == [16, 16, 16]
    assert info["flops"] == 2 * 16**3
    assert info["bytes"] == 4 * 3 * 16**2
    assert 0 <= info["max_error_ulp"] <= 8
    assert info["gflops"] > 0
    assert info["gbps"] > 0
    assert info["speedup"] > 1
    assert info["bound"] == "compute"
    assert info["percent_of_limit"] > 0
    assert info["threads"] == 1
    assert "cores" not in info
    python = next(b["extra_info"] for b in run["benchmarks"] if b["name"].endswith("[py-loop-16]"))
    assert "bound" not in python
    names = {limit["name"] for limit in run["machine_info"]["limits"] if limit["tier"] == "avx2"}
    assert {"fma", "madd_i16", "clock", "call", "read", "update", "copy", "stream"} == names
    tiers = {limit["tier"] for limit in run["machine_info"]["limits"]}
    assert tiers == {tier for tier in WIDTHS if kernels_c.why_unavailable(tier) is None}
    assert set(run["machine_info"]["tiers"]["avx2"]) == {"compiler", "flags", "key"}
    assert "node" not in run["machine_info"]


@pytest.mark.parametrize(
    ("options", "passed"),
    [
        (("--benchmark-disable", "test_bench_relu.py", "-k", "100]"), f"{len(ABLE)} passed"),
        (
            ("--benchmark-skip", "test_bench_relu.py", "-k", "100]"),
            f"{len(registry.VARIANTS)} skipped",
        ),
        ((*SHORT, "test_bench_relu.py", "-k", "c-scalar-100] or c-avx2-100]"), "2 passed"),
        ((*SHORT, *DISPLAY, "-k", "test_relu and c-avx2-100]"), "1 passed"),
    ],
    ids=["disable", "skip", "file", "display"],
)  # fmt: skip
def test_options_of_pytest_benchmark_work(
    shared: Checkout, options: tuple[str, ...], passed: str
) -> None:
    run = shared.pytest(*options)
    assert run.returncode == 0, run.stdout
    assert passed in run.stdout


@pytest.mark.parametrize(
    "option", ["--benchmark-max-time=0", "--benchmark-max-time=-1", "--benchmark-timer=time.time"]
)
def test_options_that_would_falsify_a_figure_are_refused(shared: Checkout, option: str) -> None:
    run = shared.pytest("test_bench_relu.py", "--benchmark-only", "-k", "py-loop-100]", option)
    assert run.returncode == 4
    assert option.partition("=")[0] in run.stderr + run.stdout
    assert "passed" not in run.stdout


def test_the_options_saved_are_those_that_governed(shared: Checkout) -> None:
    shared.pytest(*SHORT, "--benchmark-json=options.json", "-k", "test_relu and py-loop-100]")
    (benchmark,) = shared.json("options.json")["benchmarks"]
    assert benchmark["options"]["max_time"] == 0.01
    assert "min_rounds" not in benchmark["options"]


def test_quick_leaves_out_the_large_sizes(shared: Checkout) -> None:
    everything = shared.pytest("test_bench_relu.py", "--collect-only", "-q").stdout
    quick = shared.pytest("test_bench_relu.py", "--collect-only", "-q", "--quick").stdout
    assert "test_relu[c-avx2-10000000]" in everything
    assert "test_relu[c-avx2-10000000]" not in quick
    assert "test_relu[c-avx2-10000]" in quick


def test_a_wrong_kernel_fails_and_its_figures_appear_nowhere(tmp_path: Path) -> None:
    """One constant changed in one C++ kernel and one in a Python one."""
    checkout = Checkout(tmp_path)
    checkout.replace("kernels_c/portable/gelu.cpp", "0.044715f * x[i]", "0.044815f * x[i]")
    checkout.replace(
        "kernels_py/softmax.py", "out[i] = out[i] / total", "out[i] = out[i] / (total + 1e-5)"
    )
    assert checkout.build("--tier", "scalar", CXXFLAGS="-O0").returncode == 0
    run = checkout.pytest(
        "test_bench_gelu.py", "test_bench_softmax.py", "--benchmark-only", "--quick",
        "--benchmark-max-time=0.02", "--benchmark-json=wrong.json",
        "-k", "(scalar or py-loop) and (100] or 10000])",
    )  # fmt: skip
    assert run.returncode == 1
    saved = {b["name"] for b in checkout.json("wrong.json")["benchmarks"]}
    assert not any(n.startswith("test_gelu_tanh[c-scalar") for n in saved)
    assert not any(n.startswith("test_softmax[py-loop") for n in saved)
    assert "test_gelu_erf[c-scalar-100]" in saved
    assert "test_softmax[c-scalar-100]" in saved
    tables = run.stdout[run.stdout.index("benchmark: ") :].partition("= FAILURES =")
    after_failures = tables[2][tables[2].index("benchmark '") :]
    assert "test_gelu_erf[c-scalar" in after_failures
    shown = [
        line for line in after_failures.splitlines() if line.startswith("test_gelu_tanh[c-scalar")
    ]
    assert shown == []
    assert "ULP of the input" in run.stdout


def test_a_kernel_wrong_at_one_size_is_withdrawn_at_all(tmp_path: Path) -> None:
    """Right for the edge cases and for 100 elements, wrong from 5000 on."""
    checkout = Checkout(tmp_path)
    checkout.replace(
        "kernels_c/portable/relu.cpp", "x[i] < 0.0f ? 0.0f : x[i];",
        "i == 5000 ? 9.0f : x[i] < 0.0f ? 0.0f : x[i];",
    )  # fmt: skip
    checkout.build("--tier", "debug")
    run = checkout.pytest(
        "test_bench_relu.py", "--benchmark-only", "--quick", "--benchmark-max-time=0.02",
        "--benchmark-json=wrong.json", "-k", "debug or py-idiomatic",
    )  # fmt: skip
    assert run.returncode == 1
    saved = [b["name"] for b in checkout.json("wrong.json")["benchmarks"]]
    assert saved
    assert not any("debug" in name for name in saved)
    assert "is already known to be wrong" in run.stdout


def test_a_step_wrong_for_a_small_awkward_input_fails_and_the_kernel_does_not(
    tmp_path: Path,
) -> None:
    """Right at 16, where it is measured, and for all but one of the edge cases."""
    checkout = Checkout(tmp_path)
    checkout.replace(
        "kernels_c/portable/matmul_ijk.cpp", "float total = 0.0f;",
        "float total = k == 300 ? 1.0f : 0.0f;",
    )  # fmt: skip
    checkout.build("--tier", "scalar", CXXFLAGS="-O0")
    run = checkout.pytest(
        "test_bench_matmul.py", *SHORT, "--benchmark-json=x.json",
        "-k", "test_matmul[ and (scalar_ijk-16] or scalar-16])",
    )  # fmt: skip
    assert run.returncode == 1
    assert "matmul_f32 c-scalar_ijk edge case 13x35x300" in run.stdout
    saved = [b["name"] for b in checkout.json("x.json")["benchmarks"]]
    assert saved == ["test_matmul[c-scalar-16]"]


def test_a_step_of_a_stale_tier_is_not_measured(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    checkout.replace("kernels_c/portable/matmul_ijk.cpp", "float total = 0.0f;", "float total = 0;")
    run = checkout.pytest("test_bench_matmul.py", *SHORT, "-k", "c-autovec_ijk-64]")
    assert run.returncode == 2
    # Whether the CPU can run it is asked through the scalar tier, which is stale, too.
    assert "was built before kernels_c/portable/matmul_ijk.cpp changed" in run.stdout + run.stderr


def test_a_variant_that_raises_at_one_size_is_withdrawn_at_all(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    checkout.replace("kernels_py/relu.py", "[0.0] * len(x)", "[0.0] * min(len(x), 5000)")
    run = checkout.pytest(
        "test_bench_relu.py", *SHORT, "--quick", "--benchmark-json=x.json", "-k", "py-"
    )
    assert run.returncode == 1
    assert "IndexError" in run.stdout
    saved = [b["name"] for b in checkout.json("x.json")["benchmarks"]]
    assert saved
    assert not any("py-loop" in name for name in saved)


def test_a_variant_that_raises_while_it_is_timed_is_withdrawn(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    checkout.replace(
        "kernels_py/relu.py", "    out = [0.0] * len(x)\n",
        "    out = [0.0] * len(x)\n    CALLS.append(1)\n    out[len(CALLS) // 300 * len(x)]\n",
    )  # fmt: skip
    checkout.replace("kernels_py/relu.py", "def loop(", "CALLS = []\n\n\ndef loop(")
    run = checkout.pytest(
        "test_bench_relu.py", *SHORT, "--benchmark-json=x.json", "-k", "py- and 100]"
    )
    assert run.returncode == 1
    assert "IndexError" in run.stdout
    saved = [b["name"] for b in checkout.json("x.json")["benchmarks"]]
    assert saved == ["test_relu[py-idiomatic-100]"]


def test_a_kernel_that_is_right_only_at_first_fails(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    end = "0.0f : x[i];\n"
    later = "static int calls = 0;\n    if (n == 100 && ++calls > 5) out[0] = 42.0f;\n"
    checkout.replace("kernels_c/portable/relu.cpp", end, f"{end}    {later}")
    checkout.build("--tier", "scalar", CXXFLAGS="-O0")
    run = checkout.pytest(
        "test_bench_relu.py", *SHORT, "--benchmark-json=x.json", "-k", "py-loop-100] or scalar-100]"
    )
    assert run.returncode == 1
    assert "a later call gave another result" in run.stdout
    assert [b["name"] for b in checkout.json("x.json")["benchmarks"]] == ["test_relu[py-loop-100]"]


@pytest.mark.parametrize("result", ["[300] * len(x)", "None", "['a'] * len(x)", "x[:-1]"])
def test_a_python_variant_with_an_impossible_result_fails(tmp_path: Path, result: str) -> None:
    checkout = Checkout(tmp_path)
    quantize = checkout.folder / "kernels_py/quantize.py"
    text = quantize.read_text(encoding="utf-8")
    broken = f"def loop(x, scale):\n    return {result}\n\n\ndef _loop("
    quantize.write_text(text.replace("def loop(", broken), encoding="utf-8")
    run = checkout.pytest(
        "test_bench_matmul.py", *SHORT, "--quick", "-k", "test_quantize and py-loop-10000]"
    )
    assert run.returncode == 1
    assert "WrongResult" in run.stdout


@pytest.mark.parametrize("outside", ["out[n] = 0.0f;", "const_cast<float *>(x)[0] = 0.0f;"])
def test_a_kernel_that_writes_where_it_must_not_fails(tmp_path: Path, outside: str) -> None:
    checkout = Checkout(tmp_path)
    checkout.replace(
        "kernels_c/portable/relu.cpp", "0.0f : x[i];\n", f"0.0f : x[i];\n    {outside}\n"
    )
    checkout.build("--tier", "scalar", CXXFLAGS="-O0")
    run = checkout.pytest("test_bench_relu.py", "--benchmark-disable", "-k", "scalar-100]")
    assert run.returncode == 1
    assert "wrote outside its output" in run.stdout or "changed its input" in run.stdout
