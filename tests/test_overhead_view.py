"""From which size on native code wins, and what a crossing costs: from saved runs alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import __main__ as command_line
from bench.analysis import break_even
from bench.saved import runs
from bench.saved.comparable import merged
from bench.saved.schema import MARK
from bench.views import documents
from bench.views.explain import overhead
from bench.views.tables import FORMATS, render
from tests.altered import altered
from tests.stats import MACHINE, OPTIONS, stats

KERNEL = {
    **MARK,
    "flops": 1, "bytes": 1, "rate": "GB/s", "relaxed": False, "error_unit": "steps",
    "max_error_ulp": 0.0, "confirmed": True, "gflops": 1.0, "gbps": 1.0,
}  # fmt: skip
COPY = {
    **MARK,
    "overhead": "list to buffer", "binding": "ctypes", "elements": 10_000, "element": "int8",
    "confirmed": True,
}  # fmt: skip


def crossing(seconds: float, name: str = "a", **extra: Any) -> dict[str, Any]:
    return {
        "fullname": f"b.py::{name}",
        "stats": stats(seconds),
        "options": OPTIONS,
        "extra_info": {**COPY, **extra},
    }


def timed(kernel: str, variant: str, shape: list[int], seconds: float) -> dict[str, Any]:
    size = "x".join(map(str, shape))
    side = "python" if variant.startswith("py-") else "native"
    metadata = {**KERNEL, "kernel": kernel, "variant": variant, "side": side}
    return {
        "fullname": f"a.py::{kernel}[{variant}-{size}]",
        "stats": stats(seconds),
        "options": OPTIONS,
        "extra_info": {**metadata, "size": size, "shape": shape},
    }


def run_of(benchmarks: list[dict[str, Any]]) -> runs.Run:
    return runs.from_json({"benchmarks": benchmarks})


def vector_run(sizes: list[int], costs: Mapping[str, Callable[[int], float]]) -> runs.Run:
    """relu_f32, each variant with its seconds by size."""
    return run_of([timed("relu_f32", v, [n], cost(n)) for n in sizes for v, cost in costs.items()])


GOOD: dict[str, Any] = {
    "machine_info": MACHINE,
    "benchmarks": [
        crossing(2e-4),
        crossing(5e-8, "b", overhead="empty call", binding="Python", elements=0, element=None),
        *(timed("relu_f32", "py-idiomatic", [n], 1e-8 * n) for n in (1, 64, 512)),
        *(timed("relu_f32", "c-avx2", [n], 1.05e-7) for n in (1, 64, 512)),
        *(timed("relu_f32", "c-avx2_lists", [n], 1e-6 + 2e-8 * n) for n in (1, 64, 512)),
    ],
}

# --- Break-even ----------------------------------------------------------------------------------

slopes = st.floats(1e-10, 1e-6)
sizes = st.lists(st.integers(1, 10**6), min_size=2, max_size=9, unique=True).map(sorted)


@given(sizes=sizes, fixed=st.floats(1e-8, 1e-3), python=slopes, native=slopes)
def test_the_break_even_of_linear_costs_is_found(
    sizes: list[int], fixed: float, python: float, native: float
) -> None:
    run = vector_run(
        sizes, {"py-loop": lambda n: python * n, "c-avx2": lambda n: fixed + native * n}
    )
    (found,) = break_even.break_evens(run)

    def wins(n: int) -> bool:
        return fixed + native * n < python * n

    if found.size is None:
        assert not wins(sizes[-1])
        return
    # The interpolated costs are the true ones but for rounding.
    slack = 1 + round(found.size * 1e-6)
    assert sizes[0] <= found.size <= sizes[-1]
    assert wins(min(found.size + slack, sizes[-1])) or found.size + slack > sizes[-1]
    assert found.size == sizes[0] or not wins(max(found.size - slack, sizes[0]))


@given(
    values=st.dictionaries(
        st.integers(1, 60), st.integers(-9, 9).map(float), min_size=1, max_size=6
    ),
    power=st.sampled_from((1, 3)),
)
def test_from_the_break_even_on_it_is_positive_everywhere(
    values: dict[int, float], power: int
) -> None:
    nodes = sorted(values)

    def at(n: int) -> float:
        after = next(node for node in nodes if node >= n)
        before = max((node for node in nodes if node <= n), default=n)
        if before == after:
            return values[n]
        share = (n**power - before**power) / (after**power - before**power)
        return values[before] + share * (values[after] - values[before])

    exact = [n for n in range(nodes[0], nodes[-1] + 1) if abs(at(n)) > 1e-9]
    found = break_even.first_always_positive(values, power)
    if found is None:
        assert values[nodes[-1]] <= 0
        return
    assert all(at(n) > 0 for n in exact if n >= found)
    assert found == nodes[0] or at(found - 1) <= 1e-9


def test_products_are_interpolated_in_their_work() -> None:
    shapes = (1, 4, 32)
    run = run_of(
        [timed("matmul_f32", "py-loop", [n] * 3, 1e-8 * n**3) for n in shapes]
        + [timed("matmul_f32", "c-scalar", [n] * 3, 1e-6 + 1e-9 * n**3) for n in shapes]
    )
    (found,) = break_even.break_evens(run)
    assert (found.counts, found.size) == ("side", 5)  # 9e-9 n^3 > 1e-6 from 4.81 on
    # 9.1e-9 n^3 > 0.91e-6 from 4.63 on, 8.9e-9 n^3 > 1.1e-6 from 4.98 on: 5 either way.
    assert (found.near_from, found.near_to) == (5, 5)
    assert overhead.shown(found) == "5"


def test_of_several_changes_of_sign_the_last_counts() -> None:
    lead = {1: 1.0, 10: -1.0, 20: 1.0, 30: -1.0, 40: 1.0, 50: 2.0}
    assert break_even.first_always_positive(lead) == 36


def test_the_fastest_python_variant_counts() -> None:
    run = vector_run(
        [1, 100],
        {
            "py-loop": lambda n: 1e-6 * n,
            "py-idiomatic": lambda n: 1e-8 * n,
            "c-avx2": lambda _: 5.05e-7,
        },
    )
    (found,) = break_even.break_evens(run)
    assert found.size == 51


def test_shapes_that_grow_in_another_way_do_not_take_part() -> None:
    shapes = ([1, 64], [512, 64], [1, 1024])
    run = run_of(
        [timed("softmax_f32", "py-loop", shape, 1e-6) for shape in shapes]
        + [timed("softmax_f32", "c-avx2", shape, 1e-7) for shape in shapes]
        + [timed("matmul_f32", variant, [1, 8, 8], 1e-6) for variant in ("py-loop", "c-avx2")]
    )
    (found,) = break_even.break_evens(run)
    assert (found.kernel, found.counts) == ("softmax_f32", "columns")
    assert (found.smallest, found.largest) == (64, 1024)


@pytest.mark.parametrize(
    ("native", "first", "said"),
    [
        (1e-9, 1, "always"),
        (9.5e-9, 1, "always (1-2)"),
        (1e-9, 100, "at most 100"),
        (5.2e-8, 1, "6 (5-6)"),
        (4.995e-6, 1, "500 (455-512+)"),
        (5.505e-6, 1, "never up to 512 (501-512+)"),
        (1.0, 1, "never up to 512"),
    ],
)
def test_a_break_even_is_said_in_a_few_words(native: float, first: int, said: str) -> None:
    run = vector_run([first, 512], {"py-loop": lambda n: 1e-8 * n, "c-avx2": lambda _: native})
    (found,) = break_even.break_evens(run)
    assert overhead.shown(found) == said


# --- The tables ----------------------------------------------------------------------------------


def test_the_three_formats_agree() -> None:
    run = runs.from_json(GOOD)
    markdown = render(overhead.view(run), "md").replace("\\", "")
    for drawn in overhead.view(run).tables:
        for line in drawn.rows:
            assert len(line) == len(drawn.header)
            assert all(cell in render(overhead.view(run), "text") for cell in line)
            assert all(cell in markdown for cell in line)
    content = json.loads(render(overhead.view(run), "json"))
    assert [row["seconds_per_element"] for row in content["call_overhead"]] == [2e-8, None]
    assert [(row["variant"], row["size"]) for row in content["break_even"]] == [
        ("c-avx2", 11),
        ("c-avx2_lists", None),
    ]


def test_instructions_are_shown_where_they_were_counted() -> None:
    header = overhead.view(runs.from_json(GOOD)).tables[0].header
    assert "instructions" not in header
    content = altered(GOOD, "benchmarks.0.extra_info", {**COPY, "instructions": 123456})
    table = overhead.view(runs.from_json(content)).tables[0]
    header, cells = table.header, table.rows
    assert (header[-1], cells[0][-1], cells[1][-1]) == ("instructions", "123,456", "")


def test_what_was_not_confirmed_is_marked() -> None:
    content = altered(GOOD, "benchmarks.0.extra_info.stable", False)
    cells = overhead.view(runs.from_json(content)).tables[0].rows
    assert (cells[0][3], cells[1][3]) == ("~200us", "50.0ns")


def test_several_runs_are_read_as_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [tmp_path / "old.json", tmp_path / "new.json"]
    for path, seconds, name in zip(paths, (1e-4, 2e-4), ("a", "c"), strict=True):
        content = {**GOOD, "benchmarks": [crossing(3e-4), crossing(seconds, name)]}
        if name == "a":
            content["benchmarks"] = [crossing(seconds)]
        path.write_text(json.dumps(content), encoding="utf-8")
    assert command_line.main(["overhead", "--format", "json", *map(str, paths)]) == 0
    rows = json.loads(capsys.readouterr().out)["call_overhead"]
    assert [row["minimum"] for row in rows] == [1e-4, 2e-4]


def test_renderers_are_for_documents() -> None:
    assert {"overhead", "break-even"} <= documents.RENDERERS.keys()


# --- Bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value", "needs"),
    [
        ("overhead", "", "needs text"),
        ("overhead", 7, "needs text"),
        ("binding", ..., "binding is nothing, needs text"),
        ("elements", ..., "elements is nothing"),
        ("elements", -1, "needs a whole number from 0"),
        ("elements", 0, "needs at least 1"),
        ("elements", 10**20, "needs a whole number from 0 to 1e+12"),
        ("element", [], "needs text"),
        ("instructions", "many", "needs a number"),
    ],
)
def test_a_broken_crossing_is_named(
    path: str, value: Any, needs: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = {**GOOD, "benchmarks": [crossing(1e-4, instructions=5)]}
    file = tmp_path / "run.json"
    broken = altered(content, f"benchmarks.0.extra_info.{path}", value)
    file.write_text(json.dumps(broken), encoding="utf-8")
    assert command_line.main(["overhead", str(file)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(file) in line
    assert needs in line


def test_a_run_without_either_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "run.json"
    other = {"fullname": "x", "stats": stats(1.0)}
    file.write_text(json.dumps({"benchmarks": [other]}), encoding="utf-8")
    for form in FORMATS:
        assert command_line.main(["overhead", str(file), "--format", form]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "has no call overhead" in line


def test_runs_of_two_machines_are_not_mixed() -> None:
    one = runs.from_json(GOOD, "one.json")
    two = runs.from_json(altered(GOOD, "machine_info.cpu.brand_raw", "B"), "two.json")
    with pytest.raises(
        runs.NotComparable, match=r"one\.json: is not comparable with two\.json: cpu"
    ):
        merged([one, two])


def test_runs_timed_otherwise_are_not_mixed() -> None:
    one = runs.from_json(altered(GOOD, "benchmarks.0.options.disable_gc", False), "one.json")
    with pytest.raises(runs.NotComparable, match=r"one\.json: b\.py::a: options .*disable_gc"):
        merged([one, runs.from_json(GOOD, "two.json")])


def test_a_kernel_of_two_kinds_of_shape_is_named() -> None:
    mixed = [timed("relu_f32", "py-loop", [4], 1.0), timed("relu_f32", "c-avx2", [4] * 3, 1.0)]
    with pytest.raises(runs.BadRun, match="needs as many as others of relu_f32"):
        break_even.break_evens(run_of(mixed))
