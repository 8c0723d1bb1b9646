"""What an element costs in Python: counted bytecodes, and parts that must add up."""

from __future__ import annotations

import dis
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import __main__ as command_line
from bench.analysis import cost
from bench.measure.evidence import bytecodes
from bench.saved.operations import operations
from bench.saved.runs import BadRun, Run, from_json, undamaged
from bench.saved.schema import MARK
from bench.suite import registry
from bench.views.documents import figures
from bench.views.explain import cost as view
from bench.views.tables import render
from kernels_py import matmul, matmul_i8, relu
from kernels_py import operations as pieces
from tests.altered import altered
from tests.growing import case, content
from tests.stats import stats

# --- Counting ------------------------------------------------------------------------------------


def per_element(name: str) -> dict[str, float]:
    return bytecodes.of_loop(registry.kernel(name))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("relu_f32", {"step": 1, "write": 1, "compare": 1, "ints": 0}),
        ("softmax_f32", {"step": 3, "read": 4, "write": 2, "call": 1, "math.exp": 1}),
        ("gelu_tanh_f32", {"step": 1, "read": 5, "write": 1, "arithmetic": 8, "math.tanh": 1}),
        ("gelu_erf_f32", {"step": 1, "read": 2, "write": 1, "arithmetic": 4, "math.erf": 1}),
        ("matmul_f32", {"step": 1, "read": 2, "arithmetic": 6, "ints": 4, "call": 0}),
        ("matmul_i8_i32", {"step": 1, "read": 2, "arithmetic": 6, "ints": 6}),
        ("quantize_f32_i8", {"step": 1, "read": 1, "arithmetic": 1, "builtins.round": 1}),
    ],
)
def test_the_bytecodes_of_a_loop_are_those_that_its_source_says(
    name: str, expected: dict[str, float]
) -> None:
    counts = per_element(name)
    # Branches that depend on the data: softmax's new maxima, values that quantise clips.
    assert {kind: counts.get(kind, 0.0) for kind in expected} == pytest.approx(expected, abs=0.05)
    kinds = [c for kind, c in counts.items() if kind not in ("total", "ints") and "." not in kind]
    assert sum(kinds) <= counts["total"]


def test_relu_reads_an_element_again_where_it_keeps_it() -> None:
    assert 1.4 < per_element("relu_f32")["read"] < 1.6  # half of the values are negative


def test_counts_are_exact_and_repeat() -> None:
    counts = [bytecodes.counted(relu.loop, ([-1.0, 2.0, -3.0],)) for _ in range(3)]
    assert counts[0] == counts[1] == counts[2]
    assert (counts[0]["write"], counts[0]["compare"], counts[0]["read"]) == (3, 3, 4)


def test_counting_leaves_the_callers_trace_function_alone() -> None:
    def mine(*_: Any) -> None:
        return None

    before = sys.gettrace()
    sys.settrace(mine)
    try:
        bytecodes.counted(relu.loop, ([1.0],))
        assert sys.gettrace() is mine
    finally:
        sys.settrace(before)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="bytecode is not specialised before 3.11")
@pytest.mark.skipif(sys.gettrace() is not None, reason="traced code is not specialised")
@pytest.mark.parametrize(
    ("module", "name", "floats"), [(matmul, "matmul_f32", 2), (matmul_i8, "matmul_i8_i32", 0)]
)
def test_the_interpreter_agrees_which_arithmetic_is_on_ints(
    module: Any, name: str, floats: int
) -> None:
    ones: list[Any] = [1.5] * 900 if floats else [3] * 900
    for _ in range(20):
        module.loop(ones, ones, 30, 30, 30)
    if not hasattr(module.loop.__code__, "_co_code_adaptive"):
        pytest.skip("this interpreter does not show its specialised bytecode")
    found = [i.opname for i in dis.get_instructions(module.loop, adaptive=True)]
    special = [op for op in found if op.startswith("BINARY_OP_")]
    if not special:
        pytest.skip("this interpreter has not specialised the loop")
    assert sum("FLOAT" in op for op in special) == floats
    assert per_element(name)["arithmetic"] - bytecodes.INTEGER_ARITHMETIC[name] == floats


# --- Operations ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", pieces.OPERATIONS)
def test_an_operation_is_its_statement_and_nothing_else(name: str) -> None:
    counts = bytecodes.counted(pieces.function(name))
    empty = bytecodes.counted(pieces.function("step"))
    repeated = pieces.STEPS * (pieces.REPEATS if not name.startswith("step") else 0)
    expected = {
        "read": ("read", 1), "read_array": ("read", 1), "write": ("write", 1),
        "compare": ("compare", 1), "multiply": ("arithmetic", 1), "global": ("global", 1),
        "attribute": ("attribute", 1), "call": ("call", 1), "exp": ("call", 1),
    }  # fmt: skip
    kind, each = expected.get(name, ("write", 0))
    # What stands before the loop is done once: a few dozen bytecodes.
    assert 0 <= counts[kind] - empty[kind] - each * repeated < 40
    assert counts["step"] == empty["step"]


def test_operations_read_and_write_no_common_object() -> None:
    known = pieces._surroundings()
    objects = [id(v) for x in known["LISTS"] for v in x[pieces._FIRST :]]
    assert len(set(objects)) == len(objects)
    assert len({id(x) for x in known["LISTS"] + known["WRITTEN"]}) == 2 * pieces.REPEATS


# --- Adding up -----------------------------------------------------------------------------------

COUNTS = {"total": 20.0, "step": 1.0, "read": 2.0, "arithmetic": 3.0, "ints": 1.0, "simple": 9.0}
_BYTECODES = {"read": 4, "write": 4, "compare": 4, "call": 6, "fabs": 8, "exp": 8, "name": 2}


def operation(name: str, ns: float, **extra: Any) -> dict[str, Any]:
    """One that takes `ns` for each repetition, on top of a step of 3 bytecodes."""
    empty = name.startswith("step")
    per_step = 3 + (0 if empty else 8 * _BYTECODES.get(name, 4))
    return {
        "fullname": f"t.py::test_operation[{name}]",
        "stats": stats(1000 * (10e-9 + (0 if empty else 8 * ns * 1e-9))),
        "extra_info": {
            **MARK, "operation": name, "what": name, "steps": 1000, "repeats": 8,
            "bytecodes": per_step, **extra,
        },
    }  # fmt: skip


NS = {name: 4.0 + 1.5 * number for number, name in enumerate(cost._NEEDED)}


def made(
    ns: dict[str, float],
    loop_ns: float = 100.0,
    counts: dict[str, float] | None = None,
    **extra: Any,
) -> Run:
    loop = case("py-loop", (10_000,), loop_ns * 1e-9 * 10_000)
    loop["extra_info"]["bytecodes"] = COUNTS if counts is None else counts
    return from_json(content(loop, *(operation(name, t, **extra) for name, t in ns.items())))


@given(st.lists(st.floats(1.0, 50.0), min_size=len(NS), max_size=len(NS)), st.floats(10.0, 1e3))
def test_parts_and_residual_are_the_whole_and_no_part_is_negative(
    ns: list[float], loop_ns: float
) -> None:
    (found,) = cost.cost_breakdowns(made(dict(zip(NS, ns, strict=True)), loop_ns))
    assert found.whole.ns == pytest.approx(loop_ns)
    assert found.explained.ns + found.residual.ns == pytest.approx(loop_ns)
    assert all(part.cost.ns >= -1e-9 for part in found.parts)


def test_known_costs_are_recovered() -> None:
    """A bytecode costs 1 ns; what else an operation costs is injected."""
    injected = {"read": 2.0, "write": 3.0, "compare": 0.5, "multiply": 6.0, "keep": 1.0}
    injected |= {"negate": 5.0, "multiply_int": 7.0, "add_int": 9.0, "global": 1.0}
    injected |= {
        "attribute": 2.5,
        "call": 8.0,
        "fabs": 9.0,
        "exp": 12.0,
        "name": 0.0,
        "step": 0.0,
        "step_known": 0.0,
    }
    ns = {name: _BYTECODES.get(name, 4) * 1.0 + more for name, more in injected.items()}
    units = cost.unit_costs(operations(made(ns)))
    found = {name: cost.ns for name, cost in units.items()}
    expected = {
        "dispatch": 1.0, "step": 7.0, "step_known": 7.0, "read": 2.0, "write": 3.0, "compare": 0.5,
        "object": 4.0,
        "float": 6.0, "int": 8.0, "global": 1.0, "attribute": 2.5, "call": 8.0, "exp": 3.0,
    }  # fmt: skip
    assert found == pytest.approx(expected)


def test_instructions_are_summed_where_they_were_counted() -> None:
    (without,) = cost.cost_breakdowns(made(NS))
    assert without.explained.instructions is None
    (counted,) = cost.cost_breakdowns(made(NS, instructions=500_000))
    assert counted.explained.instructions is not None


def test_a_breakdown_needs_the_operations_and_says_how_to_get_them() -> None:
    with pytest.raises(BadRun, match=r"needs a run with test_bench_python\.py"):
        cost.cost_breakdowns(from_json(content(case("py-loop", (10,), 1e-6))))
    with pytest.raises(BadRun, match="no Python loop of 'q'"):
        cost.cost_breakdowns(made(NS), "q")
    with pytest.raises(BadRun, match=r"calls math\.exp, which was not measured"):
        cost.cost_breakdowns(made(NS, counts={**COUNTS, "math.exp": 1.0}))
    with pytest.raises(BadRun, match="no Python loop"):
        cost.cost_breakdowns(made(NS, counts={}))
    flat = operation("read", 5.0)
    flat["extra_info"]["bytecodes"] = 3
    others = [operation(name, t) for name, t in NS.items() if name != "read"]
    with pytest.raises(BadRun, match="read has no bytecodes beyond the empty loop's"):
        cost.cost_breakdowns(from_json(content(flat, *others)))


def test_formats_say_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = made(NS)
    found = cost.cost_breakdowns(run)
    text, markdown = (render(view.view(run), form) for form in ("text", "md"))
    for part in found[0].parts:
        assert part.what in text and part.what in markdown
    as_json = json.loads(render(view.view(run), "json"))
    (only,) = as_json["kernels"]
    assert sum(p["ns"] for p in only["parts"]) == pytest.approx(only["explained"]["ns"])
    path = tmp_path / "empty.json"
    path.write_text(json.dumps(content(case("py-loop", (10,), 1e-6))))
    assert command_line.main(["cost", str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("benchmarks.1.extra_info.steps", 0),
        ("benchmarks.1.extra_info.repeats", "8"),
        ("benchmarks.1.extra_info.bytecodes", -1),
        ("benchmarks.1.extra_info.what", ""),
        ("benchmarks.0.extra_info.bytecodes", [1]),
        ("benchmarks.0.extra_info.bytecodes", {"": 1}),
        ("benchmarks.0.extra_info.bytecodes.read", "two"),
    ],
)
def test_what_a_file_says_of_operations_is_checked(path: str, value: Any) -> None:
    loop = case("py-loop", (10_000,), 1e-3)
    loop["extra_info"]["bytecodes"] = COUNTS
    good = content(loop, *(operation(name, t) for name, t in NS.items()))
    with pytest.raises(BadRun, match="needs"):
        cost.cost_breakdowns(undamaged(from_json(altered(good, path, value))))


# --- Figures in prose ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("time k 10000 py-loop", "1.00ms"),
        ("element k", "100ns"),
        ("ratio k 10000 py-loop py-loop", "1.00x"),
        ("against k 10000 py-loop k", "1.00x"),
    ],
)
def test_a_figure_is_what_its_words_say(words: str, shown: str) -> None:
    assert figures.figure(made(NS), words) == shown


@pytest.mark.parametrize(
    "words",
    ["", "speed k", "time k", "time k 10000 c-avx2", "limit k 10000 py-loop", "unit nothing",
     "part k nothing", "instructions k 10000 py-loop", "loss k 10000 py-loop", "total k 10000"],
)  # fmt: skip
def test_a_figure_that_is_not_there_is_a_bad_request(words: str) -> None:
    with pytest.raises(BadRun):
        figures.figure(made(NS), words)


def test_costs_on_interpreters_stand_side_by_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, ns in (("3.98.0", 100.0), ("3.99.0", 50.0)):
        loop = case("py-loop", (10_000,), ns * 1e-9 * 10_000)
        loop["extra_info"]["bytecodes"] = COUNTS
        said = {"label": f"CPython {name}", "version": name, "free_threaded": False, "gil": True}
        whole = content(
            loop, *(operation(n, t) for n, t in NS.items()),
            interpreter={**said, "jit": False, "debug": False},
        )  # fmt: skip
        (tmp_path / f"{name}.json").write_text(json.dumps(whole))
    arguments = ["cost", str(tmp_path), "--by", "interpreter"]
    assert command_line.main([*arguments, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {label: one["kernels"][0]["whole"]["ns"] for label, one in found.items()} == {
        "CPython 3.98.0": pytest.approx(100.0), "CPython 3.99.0": pytest.approx(50.0),
    }  # fmt: skip
    for form in ("text", "md"):
        assert command_line.main([*arguments, "--format", form]) == 0
        shown = capsys.readouterr().out
        assert "100.0" in shown and "50.0" in shown and "residual" in shown
    paths = sorted(map(str, tmp_path.iterdir()))
    assert command_line.main(["cost", *paths]) == 2
    assert "needs one, or --by interpreter" in capsys.readouterr().err
